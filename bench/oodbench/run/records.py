"""From an examination to its record."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal

from oodbench.data.cards import card_sha256, find_card
from oodbench.records import CellRecord, Citation, DataUsed, ModelUsed, Parameters, Passes, Record
from oodbench.run import provenance
from oodbench.run.context import Context
from oodbench.run.examine import Outcome
from oodbench.run.models import describe
from oodbench.run.plan import Job, Skip


def make_record(
    context: Context,
    job: Job,
    key: str,
    outcome: Outcome,
    models: tuple[ModelUsed, ModelUsed],
    scores_sha256: str,
) -> Record:
    """Return the record of an examination; `models` are its own and the one whose errors it is judged on."""
    return Record(
        **identity(context, job, key, outcome.chosen),
        data=data_used(context),
        passes=Passes(forward=outcome.forward, gradient=outcome.gradient),
        cells=cell_records(context, outcome),
        model=models[0],
        reference=models[1],
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
        "source_sha256": job.entry.source,
        "key": key,
        "git": provenance.git(),
        "packages": provenance.packages(),
        "environment": provenance.environment(context.workspace.device),
    }


def parameters(job: Job | Skip, chosen: Mapping[str, float]) -> Parameters:
    """Return the detector's fields: those left at their defaults, those given, and those that tuning chose."""
    detector = job.method.detector
    given: dict[str, Any] = {}
    default: dict[str, Any] = {}
    for field in fields(detector):  # type: ignore[arg-type]
        value = getattr(detector, field.name)
        if not callable(value) and not isinstance(value, frozenset):
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


def cell_records(context: Context, outcome: Outcome) -> tuple[CellRecord, ...]:
    """Return the failure sets that have no scores, and why."""
    failed = [
        CellRecord(failure=failure, name=name, status="failed", reason=reason)
        for (failure, name), reason in outcome.failed.items()
    ]
    absent = [
        CellRecord(failure="ood", name=name, status="skipped", reason=reason)
        for name, reason in context.sets.absent.items()
    ]
    return (*failed, *absent)
