"""How code behaves: what comes out of it on a toy, from inputs to scores, in a second or two a method.

A run on the matrix `toy-v1`, for texts on `toy-words-v1`, cut to one epoch, goes through everything that a real one
does: reading, training, stored outputs, attacks, hand-out, tuning, scores. A few numbers of each step are kept.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oodbench.contract import LOGITS
from oodbench.data.matrix import Matrix, find_matrix
from oodbench.errors import BadMethod
from oodbench.identity import address
from oodbench.models.outputs import OF_EVERY_MODEL, Access, ModelOutputs, given, to_store
from oodbench.recipes import Plain
from oodbench.run.context import Context
from oodbench.run.evaluation import Evaluation, evaluation
from oodbench.run.guard import Made, Numbers, moved
from oodbench.run.machine import machine_class, one_thread
from oodbench.run.plan import Job, sized
from oodbench.run.registry import Registered, registry
from oodbench.run.sealed import seal, unsealed
from oodbench.run.workspace import Workspace
from oodbench.source import source_digest
from oodbench.spaces import SpaceName
from oodbench.store import one_at_a_time
from oodbench.training import Recipe

log = logging.getLogger(__name__)

KEPT = 12
"""Numbers of each set, output or group."""

DIGITS = 9
"""Significant digits that are kept."""

FEW_IMAGES = 4
"""Images whose gradients are taken."""

PIPELINE = "oodbench.run.evaluation"
"""The module through which a method's numbers come about; what it imports is the pipeline."""


TOYS: Mapping[SpaceName, str] = {"images": "toy-v1", "tokens": "toy-words-v1"}
"""The matrix of each space."""


def toy_matrix(space: SpaceName) -> Matrix:
    """Return the matrix that behaviour is tried on: little training, so that rounding stays small across machines."""
    toy = find_matrix(TOYS[space])
    assert toy.training is not None
    return toy.model_copy(update={"training": replace(toy.training, epochs=1)})


def method_source(entry: Registered) -> str:
    """Return the digest of all code that a method's numbers come from."""
    return source_digest(entry.module, *_modules(entry.method.recipe, entry.method.detector), PIPELINE)


def model_source(recipe: Recipe) -> str:
    """Return the digest of all code that a recipe's model, its outputs and the attacks on it come from."""
    return source_digest(*_modules(recipe), "oodbench.run.context")


def model_record_source(recipe: Recipe) -> str:
    """Return the digest of all code that what is recorded of a model comes from, its quality among it."""
    return source_digest(*_modules(recipe), PIPELINE)


def _modules(*values: object) -> list[str]:
    return [type(value).__module__ for value in values]


def method_behaviour(entry: Registered, workspace: Workspace, space: SpaceName) -> Numbers:
    """Return a few of a method's scores of every set of a toy, and what was found of its model.

    Args:
        entry: The method.
        space: Of which toy.
        workspace: Where toys are trained; what lies there is trusted.
    """
    matrix = toy_matrix(space)
    context = Context(matrix, workspace)
    recipe = sized(_on_toy(entry.method.recipe), matrix)
    found = evaluation(context, Job(entry, recipe, 0, matrix.scale))
    scores, quality = found.outcome.scores, found.exam.quality
    facts = quality.accuracy, quality.ece_15, quality.nll, quality.brier
    numbers: dict[str, Iterable[Any]] = {
        "test": scores.test,
        **{f"ood/{name}": values for name, values in scores.ood.items()},
        **{f"adversarial/{name}": attacked.scores for name, attacked in scores.adversarial.items()},
        "model": [fact for fact in facts if fact is not None],
        "bits": list(found.exam.bits.values()),
        "chosen": list(found.outcome.chosen.values()),
        "gradient": _gradient(found),
    }
    return {name: _few(values) for name, values in numbers.items()}


def _gradient(found: Evaluation) -> Iterable[float]:
    """Return the score's derivative by some pixels of the first images; none where there are no such."""
    tuned, model = found.outcome.tuned, found.exam.model
    x = torch.from_numpy(found.exam.test.batch(slice(0, FEW_IMAGES)))
    outputs = ModelOutputs(model, x, Access(tuned.detector.reads | OF_EVERY_MODEL))
    try:
        slope = outputs.grad(lambda batch: tuned.detector.score(tuned.state, batch))
    except BadMethod:
        return ()
    rows = slope.flatten(1)
    return (*rows.abs().sum(dim=1).tolist(), *rows[0, :: max(1, rows.shape[1] // 8)].tolist())


def model_behaviour(recipe: Recipe, workspace: Workspace, space: SpaceName) -> Numbers:
    """Return a few numbers of a toy model: its weights, its outputs, the attacked images.

    Args:
        recipe: As yet unsized.
        workspace: As in `method_behaviour`.
        space: Of which toy.
    """
    matrix = toy_matrix(space)
    context = Context(matrix, workspace)
    how = sized(recipe, matrix)
    model, _ = context.model(how, 0)
    wanted = to_store(given(how.provides, space))
    numbers = {"weights": _few(float(weight.double().norm()) for weight in model.net.state_dict().values())}
    for output, value in sorted(context.outputs(how, 0, wanted, context.sets.test).items()):
        parts = value if isinstance(value, tuple) else (value,)
        numbers[f"outputs/{output}"] = _few(np.concatenate([_of_images(part.numpy()) for part in parts]))
    if LOGITS in how.provides:
        for name, attempt in context.attacked(how, 0).made.items():
            numbers[f"attacks/{name}"] = _few(attempt.images.batch(slice(0, KEPT)).mean(axis=(1, 2, 3)))
    return numbers


def _of_images(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Return a number for each of the first images: a weighted mean of its values, so that their order counts."""
    rows = values[:KEPT].reshape(len(values[:KEPT]), -1).astype(np.float64)
    weights = 1 + np.arange(rows.shape[1]) / max(1, rows.shape[1])
    found: npt.NDArray[np.float64] = rows @ weights / rows.shape[1]
    return found


def _few(values: Iterable[Any]) -> list[float]:
    numbers = np.fromiter((float(value) for value in values), dtype=np.float64)
    chosen = numbers[np.unique(np.linspace(0, len(numbers) - 1, KEPT).astype(int))] if len(numbers) else numbers
    return [float(f"{number:.{DIGITS}g}") for number in chosen]


@dataclass(frozen=True)
class ToyGuard:
    """Tries code on the toy when its behaviour is asked for, and remembers it below `<cache>/toy`, by the code.

    Attributes:
        matrix: Whose models are guarded: it says which recipe a sized one comes from.
        workspace: The run's own.
    """

    matrix: Matrix
    workspace: Workspace

    def made_model(self, recipe: Recipe) -> Made:
        """Return how this code trains and asks a recipe's model; of a recipe that no method has, its code alone."""
        source, plain = model_source(recipe), self._unsized(recipe)
        if plain is None:
            return Made(source, self._machine)
        name = f"model-{address(plain)[:20]}"
        space = self.matrix.space.name
        return self._made(name, source, source, lambda folders: model_behaviour(plain, folders, space))

    def moved_in_model(self, recipe: Recipe, made: Made) -> frozenset[str]:
        """Return the groups of numbers in which this code differs from what made a recipe's model."""
        if made.source == model_source(recipe):
            return frozenset()
        return moved(self.made_model(recipe), made)

    def made_method(self, entry: Registered) -> Made:
        """Return how this code scores by a method."""
        source = method_source(entry)
        models = model_source(entry.method.recipe)
        space = self.matrix.space.name
        return self._made(entry.method.name, source, models, lambda folders: method_behaviour(entry, folders, space))

    def moved_in_method(self, entry: Registered, made: Made) -> frozenset[str]:
        """Return the groups of numbers in which this code differs from what made a method's record."""
        return frozenset() if made.source == method_source(entry) else moved(self.made_method(entry), made)

    @property
    def _machine(self) -> str:
        return machine_class(self.workspace.device)

    def _made(self, name: str, source: str, models: str, tried: Callable[[Workspace], Numbers]) -> Made:
        """Return what is remembered of this code, or try it now."""
        root = self.workspace.cache / "toy"
        path = root / source[:20] / TOYS[self.matrix.space.name] / f"{name}.json"
        toys = replace(self.workspace, results=root / "results", cache=root / models[:20])
        if made := self._remembered(path):
            return made
        with one_at_a_time(toys.cache / ".lock"):  # two seeds at once would train one toy into one folder
            if made := self._remembered(path):
                return made
            try:
                with one_thread():  # as in a run: a fit of many steps amplifies the last bits
                    made = Made(source, self._machine, tried(toys))
            except Exception as error:  # a method may be unable to stand a toy, whatever it does to real data
                log.warning("%s cannot be tried on the toy (%s: %s)", name, type(error).__name__, error)
                return Made(source, self._machine)
            seal(path, (), made=asdict(made))
            return made

    def _remembered(self, path: Path) -> Made | None:
        """Return what was remembered there, if this class of machine has made it."""
        facts = unsealed(path)
        return Made(**facts["made"]) if facts is not None and facts["made"]["machine"] == self._machine else None

    def _unsized(self, recipe: Recipe) -> Recipe | None:
        return _on_toy(recipe) if recipe.given() else _unsized(self.matrix).get(recipe)


def _on_toy(recipe: Recipe) -> Recipe:
    """Return what a recipe is on a toy: a plain classifier is trained there in the place of a given one."""
    return Plain() if recipe.given() else recipe


@cache
def _unsized(matrix: Matrix) -> dict[Recipe, Recipe]:
    """Return every method's recipe by what it is when it is sized for a matrix."""
    return {sized(one.method.recipe, matrix): one.method.recipe for one in registry().values()}
