"""Run a matrix: what was made before is kept where it stands, what fails does not stop the rest."""

import fcntl
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.contract import Output
from oodbench.errors import BadRecord, Busy, NewerRecord
from oodbench.records import Record, read_record, record_paths, write_record
from oodbench.run.context import ANSWER, Context
from oodbench.run.evaluation import wanted_outputs
from oodbench.run.graph import Backend, Done, Needs, Task, schedule
from oodbench.run.machine import kind_of, machine_class
from oodbench.run.model_records import release
from oodbench.run.plan import Job, Skip, reference_of
from oodbench.run.progress import Progress
from oodbench.run.records import unmade_record
from oodbench.run.standing import Standing, standing, suspects
from oodbench.run.tasks import Evaluate, StoreOutputs, TrainModel, TryOnToy, outputs_key, train_key
from oodbench.training import Recipe

log = logging.getLogger(__name__)

OLD = 24 * 3600
"""Seconds after which a part file is what a killed run left, and no live one's."""

Name = tuple[str, int]
"""Of a record in a matrix: its method and its seed."""


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        records: In the order of the plan.
        kept_from: How many records of another kind of machine stand as they were, by its class: nothing was computed
            here for them.
    """

    records: tuple[Record, ...]
    kept_from: dict[str, int]

    @property
    def failed(self) -> tuple[Record, ...]:
        """The records of jobs that raised, and those with a failed cell."""
        return tuple(r for r in self.records if r.status == "failed" or any(c.status == "failed" for c in r.cells))

    def of_other_machines(self, device: str) -> str:
        """Return what to say of the records that another kind of machine made."""
        kept = ", ".join(f"{count} made on {machine}" for machine, count in self.kept_from.items())
        return (
            f"oodbench: nothing was computed on {device} for records that stand already: {kept}. "
            f"To make them here: --remake, or --results DIR for a folder of their own"
        )


def execute(
    context: Context,
    planned: Sequence[Job | Skip],
    backend: Backend,
    *,
    remake: bool = False,
    shared: bool = False,
    needs: Needs | None = None,
) -> Summary:
    """Make every planned record that does not stand already.

    Args:
        context: The matrix, its folders and its guard.
        planned: What to make.
        backend: Where tasks run.
        remake: Make those again that stand.
        shared: Leave the folder of results to other runs, too: shards of one plan write to it at once.
        needs: What each task takes; None for a GPU, where there are some, and 2 GB.

    Raises:
        Busy: another run is writing to the folder of results.
        MissingData: the in-set, a tuning set or the weights of a given model are not here.
    """
    with alone(context.workspace.results, shared=shared):
        clean(context.workspace.results, context.workspace.cache)
        jobs = [item for item in planned if isinstance(item, Job)]
        context.require(jobs)  # a missing in-set stops the run here, before any work
        if remake:
            release(context.workspace.results, context.matrix.name, [_name(job) for job in jobs])
        stand = {} if remake else _stand(context, jobs, backend)
        made: dict[Name, Record] = {_name(skip): _skipped(context, skip) for skip in planned if isinstance(skip, Skip)}
        made |= {name: one.record for name, one in stand.items() if one.record is not None}
        _run(context, graph(context, [job for job in jobs if _name(job) not in made], needs), backend, made)
        for record in made.values():
            _write_unmade(context, record)
    kept = [one.record for one in stand.values() if one.record is not None and one.record.status == "ok"]
    return Summary(tuple(made[_name(item)] for item in planned), _elsewhere(kept, context))


def _stand(context: Context, jobs: Sequence[Job], backend: Backend) -> dict[Name, Standing]:
    """Return how each job's record stands; methods whose records other code made are tried on the toy, all at once."""
    doubtful = suspects(context, jobs) if context.guard is not None else []
    if doubtful:
        names = ", ".join(entry.method.name for entry in doubtful)
        log.info("records that other code made are held against what this code does on the toy: %s", names)
        tasks = [TryOnToy(context.matrix, entry) for entry in doubtful]
        with Progress(len(tasks)) as progress:
            for done in schedule(tasks, backend, progress.watch, progress.started):
                progress.ended(done.task.label, f"FAILED ({done.error})" if done.error else "done")
    found = {}
    for job in jobs:
        found[_name(job)] = one = standing(context, job)
        if one.said:
            log.warning("%s, seed %d: %s", job.method.name, job.seed, one.said)
    return found


def _run(context: Context, tasks: Sequence[Task[object]], backend: Backend, made: dict[Name, Record]) -> None:
    """Run the tasks of jobs, and add the jobs' records."""
    with Progress(len(tasks)) as progress:
        for done in schedule(tasks, backend, progress.watch, progress.started):
            progress.ended(done.task.label, f"FAILED ({done.error})" if done.error else "done")
            if isinstance(done.task, Evaluate):
                made[_name(done.task.job)] = done.result or _failed(context, done.task.job, done)


def graph(context: Context, jobs: Sequence[Job], needs: Needs | None = None) -> list[Task[object]]:
    """Return the tasks that jobs come to: models and what they are made from, their outputs, evaluations."""
    needs = needs or Needs(gpus=int(context.workspace.torch_device.type == "cuda"))
    wanted, judged = _wanted(context, jobs), _judged(context, jobs)
    tasks: dict[str, Task[object]] = {}

    def training(recipe: Recipe, seed: int) -> str:
        """Add a model's training, after the models that it is made from; return its key."""
        parts = recipe.parts(seed, context.matrix.seeds)
        for part in parts:
            model(*part)
        task = TrainModel(context.matrix, recipe, seed, tuple(train_key(*part) for part in parts), needs)
        return tasks.setdefault(task.key, task).key

    def model(recipe: Recipe, seed: int) -> None:
        """Add a model and its outputs, after those that these need."""
        parts = recipe.parts(seed, context.matrix.seeds)
        reference = reference_of(recipe, context.matrix) if (recipe, seed) in judged else None
        others = [(reference, seed)] if reference not in (None, recipe) else []
        for other in others:
            model(*other)
        before = [training(recipe, seed), *(outputs_key(*part) for part in parts if part in wanted)]
        before += [outputs_key(*other) for other in others]
        if reference == recipe and context.matrix.transfers:
            before.append(training(recipe, context.matrix.seed_after(seed)))
        if (recipe, seed) in wanted:
            showing = StoreOutputs(
                context.matrix, recipe, seed, reference, wanted[recipe, seed], tuple(dict.fromkeys(before)), needs
            )
            tasks.setdefault(showing.key, showing)

    for job in jobs:
        model(job.recipe, job.seed)
        after = dict.fromkeys([outputs_key(job.recipe, job.seed), outputs_key(_reference(context, job), job.seed)])
        evaluation = Evaluate(context.matrix, job, tuple(after), needs)
        tasks[evaluation.key] = evaluation
    return list(tasks.values())


def _wanted(context: Context, jobs: Sequence[Job]) -> dict[tuple[Recipe, int], frozenset[Output]]:
    """Return the outputs that jobs read of each model, by recipe and seed."""
    wanted: dict[tuple[Recipe, int], frozenset[Output]] = {}

    def add(recipe: Recipe, seed: int, outputs: frozenset[Output]) -> None:
        wanted[recipe, seed] = wanted.get((recipe, seed), frozenset()) | outputs
        if pool := recipe.pool():
            for part in recipe.parts(seed, context.matrix.seeds):
                add(*part, pool.takes)

    for job in jobs:
        add(job.recipe, job.seed, wanted_outputs(job))
        add(_reference(context, job), job.seed, ANSWER)
    return wanted


def _judged(context: Context, jobs: Sequence[Job]) -> set[tuple[Recipe, int]]:
    """Return the models that see attacked images: those of jobs, and whose attacks they are; a mere part sees none."""
    return {(recipe, job.seed) for job in jobs for recipe in (job.recipe, _reference(context, job))}


def _reference(context: Context, job: Job) -> Recipe:
    return reference_of(job.recipe, context.matrix)


def _name(item: Job | Skip) -> Name:
    return item.method.name, item.seed


def _skipped(context: Context, skip: Skip) -> Record:
    return unmade_record(context, skip, "skipped", skip.reason)


def _failed(context: Context, job: Job, done: Done[Any]) -> Record:
    """Return the record of a failure; its whole traceback is kept beside it."""
    if done.traceback:
        path = record_paths(context.workspace.results, context.matrix.name, *_name(job)).failure
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(done.traceback, encoding="utf-8")
    return unmade_record(context, job, "failed", done.error or "")


def _elsewhere(kept: Sequence[Record], context: Context) -> dict[str, int]:
    """Return how many kept records another kind of machine made, by its class."""
    here = kind_of(machine_class(context.workspace.device))
    found: dict[str, int] = {}
    for record in kept:
        there = record.environment.machine or record.environment.device.split(":")[0]
        if kind_of(there) != here:
            found[there] = found.get(there, 0) + 1
    return found


def _write_unmade(context: Context, record: Record) -> None:
    """Write the record of a skipped or failed job; it never replaces numbers, nor what a newer program wrote."""
    path = record_paths(context.workspace.results, record.matrix, record.method, record.seed).record
    if record.status == "ok" or (path.exists() and _to_be_kept(path)):
        return
    with suppress(OSError):  # on a full disk the summary alone tells of it
        write_record(path, record)


def _to_be_kept(path: Path) -> bool:
    try:
        return read_record(path).status == "ok"
    except NewerRecord:
        return True
    except BadRecord:
        return False


@contextmanager
def alone(results: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder of results; the system lets go of it when this process ends, however it ends.

    Args:
        results: The folder.
        shared: Let other shared holders in.

    Raises:
        Busy: another run holds it.
    """
    results.mkdir(parents=True, exist_ok=True)
    with (results / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            raise Busy(
                f"{results}: another run is writing to this folder; wait for it, or name another: --results DIR"
            ) from error
        yield


def clean(results: Path, cache: Path) -> None:
    """Remove part files that killed runs left a day ago or longer."""
    before = time.time() - OLD
    for folder in (results, cache / "models", cache / "toy"):  # not the whole cache: data sets may lie there
        for left in (*folder.glob("**/.*.part"), *folder.glob("**/.*.tmp")):
            with suppress(OSError):
                if left.stat().st_mtime < before:
                    left.unlink()
