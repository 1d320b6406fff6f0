"""Sampled re-runs: randomly drawn records made again from nothing, and compared with what stands."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from tabulate import tabulate

from oodbench.errors import BadSetting
from oodbench.measure.cells import Cell, cells, measure
from oodbench.measure.kinds import shifted_sets
from oodbench.records import Record, read_record, record_paths, verify
from oodbench.run.context import Context
from oodbench.run.execute import execute
from oodbench.run.graph import Backend
from oodbench.run.machine import machine_class
from oodbench.run.model_records import outcomes_of
from oodbench.run.plan import Job, Skip
from oodbench.run.workspace import Workspace

AUROC = 0.002
"""By how much an AUROC may differ between machines, or releases of torch."""

Verdict = Literal["same bytes", "within tolerance", "drifted", "failed"]


@dataclass(frozen=True)
class Rerun:
    """What came of making one record again.

    Attributes:
        method: Its method.
        seed: Its seed.
        verdict: "same bytes": every score is the same; "within tolerance": each AUROC is within AUROC of what stands,
            each FPR95 in its 95 % interval; "drifted": else.
        auroc: Largest difference of an AUROC.
        fpr95: Largest difference of an FPR95.
        why: What went wrong, or which set drifted furthest.
        machine: Class of machine of the record that stands; None where it does not say.
    """

    method: str
    seed: int
    verdict: Verdict
    auroc: float
    fpr95: float
    why: str
    machine: str | None = None


def rerun(
    context: Context,
    jobs: Sequence[Job | Skip],
    share: float,
    draw: int,
    backend_at: Callable[[Workspace], Backend],
) -> list[Rerun]:
    """Make a share of the records again, in an empty folder and with an empty cache, and compare them.

    Args:
        context: The matrix, and where its records lie.
        jobs: What may be drawn.
        share: Of the jobs that have a record; one at least is drawn.
        draw: Seed of the draw.
        backend_at: Makes a backend whose places have the given folders.

    Raises:
        BadSetting: none of the jobs has a record.
    """
    recorded = [job for job in jobs if isinstance(job, Job) and _stored(context, job) is not None]
    if not recorded:
        raise BadSetting(f"{context.matrix.name}: nothing to verify in {context.workspace.results}")
    count = min(len(recorded), max(1, round(share * len(recorded))))
    drawn = random.Random(draw).sample(recorded, count)
    drawn.sort(key=recorded.index)
    with TemporaryDirectory(prefix="oodbench-verify-") as folder:
        fresh = replace(context.workspace, results=Path(folder) / "results", cache=Path(folder) / "cache")
        backend = backend_at(fresh)
        try:
            summary = execute(replace(context, workspace=fresh), drawn, backend)
        finally:
            backend.close()
        return [_compared(context, job, record, fresh) for job, record in zip(drawn, summary.records, strict=True)]


def _machine(context: Context, job: Job) -> str | None:
    stored = _stored(context, job)
    return stored.environment.machine if stored is not None else None


def _stored(context: Context, job: Job) -> Record | None:
    path = record_paths(context.workspace.results, context.matrix.name, job.method.name, job.seed).record
    record = read_record(path) if path.exists() else None
    return record if record is not None and record.status == "ok" else None


def _compared(context: Context, job: Job, record: Record, fresh: Workspace) -> Rerun:
    name, seed = job.method.name, job.seed
    if record.status != "ok":
        return Rerun(name, seed, "failed", 0.0, 0.0, record.reason or "")
    old, new = (_cells(place.results, context, job) for place in (context.workspace, fresh))
    if old.keys() != new.keys():
        return Rerun(name, seed, "drifted", 0.0, 0.0, f"other sets: {sorted(old.keys() ^ new.keys())}")
    if all(_equal(old[at], new[at]) for at in old):
        return Rerun(name, seed, "same bytes", 0.0, 0.0, "")
    return _judged(name, seed, old, new, _machine(context, job))


def _cells(results: Path, context: Context, job: Job) -> dict[tuple[str, str], Cell]:
    paths = record_paths(results, context.matrix.name, job.method.name, job.seed)
    record = read_record(paths.record)
    found = cells(verify(record, paths.scores), outcomes_of(results, record), shifted_sets(context.matrix))
    return {(cell.failure, cell.name): cell for cell in found}


def _equal(a: Cell, b: Cell) -> bool:
    return np.array_equal(a.good, b.good) and np.array_equal(a.bad, b.bad)


def _judged(
    name: str,
    seed: int,
    old: dict[tuple[str, str], Cell],
    new: dict[tuple[str, str], Cell],
    machine: str | None,
) -> Rerun:
    """Return the verdict on scores that differ."""
    worst, auroc, fpr95, drifted = "", 0.0, 0.0, False
    for at, before in old.items():
        if not len(before.good) or not len(before.bad):
            continue
        was, intervals = measure(before, seed=seed)
        now, _ = measure(new[at], bootstrap=0)
        low, high = intervals["fpr95"]
        off = abs(now["auroc"] - was["auroc"]) > AUROC or not low <= now["fpr95"] <= high
        if abs(now["auroc"] - was["auroc"]) >= auroc:
            worst = f"{at[0]}/{at[1]}: AUROC {100 * was['auroc']:.2f}, now {100 * now['auroc']:.2f}"
        auroc = max(auroc, abs(now["auroc"] - was["auroc"]))
        fpr95 = max(fpr95, abs(now["fpr95"] - was["fpr95"]))
        drifted = drifted or off
    return Rerun(name, seed, "drifted" if drifted else "within tolerance", auroc, fpr95, worst, machine)


def told(context: Context, reruns: Sequence[Rerun], draw: int) -> str:
    """Return a table of re-runs, and how many came out how."""
    rows = [
        (one.method, one.seed, one.verdict, f"{100 * one.auroc:.3f}", f"{100 * one.fpr95:.2f}", one.why)
        for one in reruns
    ]
    headers = ("method", "seed", "verdict", "AUROC differs by", "FPR95 by", "most")
    counts = {verdict: sum(one.verdict == verdict for one in reruns) for verdict in dict.fromkeys(r[2] for r in rows)}
    sums = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    title = f"{context.matrix.name}: {len(reruns)} records made again (draw {draw}), points of percent"
    return f"{title}\n{tabulate(rows, headers, 'simple', disable_numparse=True)}\n{sums}{_elsewhere(context, reruns)}"


def _elsewhere(context: Context, reruns: Sequence[Rerun]) -> str:
    """Return what to know of differences to records of other classes of machine."""
    here = machine_class(context.workspace.device)
    other = {one.machine or "a machine that they do not name" for one in reruns if one.verdict == "drifted"} - {here}
    if not other:
        return ""
    return (
        f"\nDrifted records were made on {', '.join(sorted(other))}, these on {here}: training amplifies the "
        f"rounding in which classes of machine differ; equal bytes are promised within one class alone."
    )
