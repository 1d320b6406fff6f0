"""What would run: every (method, seed) of a matrix, as a job or as a skip with its reason. Touches no tensor."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from oodbench.contract import LOG_DENSITY, LOGITS, NETWORK, Material, Method, TuningAccess
from oodbench.data.matrix import Matrix
from oodbench.errors import BadSetting
from oodbench.forward_precision import WHOLE, told
from oodbench.models.outputs import given, of_a_pass, to_store
from oodbench.recipes import Plain
from oodbench.run.registry import Registered, find
from oodbench.run.rows import on_models
from oodbench.spaces import SpaceName
from oodbench.training import Recipe, Scale

R = TypeVar("R", bound=Recipe)

Access: TypeAlias = TuningAccess | Literal["ood_val_same"]
"""Held-out data that a row is tuned on; `_same`: other images of an out-set that it is then tested on."""


@dataclass(frozen=True)
class Job:
    """One record to make."""

    entry: Registered
    recipe: Recipe
    seed: int
    scale: Scale

    @property
    def method(self) -> Method:
        """The method with the detector of the scale, its recipe as yet unsized."""
        return self.entry.method.sized(self.scale)


@dataclass(frozen=True)
class Skip:
    """One record that cannot be made, and why."""

    entry: Registered
    recipe: Recipe
    seed: int
    scale: Scale
    reason: str

    @property
    def method(self) -> Method:
        """The method, as of a job."""
        return self.entry.method.sized(self.scale)


def offers(matrix: Matrix) -> frozenset[Material]:
    """Return the materials that a matrix has."""
    held: set[Material] = {"labels", "validation"}
    if matrix.tuning_ood or matrix.tuning_same:
        held.add("ood_validation")
    if matrix.adversarial_validation:
        held.add("adversarial_validation")
    if matrix.outliers:
        held.add("outliers")
    return frozenset(held)


def tuning_access(matrix: Matrix, method: Method) -> Access:
    """Return what a row of a matrix is tuned on: a method's own answer, and whether the set is the one tested."""
    own = method.tuning_access
    return "ood_val_same" if own == "ood_val" and (matrix.tuning_same or matrix.tuning_shares_source) else own


def sized(recipe: R, matrix: Matrix) -> R:
    """Return a recipe as a matrix trains it; one of a given model as it is.

    Raises:
        BadSetting: The matrix is given its models, and trains none.
    """
    if recipe.given() is not None:
        return recipe
    if matrix.training is None:
        raise BadSetting(_trains(recipe, matrix))
    return recipe.sized(matrix.scale, matrix.training)


def plan(matrix: Matrix, entries: Iterable[Registered], seeds: Iterable[int]) -> list[Job | Skip]:
    """Return a job or a skip for every method and seed, methods in the order given, each on every given model.

    Raises:
        UnknownName: The matrix tries an adaptive attack on a method that there is not.
    """
    _check_adaptive(matrix)
    planned: list[Job | Skip] = []
    for entry in on_models(matrix, entries):
        scale, recipe = matrix.scale, entry.method.recipe
        reason = None
        if matrix.training is None and recipe.given() is None:
            reason = _trains(recipe, matrix)
        else:
            recipe = sized(recipe, matrix)
            reason = (
                why_not(entry.method, recipe, offers(matrix), matrix.space.name)
                or recipe.refuses(matrix.space)
                or _too_coarse(entry.method, recipe, matrix)
            )
        for seed in seeds:
            planned.append(Skip(entry, recipe, seed, scale, reason) if reason else Job(entry, recipe, seed, scale))
    return planned


def _check_adaptive(matrix: Matrix) -> None:
    for name in dict.fromkeys(name for one in matrix.adaptive for name in one.methods):
        find([name])


def why_not(method: Method, recipe: Recipe, offered: frozenset[Material], space: SpaceName) -> str | None:
    """Return why a method cannot run in a space where these materials are offered, or None."""
    if space not in recipe.spaces:
        return f"{type(recipe).__name__} models take {', '.join(sorted(recipe.spaces))}, and these inputs are {space}"
    blind = method.detector.reads - given(recipe.provides, space)
    if blind:
        return (
            f"reads {', '.join(map(str, sorted(blind)))}, which {type(recipe).__name__} models of {space} do not have"
        )
    lacking = method.materials - offered
    return f"needs {', '.join(sorted(lacking))}, which is not offered here" if lacking else None


def _too_coarse(method: Method, recipe: Recipe, matrix: Matrix) -> str | None:
    """Return why a method does not run where forward passes are below float32, or None.

    No row is of two precisions: what asks the network itself, or reads what is not stored, computes that in float32.
    """
    if matrix.forward_precision == WHOLE:
        return None
    whole, precision = told(matrix.name)[0], matrix.forward_precision
    if LOG_DENSITY in recipe.provides:
        return f"its model is a density, whose log p {precision} rounds away; it runs on {whole}"
    reads = method.detector.reads
    if own := (reads & {NETWORK}) | (of_a_pass(reads) - to_store(reads)):
        names = ", ".join(map(str, sorted(own)))
        return f"reads {names}, by float32 passes of its own, and all else here is of {precision}; it runs on {whole}"
    return None


def reference_of(recipe: Recipe, matrix: Matrix) -> Recipe:
    """Return the recipe of the reference classifier: the model's own, or for a density the plain one."""
    return recipe if LOGITS in recipe.provides else sized(Plain(), matrix)


def _trains(recipe: Recipe, matrix: Matrix) -> str:
    name, models = type(recipe).__name__, ", ".join(model.name for model in matrix.model)
    return f"trains a network of its own ({name}), and {matrix.name} judges classifiers that it is given: {models}"


def part(planned: Sequence[Job | Skip], which: int, parts: int) -> list[Job | Skip]:
    """Return one of several parts of a plan; what stands on one model is in one part, so that it is trained once.

    Args:
        planned: The plan.
        which: From 0.
        parts: How many.
    """
    models = list(dict.fromkeys((item.recipe, item.seed) for item in planned))
    own = {model for place, model in enumerate(models) if place % parts == which}
    return [item for item in planned if (item.recipe, item.seed) in own]
