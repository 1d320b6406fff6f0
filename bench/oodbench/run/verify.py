"""Sampled re-runs: randomly drawn records made again from nothing, and compared with what stands.

The draw follows from the sha256 of all records and scores of the matrix, and from the verifier's nonce: whoever hands
in results cannot know what will be drawn, and whoever verifies them cannot choose it and change the results afterwards.
"""

import math
import random
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from oodbench.errors import BadSetting
from oodbench.measure.cells import Cell, cells, measure
from oodbench.measure.kinds import shifted_sets
from oodbench.records import Record, model_paths, read_model, read_record, record_paths, verify
from oodbench.reruns import Sample
from oodbench.run.context import Context
from oodbench.run.execute import execute
from oodbench.run.graph import Backend
from oodbench.run.machine import kind_of, machine_class
from oodbench.run.model_records import outcomes_of
from oodbench.run.plan import Job, Skip
from oodbench.run.provenance import git
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table
from oodbench.store import digest, file_sha256

AUROC = {"same class": 0.0005, "same kind": 0.002, "another kind": 0.01}
"""By how much an AUROC may differ, by how alike the machines are (`oodbench.run.machine`). Within one class equal work
gives equal bytes; another release of torch may sum in another order. All CPUs are one kind, each GPU is its own."""

ELSEWHERE = {"schema_version", "source_sha256", "machine", "outcomes_sha256"}
"""What the record of a model says that is compared by other means, or may differ."""

FLOAT = 1e-3
"""Share by which any other number of a record may differ; 0.05 where machines are of another class."""

Alike = Literal["same class", "same kind", "another kind"]
Verdict = Literal["same bytes", "within tolerance", "drifted", "failed"]


@dataclass(frozen=True)
class Rerun:
    """What came of making one record again.

    Attributes:
        method: Its method.
        seed: Its seed.
        verdict: "same bytes": every score is the same; "within tolerance": each AUROC is within AUROC of what stands,
            each FPR95 in its 95 % interval; "drifted": else, and where the record says otherwise of what only a re-run
            can tell: its key, what tuning chose, its facts, behaviour and passes, the quality of its model.
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
    draw: str,
    backend_at: Callable[[Workspace], Backend],
) -> list[Rerun]:
    """Make a share of the records again, in an empty folder and with an empty cache, and compare them.

    Args:
        context: The matrix, and where its records lie.
        jobs: What may be drawn.
        share: Of the jobs that have a record; one at least is drawn.
        draw: The verifier's nonce.
        backend_at: Makes a backend whose places have the given folders.

    Raises:
        BadSetting: none of the jobs has a record.
    """
    recorded = [job for job in jobs if isinstance(job, Job) and _stored(context, job) is not None]
    if not recorded:
        raise BadSetting(f"{context.matrix.name}: nothing to verify in {context.workspace.results}")
    count = min(len(recorded), max(1, round(share * len(recorded))))
    drawn = random.Random(digest(submitted_sha256(context), draw)).sample(recorded, count)
    drawn.sort(key=recorded.index)
    with TemporaryDirectory(prefix="oodbench-verify-") as folder:
        fresh = replace(context.workspace, results=Path(folder) / "results", cache=Path(folder) / "cache")
        backend = backend_at(fresh)
        try:
            summary = execute(replace(context, workspace=fresh), drawn, backend)
        finally:
            backend.close()
        return [compared(context, job, record, fresh) for job, record in zip(drawn, summary.records, strict=True)]


def nonce() -> str:
    """Return a nonce that nobody knew before."""
    return secrets.token_hex(8)


def submitted_sha256(context: Context) -> str:
    """Return the sha256 of the names and bytes of all files of a matrix's results, but for costs."""
    folder = context.workspace.results / context.matrix.name
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".cost.json"))
    return digest([(path.relative_to(folder).as_posix(), file_sha256(path)) for path in files])


def _machine(context: Context, job: Job) -> str | None:
    stored = _stored(context, job)
    return stored.environment.machine if stored is not None else None


def _stored(context: Context, job: Job) -> Record | None:
    path = record_paths(context.workspace.results, context.matrix.name, job.method.name, job.seed).record
    record = read_record(path) if path.exists() else None
    return record if record is not None and record.status == "ok" else None


def compared(context: Context, job: Job, record: Record, fresh: Workspace) -> Rerun:
    """Return how a record that stands differs from one that was made again, in the results of `fresh`."""
    name, seed = job.method.name, job.seed
    if record.status != "ok":
        return Rerun(name, seed, "failed", 0.0, 0.0, record.reason or "")
    old, new = (_cells(place.results, context, job) for place in (context.workspace, fresh))
    if old.keys() != new.keys():
        return Rerun(name, seed, "drifted", 0.0, 0.0, f"other sets: {sorted(old.keys() ^ new.keys())}")
    machine = _machine(context, job)
    how = alike(machine, machine_class(context.workspace.device))
    said = "; ".join(_otherwise(context, job, fresh, how))
    if all(_equal(old[at], new[at]) for at in old):
        return Rerun(name, seed, "drifted" if said else "same bytes", 0.0, 0.0, said, machine)
    judged = _judged(name, seed, old, new, machine, AUROC[how])
    return replace(judged, verdict="drifted", why=f"{said}; {judged.why}") if said else judged


def alike(there: str | None, here: str) -> Alike:
    """Return how alike two classes of machine are; of one that a record does not name, the least."""
    if there == here:
        return "same class"
    return "same kind" if there is not None and kind_of(there) == kind_of(here) else "another kind"


def _otherwise(context: Context, job: Job, fresh: Workspace, how: Alike) -> list[str]:
    """Return what a record, and the records of its models, say otherwise than those that were made again."""
    old, new = _said(context.workspace.results, context, job), _said(fresh.results, context, job)
    tolerance = FLOAT if how == "same class" else 50 * FLOAT
    off = [name for name in old.keys() | new.keys() if not _near(old.get(name), new.get(name), tolerance)]
    return [f"{name} is {old.get(name)!r:.80}, now {new.get(name)!r:.80}" for name in sorted(off)]


def _said(results: Path, context: Context, job: Job) -> dict[str, Any]:
    """Return what only a re-run can verify, and what follows from declarations that a run reads itself."""
    record = read_record(record_paths(results, context.matrix.name, job.method.name, job.seed).record)
    found: dict[str, Any] = {"key": record.key} | record.model_dump(
        include={"facts", "behaviour", "passes", "parameters", "data", "recipe", "cells", "tuning_access", "members"}
    )
    for used in dict.fromkeys(one for one in (record.model, record.reference) if one):
        model = read_model(model_paths(results, record.matrix, used.name, record.seed).record)
        said = model.model_dump(exclude=ELSEWHERE)
        found |= {f"{used.name}.{name}": value for name, value in said.items()}
    return found


def _near(a: Any, b: Any, tolerance: float) -> bool:
    """Whether what stands is what was made again: numbers within a share of the larger, all else the same.

    What a record does not say, or says null, it may be older than.
    """
    if a is None:
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return all(_near(value, b.get(name), tolerance) for name, value in a.items())
    if b is None:
        return False
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_near(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    return bool(a == b)


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
    tolerance: float,
) -> Rerun:
    """Return the verdict on scores that differ."""
    worst, auroc, fpr95, drifted = "", 0.0, 0.0, False
    for at, before in old.items():
        if not len(before.good) or not len(before.bad):
            continue
        was, intervals = measure(before, seed=seed)
        now, _ = measure(new[at], bootstrap=0)
        low, high = intervals["fpr95"]
        off = abs(now["auroc"] - was["auroc"]) > tolerance or not low <= now["fpr95"] <= high
        if abs(now["auroc"] - was["auroc"]) >= auroc:
            worst = f"{at[0]}/{at[1]}: AUROC {100 * was['auroc']:.2f}, now {100 * now['auroc']:.2f}"
        auroc = max(auroc, abs(now["auroc"] - was["auroc"]))
        fpr95 = max(fpr95, abs(now["fpr95"] - was["fpr95"]))
        drifted = drifted or off
    return Rerun(name, seed, "drifted" if drifted else "within tolerance", auroc, fpr95, worst, machine)


COLOURS = {"same bytes": "green", "within tolerance": "green", "drifted": "red", "failed": "red"}
"""Of verdicts."""


def told(context: Context, reruns: Sequence[Rerun], draw: str) -> Page:
    """Return a table of re-runs, and how many came out how."""
    rows = [
        (one.method, one.seed, one.verdict, f"{100 * one.auroc:.3f}", f"{100 * one.fpr95:.2f}", one.why)
        for one in reruns
    ]
    headers = ("method", "seed", "verdict", "AUROC differs by", "FPR95 by", "most")
    counts = {verdict: sum(one.verdict == verdict for one in reruns) for verdict in dict.fromkeys(r[2] for r in rows)}
    sums = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    title = f"{context.matrix.name}: {len(reruns)} records made again (draw {draw}), points of percent"
    return Page(
        title,
        Table(headers, rows, ("left",) * len(headers), colours=COLOURS),
        f"{sums}{_elsewhere(context, reruns)}",
        data={"matrix": context.matrix.name, "draw": draw, "reruns": list(reruns)},
    )


def sampled(context: Context, reruns: Sequence[Rerun], draw: str, share: float) -> Sample:
    """Return re-runs as a line of the history."""
    counts = Counter(one.verdict for one in reruns)
    return Sample(
        date=datetime.now(UTC).date(),
        matrix=context.matrix.name,
        commit=git().commit or "",
        draw=draw,
        share=share,
        records=len(reruns),
        same_bytes=counts["same bytes"],
        within_tolerance=counts["within tolerance"],
        drifted=counts["drifted"],
        failed=counts["failed"],
        auroc=max(one.auroc for one in reruns),
        machine=machine_class(context.workspace.device),
    )


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
