"""The three kinds of task, in order: train a model, look at every set through it, examine a method on it.

The first two reuse what the cache holds, so that running one twice is running it once.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter

from oodbench.contract import Recipe, View
from oodbench.errors import BadData, BadRecord
from oodbench.models.train import Report
from oodbench.records import (
    Cost,
    Record,
    read_record,
    record_paths,
    verify,
    write_cost,
    write_record,
    write_scores,
)
from oodbench.run import provenance
from oodbench.run.context import Context, attacked, record_key, seen
from oodbench.run.examine import Exam, Outcome, examine
from oodbench.run.model_records import stands, write_models
from oodbench.run.models import describe, is_trained
from oodbench.run.plan import Job, judge_of
from oodbench.run.quality import bits, quality
from oodbench.run.records import make_record
from oodbench.run.sets import classes
from oodbench.store import atomically


@dataclass(frozen=True)
class Train:
    """Train one model."""

    context: Context
    recipe: Recipe
    seed: int

    @property
    def label(self) -> str:
        """For people."""
        return f"train {describe(self.recipe)['name']} ({self.recipe.training.network}), seed {self.seed}"

    def run(self, report: Report) -> None:
        """Train, unless the weights are in the cache."""
        started = perf_counter()
        fresh = not is_trained(self.context.key(self.recipe, self.seed), self.context.workspace.cache)
        _, folder = self.context.model(self.recipe, self.seed, report)
        if fresh:
            _note(folder, "train", perf_counter() - started)


@dataclass(frozen=True)
class Look:
    """Craft the attacks on a model, and store what it shows of every set: one forward pass each, for all methods."""

    context: Context
    recipe: Recipe
    seed: int
    wanted: frozenset[View]

    @property
    def label(self) -> str:
        """For people."""
        return f"views of {describe(self.recipe)['name']}, seed {self.seed}"

    def run(self, report: Report) -> None:
        """Write the views that are not in the cache yet."""
        started = perf_counter()
        model, folder = self.context.model(self.recipe, self.seed, report)
        sets = [images for _, _, images in self.context.sets]
        if "logits" in self.recipe.provides:
            attacks, tuning = attacked(self.context, model, folder, report)
            sets += [attempt.images for attempt in attacks.values()]
            sets += [tuning] if tuning is not None else []
        for images in sets:
            seen(self.context, self.recipe, self.seed, self.wanted, images, report)
        _note(folder, "views", perf_counter() - started)


@dataclass(frozen=True)
class Examine:
    """Make one record."""

    context: Context
    job: Job
    wanted: frozenset[View]

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.job.method.name}, seed {self.job.seed}"

    def run(self, report: Report) -> Record:
        """Return the record, written with its scores and its cost."""
        context, job = self.context, self.job
        key = record_key(context, job)
        paths = record_paths(context.workspace.results, context.matrix.name, job.method.name, job.seed)
        began = datetime.now(UTC)
        started = perf_counter()
        outcome, exam = self._examine(report)
        models = write_models(context, job, exam)
        sha256 = write_scores(paths.scores, outcome.scores)
        record = make_record(context, job, key, outcome, models, sha256)
        spent = _noted(self.context.key(job.recipe, job.seed).folder(context.workspace.cache))
        seconds = {**spent, **outcome.seconds, "total": perf_counter() - started}
        write_cost(paths.cost, Cost(seconds=seconds, peak_memory_mb=provenance.peak_memory_mb(), started_at=began))
        write_record(paths.record, record)  # last: a record stands only beside its scores
        return record

    def _examine(self, report: Report) -> tuple[Outcome, Exam]:
        context, job = self.context, self.job
        sets = context.sets
        model, folder = context.model(job.recipe, job.seed, report)
        judge, judge_folder = model, folder
        judging = judge_of(job.recipe, context.matrix)
        if judging != job.recipe:
            judge, judge_folder = context.model(judging, job.seed, report)
        attacks, tuning = attacked(context, judge, judge_folder, report)
        logits = seen(context, judging, job.seed, frozenset({"logits"}), sets.test)["logits"].numpy()
        assert sets.test.labels is not None
        show = partial(seen, context, job.recipe, job.seed, self.wanted)
        density = "log_density" in job.recipe.provides
        exam = Exam(
            model=model,
            show=show,
            seed=job.seed,
            classes=classes(context.matrix).count,
            train=sets.train,
            validation=sets.validation,
            test=sets.test,
            correct=logits.argmax(1) == sets.test.labels,
            ood=sets.ood,
            tuning=sets.tuning,
            attacks=attacks,
            adversarial_validation=tuning,
            n_validation=context.matrix.n_validation,
            quality=quality(judge, logits, sets.test.labels),
            bits=bits(lambda images: show(images)["log_density"].numpy(), sets) if density else {},
        )
        return examine(job.method, exam, report), exam


def current(results: Path, matrix: str, method: str, seed: int, key: str) -> Record | None:
    """Return the record of a (matrix, method, seed) if it is of this key, and whole: its scores and its models too.

    Raises:
        BadRecord: the record itself is broken, foreign or newer than this program.
    """
    paths = record_paths(results, matrix, method, seed)
    if not paths.record.exists():
        return None
    record = read_record(paths.record)
    if record.key != key or record.status != "ok":
        return None
    try:
        verify(record, paths.scores)
    except (BadRecord, BadData):
        return None
    return record if all(stands(results, record, used) for used in (record.model, record.reference)) else None


def _note(folder: Path, stage: str, seconds: float) -> None:
    """Keep what a shared stage cost beside the model, for the records of all methods that stand on it."""
    with atomically(folder / "seconds.json") as file:
        file.write_text(json.dumps({**_noted(folder), stage: seconds}))


def _noted(folder: Path) -> dict[str, float]:
    path = folder / "seconds.json"
    return json.loads(path.read_text()) if path.exists() else {}
