"""What changed from one side to the other: each number's verdict, all tests corrected together.

| verdict | |
|---|---|
| same | every score is the same |
| noise | differs by no more than floats do (`oodbench.measure.changes.tolerance`) |
| unclear | differs by more, and no test tells it from chance |
| improvement, regression | differs significantly, at 5 % after Holm's correction for every test of the comparison |
| lost, new | is there on one side alone |
| unlike | cannot be compared: other data |

`unversioned` marks what differs by more than noise though the records declare the same key and the same class of
machine: equal bytes are promised there, so some code moved without a version, whatever a test says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from oodbench.compare.operands import Rows, Side
from oodbench.data.matrix import known_matrix
from oodbench.errors import BadData, BadSetting
from oodbench.measure.cells import Cell, cells
from oodbench.measure.changes import (
    AREAS,
    Change,
    Drawn,
    astray,
    at_seed,
    drawn,
    mean_of,
    other_model,
    right_or_wrong,
    same_model,
    tolerance,
)
from oodbench.measure.intervals import holm
from oodbench.measure.kinds import KINDS, TWINS, not_averaged
from oodbench.measure.metrics import METRICS
from oodbench.records import ModelRecord, Outcomes, Record, Scores, promise, verify
from oodbench.report.entries import Entry
from oodbench.report.ids import MEAN

LEVEL = 0.05
"""Of all tests of a comparison together."""

Verdict = Literal["same", "noise", "unclear", "improvement", "regression", "lost", "new", "unlike"]

Test = Literal["", "mean", "one seed", "seed astray", "ratio"]
"""What was asked: of the mean over seeds, of one seed, of one seed beside the others, of costs."""

Both = dict[int, tuple[Entry, Entry]]
"""Entries of both sides by seed."""


@dataclass(frozen=True)
class Pair:
    """A row of each side.

    Attributes:
        matrix: Of both.
        before: Method on the first side.
        after: On the second.
        both: Entries of the seeds that have scores on both.
        lost: Seeds that have them on the first alone, each with the reason.
        new: On the second alone.
    """

    matrix: str
    before: str
    after: str
    both: Both
    lost: Mapping[int, str]
    new: tuple[int, ...]

    @property
    def one_row(self) -> bool:
        """Whether the two are runs of one row, rather than two methods."""
        return self.before == self.after

    @property
    def name(self) -> str:
        """Of the row, or of both."""
        return self.before if self.one_row else f"{self.before} → {self.after}"


@dataclass(frozen=True)
class Finding:
    """One number, before and after.

    Attributes:
        matrix: The matrix.
        row: The row, or both.
        kind: Kind of failure; "model" for a classifier's accuracy; "" for a whole row.
        set: The set; "mean" over all that means are over; "" for a whole row.
        metric: Its name.
        seeds: That it is over.
        before: Value; None where there is none.
        after: Likewise.
        low: 95 % interval of the difference.
        high: Its other end.
        p: Of the test, uncorrected; None where nothing is tested.
        holm: After Holm's correction for all tests of the comparison.
        verdict: See the module.
        unversioned: Likewise.
        why: What a reader must know.
        test: Which question of `oodbench.measure.changes` was asked; "" where none was.
    """

    matrix: str
    row: str
    kind: str
    set: str
    metric: str
    seeds: tuple[int, ...]
    before: float | None = None
    after: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    holm: float | None = None
    verdict: Verdict = "unclear"
    unversioned: bool = False
    why: str = ""
    test: Test = ""


@dataclass(frozen=True)
class Tested:
    """A finding that waits for the others' tests.

    Attributes:
        finding: As far as it stands.
        within: Whether the difference is within tolerance.
        better: Whether it is to the better.
        large: Whether it is large enough to matter, where that is asked.
    """

    finding: Finding
    within: bool
    better: bool
    large: bool = True


@dataclass(frozen=True)
class Judged:
    """All that is known of a comparison of scores before the tests are corrected."""

    tested: list[Tested] = field(default_factory=list)
    untested: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Averaged:
    """The sets of a kind of failure that its means are over.

    Attributes:
        moved: What was drawn of those that are others by now, by metric.
        same: Cells of both sides, by seed, of those that are as they were.
        lacking: Names of those that cannot be measured on both sides.
    """

    moved: dict[str, list[Drawn]] = field(default_factory=dict)
    same: list[list[tuple[Cell, Cell]]] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def paired_rows(a: Side, b: Side) -> list[Pair]:
    """Return which rows of two sides are compared: two rows with each other, else those of one matrix and method.

    Raises:
        BadSetting: A row and a folder, or rows of two matrices, are compared; or nothing is in common.
    """
    if (a.what == "row") != (b.what == "row"):
        raise BadSetting(f"{a.said} is a {a.what} and {b.said} a {b.what}: compare two rows, or two runs of the same")
    if a.what == "row":
        ((matrix, first),), ((other, second),) = a.rows, b.rows
        if matrix != other:
            raise BadSetting(f"{a.said} and {b.said} are rows of two matrices: their inputs are others")
        return [_pair(matrix, first, second, a.rows, b.rows)]
    keys = sorted(a.rows.keys() | b.rows.keys())
    if not a.rows.keys() & b.rows.keys():
        raise BadSetting(f"{a.said} and {b.said} have no row in common")
    return [_pair(matrix, method, method, a.rows, b.rows) for matrix, method in keys]


def _pair(matrix: str, first: str, second: str, a: Rows, b: Rows) -> Pair:
    before, after = (
        {seed: entry for seed, entry in rows.get((matrix, method), {}).items() if entry.record.scores_sha256}
        for rows, method in ((a, first), (b, second))
    )
    both = {seed: (before[seed], after[seed]) for seed in sorted(before.keys() & after.keys())}
    there = b.get((matrix, second), {})
    lost = {seed: _why_lost(there.get(seed)) for seed in sorted(before.keys() - both.keys())}
    return Pair(matrix, first, second, both, lost, tuple(sorted(after.keys() - both.keys())))


def _why_lost(entry: Entry | None) -> str:
    return f"{entry.record.status}: {entry.record.reason}" if entry else "no record"


def of_scores(pairs: Iterable[Pair], metrics: Sequence[str]) -> Judged:
    """Return what became of the scores of pairs of rows, a pair at a time in memory."""
    made = Judged()
    for pair in pairs:
        whole = Finding(pair.matrix, pair.name, "", "", "", ())
        if pair.lost:
            why = "; ".join(dict.fromkeys(pair.lost.values()))
            made.untested.append(replace(whole, seeds=tuple(pair.lost), verdict="lost", why=why))
        if pair.new:
            made.untested.append(replace(whole, seeds=pair.new, verdict="new"))
        if pair.both:
            _of_pair(pair, metrics, made)
    return made


def _of_pair(pair: Pair, metrics: Sequence[str], made: Judged) -> None:
    if all(_same_scores(a, b) for a, b in pair.both.values()):
        made.untested.append(Finding(pair.matrix, pair.name, "", "", "", tuple(pair.both), verdict="same"))
        return
    found = {seed: (_cells(a), _cells(b)) for seed, (a, b) in pair.both.items()}
    apart = _of_other_inputs(pair)
    keys = dict.fromkeys(key for sides in found.values() for side in sides for key in side)
    left_out = not_averaged(known_matrix(pair.matrix))
    averaged: dict[str, Averaged] = {}
    for kind, name in keys:
        here = Finding(pair.matrix, pair.name, kind, name, "", tuple(pair.both))
        counted = not name.endswith(TWINS) and name not in left_out
        mean = averaged.setdefault(kind, Averaged()) if counted else Averaged()
        if fault := _missing(found, (kind, name)) or _unlike(pair, kind, name):
            made.untested.append(replace(here, verdict=fault[0], why=fault[1]))
            mean.lacking.append(name)
            continue
        both = [(a[kind, name], b[kind, name]) for a, b in found.values()]
        empty = [seed for seed, one in zip(found, both, strict=True) if any(map(_is_empty, one))]
        if empty:
            mean.lacking.append(name)
        if pair.one_row and all(_equal(a, b) for a, b in both):
            made.untested.append(replace(here, verdict="same"))
            mean.same.append(both)
        elif empty:
            why = f"a side has no good or no bad input at seed {', '.join(map(str, empty))}: nothing to measure"
            made.untested.append(replace(here, verdict="unlike", why=why))
        else:
            for metric in metrics:
                said = drawn(both, metric, apart=kind in apart)
                _of_cell(pair, replace(here, metric=metric), both, said, made, apart=kind in apart)
                mean.moved.setdefault(metric, []).append(said)
    for kind, mean in averaged.items():
        _of_kind(pair, Finding(pair.matrix, pair.name, kind, MEAN, "", tuple(pair.both)), mean, made, kind in apart)


def _of_cell(
    pair: Pair, here: Finding, both: list[tuple[Cell, Cell]], said: Drawn, made: Judged, *, apart: bool
) -> None:
    """Test one set: where the models are the same each seed, and their mean; else the mean over trainings."""
    if not (pair.one_row and _same_models(pair)):
        made.tested.append(_tested(pair, replace(here, test="mean"), other_model(said, again=pair.one_row)))
        return
    if len(both) > 1:
        made.tested.append(_tested(pair, replace(here, test="mean"), same_model(said)))
    for place, seed in enumerate(here.seeds):
        change = at_seed(both[place], said, place, here.metric, apart=apart)
        made.tested.append(_tested(pair, replace(here, seeds=(seed,), test="one seed"), change))


def _of_kind(pair: Pair, here: Finding, mean: Averaged, made: Judged, apart: bool) -> None:
    """Test the means over all sets of a kind, where some of these are others by now; there is none over a part."""
    if mean.lacking and mean.moved:
        why = f"no mean over all sets: {', '.join(mean.lacking)} cannot be compared"
        made.untested.append(replace(here, verdict="unlike", why=why))
        return
    for metric, moved in mean.moved.items():
        still = [drawn(both, metric, apart=apart) for both in mean.same]
        _of_mean(pair, replace(here, metric=metric), [*moved, *still], made)


def _of_mean(pair: Pair, here: Finding, sets: Sequence[Drawn], made: Judged) -> None:
    """Test the mean over sets and, of models that were trained again, whether one seed went astray."""
    mean = mean_of(sets)
    trained_again = pair.one_row and not _same_models(pair)
    if len(sets) > 1:
        same = pair.one_row and not trained_again
        change = same_model(mean) if same else other_model(mean, again=pair.one_row)
        made.tested.append(_tested(pair, replace(here, test="mean"), change))
    if trained_again and here.metric in AREAS:
        _of_seeds(pair, here, mean, made)


def _of_seeds(pair: Pair, here: Finding, found: Drawn, made: Judged) -> None:
    """Test each seed beside the others."""
    for seed, change in zip(here.seeds, astray(found), strict=False):
        why = "beside the other seeds: did its training diverge?"
        made.tested.append(_tested(pair, replace(here, seeds=(seed,), why=why, test="seed astray"), change))


def of_accuracy(pairs: Iterable[Pair]) -> Judged:
    """Return what became of the classifiers that rows are judged on, each once."""
    made = Judged()
    seen: set[tuple[object, ...]] = set()
    for pair in pairs:
        known = {seed: one for seed, one in pair.both.items() if all(side.reference and side.outcomes for side in one)}
        models = tuple((seed, *_judge(a), *_judge(b)) for seed, (a, b) in known.items())
        if not known or (pair.matrix, models) in seen:
            continue
        seen.add((pair.matrix, models))
        _of_models(replace(pair, both=known), made)
    return made


def _of_models(pair: Pair, made: Judged) -> None:
    first, second = next(iter(pair.both.values()))
    names = dict.fromkeys([_name(first.reference), _name(second.reference)])
    here = Finding(pair.matrix, " → ".join(names), "model", "test", "accuracy", tuple(pair.both))
    sides = [[_outcomes(one[side]).correct for one in pair.both.values()] for side in (0, 1)]
    if any(len(a) != len(b) for a, b in zip(*sides, strict=True)) or _unlike(pair, "misclassification", "test"):
        made.untested.append(replace(here, verdict="unlike", why="other test images"))
        return
    if all(np.array_equal(a, b) for a, b in zip(*sides, strict=True)):
        value = float(np.mean([one.mean() for one in sides[0]]))
        made.untested.append(replace(here, verdict="same", before=value, after=value))
        return
    said = right_or_wrong(*sides)
    made.tested.append(_tested(pair, replace(here, test="mean"), other_model(said, again=pair.one_row)))
    if pair.one_row:
        _of_seeds(pair, here, said, made)


def corrected(tested: Sequence[Tested], level: float = LEVEL) -> list[Finding]:
    """Return the findings with their verdicts, all tests corrected together by Holm's method."""
    adjusted = holm([one.finding.p if one.finding.p is not None else 1.0 for one in tested]) if tested else ()
    return [
        replace(
            one.finding,
            holm=p,
            verdict=(verdict := _verdict(one, p, level)),
            unversioned=one.finding.unversioned and verdict != "noise",
        )
        for one, p in zip(tested, adjusted, strict=True)
    ]


def _verdict(one: Tested, p: float, level: float) -> Verdict:
    if one.within:
        return "noise"
    if p > level or not one.large:
        return "unclear"
    return "improvement" if one.better else "regression"


def _tested(pair: Pair, here: Finding, change: Change) -> Tested:
    seeds = [pair.both[seed] for seed in here.seeds]
    like = not pair.one_row or all(alike(a.record, b.record) for a, b in seeds)
    sign = 1 if METRICS[here.metric].higher_is_better else -1
    promised = pair.one_row and all(alike(a.record, b.record) and _same_key(a.record, b.record) for a, b in seeds)
    finding = replace(
        here,
        before=change.before,
        after=change.after,
        low=change.low,
        high=change.high,
        p=change.p,
        unversioned=promised,
    )
    within = abs(change.difference) <= tolerance(here.metric, like, change.noise)
    return Tested(finding, within, sign * change.difference > 0)


def alike(a: Record, b: Record) -> bool:
    """Whether equal bytes are promised: two records of one class of machine, number of threads and release of torch."""
    return promise(a) == promise(b) and a.environment.machine is not None


def _same_key(a: Record, b: Record) -> bool:
    return a.key is not None and a.key == b.key


def _same_models(pair: Pair) -> bool:
    return all(a.record.model == b.record.model and _sha(a) == _sha(b) for a, b in pair.both.values())


def _same_scores(a: Entry, b: Entry) -> bool:
    return a.record.scores_sha256 == b.record.scores_sha256 and _sha(a) == _sha(b)


def _judge(entry: Entry) -> tuple[str, str | None]:
    return _name(entry.reference), _sha(entry)


def _sha(entry: Entry) -> str | None:
    return entry.outcomes.sha256 if entry.outcomes else None


def _name(model: ModelRecord | None) -> str:
    return model.name if model else ""


def _outcomes(entry: Entry) -> Outcomes:
    assert entry.outcomes is not None
    return entry.outcomes.read


def _cells(entry: Entry) -> dict[tuple[str, str], Cell]:
    outcomes = _outcomes(entry) if entry.outcomes else None
    return {
        (cell.failure, cell.name): cell for cell in cells(verify(entry.record, entry.scores), outcomes, entry.shifted)
    }


def _of_other_inputs(pair: Pair) -> frozenset[str]:
    """Return the kinds of failure whose inputs are others on the two sides: the model or the detector decides them."""
    made = frozenset(name for name, kind in KINDS.items() if kind.own_inputs)
    if all(_sha(a) == _sha(b) for a, b in pair.both.values()):
        return made
    entry, _ = next(iter(pair.both.values()))
    scores = verify(entry.record, entry.scores)
    return made | {name for name in KINDS if not _without_outcomes(name, scores, entry.shifted)}


def _without_outcomes(kind: str, scores: Scores, shifted: frozenset[str]) -> bool:
    """Whether which inputs are good and bad needs no classifier."""
    try:
        return bool(list(KINDS[kind].groups(scores, None, shifted)))
    except BadData:
        return False


def _missing(
    found: dict[int, tuple[dict[tuple[str, str], Cell], dict[tuple[str, str], Cell]]], key: tuple[str, str]
) -> tuple[Verdict, str] | None:
    before, after = ([key in sides[side] for sides in found.values()] for side in (0, 1))
    if all(before) and all(after):
        return None
    return ("lost", "the second side lacks this set") if not all(after) else ("new", "the first side lacks this set")


def _unlike(pair: Pair, kind: str, name: str) -> tuple[Verdict, str] | None:
    """Return why a set cannot be compared: its images, or good ones, have other fingerprints."""
    for entry, other in pair.both.values():
        a, b = entry.record, other.record
        for used in _data_of(entry, kind, name):
            here, there = a.data.get(used), b.data.get(used)
            if here and there and (here.data_sha256, here.n) != (there.data_sha256, there.n):
                return "unlike", f"{used} has other data: sha256 {here.data_sha256[:10]}, {there.data_sha256[:10]}"
    return None


def _data_of(entry: Entry, kind: str, name: str) -> tuple[str, ...]:
    """Return the data behind a set, by the labels of a record: the test images, the set, and what is shifted of them.

    A record has one label for all corrupted sets, and its role is the kind of failure.
    """
    record, corrupted = entry.record, "corruption" in {kind, *KINDS[kind].made_of}
    shared = [label for label, used in record.data.items() if corrupted and used.split == "corruption"]
    shifted = entry.shifted if KINDS[kind].made_of else ()
    return (f"{record.in_set}/test", name, f"{record.in_set}/{name}", *shared, *shifted)


def _is_empty(cell: Cell) -> bool:
    return not len(cell.good) or not len(cell.bad)


def _equal(a: Cell, b: Cell) -> bool:
    return np.array_equal(a.good, b.good) and np.array_equal(a.bad, b.bad)
