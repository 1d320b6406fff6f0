"""Statistics of training features that several methods share, in float64, a block of rows at a time."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.formulas import ROWS

DIGIT = 16
"""Bits by which values are sorted at a time."""


class Principal(NamedTuple):
    """Orthonormal directions of the features, the one along which they vary most first.

    Attributes:
        origin: What was subtracted.
        direction: In columns.
        variance: The mean square along each, at least 0.
    """

    origin: Float[Tensor, "F"]
    direction: Float[Tensor, "F F"]
    variance: Float[Tensor, "F"]

    def leading(self, share: float) -> int:
        """Return how many directions hold a share of the whole variance, 0 < share < 1: at least 1, never all F."""
        explained = self.variance.cumsum(0) / self.variance.sum()
        return min(int((explained < share).sum()) + 1, len(self.variance) - 1)


def mean(x: Float[Tensor, "n F"]) -> Float[Tensor, "F"]:
    """Return the mean row."""
    return x.mean(dim=0, dtype=torch.float64)


def second_moment(x: Float[Tensor, "n F"], origin: Float[Tensor, "F"]) -> Float[Tensor, "F F"]:
    """Return 1/n sum_i (x_i - o)(x_i - o)^T: the covariance (over n) where o is the mean."""
    moment = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for rows in torch.split(x, ROWS):
        centred = rows.double() - origin
        moment += centred.T @ centred
    return moment / len(x)


def principal(x: Float[Tensor, "n F"], origin: Float[Tensor, "F"]) -> Principal:
    """Return the eigenvectors of the second moment about a point: of the covariance where it is the mean.

    Example:
        >>> principal(torch.tensor([[3.0, 0.0], [-3.0, 0.0]]), torch.zeros(2)).variance
        tensor([9., 0.], dtype=torch.float64)
    """
    return _principal(origin.double(), second_moment(x, origin.double()))


def pca(blocks: Iterable[Float[Tensor, "_ F"]]) -> Principal:
    """Return the mean of rows that come in blocks, and the eigenvectors of their covariance.

    For features that are mapped first: the mapped ones are never all there. At least one row.

    Example:
        >>> pca([torch.tensor([[4.0, 1.0]]), torch.tensor([[-2.0, 1.0]])]).variance
        tensor([9., 0.], dtype=torch.float64)
    """
    # about the first block's mean o:  cov = 1/n sum_i (x_i - o)(x_i - o)^T - (mean - o)(mean - o)^T
    origin, shift, moment, n = None, torch.zeros(()), torch.zeros(()), 0
    for rows in blocks:
        origin = mean(rows) if origin is None else origin
        centred = rows.double() - origin
        shift, moment, n = shift + centred.sum(dim=0), moment + centred.T @ centred, n + len(rows)
    assert origin is not None
    shift = shift / n
    return _principal(origin + shift, moment / n - shift[:, None] * shift)


def _principal(origin: Tensor, moment: Tensor) -> Principal:
    variance, direction = torch.linalg.eigh(moment)
    return Principal(origin, direction.flip(1), variance.flip(0).clamp_min(0))


def percentile(x: Tensor, q: float) -> float:
    """Return the q-th percentile of all entries, 0 <= q <= 100, between order statistics by a line, as numpy does.

    Entries are counted by their leading bits, then by the next, and never copied: memory stays flat as sets grow.

    Args:
        x: Of any shape, float32 or float64, without NaN.
        q: In percent.

    Example:
        >>> percentile(torch.arange(5.0), 25)
        1.0
    """
    place = q / 100 * (x.numel() - 1)
    low = int(place)
    a = _order_statistic(x, low)
    return a if place == low else a + (place - low) * (_order_statistic(x, low + 1) - a)


def _order_statistic(x: Tensor, k: int) -> float:
    """Return the k-th smallest entry, from 0: a radix selection on the order-preserving integers of the floats."""
    bits = 8 * x.element_size()
    found = np.uint64(0)
    for shift in range(bits - DIGIT, -1, -DIGIT):
        counts = np.zeros(2**DIGIT, dtype=np.int64)
        for rows in torch.split(x.reshape(len(x), -1), ROWS):
            keys = _ordered(rows.cpu().numpy())
            if shift + DIGIT < bits:
                keys = keys[keys >> np.uint64(shift + DIGIT) == found]
            counts += np.bincount(
                (keys >> np.uint64(shift) & np.uint64(2**DIGIT - 1)).astype(np.int64), minlength=2**DIGIT
            )
        digit = int(np.searchsorted(counts.cumsum(), k, side="right"))
        k -= int(counts[:digit].sum())
        found = (found << np.uint64(DIGIT)) | np.uint64(digit)
    return _float(int(found), bits)


def _ordered(values: np.ndarray) -> np.ndarray:
    """Return unsigned integers in the order of the floats: the sign bit set on positive ones, all flipped on others."""
    bits = 8 * values.itemsize
    keys = values.reshape(-1).view(f"u{values.itemsize}")
    top = keys.dtype.type(1 << (bits - 1))
    return np.where(keys & top, ~keys, keys | top).astype(np.uint64)


def _float(key: int, bits: int) -> float:
    top = 1 << (bits - 1)
    raw = key & ~top if key & top else ~key & (2**bits - 1)
    return float(np.array(raw, dtype=f"u{bits // 8}").view(f"f{bits // 8}"))
