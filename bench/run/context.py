"""A matrix and where it runs: its images, its subjects, its attacks, and the content address of each record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bench.contract import MadeOfOthers, Recipe, View
from bench.data.attack_cards import find_attack
from bench.data.images import Images
from bench.data.matrix import Matrix
from bench.run.attack import Attempt, attempts
from bench.run.plan import Job, judge_of
from bench.run.sets import Sets, classes, open_sets
from bench.run.subjects import CAST, SubjectKey, shown, trained
from bench.run.workspace import Workspace
from bench.store import digest, source_digest
from bench.subjects.train import Report, silent
from bench.subjects.views import NET_VIEWS, Trained


@dataclass(frozen=True)
class Context:
    """A matrix and where it runs."""

    matrix: Matrix
    workspace: Workspace

    @property
    def sets(self) -> Sets:
        """The images; opened once a process."""
        return open_sets(self.matrix, self.workspace.data)

    def key(self, recipe: Recipe, seed: int) -> SubjectKey:
        """Return what identifies a subject, and the subjects that it is made from."""
        outliers = self.sets.outliers
        sha256 = outliers.sha256() if outliers is not None and "outliers" in recipe.wants else None
        parts = tuple(self.key(part, its_seed) for part, its_seed in parts_of(recipe, seed, self.matrix.seeds))
        return SubjectKey(recipe, seed, classes(self.matrix), self.sets.train.sha256(), sha256, parts)

    def subject(self, recipe: Recipe, seed: int, report: Report) -> tuple[Trained, Path]:
        """Return a subject, and its folder in the cache."""
        key = self.key(recipe, seed)
        sets, workspace = self.sets, self.workspace
        subject = trained(key, sets.train, workspace.cache, workspace.torch_device, report, sets.outliers)
        return subject, key.folder(self.workspace.cache)


@runtime_checkable
class Pooled(Protocol):
    """A recipe whose subject is its parts asked together: what it shows follows from what they have shown."""

    @property
    def pools(self) -> frozenset[View]:
        """The views of each part that it takes."""

    def pool(self, parts: Sequence[Mapping[View, Any]]) -> Mapping[View, Any]:
        """Return what the subject shows of inputs, given what each part shows of them."""


def seen(
    context: Context, recipe: Recipe, seed: int, wanted: frozenset[View], images: Images, report: Report = silent
) -> Mapping[View, Any]:
    """Return what a subject shows of a set, in one forward pass if it is not in the cache; a pool asks its parts."""
    if isinstance(recipe, Pooled):
        parts = parts_of(recipe, seed, context.matrix.seeds)
        return recipe.pool([seen(context, *part, recipe.pools, images, report) for part in parts])
    subject, folder = context.subject(recipe, seed, report)
    return shown(subject, images, wanted & recipe.provides, folder, report)


def parts_of(recipe: Recipe, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
    """Return the subjects that a subject is made from, as (recipe, seed)."""
    return recipe.parts(seed, seeds) if isinstance(recipe, MadeOfOthers) else ()


def attacked(
    context: Context, subject: Trained, folder: Path, report: Report
) -> tuple[dict[str, Attempt], Images | None]:
    """Return the matrix's attacks on a subject's test images, and the attacked validation images that fooled it."""
    matrix, sets = context.matrix, context.sets
    found: dict[str, Attempt] = {}
    for wanted in matrix.attacks:
        attack = find_attack(wanted.attack)
        found |= attempts(wanted.attack, attack, wanted.n, subject, sets.test, folder, report)
    held_out = matrix.adversarial_validation
    if held_out is None:
        return found, None
    attack = find_attack(held_out.attack)
    tuning = attempts(held_out.attack, attack, held_out.n, subject, sets.validation, folder, report)[held_out.attack]
    return found, tuning.images.take(np.flatnonzero(tuning.fooled)) if tuning.fooled.any() else None


def wanted_views(jobs: Iterable[Job], recipe: Recipe) -> frozenset[View]:
    """Return the views that the methods on a recipe read of one forward pass."""
    read = recipe.provides & {"logits", "log_density"}  # what tells how good the subject is
    return frozenset(read.union(*(job.method.detector.reads for job in jobs if job.recipe == recipe)) & NET_VIEWS)


def record_key(context: Context, job: Job) -> str:
    """Return the content address of a record: all that its numbers depend on."""
    matrix, sets = context.matrix, context.sets
    judge = judge_of(job.recipe, matrix)
    return digest(
        context.key(job.recipe, job.seed).digest,
        context.key(judge, job.seed).digest,
        job.entry.source,
        source_digest("bench.run.examine", "bench.run.attack", "bench.measure.cells"),
        job.method.detector,
        job.method.search,
        matrix.model_dump(mode="json", exclude={"methods"}),
        {f"{role} {name}": images.sha256() for name, role, images in sets},
        CAST,
    )
