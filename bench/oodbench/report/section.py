"""One section of the leaderboard, a failure kind of a matrix, as numbers: who stands where, with what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from oodbench.measure.cells import Cell
from oodbench.measure.ranks import Ranked, shared_ranks
from oodbench.measure.summary import Spread, average, spread
from oodbench.records import Failure, Record
from oodbench.report.collect import Entry
from oodbench.report.layout import Column, averaged, columns
from oodbench.report.numbers import FAILURES, Number

RANKED_BY = "fpr95"

PLAIN = "plain"
"""What records call the recipe of a matrix's plain classifier."""

TOLERATED = 0.02
"""By how much a model's accuracy may fall below its plain twin's."""


@dataclass(frozen=True, eq=False)
class Section:
    """The methods of one matrix, judged on one kind of failure.

    Attributes:
        matrix: Its name.
        failure: The kind of failure.
        columns: The sets, those of a group together.
        entries: By method and seed, of all methods that have scores of this kind.
        numbers: What was measured, of this matrix and kind.
        plain: Accuracy of the matrix's plain classifier by seed.
    """

    matrix: str
    failure: Failure
    columns: tuple[Column, ...]
    entries: Mapping[str, Mapping[int, Entry]]
    numbers: Sequence[Number]
    plain: Mapping[int, float]

    @cached_property
    def ranked(self) -> tuple[Ranked, ...]:
        """The methods that have every set at each of their seeds, best first."""
        sets = averaged(self.columns)
        complete = [method for method in self.entries if self.over_sets(RANKED_BY, method, sets)]
        return shared_ranks({m: self._cells(m, sets) for m in complete}, RANKED_BY) if complete else ()

    @cached_property
    def ranks(self) -> dict[str, str]:
        """Rank by method, in the order of the table: "2=" where it is shared, empty where a set is missing."""
        places = [one.rank for one in self.ranked]
        ranks = {one.method: f"{one.rank}{'=' if places.count(one.rank) > 1 else ''}" for one in self.ranked}
        return ranks | {method: "" for method in self.entries if method not in ranks}

    def records(self, method: str) -> list[Record]:
        """Return a method's records, in order of seed."""
        return [entry.record for entry in self.entries[method].values()]

    def accuracy(self, method: str) -> Spread | None:
        """Return the spread over seeds of the accuracy of a method's model."""
        return spread(list(_accuracies(self.records(method)).values()))

    def falls_behind(self, method: str) -> bool:
        """Whether a method's model is more than 2 points less accurate than its plain twin, over seeds of both."""
        own = _accuracies(self.records(method))
        lost = spread([self.plain[seed] - accuracy for seed, accuracy in own.items() if seed in self.plain])
        return lost is not None and lost.mean > TOLERATED + 1e-9  # 0.92 - 0.90 is a little more than 0.02

    def over_seeds(self, metric: str, method: str, name: str) -> Spread | None:
        """Return the spread of one set's number over the seeds that have it; None where none has."""
        by_seed = [self._values.get((metric, method, seed), {}) for seed in self.entries[method]]
        return spread([values[name] for values in by_seed if name in values])

    def by_seed(self, metric: str, method: str, sets: Sequence[str]) -> list[float]:
        """Return the mean over sets of each seed that has them all."""
        means = [average(self._values.get((metric, method, seed), {}), sets) for seed in self.entries[method]]
        return [mean for mean in means if mean is not None]

    def over_sets(self, metric: str, method: str, sets: Sequence[str]) -> Spread | None:
        """Return the spread over seeds of the mean over sets; None where any seed lacks any set."""
        means = self.by_seed(metric, method, sets)
        return spread(means) if len(means) == len(self.entries[method]) else None

    def interval(self, metric: str, method: str, name: str) -> tuple[float, float] | None:
        """Return the 95 % interval of one set's number, for a method with a single seed."""
        seeds = list(self.entries[method])
        return self._intervals.get((metric, method, seeds[0], name)) if len(seeds) == 1 else None

    def _cells(self, method: str, sets: Sequence[str]) -> dict[int, dict[str, Cell]]:
        return {
            seed: {cell.name: cell for cell in entry.cells if cell.failure == self.failure and cell.name in sets}
            for seed, entry in self.entries[method].items()
        }

    @cached_property
    def _values(self) -> dict[tuple[str, str, int], dict[str, float]]:
        """Numbers by set, by metric, method and seed."""
        found: dict[tuple[str, str, int], dict[str, float]] = {}
        for one in self.numbers:
            found.setdefault((one.metric, one.method, one.seed), {})[one.set] = one.value
        return found

    @cached_property
    def _intervals(self) -> dict[tuple[str, str, int, str], tuple[float, float]]:
        return {
            (one.metric, one.method, one.seed, one.set): (one.low, one.high)
            for one in self.numbers
            if one.low is not None and one.high is not None
        }


def sections(matrix: str, entries: Sequence[Entry], numbers: Sequence[Number]) -> list[Section]:
    """Return the sections of one matrix: each kind of failure that any of its entries has scores of."""
    own = [entry for entry in entries if entry.record.matrix == matrix and entry.cells]
    kinds = {cell.failure for entry in own for cell in entry.cells}
    return [_section(matrix, failure, own, numbers) for failure in FAILURES if failure in kinds]


def _section(matrix: str, failure: Failure, entries: Sequence[Entry], numbers: Sequence[Number]) -> Section:
    scored = {entry.record.method for entry in entries for cell in entry.cells if cell.failure == failure}
    by_method: dict[str, dict[int, Entry]] = {method: {} for method in sorted(scored)}
    for entry in entries:
        if entry.record.method in scored:
            by_method[entry.record.method][entry.record.seed] = entry
    chosen = [one for one in numbers if (one.matrix, one.failure) == (matrix, failure)]
    plain = _accuracies(entry.record for entry in entries if entry.record.recipe["name"] == PLAIN)
    return Section(matrix, failure, columns(matrix, failure, entries), by_method, chosen, plain)


def _accuracies(records: Iterable[Record]) -> dict[int, float]:
    """Return the accuracy of the records' models by seed."""
    return {record.seed: record.model.accuracy for record in records if record.model.accuracy is not None}
