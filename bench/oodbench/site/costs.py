"""What a row costs, and which rows no other one beats in both cost and error: the Pareto front."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from oodbench.errors import BadRecord
from oodbench.measure.metrics import METRICS
from oodbench.records import Cost, read_cost
from oodbench.report.entries import Entry
from oodbench.report.numbers import RANKED_BY
from oodbench.report.standings import Standings


class Axis(NamedTuple):
    """A cost: its name, and what it is called."""

    name: str
    title: str


AXES = (
    Axis("passes", "Passes through the network that one input costs, forward and gradient ones together"),
    Axis("seconds", "Processor seconds of the whole row at one seed: training, outputs, fit and scores"),
)
"""The costs that FPR95 is drawn against. Seconds are of the machine that made the records, and no two were alike."""


class Costs(NamedTuple):
    """The costs of a row, means over its seeds; None where they are not known."""

    passes: float
    seconds: float | None


def costs(entries: Sequence[Entry]) -> Costs:
    """Return the costs of a row with at least one entry."""
    records = [entry.record for entry in entries]
    known = [seconds for entry in entries if (seconds := _seconds(entry)) is not None]
    passes = fmean(record.passes.forward + record.passes.gradient for record in records)
    return Costs(passes, fmean(known) if len(known) == len(entries) else None)


def _seconds(entry: Entry) -> float | None:
    cost = cost_of(entry)
    return sum(cost.cpu_seconds.values()) + sum(cost.gpu_seconds.values()) if cost and cost.cpu_seconds else None


def cost_of(entry: Entry) -> Cost | None:
    """Return what making an entry cost; None where nothing whole tells it."""
    try:
        return read_cost(entry.scores.with_suffix(".cost.json"))
    except BadRecord:
        return None


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the rows that no other one beats, the cheapest first.

    Args:
        points: Cost and error by row; less is better of both. One row beats another that costs no less and errs no
            less, if it is better in one of the two.

    Example:
        >>> front({"a": (1, 0.4), "b": (1, 0.5), "c": (2, 0.3), "d": (3, 0.35)})
        ['a', 'c']
    """
    kept: list[str] = []
    least, at = float("inf"), float("nan")
    for name, (cost, error) in sorted(points.items(), key=lambda item: (item[1], item[0])):
        if error < least or (error == least and cost == at):
            kept.append(name)
            least, at = error, cost
    return kept


def fronts(standings: Standings, of: Mapping[str, Costs]) -> dict[str, list[str]]:
    """Return by axis the rows on the front, among those that have a rank."""
    assert not METRICS[RANKED_BY].higher_is_better
    means = {one.method: one.mean for one in standings.ranked}
    found = {}
    for axis in AXES:
        known = {
            method: (cost, mean)
            for method, mean in means.items()
            if (cost := getattr(of[method], axis.name)) is not None
        }
        found[axis.name] = front(known)
    return found
