"""What a comparison says of speed and memory: ratios, never seconds, and a verdict only where they can be believed.

A unit is a stage (training, fit, scores ...) of one row, or model, and seed; its ratio is after / before. Of the clock
and the processor the one nearer to 1 is taken: a busy machine stretches the clock, and code that became slower
stretches both. Ratios are judged where

- both runs were on one class of machine, with the same number of threads and of workers, and one release of torch,
- both took `SHORTEST` seconds or more (what is shorter is mostly the timer and whatever else ran),
- there are three units or more, for a t-test on the logarithms; the variance of one unit is pooled over the rows,
- the mean ratio is beyond `MATTERS`.

What slows all of a run alike, such as another load, cannot be told from slower code by times alone: compare runs that
were made alike, on a machine that does nothing else. Costs from before the number of workers was noted are not judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import log

from oodbench.compare.findings import Finding, Pair, Tested, alike
from oodbench.errors import BadRecord
from oodbench.measure.changes import Ratio, pooled_variance, ratio
from oodbench.measure.paired import Variance
from oodbench.records import Cost, read_cost, record_paths
from oodbench.report.entries import Entry

SHORTEST = 0.5
"""Seconds."""

MATTERS: Mapping[str, float] = {"seconds": 1.08, "memory": 1.10}
"""The least ratio that is called slower, or larger; its inverse faster, or smaller."""

MEMORY = "peak memory"
"""The stage that peak memory stands for."""

ALL = "all rows"


@dataclass(frozen=True)
class Unit:
    """A stage of one row and seed on both sides.

    Attributes:
        matrix: The matrix.
        row: The row, or both.
        model: Name of its model.
        stage: Of the run, or `MEMORY`.
        of: What the cost belongs to: units of one model that several rows share have it in common.
        logarithm: Of after / before.
        judged: Whether it can be believed.
    """

    matrix: str
    row: str
    model: str
    stage: str
    of: tuple[object, ...]
    logarithm: float
    judged: bool


def of_costs(pairs: Iterable[Pair]) -> tuple[list[Tested], list[Finding]]:
    """Return what became of costs: what is tested, and ratios that nothing is said of."""
    each = ((pair, seed, both) for pair in pairs for seed, both in pair.both.items())
    units = _once([unit for pair, seed, both in each for unit in _units(pair, seed, *both)])
    tested: list[Tested] = []
    untested: list[Finding] = []
    groups: dict[tuple[str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.matrix, unit.stage), []).append(unit)
    for (matrix, stage), own in groups.items():
        believed = [unit for unit in own if unit.judged]
        by_row: dict[str, list[float]] = {}
        for unit in believed or own:
            by_row.setdefault(unit.row, []).append(unit.logarithm)
        logarithms = [unit.logarithm for unit in believed or own]
        pooled = pooled_variance(list(by_row.values()))
        whole = _finding(matrix, ALL, stage, ratio(logarithms))
        rows = [(_finding(matrix, row, stage, found), found) for row, found in _of_rows(by_row, pooled)]
        for here, found in [(whole, ratio(logarithms)), *(rows if len(rows) > 1 else ())]:
            if believed and found.p is not None:
                tested.append(_tested(here, found))
            else:
                why = f"{here.why}: too few to judge" if believed else NOT_JUDGED
                untested.append(replace(here, verdict="unclear", why=why))
    return tested, untested


NOT_JUDGED = "not judged: made unalike (machine, threads, workers, release of torch), or too short to tell"


def _once(units: Sequence[Unit]) -> list[Unit]:
    """Return each unit once; what several rows share is their model's."""
    rows: dict[tuple[object, ...], set[str]] = {}
    for unit in units:
        rows.setdefault(unit.of, set()).add(unit.row)
    once = {unit.of: unit for unit in units}
    return [replace(unit, row=unit.model) if len(rows[unit.of]) > 1 else unit for unit in once.values()]


def _of_rows(by_row: Mapping[str, list[float]], pooled: Variance | None) -> list[tuple[str, Ratio]]:
    return [(row, ratio(logarithms, pooled)) for row, logarithms in by_row.items()]


def _finding(matrix: str, row: str, stage: str, found: Ratio) -> Finding:
    """Return a ratio as a finding: before is 1, after the ratio, and the interval is of the ratio less 1."""
    low, high = (None if end is None else end - 1 for end in (found.low, found.high))
    why = f"{found.n} unit{'' if found.n == 1 else 's'}"
    return Finding(matrix, row, "cost", stage, "ratio", (), 1.0, found.ratio, low, high, found.p, why=why, test="ratio")


def _tested(here: Finding, found: Ratio) -> Tested:
    least = MATTERS["memory" if here.set == MEMORY else "seconds"]
    large = found.ratio >= least or found.ratio <= 1 / least
    return Tested(here, within=not large, better=found.ratio < 1)


def _units(pair: Pair, seed: int, before: Entry, after: Entry) -> list[Unit]:
    costs = _cost(before), _cost(after)
    if costs[0] is None or costs[1] is None:
        return []
    a, b = costs[0], costs[1]
    like = alike(before.record, after.record) and a.workers is not None and a.workers == b.workers
    name = before.model.name if before.model else ""
    unit = partial(Unit, pair.matrix, pair.name, name)
    made = []
    for stage in sorted(a.seconds.keys() & b.seconds.keys()):
        clock = a.seconds[stage], b.seconds[stage]
        processor = a.cpu_seconds.get(stage, 0.0), b.cpu_seconds.get(stage, 0.0)
        if not all(clock):
            continue
        of = (pair.matrix, stage, seed, clock)  # rows of one model have its costs, to the last digit
        made.append(unit(stage, of, _nearer(clock, processor), like and min(clock) >= SHORTEST))
    memory = a.peak_memory_mb, b.peak_memory_mb
    if all(memory):
        made.append(unit(MEMORY, (MEMORY, pair.matrix, pair.name, seed), log(memory[1] / memory[0]), like))
    return made


def _nearer(clock: tuple[float, float], processor: tuple[float, float]) -> float:
    """Return the logarithm of the ratio nearer to 1; 0 where the two disagree on which side of it."""
    by_clock = log(clock[1] / clock[0])
    if not all(processor):
        return by_clock
    by_processor = log(processor[1] / processor[0])
    return min(by_clock, by_processor, key=abs) if by_clock * by_processor > 0 else 0.0


def _cost(entry: Entry) -> Cost | None:
    record = entry.record
    # The scores lie beside their costs; a folder may be one that was made for a commit.
    path = record_paths(entry.scores.parents[2], record.matrix, record.method, record.seed).cost
    try:
        return read_cost(path)
    except BadRecord:
        return None
