"""Run a matrix: train, look, examine; what was made before is kept, what fails does not stop the rest."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from oodbench.contract import Recipe
from oodbench.errors import BadRecord, Busy
from oodbench.records import Record, read_record, record_paths, write_record
from oodbench.run.context import Context, parts_of, record_key, wanted_views
from oodbench.run.engines import Done, Engine, reason
from oodbench.run.plan import Job, Skip, judge_of
from oodbench.run.progress import Progress
from oodbench.run.records import unmade_record
from oodbench.run.tasks import Examine, Look, Train, current


@dataclass(frozen=True)
class Summary:
    """What a run came to: its records in the order of the plan."""

    records: tuple[Record, ...]

    @property
    def failed(self) -> tuple[Record, ...]:
        """The records of jobs that raised, and those with a failed cell."""
        return tuple(r for r in self.records if r.status == "failed" or any(c.status == "failed" for c in r.cells))


def execute(context: Context, planned: Sequence[Job | Skip], engine: Engine) -> Summary:
    """Make every planned record; the folder of results is this run's alone meanwhile.

    Raises:
        Busy: another run is writing there.
        MissingData: the in-set or a tuning set is not here.
    """
    with alone(context.workspace.results):
        context.sets  # noqa: B018  a missing in-set stops the run here, before any work
        made = {_name(item): record for item in planned if (record := _without_work(context, item))}
        jobs = [item for item in planned if isinstance(item, Job) and _name(item) not in made]
        models = list(dict.fromkeys(model for job in jobs for model in _models(context, job)))
        with Progress(2 * len(models) + len(jobs)) as progress:
            lost = _prepare(context, models, jobs, engine, progress)
            for job in jobs:
                faults = [lost[model] for model in _models(context, job) if model in lost]
                if faults:
                    made[_name(job)] = unmade_record(context, job, "failed", faults[0])
                    progress.ended(job.method.name, "FAILED (its model did)")
            tasks = [Examine(context, job, wanted_views(jobs, job.recipe)) for job in jobs if _name(job) not in made]
            for done in engine.run(tasks, progress.watch):
                _note(done, progress)
                job = done.task.job
                made[_name(job)] = done.result or unmade_record(context, job, "failed", done.error or "")
        for record in made.values():
            _write_unmade(context, record)
    return Summary(tuple(made[_name(item)] for item in planned))


def _without_work(context: Context, item: Job | Skip) -> Record | None:
    """Return the record of what needs no work: what is skipped, what is current, what must not be overwritten."""
    if isinstance(item, Skip):
        return unmade_record(context, item, "skipped", item.reason)
    where = context.workspace.results, context.matrix.name, item.method.name, item.seed
    try:
        return current(*where, record_key(context, item))
    except BadRecord as error:
        return unmade_record(context, item, "failed", reason(error))


def _prepare(
    context: Context,
    models: Sequence[tuple[Recipe, int]],
    jobs: Sequence[Job],
    engine: Engine,
    progress: Progress,
) -> dict[tuple[Recipe, int], str]:
    """Train the models and look at every set through them; return what went wrong with those that failed."""
    lost: dict[tuple[Recipe, int], str] = {}
    for generation in generations(models, context.matrix.seeds):
        tasks = [Train(context, *model) for model in generation]
        for trained in engine.run(tasks, progress.watch):
            _note(trained, progress)
            if trained.error:
                lost[trained.task.recipe, trained.task.seed] = trained.error
                progress.ended(f"views of seed {trained.task.seed}", "FAILED (its model did)")
    looks = [Look(context, *model, wanted_views(jobs, model[0])) for model in models if model not in lost]
    for looked in engine.run(looks, progress.watch):
        _note(looked, progress)
        if looked.error:
            lost[looked.task.recipe, looked.task.seed] = looked.error
    return lost


def generations(models: Sequence[tuple[Recipe, int]], seeds: tuple[int, ...]) -> list[list[tuple[Recipe, int]]]:
    """Return the models in an order of training: those made of nothing, those made of these, and so on."""
    depth: dict[tuple[Recipe, int], int] = {}

    def place(model: tuple[Recipe, int]) -> int:
        if model not in depth:
            depth[model] = 1 + max((place(part) for part in parts_of(*model, seeds)), default=-1)
        return depth[model]

    deepest = max((place(model) for model in models), default=-1)
    return [[model for model in depth if depth[model] == level] for level in range(deepest + 1)]


def _models(context: Context, job: Job) -> list[tuple[Recipe, int]]:
    return [(job.recipe, job.seed), (judge_of(job.recipe, context.matrix), job.seed)]


def _name(job: Job | Skip) -> tuple[str, int]:
    return job.method.name, job.seed


def _note(done: Done[Train] | Done[Look] | Done[Examine], progress: Progress) -> None:
    progress.ended(done.task.label, f"FAILED ({done.error})" if done.error else "done")


def _write_unmade(context: Context, record: Record) -> None:
    """Write the record of a skipped or failed job; it never replaces numbers, nor what this program cannot read."""
    path = record_paths(context.workspace.results, record.matrix, record.method, record.seed).record
    if record.status == "ok" or (path.exists() and _holds_numbers(path)):
        return
    with suppress(OSError):  # on a full disk the summary alone tells of it
        write_record(path, record)


def _holds_numbers(path: Path) -> bool:
    try:
        return read_record(path).status == "ok"
    except BadRecord:
        return True


@contextmanager
def alone(results: Path) -> Iterator[None]:
    """Hold a folder of results; the system lets go of it when this process ends, however it ends.

    Raises:
        Busy: another run holds it.
    """
    results.mkdir(parents=True, exist_ok=True)
    with (results / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Busy(
                f"{results}: another run is writing to this folder; wait for it, or name another: --results DIR"
            ) from error
        for left in results.glob("*/*/.*.tmp"):  # what a killed run was writing
            left.unlink()
        yield
