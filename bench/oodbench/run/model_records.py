"""From an examination to the records of its models: written once a model, whichever method comes first."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from oodbench.errors import BadRecord
from oodbench.outcomes import outcomes_sha256, write_outcomes
from oodbench.records import (
    MODELS,
    NOT_CONTENT,
    Attack,
    Fooled,
    ModelPaths,
    ModelRecord,
    ModelUsed,
    Outcomes,
    Record,
    model_paths,
    model_sha256,
    read_model,
    read_outcomes,
    read_record,
    write_model,
)
from oodbench.run.attack import Attempt
from oodbench.run.behaviour import model_record_source
from oodbench.run.context import Context
from oodbench.run.evaluation import Evaluation
from oodbench.run.examine import Exam
from oodbench.run.keys import model_record_key
from oodbench.run.machine import machine_class
from oodbench.run.models import describe
from oodbench.run.plan import Job, reference_of
from oodbench.training import Recipe


class ModelsUsed(NamedTuple):
    """The model that a method stands on, and the classifier whose errors it is judged on."""

    model: ModelUsed
    reference: ModelUsed


def write_models(context: Context, job: Job, found: Evaluation) -> ModelsUsed:
    """Write the records of a job's model and of the classifier whose errors it is judged on; return both.

    Raises:
        BadRecord: As `put_model`.
    """
    exam, reference = found.exam, reference_of(job.recipe, context.matrix)
    outcomes = _outcomes(exam)
    judged = _record(context, reference, job.seed).model_copy(
        update={
            "quality": exam.quality,
            "calibration": exam.calibration,
            "attacks": {name: attack_record(attempt) for name, attempt in exam.attacks.items()},
            "attacks_failed": dict(found.attacks.failed) or None,
            "corruptions": dict(exam.robustness) or None,
            "outcomes_sha256": outcomes_sha256(outcomes),
        }
    )
    if reference == job.recipe:
        judged = judged.model_copy(update={"bits_per_dimension": dict(exam.bits)})
    used = put_model(context.workspace.results, judged, outcomes)
    if reference == job.recipe:
        return ModelsUsed(used, used)
    density = _record(context, job.recipe, job.seed).model_copy(update={"bits_per_dimension": dict(exam.bits)})
    return ModelsUsed(put_model(context.workspace.results, density, None), used)


def put_model(results: Path, model: ModelRecord, outcomes: Outcomes | None) -> ModelUsed:
    """Write the record of a model, unless it stands there already; return what names it.

    One that says something else is replaced where it is broken, of another key, or of other code on such a machine: the
    methods' records that name it are made again as well.

    Raises:
        BadRecord: A record of the same key says something else, and neither versions nor code explain it.
    """
    paths = model_paths(results, model.matrix, model.name, model.seed)
    used = ModelUsed(name=model.name, sha256=model_sha256(model))
    standing = _standing(paths)
    if standing == model:
        return used
    if standing is not None and model_sha256(standing) != used.sha256 and not _explained(standing, model):
        raise BadRecord(
            f"{paths.record}: this model came out otherwise than the methods' records here say "
            f"({_differences(standing, model)}); were they made on another machine, or by another release of torch? "
            f"Write elsewhere (--results DIR), or make them all again: oodbench run {model.matrix} --all --remake"
        )
    if outcomes is not None:
        write_outcomes(paths.outcomes, outcomes)
    write_model(paths.record, model)  # last: a record stands only beside its outcomes
    return used


def _explained(standing: ModelRecord, model: ModelRecord) -> bool:
    """Whether declared versions, or the code, say why a model is another one by now."""
    if standing.key not in (None, model.key):
        return True
    return standing.machine == model.machine and standing.source_sha256 not in (None, model.source_sha256)


def release(results: Path, matrix: str, names: Collection[tuple[str, int]]) -> None:
    """Remove the records of models that no method's record stands on but those named, by method and seed.

    These are about to be made again, and their models with them, whatever comes out.
    """
    users: dict[Path, set[tuple[str, int]]] = {}
    for path in results.glob(f"{matrix}/*/*.json"):
        if path.parent.name == MODELS or path.name[0] == "." or path.name.endswith(".cost.json"):
            continue
        with suppress(BadRecord):
            record = read_record(path)
            for used in (one for one in (record.model, record.reference) if one):
                model = model_paths(results, matrix, used.name, record.seed).record
                users.setdefault(model, set()).add((record.method, record.seed))
    for model, methods in users.items():
        if methods <= set(names):
            model.unlink(missing_ok=True)


def _differences(standing: ModelRecord, model: ModelRecord) -> str:
    left, right = (one.model_dump(exclude=NOT_CONTENT) for one in (standing, model))
    return ", ".join(f"{name}: {left[name]} there, {right[name]} here" for name in left if left[name] != right[name])


def verify_models(results: Path, record: Record) -> None:
    """Check that the models that a method's record names lie there, whole.

    Raises:
        BadRecord: One of them is absent, broken, or another one by now.
    """
    for used in dict.fromkeys(one for one in (record.model, record.reference) if one):
        paths = model_paths(results, record.matrix, used.name, record.seed)
        model = _read(paths)
        if model_sha256(model) != used.sha256:
            raise BadRecord(f"{paths.record}: is another model by now than the one that {record.method} was scored on")
    if record.model is None or record.reference is None:
        raise BadRecord(
            f"the record of {record.method}, seed {record.seed} names no model; was it made by oodbench 0.1?"
        )


def outcomes_of(results: Path, record: Record) -> Outcomes | None:
    """Return what the classifier does whose errors a method is judged on; None where it does not classify.

    Raises:
        BadRecord: Its record, or its file of outcomes, is absent or broken.
    """
    if record.reference is None:
        return None
    paths = model_paths(results, record.matrix, record.reference.name, record.seed)
    sha256 = read_model(paths.record).outcomes_sha256
    return read_outcomes(paths.outcomes, sha256) if sha256 else None


def _read(paths: ModelPaths) -> ModelRecord:
    model = read_model(paths.record)
    if model.outcomes_sha256 is not None:
        read_outcomes(paths.outcomes, model.outcomes_sha256)
    return model


def _standing(paths: ModelPaths) -> ModelRecord | None:
    """Return the record of a model that lies at a place; None for none, or a broken one."""
    try:
        return _read(paths)
    except BadRecord:
        return None


def _record(context: Context, recipe: Recipe, seed: int) -> ModelRecord:
    return ModelRecord(
        matrix=context.matrix.name,
        name=context.name(recipe),
        seed=seed,
        recipe=describe(recipe),
        key=model_record_key(context, recipe, seed),
        source_sha256=model_record_source(recipe),
        machine=machine_class(context.workspace.device),
    )


def _outcomes(exam: Exam) -> Outcomes:
    assert exam.correct is not None
    return Outcomes(exam.correct, {name: Fooled(one.index, one.fooled) for name, one in exam.attacks.items()})


def attack_record(attempt: Attempt) -> Attack:
    """Return what an attack achieved."""
    n, fooled = len(attempt.fooled), int(attempt.fooled.sum())
    rate = fooled / n if n else None
    return Attack(
        n=n,
        fooled=fooled,
        success_rate=rate,
        mean_linf=attempt.linf,
        mean_l2=attempt.l2,
        unmoved=attempt.unmoved,
    )
