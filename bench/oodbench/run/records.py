"""From an evaluation to its record."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal

from oodbench.contract import Method
from oodbench.data.cards import card_sha256, find_card
from oodbench.identity import PROTOCOL, TRAINING
from oodbench.measure.cells import Cell, cells, measure
from oodbench.records import Attack, CellRecord, Citation, DataUsed, Parameters, Passes, Record
from oodbench.run import provenance
from oodbench.run.attack import Attempt
from oodbench.run.behaviour import method_source
from oodbench.run.context import Context
from oodbench.run.evaluation import Evaluation
from oodbench.run.examine import Outcome
from oodbench.run.guard import Made
from oodbench.run.models import describe
from oodbench.run.plan import Job, Skip

BOOTSTRAP = 200
"""Resamples behind the interval of a metric that has no closed form."""


def make_record(context: Context, job: Job, key: str, made: Made, found: Evaluation, scores_sha256: str) -> Record:
    """Return the record of an evaluation.

    Args:
        context: Where it was made.
        job: What was to be done.
        key: Its content address.
        made: The code that made it, and its behaviour.
        found: What came of the job.
        scores_sha256: Of its scores.
    """
    outcome, exam, attacks = found.outcome, found.exam, found.attacks
    return Record(
        **identity(context, job, key, outcome.chosen),
        behaviour={name: tuple(numbers) for name, numbers in made.behaviour.items()},
        data=data_used(context),
        model=exam.quality,
        bits_per_dimension=dict(exam.bits),
        passes=Passes(forward=outcome.forward, gradient=outcome.gradient),
        cells=cell_records(context, job, outcome),
        attacks={name: attack_record(attempt) for name, attempt in attacks.items()},
        scores_sha256=scores_sha256,
    )


def unmade_record(context: Context, job: Job | Skip, status: Literal["skipped", "failed"], reason: str) -> Record:
    """Return the record of a job that was skipped or failed."""
    return Record(**identity(context, job), status=status, reason=reason)


def identity(
    context: Context, job: Job | Skip, key: str | None = None, chosen: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return the fields that every record has, whatever came of it."""
    method, paper = job.method, job.method.paper
    return {
        "matrix": context.matrix.name,
        "method": method.name,
        "seed": job.seed,
        "title": method.title,
        "citation": Citation(authors=paper.authors, title=paper.title, year=paper.year, url=paper.url),
        "parameters": parameters(job, chosen or {}),
        "tuning_access": method.tuning_access,
        "fits_on_labels": "labels" in method.detector.fits_on,
        "recipe": describe(job.recipe),
        "scale": context.matrix.scale,
        "in_set": context.matrix.in_set,
        "versions": declared_versions(job.method),
        "source_sha256": method_source(job.entry),
        "key": key,
        "git": provenance.git(),
        "packages": provenance.packages(),
        "environment": provenance.environment(context.workspace.device),
    }


def declared_versions(method: Method) -> dict[str, int]:
    """Return the declared versions that a method's numbers depend on."""
    return {
        "protocol": PROTOCOL,
        "training": TRAINING,
        "recipe": method.recipe.version,
        "detector": method.detector.version,
    }


def parameters(job: Job | Skip, chosen: Mapping[str, float]) -> Parameters:
    """Return the detector's fields: those left at their defaults, those given, and those that tuning chose."""
    detector = job.method.detector
    given: dict[str, Any] = {}
    default: dict[str, Any] = {}
    for field in fields(detector):  # type: ignore[arg-type]
        value = getattr(detector, field.name)
        if not callable(value) and not isinstance(value, frozenset) and field.name != "version":
            (default if field.default is not MISSING and value == field.default else given)[field.name] = value
    return Parameters(given=given, default=default, chosen=dict(chosen))


def data_used(context: Context) -> dict[str, DataUsed]:
    """Return the hashes of every set, by role and card."""
    in_set = context.matrix.in_set
    used = {}
    for name, role, images in context.sets:
        card = name if role in ("ood", "tuning") else in_set
        label = f"{in_set}/{name}" if card == in_set else f"{card} ({role})" if role == "tuning" else card
        used[label] = DataUsed(
            card_sha256=card_sha256(find_card(card)), data_sha256=images.sha256(), split=role, n=len(images)
        )
    return used


def cell_records(context: Context, job: Job, outcome: Outcome) -> tuple[CellRecord, ...]:
    """Return the numbers of every failure set, and the reasons of those that have none."""
    made = [cell_record(cell, job.seed) for cell in cells(outcome.scores)]
    for (failure, name), reason in outcome.failed.items():
        made.append(CellRecord(failure=failure, name=name, status="failed", reason=reason))
    for name, reason in context.sets.absent.items():
        made.append(CellRecord(failure="ood", name=name, status="skipped", reason=reason))
    for name, reason in context.sets.damaged.items():
        made.append(CellRecord(failure="ood", name=name, status="failed", reason=reason))
    return tuple(made)


def cell_record(cell: Cell, seed: int) -> CellRecord:
    """Return the numbers of one failure set; a set without good or without bad inputs has none."""
    known: dict[str, Any] = {
        "failure": cell.failure,
        "name": cell.name,
        "n_good": len(cell.good),
        "n_bad": len(cell.bad),
    }
    if not len(cell.good) or not len(cell.bad):
        lacking = "bad inputs: nothing here failed" if len(cell.good) else "good inputs"
        return CellRecord(**known, status="skipped", reason=f"a one-class set, it has no {lacking}")
    metrics, intervals = measure(cell, bootstrap=BOOTSTRAP, seed=seed)
    return CellRecord(**known, metrics=metrics, intervals=intervals, bootstrap=BOOTSTRAP)


def attack_record(attempt: Attempt) -> Attack:
    """Return what an attack achieved."""
    n, fooled = len(attempt.fooled), int(attempt.fooled.sum())
    rate = fooled / n if n else None
    return Attack(n=n, fooled=fooled, success_rate=rate, mean_linf=attempt.linf, mean_l2=attempt.l2)
