"""A matrix and where it runs: its images, its models, its attacks, and the content address of each record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.contract import LOG_DENSITY, LOGITS, Output
from oodbench.data.attack_cards import find_attack
from oodbench.data.images import Images
from oodbench.data.matrix import Matrix
from oodbench.models.outputs import Trained, to_store
from oodbench.models.train import Report, silent
from oodbench.run.attack import Attempt, attempts
from oodbench.run.models import CAST, ModelKey, stored_outputs, trained
from oodbench.run.plan import Job, judge_of
from oodbench.run.sets import Sets, in_set, open_sets
from oodbench.run.workspace import Workspace
from oodbench.store import digest, source_digest
from oodbench.training import Recipe


@dataclass(frozen=True)
class Context:
    """A matrix and where it runs."""

    matrix: Matrix
    workspace: Workspace

    @property
    def sets(self) -> Sets:
        """The images; opened once a process."""
        return open_sets(self.matrix, self.workspace.data)

    def key(self, recipe: Recipe, seed: int) -> ModelKey:
        """Return what identifies a model, and the models that it is made from."""
        outliers = self.sets.outliers
        sha256 = outliers.sha256() if outliers is not None and "outliers" in recipe.wants else None
        parts = tuple(self.key(part, its_seed) for part, its_seed in recipe.parts(seed, self.matrix.seeds))
        return ModelKey(recipe, seed, in_set(self.matrix), self.sets.train.sha256(), sha256, parts)

    def model(self, recipe: Recipe, seed: int, report: Report) -> tuple[Trained, Path]:
        """Return a model, and its folder in the cache."""
        key = self.key(recipe, seed)
        sets, workspace = self.sets, self.workspace
        model = trained(key, sets.train, workspace.cache, workspace.torch_device, report, sets.outliers)
        return model, key.folder(self.workspace.cache)


def model_outputs(
    context: Context, recipe: Recipe, seed: int, wanted: frozenset[Output], images: Images, report: Report = silent
) -> Mapping[Output, Any]:
    """Return a model's outputs for a set, in one forward pass if they are not in the cache; a pool asks its parts."""
    if pool := recipe.pool():
        parts = recipe.parts(seed, context.matrix.seeds)
        return pool.combine([model_outputs(context, *part, pool.takes, images, report) for part in parts])
    model, folder = context.model(recipe, seed, report)
    return stored_outputs(model, images, wanted & recipe.provides, folder, report)


def attacked(
    context: Context, model: Trained, folder: Path, report: Report
) -> tuple[dict[str, Attempt], Images | None]:
    """Return the matrix's attacks on a model's test images, and the attacked validation images that fooled it."""
    matrix, sets = context.matrix, context.sets
    found: dict[str, Attempt] = {}
    for wanted in matrix.attacks:
        attack = find_attack(wanted.attack)
        found |= attempts(wanted.attack, attack, wanted.n, model, sets.test, folder, report)
    held_out = matrix.adversarial_validation
    if held_out is None:
        return found, None
    attack = find_attack(held_out.attack)
    tuning = attempts(held_out.attack, attack, held_out.n, model, sets.validation, folder, report)[held_out.attack]
    return found, tuning.images.take(np.flatnonzero(tuning.fooled)) if tuning.fooled.any() else None


def wanted_outputs(jobs: Iterable[Job], recipe: Recipe) -> frozenset[Output]:
    """Return the outputs of one forward pass that the methods on a recipe read from the cache."""
    read = recipe.provides & {LOGITS, LOG_DENSITY}  # what tells how good the model is
    return to_store(read.union(*(job.method.detector.reads for job in jobs if job.recipe == recipe)))


def record_key(context: Context, job: Job) -> str:
    """Return the content address of a record: all that its numbers depend on."""
    matrix, sets = context.matrix, context.sets
    judge = judge_of(job.recipe, matrix)
    return digest(
        context.key(job.recipe, job.seed).digest,
        context.key(judge, job.seed).digest,
        job.entry.source,
        source_digest("oodbench.run.examine", "oodbench.run.attack", "oodbench.measure.cells"),
        job.method.detector,
        job.method.search,
        matrix.model_dump(mode="json", exclude={"methods"}),
        {f"{role} {name}": images.sha256() for name, role, images in sets},
        CAST,
    )
