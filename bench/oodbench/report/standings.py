"""Who stands where: the methods of one matrix on one kind of failure, with every number a table may ask for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oodbench.data.matrix import Matrix, known_matrix
from oodbench.errors import BadRecord
from oodbench.measure.kinds import KINDS, Column, Kind, averaged
from oodbench.measure.kinds import excused as without_a_pair
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranks import Ranked, Run, ranked
from oodbench.measure.summary import Spread, average, spread
from oodbench.records import Record, command
from oodbench.report.entries import Entry, collect
from oodbench.report.gaps import Has, SharedGap, gaps
from oodbench.report.members import shares_members
from oodbench.report.numbers import RANKED_BY, RANKINGS, Draws, Numbers, inputs_of, numbers

SCALES = ("paper", "cpu", "tiny")

PLAIN = "plain"
"""What records call the recipe of a matrix's plain classifier."""

MAY_BE_BEST = "★"
"""Stands beside the ranks of the methods of which one is the best, with 95 % confidence."""

TOLERATED = 0.02
"""By how much a model's accuracy may fall below its plain twin's."""

Values = Mapping[tuple[str, str, int], Mapping[str, float]]
"""Numbers by set, by metric, method and seed."""


@dataclass(frozen=True, eq=False)
class Standings:
    """The methods of one matrix, judged on one kind of failure.

    Attributes:
        matrix: Its name.
        kind: The kind of failure.
        columns: The sets, those of a group together.
        entries: By method and seed, of all methods that have scores of this kind.
        values: What was measured.
        intervals: 95 % intervals of it, where there are any.
        sizes: Good and bad inputs by method and seed, by set.
        plain: Accuracy of the matrix's plain classifier by seed; none of given ones, of which none is another's twin.
        draws: What ranks need of resampled inputs.
        seeds: Of the matrix, if it is known here.
    """

    matrix: str
    kind: Kind
    columns: tuple[Column, ...]
    entries: Mapping[str, Mapping[int, Entry]]
    values: Values
    intervals: Mapping[tuple[str, str, int], Mapping[str, tuple[float, float]]]
    sizes: Mapping[tuple[str, int], Mapping[str, tuple[int, int]]]
    plain: Mapping[int, float]
    draws: Draws
    seeds: tuple[int, ...] = ()

    @property
    def ranked(self) -> tuple[Ranked, ...]:
        """The methods that have a rank, best first, by the metric that orders tables."""
        return self.ranked_by[RANKED_BY]

    @property
    def ranks(self) -> dict[str, str]:
        """Rank by method, by the metric that orders tables and in their order; see `ranks_by`."""
        return self.ranks_by[RANKED_BY]

    @cached_property
    def ranked_by(self) -> dict[str, tuple[Ranked, ...]]:
        """By metric, the methods that have every seed and set, best first; none that may not have a rank."""
        complete = [method for method in self.entries if self.has(method).all and not self.barred(method)]
        return {metric: ranked({one: self.runs(one, metric) for one in complete}, metric) for metric in RANKINGS}

    def ranked_among(self, methods: Sequence[str], metric: str = RANKED_BY) -> tuple[Ranked, ...]:
        """Return how some of the methods that have a rank would rank if there were no others, best first."""
        known = {one.method for one in self.ranked_by[metric]}
        return ranked({one: self.runs(one, metric) for one in methods if one in known}, metric)

    @cached_property
    def ranks_by(self) -> dict[str, dict[str, str]]:
        """Rank by metric and method, best first: "7 (3-15)", with a star where it may be the best.

        Methods without a rank say what they lack, "4 of 5 seeds", or what bars them; they follow, by the mean of what
        they have.
        """
        return {metric: self._ranks(metric) for metric in RANKINGS}

    @cached_property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of the matrix; of one that is not known here, all that were scored."""
        return self.seeds or tuple(sorted({seed for of in self.entries.values() for seed in of}))

    def has(self, method: str) -> Has:
        """Return how many of the matrix's seeds a method has, and how many of its sets at each of them."""
        sets, own = averaged(self.columns), self.entries[method]
        values = [self.values.get((RANKED_BY, method, seed), {}) for seed in own]
        whole = [name for name in sets if all(name in by_set for by_set in values)]
        return Has(len(own.keys() & set(self.all_seeds)), len(self.all_seeds), len(whole), len(sets))

    def shares_members(self, method: str) -> bool:
        """Whether a method's seeds are ensembles of the same members, and so no sample of training runs."""
        return shares_members(self.records(method))

    def barred(self, method: str) -> str:
        """Return why a method may have no rank though nothing is missing: it ran unchecked, or shares members."""
        if ran_unchecked(self.records(method)):
            return UNCHECKED
        return SHARED if self.shares_members(method) else ""

    def records(self, method: str) -> list[Record]:
        """Return a method's records, in order of seed."""
        return [entry.record for entry in self.entries[method].values()]

    def accuracy(self, method: str) -> Spread | None:
        """Return the spread over seeds of the accuracy of the classifier that a method is judged on."""
        return spread(list(accuracies(self.entries[method].values()).values()))

    def falls_behind(self, method: str) -> bool:
        """Whether that classifier is more than 2 points less accurate than its plain twin, over seeds of both."""
        own = accuracies(self.entries[method].values())
        lost = spread([self.plain[seed] - accuracy for seed, accuracy in own.items() if seed in self.plain])
        return lost is not None and lost.mean > TOLERATED + 1e-9  # 0.92 - 0.90 is a little more than 0.02

    def over_seeds(self, metric: str, method: str, name: str) -> Spread | None:
        """Return the spread of one set's number over the seeds that have it; None where none has."""
        by_seed = [self.values.get((metric, method, seed), {}) for seed in self.entries[method]]
        return spread([values[name] for values in by_seed if name in values])

    def by_seed(self, metric: str, method: str, sets: Sequence[str]) -> list[float]:
        """Return the mean over sets of each seed that has them all."""
        means = [average(self.values.get((metric, method, seed), {}), sets) for seed in self.entries[method]]
        return [mean for mean in means if mean is not None]

    def over_sets(self, metric: str, method: str, sets: Sequence[str]) -> Spread | None:
        """Return the spread over seeds of the mean over sets; None where any seed lacks any set."""
        means = self.by_seed(metric, method, sets)
        return spread(means) if len(means) == len(self.entries[method]) else None

    def interval(self, metric: str, method: str, name: str) -> tuple[float, float] | None:
        """Return the 95 % interval of one set's number, for a method with a single seed."""
        seeds = list(self.entries[method])
        return self.intervals.get((metric, method, seeds[0]), {}).get(name) if len(seeds) == 1 else None

    def _ranks(self, metric: str) -> dict[str, str]:
        ranks = {one.method: rank_text(one) for one in self.ranked_by[metric]}
        sign = -1 if METRICS[metric].higher_is_better else 1
        means = {method: self.over_sets(metric, method, averaged(self.columns)) for method in self.entries}
        rest = sorted((mean is None, sign * mean.mean if mean else 0.0, method) for method, mean in means.items())
        return ranks | {
            method: self.has(method).lacking or self.barred(method) or NO_MEAN
            for _, _, method in rest
            if method not in ranks
        }

    def runs(self, method: str, metric: str) -> dict[int, Run]:
        """Return what ranks need of each seed of a method that has every seed and set."""
        ordered = sorted(averaged(self.columns))  # the order in which the draws were averaged
        runs = {}
        for seed in self.all_seeds:
            entry = self.entries[method][seed]
            sizes = [self.sizes[method, seed][name] for name in ordered]
            mean = average(self.values[metric, method, seed], ordered)
            assert mean is not None
            runs[seed] = Run(mean, min(map(min, sizes)), self.draws[inputs_of(entry), self.kind.name, metric])
        return runs


UNCHECKED = "unchecked"
"""What stands for the rank of a method that ran though nobody knew that it keeps the laws of `oodbench check`."""

SHARED = "shared members"
"""What stands for the rank of a method whose seeds are ensembles of the same members."""


NO_MEAN = "no set has a mean"
"""What stands for the rank of a method where a kind of failure has only sets that no mean has."""


def ran_unchecked(records: Iterable[Record]) -> bool:
    """Whether any of a method's records was made with `--unchecked`."""
    return any(record.checked is False for record in records)


def rank_text(one: Ranked) -> str:
    """Return a rank as tables have it."""
    return f"{one.place} ({one.low}-{one.high})" + (f" {MAY_BE_BEST}" if one.may_be_best else "")


@dataclass(frozen=True, eq=False)
class MatrixResults:
    """Everything that the pages and pictures of one matrix are made from.

    Attributes:
        name: Its name.
        card: The matrix itself, if it is known here.
        entries: Its entries, by method and seed; at least one.
        kinds: Its kinds of failure.
        gaps: What it lacks.
    """

    name: str
    card: Matrix | None
    entries: Sequence[Entry]
    kinds: Sequence[Standings]
    gaps: Sequence[SharedGap]

    @property
    def records(self) -> list[Record]:
        """Its records."""
        return [entry.record for entry in self.entries]

    @property
    def in_set(self) -> str:
        """Card of the in-set."""
        return self.entries[0].record.in_set

    @property
    def scale(self) -> str:
        """How large the matrix's recipes are."""
        return self.entries[0].record.scale


def read_matrices(results: Path, matrix: str | None = None) -> list[MatrixResults]:
    """Return the matrices of a results folder, or one of them: the papers' scale first, then by name.

    Raises:
        BadRecord: As `matrices_of`, `oodbench.report.entries.collect` and `oodbench.report.numbers.numbers`.
    """
    entries = collect(results, matrix)
    return matrices_of(entries, numbers(results, entries))


def matrices_of(entries: Sequence[Entry], found: Numbers) -> list[MatrixResults]:
    """Return the matrices of entries and their numbers.

    Raises:
        BadRecord: A method has scores of a set that its matrix does not name, or lacks one without a reason.
    """
    made = []
    tables = _tables(found)
    for name in dict.fromkeys(entry.record.matrix for entry in entries):
        own = [entry for entry in entries if entry.record.matrix == name]
        card = known_matrix(name)
        ranked = of_its_seeds(own, card)
        kinds = [
            _standings(name, kind, card, ranked, tables.get((name, kind.name), _Table({}, {}, {})), found.draws)
            for kind in KINDS.values()
        ]
        shown = [standings for standings in kinds if standings.entries]
        made.append(MatrixResults(name, card, ranked, shown, gaps(name, card, ranked, found.frame)))
    return sorted(made, key=lambda matrix: (SCALES.index(matrix.scale), matrix.name))


def of_its_seeds(entries: Sequence[Entry], card: Matrix | None) -> list[Entry]:
    """Return entries without those of seeds that the matrix does not name, of methods that have one that it names."""
    if card is None:
        return list(entries)
    there = {entry.record.method for entry in entries if entry.record.seed in card.seeds}
    return [one for one in entries if one.record.seed in card.seeds or one.record.method not in there]


def of_plain(recipe: Mapping[str, Any]) -> bool:
    """Return whether a recipe, as records describe it, trains the classifier that others are compared with."""
    return bool(recipe["name"] == PLAIN)


def accuracies(entries: Iterable[Entry]) -> dict[int, float]:
    """Return the accuracy of the entries' reference classifiers by seed."""
    known = {one.record.seed: one.reference.quality.accuracy for one in entries if one.reference}
    return {seed: accuracy for seed, accuracy in known.items() if accuracy is not None}


@dataclass(frozen=True, eq=False)
class _Table:
    """The numbers of one matrix and kind, looked up rather than searched."""

    values: dict[tuple[str, str, int], dict[str, float]]
    intervals: dict[tuple[str, str, int], dict[str, tuple[float, float]]]
    sizes: dict[tuple[str, int], dict[str, tuple[int, int]]]


def _tables(found: Numbers) -> dict[tuple[str, str], _Table]:
    tables: dict[tuple[str, str], _Table] = {}
    columns = ("matrix", "kind", "set", "method", "seed", "metric", "value", "low", "high", "n_good", "n_bad")
    lists = (found.frame[column].to_numpy(dtype=object).tolist() for column in columns)
    for matrix, kind, name, method, seed, metric, value, low, high, n_good, n_bad in zip(*lists, strict=True):
        table = tables.setdefault((matrix, kind), _Table({}, {}, {}))
        table.sizes.setdefault((method, seed), {})[name] = n_good, n_bad
        if metric:
            table.values.setdefault((metric, method, seed), {})[name] = value
        if low == low:  # not NaN
            table.intervals.setdefault((metric, method, seed), {})[name] = low, high
    return tables


def _standings(
    matrix: str, kind: Kind, card: Matrix | None, entries: Sequence[Entry], table: _Table, draws: Draws
) -> Standings:
    measured = table.sizes.keys()
    by_method: dict[str, dict[int, Entry]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.record.method, entry.record.seed)):
        if (entry.record.method, entry.record.seed) in measured and entry.record.scores_sha256 is not None:
            by_method.setdefault(entry.record.method, {})[entry.record.seed] = entry
    columns = _columns(kind, card, table)
    for entry in entries:
        if entry.record.scores_sha256 is not None:
            _check_sets(entry, kind, columns, table.sizes.get((entry.record.method, entry.record.seed), {}))
    plain = accuracies(entry for entry in entries if entry.record.recipe["name"] == PLAIN)
    seeds = card.seeds if card else ()
    return Standings(matrix, kind, columns, by_method, table.values, table.intervals, table.sizes, plain, draws, seeds)


def _columns(kind: Kind, card: Matrix | None, table: _Table) -> tuple[Column, ...]:
    """Return the sets that a matrix names; of one that is not known here, all that were scored."""
    if card is not None:
        return kind.planned(card)
    scored = {name for sets in table.sizes.values() for name in sets}
    return tuple(Column(name, kind.group(name)) for name in sorted(scored))


def _check_sets(entry: Entry, kind: Kind, columns: Sequence[Column], scored: Iterable[str]) -> None:
    """Refuse a record whose sets are not those of its matrix: one of its own would cost every other row its rank."""
    record, names, scored = entry.record, [column.name for column in columns], set(scored)
    excused = {cell.name for cell in record.cells if cell.failure == kind.name} | without_a_pair(names, scored)
    if any(cell.failure in kind.made_of and cell.name in {*names, *entry.shifted} for cell in record.cells):
        excused |= set(names)
    if entry.reference:
        excused |= {name for name, attack in entry.reference.attacks.items() if attack.n == 0}
    foreign = sorted(scored - set(names))
    lacking = [name for name in names if name not in scored | excused]
    if foreign or lacking:
        what = f"has scores of {', '.join(foreign)}" if foreign else f"lacks {', '.join(lacking)} without a reason"
        raise BadRecord(
            f"{entry.scores.with_suffix('.json')}: {what} ({kind.name}); the sets of {record.matrix} are "
            f"{', '.join(names) or 'none'}; make it again: {command(record)}"
        )
