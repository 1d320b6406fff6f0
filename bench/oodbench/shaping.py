"""Activations that are pruned, clipped or scaled before the head: what ReAct, ASH, SCALE and their kin share.

An input's activations are one row here: its F features, or all F h w entries of its last feature map. How much of a row
is "the largest share" is said in percent of entries pruned, q, as in the papers: k = n - round(n q / 100) are kept, at
least one. Sums of activations are of their positive parts, a = max(x, 0): after a ReLU these are the activations
themselves. Where they may be negative (a transformer's, those of a SiLU) a plain ratio of sums could be of any size and
sign; of positive parts it lies within [1, n / k].
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from oodbench import formulas
from oodbench.contract import FEATURE_MAP, Head, Outputs
from oodbench.errors import BadMethod

STEEPEST = 80.0
"""Largest exponent of a factor: exp(80) times a logit of thousands is finite in float32. r passes it only at q > 98."""

EVEN = "noise stirs the toy network's eight features more evenly than a blob does, and r takes evenness for evidence"
"""Why rows that scale by r alone are excused from the direction of their scores on the toy."""


def kept(n: int, q: float) -> int:
    """Return how many of n entries are left when q percent are pruned: n - round(n q / 100), at least one.

    Raises:
        BadMethod: q is not within [0, 100].
    """
    if not 0 <= q <= 100:
        raise BadMethod(f"{q:g} % of the activations were to be pruned; expected a share within [0, 100]")
    return max(1, n - round(n * q / 100))


def largest(x: Float[Tensor, "n F"], k: int) -> Bool[Tensor, "n F"]:
    """Return which entries are the k largest of their row; of equal ones the first.

    Example:
        >>> largest(torch.tensor([[1.0, 3.0, 1.0, 0.0]]), 2)
        tensor([[ True,  True, False, False]])
    """
    least = x.topk(k, dim=1).values[:, -1:]
    above, level = x > least, x == least
    return above | (level & (level.cumsum(dim=1) <= k - above.sum(dim=1, keepdim=True)))


def ratio(x: Float[Tensor, "n F"], k: int | Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return r = sum_i a_i / sum_{i in top k} a_i, a = max(x, 0), in float64: within [1, F / k], 1 where all a are 0.

    It is large where activation is spread evenly, 1 where k entries have all of it.
    """
    a = x.clamp_min(0)
    k = torch.as_tensor(k, device=x.device).expand(len(x))
    top = a.topk(int(k.max()), dim=1).values.cumsum(dim=1, dtype=torch.float64).gather(1, k[:, None] - 1)[:, 0]
    return torch.where(top > 0, a.sum(dim=1, dtype=torch.float64) / top, 1.0)


def sharpening(x: Float[Tensor, "n F"], k: int | Int[Tensor, "n"]) -> Float[Tensor, "n 1"]:
    """Return the factor exp(r) of ASH-S and SCALE, in float64; r is `ratio`, and at most `STEEPEST`."""
    return ratio(x, k).clamp(max=STEEPEST).exp()[:, None]


def energy(features: Float[Tensor, "n F"], head: Head) -> Float[Tensor, "n"]:
    """Return logsumexp(W f + b), the energy of features that were changed, in float64."""
    return formulas.energy(formulas.through_head(features, head))


def energy_at_map(batch: Outputs, shape: Callable[[Float[Tensor, "n F"]], Float[Tensor, "n F"]]) -> Float[Tensor, "n"]:
    """Return the energy after the last feature map has been changed; the network pools it and goes on.

    Args:
        batch: Outputs whose method reads `FEATURE_MAP`, `LOGITS` and `NETWORK`.
        shape: Is given the maps as rows, and returns rows.
    """
    a = batch[FEATURE_MAP]
    changed = shape(a.flatten(1)).to(a.dtype).view_as(a)
    return formulas.energy(batch.at(replacing={FEATURE_MAP: changed}).logits)
