"""From an examination to the records of its models: written once a model, whichever method comes first."""

from pathlib import Path

from oodbench.contract import Recipe
from oodbench.errors import BadRecord
from oodbench.outcomes import outcomes_sha256, write_outcomes
from oodbench.records import (
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
    write_model,
)
from oodbench.run.attack import Attempt
from oodbench.run.context import Context, model_record_key
from oodbench.run.examine import Exam
from oodbench.run.models import describe
from oodbench.run.plan import Job, judge_of


def write_models(context: Context, job: Job, exam: Exam) -> tuple[ModelUsed, ModelUsed]:
    """Write the records of a job's model and of the classifier whose errors it is judged on; return both.

    Raises:
        BadRecord: As `put_model`.
    """
    reference = judge_of(job.recipe, context.matrix)
    outcomes = _outcomes(exam)
    judged = _record(context, reference, job.seed).model_copy(
        update={
            "quality": exam.quality,
            "attacks": {name: attack_record(attempt) for name, attempt in exam.attacks.items()},
            "outcomes_sha256": outcomes_sha256(outcomes),
        }
    )
    if reference == job.recipe:
        judged = judged.model_copy(update={"bits_per_dimension": dict(exam.bits)})
    used = put_model(context.workspace.results, judged, outcomes)
    if reference == job.recipe:
        return used, used
    density = _record(context, job.recipe, job.seed).model_copy(update={"bits_per_dimension": dict(exam.bits)})
    return put_model(context.workspace.results, density, None), used


def put_model(results: Path, model: ModelRecord, outcomes: Outcomes | None) -> ModelUsed:
    """Write the record of a model, unless it stands there already; return what names it.

    A record of another key, or a broken one, is replaced: it is of other code or data, and so are the methods' records
    that name it.

    Raises:
        BadRecord: A record of the same key says something else.
    """
    paths = model_paths(results, model.matrix, model.name, model.seed)
    used = ModelUsed(name=model.name, sha256=model_sha256(model))
    standing = _standing(paths)
    if standing is not None and model_sha256(standing) == used.sha256:
        return used
    if standing is not None and standing.key in (None, model.key):
        raise BadRecord(
            f"{paths.record}: this model came out otherwise than the methods' records here say "
            f"({_differences(standing, model)}); were they made on another machine? Write elsewhere (--results DIR), "
            f"or delete {paths.record.parent} and run again every method on that model"
        )
    if outcomes is not None:
        write_outcomes(paths.outcomes, outcomes)
    write_model(paths.record, model)  # last: a record stands only beside its outcomes
    return used


def stands(results: Path, record: Record, used: ModelUsed | None) -> bool:
    """Whether the model that a method's record names lies there, whole."""
    if used is None:
        return False
    model = _standing(model_paths(results, record.matrix, used.name, record.seed))
    return model is not None and model_sha256(model) == used.sha256


def _standing(paths: ModelPaths) -> ModelRecord | None:
    """Return the record of a model that lies at a place; None for none, or a broken one."""
    try:
        model = read_model(paths.record)
        if model.outcomes_sha256 is not None:
            read_outcomes(paths.outcomes, model.outcomes_sha256)
    except BadRecord:
        return None
    return model


def _differences(standing: ModelRecord, model: ModelRecord) -> str:
    left, right = (one.model_dump(exclude={"key", "recipe"}) for one in (standing, model))
    return ", ".join(f"{name}: {left[name]} there, {right[name]} here" for name in left if left[name] != right[name])


def _record(context: Context, recipe: Recipe, seed: int) -> ModelRecord:
    return ModelRecord(
        matrix=context.matrix.name,
        name=context.name(recipe),
        seed=seed,
        recipe=describe(recipe),
        key=model_record_key(context, recipe, seed),
    )


def _outcomes(exam: Exam) -> Outcomes:
    assert exam.correct is not None
    return Outcomes(exam.correct, {name: Fooled(one.index, one.fooled) for name, one in exam.attacks.items()})


def attack_record(attempt: Attempt) -> Attack:
    """Return what an attack achieved."""
    n, fooled = len(attempt.fooled), int(attempt.fooled.sum())
    rate = fooled / n if n else None
    return Attack(n=n, fooled=fooled, success_rate=rate, mean_linf=attempt.linf, mean_l2=attempt.l2)
