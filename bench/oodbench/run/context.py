"""A matrix and where it runs: its images, its models and their outputs, its attacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.contract import LOGITS, Output
from oodbench.data.given import weights_file
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import Matrix
from oodbench.errors import MissingData
from oodbench.forward_precision import WHOLE
from oodbench.models.outputs import Trained
from oodbench.models.train import Report, silent
from oodbench.run.absent import missing
from oodbench.run.attack import Attacks, Crafter, Target, attack_all
from oodbench.run.guard import Guard
from oodbench.run.models import ModelKey, is_trained, model_name, refresh, trained
from oodbench.run.outputs import outputs_of
from oodbench.run.plan import Job, sized
from oodbench.run.sets import Sets, in_set, open_sets
from oodbench.run.workspace import Workspace
from oodbench.training import Recipe

ANSWER: frozenset[Output] = frozenset({LOGITS})
"""What a classifier is asked for."""


@dataclass(frozen=True)
class AttackedValidation:
    """An attack on validation images.

    Attributes:
        fooling: The attacked images that fooled the classifier; None where none did, or nothing was asked for.
        failed: Why it was not made, where it failed.
    """

    fooling: Inputs | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Context:
    """A matrix and where it runs.

    Attributes:
        matrix: The matrix.
        workspace: Folders and device.
        guard: Checks what other code left in the cache; None trusts it.
    """

    matrix: Matrix
    workspace: Workspace
    guard: Guard | None = None

    @property
    def sets(self) -> Sets:
        """The images; opened once a process."""
        return open_sets(self.matrix, self.workspace.data)

    def require(self, jobs: Iterable[Job]) -> Sets:
        """Return the images, where nothing is absent that jobs cannot do without.

        Raises:
            MissingData: The in-set, a set that is tuned or trained on, or the weights of a given model are not here.
            BadData: One of these sets is damaged.
        """
        sets, place = self.sets, self.workspace
        for recipe, seed in dict.fromkeys((job.recipe, job.seed) for job in jobs):
            model = recipe.given()
            if model is None or is_trained(self.key(recipe, seed), place.cache, place.torch_device):
                continue
            try:
                weights_file(self.matrix, model, seed, place.data)
            except MissingData as error:
                raise missing(self.matrix, place.data, error) from error
        return sets

    def key(self, recipe: Recipe, seed: int) -> ModelKey:
        """Return what identifies a model, and the models that it is made from."""
        outliers = self.sets.outliers
        sha256 = outliers.sha256() if outliers is not None and "outliers" in recipe.wants else None
        parts = tuple(self.key(part, its_seed) for part, its_seed in recipe.parts(seed, self.matrix.seeds))
        return ModelKey(recipe, seed, in_set(self.matrix), self.sets.train.sha256(), sha256, parts)

    def name(self, recipe: Recipe) -> str:
        """Return what results call the model of a recipe."""
        return model_name(recipe, lambda one: sized(one, self.matrix))

    def folder(self, recipe: Recipe, seed: int) -> Path:
        """Return a model's folder in the cache."""
        return self.key(recipe, seed).folder(self.workspace.cache, self.workspace.torch_device)

    def kept(self, recipe: Recipe, seed: int) -> Path:
        """Return where a model's outputs and attacks are kept: below its folder, where its passes are not float32."""
        precision, folder = self.matrix.forward_precision, self.folder(recipe, seed)
        return folder if precision == WHOLE else folder / precision

    def model(self, recipe: Recipe, seed: int, report: Report = silent) -> tuple[Trained, Path]:
        """Return a model, trained or loaded now unless it is in the cache, and its folder there."""
        key = self.key(recipe, seed)
        sets, workspace = self.sets, self.workspace
        device = workspace.torch_device
        given = partial(weights_file, self.matrix, root=workspace.data)
        model = trained(key, sets.train, workspace.cache, device, report, sets.outliers, self.guard, given)
        return model, key.folder(workspace.cache, device)

    def outputs(
        self, recipe: Recipe, seed: int, wanted: frozenset[Output], images: Inputs, report: Report = silent
    ) -> Mapping[Output, Any]:
        """Return a model's outputs of a set, in one forward pass if the cache has none; a pool asks its parts."""
        if pool := recipe.pool():
            parts = recipe.parts(seed, self.matrix.seeds)
            return pool.combine([self.outputs(*part, pool.takes, images, report) for part in parts])
        refresh(self.folder(recipe, seed), recipe, self.guard)
        kept, precision = self.kept(recipe, seed), self.matrix.forward_precision
        model = partial(self.model, recipe, seed, report)
        return outputs_of(lambda: model()[0], images, wanted & recipe.provides, kept, report, precision)

    def attacked(
        self, recipe: Recipe, seed: int, report: Report = silent, beside: frozenset[Output] = ANSWER
    ) -> Attacks:
        """Return the matrix's attacks on a classifier's test images.

        Args:
            recipe: Of the classifier.
            seed: Of the classifier.
            report: Told of the progress.
            beside: Outputs that are stored in the same pass as the logits of the attacked images.
        """
        wanted = {one.attack: one.n for one in self.matrix.attacks}
        return attack_all(wanted, self._target(recipe, seed, report, beside), self.sets.test, report)

    def attacked_validation(
        self, recipe: Recipe, seed: int, report: Report = silent, beside: frozenset[Output] = ANSWER
    ) -> AttackedValidation:
        """Return the matrix's attack on a classifier's validation images; the arguments are those of `attacked`."""
        wanted = self.matrix.adversarial_validation
        if wanted is None:
            return AttackedValidation()
        target = self._target(recipe, seed, report, beside)
        attacks = attack_all({wanted.attack: wanted.n}, target, self.sets.validation, report)
        if attacks.failed:
            return AttackedValidation(failed=f"{wanted.attack} on validation images: {attacks.failed[wanted.attack]}")
        found = attacks.made[wanted.attack]
        return AttackedValidation(found.images.take(np.flatnonzero(found.fooled)) if found.fooled.any() else None)

    def _target(self, recipe: Recipe, seed: int, report: Report, beside: frozenset[Output]) -> Target:
        return Target(
            self._crafters(recipe, seed, report),
            lambda images: self.outputs(recipe, seed, ANSWER | beside, images, report)[LOGITS],
            self.kept(recipe, seed),
        )

    def _crafters(self, recipe: Recipe, seed: int, report: Report) -> dict[str, Crafter]:
        """Return the classifiers that attacks on one may be crafted on."""
        own = {"itself": Crafter(lambda: self.model(recipe, seed, report)[0])}
        another = self.matrix.seed_after(seed)
        if another == seed:
            return own
        name = self.key(recipe, another).address
        return own | {"another-seed": Crafter(lambda: self.model(recipe, another, report)[0], name)}
