"""From an evaluation to its record."""

from dataclasses import MISSING, fields
from typing import Any, Literal

from oodbench.contract import Method
from oodbench.data.cards import card_sha256, find_card
from oodbench.identity import PROTOCOL, TRAINING, declared
from oodbench.records import CellRecord, Citation, DataUsed, Parameters, Passes, Record
from oodbench.run import provenance
from oodbench.run.behaviour import method_source
from oodbench.run.context import Context
from oodbench.run.evaluation import Evaluation
from oodbench.run.facts import facts_of
from oodbench.run.guard import Made
from oodbench.run.model_records import ModelsUsed
from oodbench.run.models import describe
from oodbench.run.plan import Job, Skip, tuning_access
from oodbench.run.tune import Tuned
from oodbench.store import digest


def make_record(
    context: Context, job: Job, key: str, made: Made, found: Evaluation, models: ModelsUsed, scores_sha256: str
) -> Record:
    """Return the record of an evaluation.

    Args:
        context: Where it was made.
        job: What was to be done.
        key: Its content address.
        made: The code that made it, and its behaviour.
        found: What came of the job.
        models: The model, and the classifier whose errors it is judged on.
        scores_sha256: Of its scores.
    """
    outcome = found.outcome
    return Record(
        **identity(context, job, key, outcome.tuned),
        facts=facts_of(outcome.tuned.state),
        behaviour={name: tuple(numbers) for name, numbers in made.behaviour.items()},
        data=data_used(context),
        passes=Passes(forward=outcome.forward, gradient=outcome.gradient),
        cells=(*cell_records(context, found), *found.adaptation.cells),
        model=models.model,
        reference=models.reference,
        scores_sha256=scores_sha256,
        adaptive=found.adaptation.achieved,
    )


def unmade_record(context: Context, job: Job | Skip, status: Literal["skipped", "failed"], reason: str) -> Record:
    """Return the record of a job that was skipped or failed."""
    return Record(**identity(context, job), status=status, reason=reason)


def identity(context: Context, job: Job | Skip, key: str | None = None, tuned: Tuned | None = None) -> dict[str, Any]:
    """Return the fields that every record has, whatever came of it."""
    method, paper = job.method, job.method.paper
    return {
        "matrix": context.matrix.name,
        "method": method.name,
        "seed": job.seed,
        "title": method.title,
        "citation": Citation(authors=paper.authors, title=paper.title, year=paper.year, url=paper.url),
        "parameters": parameters(job, tuned),
        "checked": job.entry.checked,
        "tuning_access": tuning_access(context.matrix, method),
        "fits_on_labels": "labels" in method.detector.fits_on,
        "recipe": describe(job.recipe),
        "members": tuple(seed for _, seed in job.recipe.parts(job.seed, context.matrix.seeds)),
        "scale": context.matrix.scale,
        "in_set": context.matrix.in_set,
        "versions": declared_versions(job.method),
        "source_sha256": method_source(job.entry),
        "key": key,
        "git": provenance.git(),
        "packages": provenance.packages(),
        "environment": provenance.environment(context.workspace.device, context.matrix.forward_precision),
    }


def declared_versions(method: Method) -> dict[str, int]:
    """Return the declared versions that a method's numbers depend on."""
    versions = {
        "protocol": PROTOCOL,
        "training": TRAINING,
        "recipe": method.recipe.version,
        "detector": method.detector.version,
    }
    return versions | ({"search": method.search.version} if method.search else {})


def parameters(job: Job | Skip, tuned: Tuned | None) -> Parameters:
    """Return the detector's fields: those left at their defaults, those given, and those that tuning chose."""
    said = detector_fields(job.method.detector)
    own = Parameters(given=said["given"], default=said["default"])
    if tuned is None:
        return own
    return own.model_copy(update={"chosen": dict(tuned.chosen), "undecided": tuned.undecided})


def detector_fields(detector: Any) -> dict[str, dict[str, Any]]:
    """Return a detector's fields by name: those that were `given`, and those left at their `default`."""
    found: dict[str, dict[str, Any]] = {"given": {}, "default": {}}
    for field in fields(detector):
        value = getattr(detector, field.name)
        if not callable(value) and not isinstance(value, frozenset) and field.name != "version":
            left = field.default is not MISSING and value == field.default
            found["default" if left else "given"][field.name] = declared(value)
    return found


def data_used(context: Context) -> dict[str, DataUsed]:
    """Return the hashes of every set, by role and card."""
    in_set = context.matrix.in_set
    used = {}
    for name, role, images in context.sets:
        if role == "corruption":
            continue
        card = name if role in ("ood", "tuning") else in_set
        label = f"{in_set}/{name}" if card == in_set else f"{card} ({role})" if role == "tuning" else card
        used[label] = DataUsed(
            card_sha256=card_sha256(find_card(card)), data_sha256=images.sha256(), split=role, n=len(images)
        )
    if corrupted := context.sets.corrupted.values():  # one entry: a record with one for each set would be mostly these
        sha256 = digest([one.images.sha256() for one in corrupted])
        used[f"{in_set}/corrupted"] = DataUsed(
            card_sha256=card_sha256(find_card(in_set)),
            data_sha256=sha256,
            split="corruption",
            n=sum(len(one.images) for one in corrupted),
        )
    return used


def cell_records(context: Context, found: Evaluation) -> tuple[CellRecord, ...]:
    """Return the failure sets that have no scores, and why."""
    sets = context.sets
    said: list[tuple[Literal["skipped", "failed"], str, str, str]] = [
        *(("failed", failure, name, reason) for (failure, name), reason in found.outcome.failed.items()),
        *(("failed", "adversarial", name, reason) for name, reason in found.attacks.failed.items()),
        *(("skipped", "ood", name, reason) for name, reason in sets.absent.items()),
        *(("failed", "ood", name, reason) for name, reason in sets.damaged.items()),
    ]
    return tuple(CellRecord(status=status, failure=kind, name=name, reason=why) for status, kind, name, why in said)
