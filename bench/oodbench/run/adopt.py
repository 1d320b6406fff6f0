"""Records made before identity was declared: current again without a re-run, where they are of what is declared today.

A record of schema 1 has the address of the source that made it. It is given today's where its recipe, parameters and
data are those of today's method on today's matrix; its numbers stay as they are. What the method does on the toy is
kept in it, so that later edits are held against it. `oodbench verify` shows by re-runs that the numbers come out alike.
"""

from collections.abc import Iterator
from pathlib import Path

from oodbench.data.matrix import load_matrices
from oodbench.records import (
    Record,
    model_paths,
    read_model,
    read_record,
    record_paths,
    write_model,
    write_record,
)
from oodbench.run.behaviour import model_record_source
from oodbench.run.context import Context
from oodbench.run.keys import model_record_key, record_key
from oodbench.run.models import describe
from oodbench.run.plan import Job, plan, reference_of
from oodbench.run.records import data_used, declared_versions, parameters
from oodbench.run.registry import find, registry
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace
from oodbench.upgrade import covers


def adopt(workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Give today's address to each record below a folder of results that has no versions; yield what became of it.

    Args:
        workspace: The folders; toys are trained on its device.

    Yields:
        The record's path below the folder, and why it was left as it is, or None where it is current now.
    """
    for matrix in load_matrices().values():
        names = [path.name for path in sorted((workspace.results / matrix.name).glob("*")) if path.name in registry()]
        context = guarded(matrix, workspace)
        for item in plan(matrix, find(names), matrix.seeds):
            path = record_paths(workspace.results, matrix.name, item.method.name, item.seed).record
            if not path.exists() or (record := read_record(path)).status != "ok" or record.versions:
                continue
            why = "this matrix cannot feed it" if not isinstance(item, Job) else why_not(context, item, record)
            if why is None and isinstance(item, Job):
                _adopt_models(context, item, record)
                write_record(path, _adopted(context, item, record))
            yield str(path.relative_to(workspace.results)), why


def why_not(context: Context, job: Job, record: Record) -> str | None:
    """Return in what a record is not of today's method, matrix or data; None where it is of all of them."""
    today = parameters(job, None)
    then = record.parameters
    if not covers(describe(job.recipe), record.recipe):
        return "its recipe is another"
    if not covers({**today.given, **today.default}, {**then.given, **then.default}):
        return "its parameters are others"
    now = {name: (one.data_sha256, one.n) for name, one in data_used(context).items()}
    for name, one in record.data.items():
        if now.get(name) != (one.data_sha256, one.n):
            return f"{name} is other data"
    missing = now.keys() - record.data.keys()
    return f"it lacks {', '.join(sorted(missing))}" if missing else None


def _adopt_models(context: Context, job: Job, record: Record) -> None:
    """Give its address to the record of the method's model, and to that of the classifier it is judged on."""
    for used, recipe in ((record.model, job.recipe), (record.reference, reference_of(job.recipe, context.matrix))):
        if used is None:
            continue
        path = model_paths(context.workspace.results, record.matrix, used.name, record.seed).record
        model = read_model(path)
        key = model_record_key(context, recipe, record.seed)
        if model.key != key:
            said = {"key": key, "recipe": describe(recipe), "source_sha256": model_record_source(recipe)}
            write_model(path, model.model_copy(update=said))


def _adopted(context: Context, job: Job, record: Record) -> Record:
    assert context.guard is not None
    made = context.guard.made_method(job.entry)
    return record.model_copy(
        update={
            "key": record_key(context, job),
            "versions": declared_versions(job.method),
            "source_sha256": made.source,
            "behaviour": {name: tuple(numbers) for name, numbers in made.behaviour.items()},
            "recipe": describe(job.recipe),
        }
    )


def adopted(results: Path) -> str:
    """Adopt every record below a folder; return what was done, for people."""
    found = list(adopt(Workspace(results=results)))
    left = [f"  {path}: {why}" for path, why in found if why]
    return "\n".join(
        [f"{results}: {len(found) - len(left)} of {len(found)} records without an address have one now", *left]
    )
