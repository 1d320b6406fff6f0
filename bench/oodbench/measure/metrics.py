"""The metrics as data: what tables, help texts and checks need to know about each name."""

from dataclasses import dataclass
from math import inf

from oodbench.errors import UnknownName


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: As in records.
        title: As in tables.
        higher_is_better: Which way is good.
        lowest: No value is below it.
        highest: No value is above it.
        definition: One sentence.
        tells_better: Whether a row with a better value is the better one; the p-value of a test says how sure it is.
    """

    name: str
    title: str
    higher_is_better: bool
    lowest: float
    highest: float
    definition: str
    tells_better: bool = True


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("auroc", "AUROC", True, 0, 1, "Chance that a good input scores above a bad one, ties counted half."),
        Metric(
            "fpr95",
            "FPR95",
            False,
            0,
            1,
            "Share of bad inputs accepted at the highest threshold that accepts at least 95 % of the good ones.",
        ),
        Metric(
            "fpr95_ood_positive",
            "FPR95 (bad is positive)",
            False,
            0,
            1,
            "Share of good inputs flagged at the lowest threshold that flags at least 95 % of the bad ones.",
        ),
        Metric(
            "fpr90_ood_positive",
            "FPR90 (bad is positive)",
            False,
            0,
            1,
            "Share of good inputs flagged at the lowest threshold that flags at least 90 % of the bad ones.",
        ),
        Metric(
            "detection_error",
            "Detection error",
            False,
            0,
            1,
            "Mean of the shares of good inputs flagged and of bad inputs accepted at the threshold of FPR95.",
        ),
        Metric(
            "min_detection_error",
            "Minimal detection error",
            False,
            0,
            0.5,
            "Least mean, over all thresholds, of the shares of good inputs flagged and of bad inputs accepted.",
        ),
        Metric("aupr_in", "AUPR-In", True, 0, 1, "Average precision of accepting good inputs, highest score first."),
        Metric("aupr_out", "AUPR-Out", True, 0, 1, "Average precision of flagging bad inputs, lowest score first."),
        Metric("aupr_in_balanced", "AUPR-In (1:1)", True, 0, 1, "AUPR-In with both groups weighted to equal mass."),
        Metric("aupr_out_balanced", "AUPR-Out (1:1)", True, 0, 1, "AUPR-Out with both groups weighted to equal mass."),
        Metric(
            "mann_whitney_log10_p",
            "Mann-Whitney log₁₀ p",
            False,
            -inf,
            0,
            "Decimal logarithm of the two-sided p-value of good and bad inputs scoring alike, ties taken into account.",
            tells_better=False,
        ),
        Metric(
            "aurc",
            "AURC",
            False,
            0,
            1,
            "Area under the risk-coverage curve: the share of errors among the k highest-scored inputs, mean over k.",
        ),
        Metric("e_aurc", "E-AURC", False, 0, 1, "AURC minus that of the perfect ranking of the same inputs."),
        Metric(
            "augrc",
            "AUGRC",
            False,
            0,
            0.5,
            "Area under the generalised risk-coverage curve: the share of all inputs that are accepted and wrong.",
        ),
        Metric(
            "coverage_at_risk_5",
            "Coverage at 5 % risk",
            True,
            0,
            1,
            "Largest share of inputs that a threshold accepts with at most 5 % errors among them.",
        ),
        Metric(
            "scod_aurc",
            "SCOD-AURC",
            False,
            0,
            1,
            "AURC of the in-set's test inputs and the out-set's together, all of the latter counted as errors.",
        ),
        Metric("accuracy", "Accuracy", True, 0, 1, "Share of inputs that the classifier gets right."),
        Metric(
            "ece_10",
            "ECE (10 bins)",
            False,
            0,
            1,
            "Mean gap between accuracy and mean confidence over 10 equal-width bins (lo, hi], weighted by inputs.",
        ),
        Metric(
            "ece_15",
            "ECE (15 bins)",
            False,
            0,
            1,
            "Mean gap between accuracy and mean confidence over 15 equal-width bins (lo, hi], weighted by inputs.",
        ),
        Metric(
            "classwise_ece",
            "Classwise ECE",
            False,
            0,
            1,
            "Mean over classes of the gap between a class's share and its mean probability over 15 equal-width bins.",
        ),
        Metric(
            "ib_inn_ece",
            "ECE of IB-INN",
            False,
            0,
            1,
            "Mean gap between a bin's centre and its share of hits over all pairs of an input and a class, 17 bins.",
        ),
        Metric("ib_inn_mce", "MCE of IB-INN", False, 0, 1, "The largest gap of ECE of IB-INN over its bins."),
        Metric(
            "ib_inn_ice", "ICE of IB-INN", False, 0, 1, "The integral of the gap of ECE of IB-INN over probability."
        ),
        Metric(
            "rms_calibration",
            "RMS calibration error",
            False,
            0,
            1,
            "Root mean square gap between accuracy and confidence over bins of 100 inputs of neighbouring confidence.",
        ),
        Metric(
            "mad_calibration",
            "MAD calibration error",
            False,
            0,
            1,
            "Mean absolute gap between accuracy and confidence over bins of 100 inputs of neighbouring confidence.",
        ),
        Metric(
            "soft_f1", "Soft F1", True, 0, 1, "F1 of finding wrong predictions, each flagged to degree 1 - confidence."
        ),
        Metric(
            "oce",
            "OCE",
            False,
            0,
            1 / 0.003,
            "Share of errors among predictions with confidence of at least 0.997, divided by 0.003.",
        ),
        Metric("oce_share", "OCE's share", True, 0, 1, "Share of predictions with confidence of at least 0.997."),
        Metric(
            "brier", "Brier score", False, 0, 2, "Mean squared distance of the predicted probabilities to the truth."
        ),
        Metric("nll", "NLL", False, 0, inf, "Mean of -log of the true class's predicted probability, in nats."),
        Metric(
            "bits_per_dim",
            "Bits per dimension",
            False,
            -inf,
            inf,
            "-log2 of the 8-bit image's probability per dimension.",
        ),
        Metric(
            "mce",
            "mCE",
            False,
            0,
            inf,
            "Error under corruption over that of a named baseline, summed over severities, averaged over types.",
        ),
        Metric(
            "rel_mce",
            "Relative mCE",
            False,
            -inf,
            inf,
            "Rise of the error under corruption over that of a named baseline, averaged over types.",
        ),
        Metric(
            "delta_entropy",
            "Entropy rise",
            True,
            -inf,
            inf,
            "Mean predictive entropy on corrupted minus that on clean inputs, in nats.",
        ),
    )
}
"""All metrics by name."""


def find(name: str) -> Metric:
    """Return the metric of that name.

    Raises:
        UnknownName: There is none; offers the nearest.
    """
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    return METRICS[name]
