"""Run a matrix: train, look, examine; what was made before is kept, what fails does not stop the rest."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.contract import Recipe
from bench.errors import BadRecord, Busy
from bench.records import Record, read_record, record_paths, write_record
from bench.run.context import Context, wanted_views
from bench.run.engines import Done, Engine
from bench.run.plan import Job, Skip, judge_of
from bench.run.progress import Progress
from bench.run.records import unmade_record
from bench.run.tasks import Examine, Look, Train


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
        jobs = [job for job in planned if isinstance(job, Job)]
        subjects = list(dict.fromkeys(subject for job in jobs for subject in _subjects(context, job)))
        with Progress(2 * len(subjects) + len(jobs)) as progress:
            lost: dict[tuple[Recipe, int], str] = {}
            trains = [Train(context, *subject) for subject in subjects]
            for done in engine.run(trains, progress.watch):
                _note(done, progress)
                if done.error:
                    lost[done.task.recipe, done.task.seed] = done.error
            looks = [Look(context, *s, wanted_views(jobs, s[0])) for s in subjects if s not in lost]
            for done_look in engine.run(looks, progress.watch):
                _note(done_look, progress)
                if done_look.error:
                    lost[done_look.task.recipe, done_look.task.seed] = done_look.error
            made = {
                _name(job): unmade_record(context, job, "failed", lost[s])
                for job in jobs
                for s in _subjects(context, job)
                if s in lost
            }
            tasks = [Examine(context, job, wanted_views(jobs, job.recipe)) for job in jobs if _name(job) not in made]
            for done_job in engine.run(tasks, progress.watch):
                _note(done_job, progress)
                job = done_job.task.job
                made[_name(job)] = done_job.result or unmade_record(context, job, "failed", done_job.error or "")
            for skip in planned:
                if isinstance(skip, Skip):
                    made[_name(skip)] = unmade_record(context, skip, "skipped", skip.reason)
        for record in made.values():
            _write_unmade(context, record)
    return Summary(tuple(made[_name(job)] for job in planned))


def _subjects(context: Context, job: Job) -> list[tuple[Recipe, int]]:
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
        yield
