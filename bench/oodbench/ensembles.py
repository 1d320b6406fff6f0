"""Which models an ensemble is made of, and how others begin from trained ones."""

from collections.abc import Sequence

from torch import nn


def members(M: int, seed: int, seeds: tuple[int, ...], *, disjoint: bool = False) -> list[int]:
    """Return the seeds of an ensemble's M members, all of them distinct, in a matrix of `seeds`.

    A matrix with one seed has the members 0 to M - 1. With several, seed s has s to s + M - 1: neighbours differ in one
    member, and S seeds cost S + M - 1 members rather than S M. Ensembles that share members vary less than independent
    ones, so their spread is none over seeds; records name the members, and such rows enter no test over seeds.

        members(5, 2, (0, 1, 2))  # [2, 3, 4, 5, 6]

    Args:
        M: How many.
        seed: Of the ensemble.
        seeds: Of the matrix.
        disjoint: Whether seed s has s M to (s + 1) M - 1 instead, which no other seed has.
    """
    start = 0 if len(seeds) == 1 else seed * M if disjoint else seed
    return list(range(start, start + M))


def take_weights(nets: Sequence[nn.Module], parts: Sequence[nn.Module]) -> None:
    """Give each fresh network the weights of its trained part, where there are parts.

        take_weights([net], parts)

    Without parts the networks stay as they are: stored weights are to take the place of all that training would do.
    """
    if parts:
        for net, part in zip(nets, parts, strict=True):
            net.load_state_dict(part.state_dict())
