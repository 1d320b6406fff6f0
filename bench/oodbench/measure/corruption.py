"""What corruption does to a classifier, against a named baseline."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData

T = TypeVar("T")

ROUNDING = 1e-9
"""A sum of error rates that is no more than this is zero: rates are fractions of far fewer inputs."""

Errors = Mapping[str, Sequence[float]]
"""Error rate at each severity, by type of corruption."""


def mce(errors: Errors, baseline: Errors) -> float:
    """Return the mean over types of sum_s E / sum_s E_baseline; 1 = as bad as the baseline.

    The baseline must be measured on the same images: AlexNet's published errors belong to ImageNet-C alone.

    Raises:
        BadData: The two lack a common type or severity, or the baseline makes no error.

    Example:
        >>> mce({"fog": [0.1, 0.3]}, baseline={"fog": [0.4, 0.4]})
        0.5
    """
    return rel_mce(errors, 0.0, baseline, 0.0)


def rel_mce(errors: Errors, clean: float, baseline: Errors, baseline_clean: float) -> float:
    """Return the mean over types of sum_s (E - E_clean) / sum_s (E_baseline - E_baseline_clean).

    Raises:
        BadData: As `mce`, or there is a type that costs the baseline nothing, or from which it even gains: divided by
            a fall, more errors would be a better number.

    Example:
        >>> rel_mce({"fog": [0.25, 0.375]}, 0.125, baseline={"fog": [0.5, 0.5]}, baseline_clean=0.25)
        0.75
    """
    if not errors or {kind: len(e) for kind, e in errors.items()} != {kind: len(e) for kind, e in baseline.items()}:
        raise BadData(
            f"got errors for {sorted(errors)}, a baseline for {sorted(baseline)}, expected the same severities"
        )
    rises = {kind: sum(e - baseline_clean for e in baseline[kind]) for kind in errors}
    if flat := sorted(kind for kind, rise in rises.items() if rise <= ROUNDING):
        raise BadData(f"the baseline's error does not rise under {', '.join(flat)}: nothing to divide by")
    return float(np.mean([sum(e - clean for e in errors[kind]) / rises[kind] for kind in errors]))


def delta_entropy(clean: NDArray[np.floating], corrupted: NDArray[np.floating]) -> float:
    """Return the mean predictive entropy on corrupted minus that on clean images, in nats, from logits [n C].

    Example:
        >>> round(delta_entropy(np.array([[50.0, 0.0]]), np.array([[0.0, 0.0]])), 4)  # from sure to log 2
        0.6931
    """
    return float(_entropy(corrupted).mean() - _entropy(clean).mean())


def _entropy(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return H(softmax z) = log sum exp z - sum p z."""
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    total = np.exp(z).sum(axis=1)
    entropy: NDArray[np.float64] = np.log(total) - (np.exp(z) * z).sum(axis=1) / total
    return entropy


def by_type(corrupted: Mapping[str, T]) -> dict[str, list[T]]:
    """Return what is known of each corrupted set, named type-severity, by type.

    Example:
        >>> by_type({"fog-1": "little", "fog-2": "much", "shot-noise-1": "grains"})
        {'fog': ['little', 'much'], 'shot-noise': ['grains']}
    """
    types: dict[str, list[T]] = {}
    for name, one in corrupted.items():
        types.setdefault(name.rpartition("-")[0], []).append(one)
    return types
