"""Columns of numbers in the table of a result."""

NUMBERS = [
    "fpr95",
    "detection_error",
    "auroc",
    "aupr_in",
    "aupr_out",
    "auroc_low",
    "auroc_high",
    "fpr95_low",
    "fpr95_high",
]
