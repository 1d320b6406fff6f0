"""Records of older schemas, as those of today: one function a step, from each schema to the next."""

from collections.abc import Callable
from typing import Any

Content = dict[str, Any]


def upgraded(content: Content) -> Content:
    """Return the content of a record of an older schema as one of the newest.

    Args:
        content: What its file holds, `schema_version` among it.
    """
    while step := STEPS.get(content["schema_version"]):
        content = step(content)
    return content


def _from_1(content: Content) -> Content:
    """Take the field's words: citation, model, misclassification, fpr95_ood_positive."""
    renamed = {"reference": "citation", "subject": "model"}
    cells = [
        cell
        | {
            "failure": "misclassification" if cell["failure"] == "mistake" else cell["failure"],
            "name": "misclassified" if cell["failure"] == "mistake" else cell["name"],
            "metrics": {NAMES.get(name, name): value for name, value in cell.get("metrics", {}).items()},
            "intervals": {NAMES.get(name, name): value for name, value in cell.get("intervals", {}).items()},
        }
        for cell in content.get("cells", [])
    ]
    content = {renamed.get(key, key): value for key, value in content.items()}
    return content | {"schema_version": 2, "cells": cells}


NAMES = {"fpr95_bad": "fpr95_ood_positive"}
"""Metrics of schema 1 by their names of today."""

STEPS: dict[int, Callable[[Content], Content]] = {1: _from_1}
"""By the schema that they start from."""
