"""A matrix and where it runs: its images, its models, its attacks, and the content address of each record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from oodbench.contract import MadeOfOthers, Recipe, View
from oodbench.data.attack_cards import find_attack
from oodbench.data.images import Images
from oodbench.data.matrix import Matrix
from oodbench.models.train import Report, silent
from oodbench.models.views import NET_VIEWS, Trained
from oodbench.run.attack import Attempt, attempts
from oodbench.run.models import CAST, ModelKey, model_name, shown, trained
from oodbench.run.plan import Job, judge_of
from oodbench.run.sets import Sets, classes, open_sets
from oodbench.run.workspace import Workspace
from oodbench.store import digest, source_digest


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
        parts = tuple(self.key(part, its_seed) for part, its_seed in parts_of(recipe, seed, self.matrix.seeds))
        return ModelKey(recipe, seed, classes(self.matrix), self.sets.train.sha256(), sha256, parts)

    def name(self, recipe: Recipe) -> str:
        """Return what results call the model of a recipe."""
        return model_name(recipe, lambda one: one.at(self.matrix.scale, self.matrix.training.training()))

    def model(self, recipe: Recipe, seed: int, report: Report) -> tuple[Trained, Path]:
        """Return a model, and its folder in the cache."""
        key = self.key(recipe, seed)
        sets, workspace = self.sets, self.workspace
        model = trained(key, sets.train, workspace.cache, workspace.torch_device, report, sets.outliers)
        return model, key.folder(self.workspace.cache)


@runtime_checkable
class Pooled(Protocol):
    """A recipe whose model is its parts asked together: what it shows follows from what they have shown."""

    @property
    def pools(self) -> frozenset[View]:
        """The views of each part that it takes."""

    def pool(self, parts: Sequence[Mapping[View, Any]]) -> Mapping[View, Any]:
        """Return what the model shows of inputs, given what each part shows of them."""


def seen(
    context: Context, recipe: Recipe, seed: int, wanted: frozenset[View], images: Images, report: Report = silent
) -> Mapping[View, Any]:
    """Return what a model shows of a set, in one forward pass if it is not in the cache; a pool asks its parts."""
    if isinstance(recipe, Pooled):
        parts = parts_of(recipe, seed, context.matrix.seeds)
        return recipe.pool([seen(context, *part, recipe.pools, images, report) for part in parts])
    model, folder = context.model(recipe, seed, report)
    return shown(model, images, wanted & recipe.provides, folder, report)


def parts_of(recipe: Recipe, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
    """Return the models that a model is made from, as (recipe, seed)."""
    return recipe.parts(seed, seeds) if isinstance(recipe, MadeOfOthers) else ()


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


def wanted_views(jobs: Iterable[Job], recipe: Recipe) -> frozenset[View]:
    """Return the views that the methods on a recipe read of one forward pass."""
    read = recipe.provides & {"logits", "log_density"}  # what tells how good the model is
    return frozenset(read.union(*(job.method.detector.reads for job in jobs if job.recipe == recipe)) & NET_VIEWS)


def model_record_key(context: Context, recipe: Recipe, seed: int) -> str:
    """Return the content address of a model's record: all that its numbers and outcomes depend on."""
    matrix, sets = context.matrix, context.sets
    return digest(
        context.key(recipe, seed).digest,
        source_digest("oodbench.run.quality", "oodbench.run.attack"),
        matrix.model_dump(mode="json", exclude={"methods"}),
        {f"{role} {name}": images.sha256() for name, role, images in sets},
        CAST,
    )


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
