"""Banks of training features: which rows are in one, and which of them are nearest to an input."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.contract import Outputs

ROWS = 64
"""Inputs compared with the whole bank at a time: memory does not depend on the batch."""

SPARE = 10
"""Candidates found beyond k: float32 products can swap neighbours that are nearly as far as each other."""


class Neighbours(NamedTuple):
    """The k nearest rows of a bank for each input, nearest first.

    Attributes:
        distance: In float64.
        row: Their places in the bank.
    """

    distance: Float[Tensor, "n k"]
    row: Int[Tensor, "n k"]


def neighbours(u: Float[Tensor, "n F"], bank: Float[Tensor, "N F"], k: int) -> Neighbours:
    """Return the k nearest rows of a bank, all N of them where k is larger; both sides are of length 1.

    ||u - v||^2 = 2 - 2 u.v cancels for close neighbours: products choose the candidates, differences measure them.

    Example:
        >>> bank = torch.eye(3)
        >>> neighbours(bank[1:2], bank, 1).row
        tensor([[1]])
    """
    found = [_nearest(rows, bank, min(k, len(bank))) for rows in torch.split(u, ROWS)]
    return Neighbours(*map(torch.cat, zip(*found, strict=True)))


def _nearest(u: Tensor, bank: Tensor, k: int) -> tuple[Tensor, Tensor]:
    candidates = (u @ bank.T).topk(min(k + SPARE, len(bank)), dim=1, sorted=False).indices
    distances = (u[:, None].double() - bank[candidates].double()).norm(dim=2)
    nearest = distances.topk(k, dim=1, largest=False)
    return nearest.values, candidates.gather(1, nearest.indices)


def drawn(n: int, size: int, seed: int) -> Int[Tensor, "size"]:
    """Return the places of `size` of n rows, drawn at random without replacement and in order; all where n is smaller.

    Never the first rows: training sets are often sorted by class.
    """
    rows = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:size]
    return rows.sort().values


def drawn_batches(outputs: Outputs, size: int, seed: int) -> Iterator[tuple[Outputs, Int[Tensor, "_"]]]:
    """Yield the batches that hold some of the rows of `drawn`, in order, and the places of these in the batch."""
    rows, begin = drawn(len(outputs), size, seed), 0
    for batch in outputs.batches():
        inside = rows[(rows >= begin) & (rows < begin + len(batch))] - begin
        begin += len(batch)
        if len(inside):
            yield batch, inside
