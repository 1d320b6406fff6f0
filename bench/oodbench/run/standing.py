"""Whether a record stands: it is whole, of this key, and this code would make the same numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from oodbench.errors import BadData, BadRecord, NewerRecord, reason
from oodbench.records import Record, read_record, record_paths, verify
from oodbench.run.behaviour import method_source
from oodbench.run.context import Context
from oodbench.run.guard import Made
from oodbench.run.keys import record_key
from oodbench.run.model_records import verify_models
from oodbench.run.plan import Job
from oodbench.run.records import unmade_record
from oodbench.run.registry import Registered


@dataclass(frozen=True)
class Standing:
    """How a job's record stands.

    Attributes:
        record: The record that stands, or the one that tells why nothing can be made; None where it is to be made.
        why: For people: why it stands, or why it is to be made.
        said: What a run says of it, where it is something that nobody asked for.
    """

    record: Record | None
    why: str
    said: str = ""


def standing(context: Context, job: Job) -> Standing:
    """Return how a job's record stands.

    What is broken, empty or half-written is made again, and said; what a newer program wrote is never replaced.
    """
    try:
        record = _read(context, job)
    except NewerRecord as error:
        return Standing(unmade_record(context, job, "failed", reason(error)), str(error))
    except (BadRecord, BadData, OSError) as error:
        return Standing(None, f"its record is broken: {error}", f"{error}; it is made again")
    if record is None:
        return Standing(None, "it has no record")
    if record.status != "ok":
        return Standing(None, f"its record says {record.status}: {record.reason}")
    if record.key != record_key(context, job):
        return Standing(None, "its record is of other versions, parameters or data")
    if record.checked is False and job.entry.checked is not False:
        return Standing(None, "it ran unchecked, and its method has passed the laws since")
    failed = [cell.name for cell in record.cells if cell.status == "failed"]
    if failed and record.source_sha256 != method_source(job.entry):
        return Standing(None, f"it failed on {', '.join(failed)}, and its code was changed since")
    moved = context.guard.moved_in_method(job.entry, _made(record)) if context.guard is not None else frozenset()
    if moved:
        why = (
            f"its code was changed since, and scores otherwise on the toy ({', '.join(sorted(moved))}) "
            f"under the version of old"
        )
        return Standing(None, why, f"{why}: it is made again; raise the version of what changed")
    return Standing(record, "its record is current")


def suspects(context: Context, jobs: Sequence[Job]) -> list[Registered]:
    """Return the methods with records of this key that other code made: their behaviour has to be compared."""
    found: dict[str, Registered] = {}
    for job in jobs:
        if job.method.name in found:
            continue
        try:
            record = _read(context, job)
        except (BadRecord, BadData, OSError):
            continue
        if record is None or record.status != "ok" or record.key != record_key(context, job):
            continue
        if record.source_sha256 != method_source(job.entry):
            found[job.method.name] = job.entry
    return list(found.values())


def _read(context: Context, job: Job) -> Record | None:
    """Return a record whose scores and models are the ones that it names, or None where there is none."""
    results = context.workspace.results
    path = record_paths(results, context.matrix.name, job.method.name, job.seed).record
    if not path.exists():
        return None
    record = read_record(path)
    if record.status == "ok":
        verify(record, path.with_suffix(".parquet"))
        verify_models(results, record)
    return record


def _made(record: Record) -> Made:
    behaviour = {name: list(numbers) for name, numbers in record.behaviour.items()}
    return Made(record.source_sha256, record.environment.machine or "", behaviour)
