"""The content address of a record: all that its numbers depend on."""

from collections.abc import Iterator
from typing import Any

from oodbench.contract import Approximated, Method
from oodbench.data.attack_cards import find_adaptive, find_attack
from oodbench.data.matrix import Matrix
from oodbench.given import method_of
from oodbench.identity import PROTOCOL, address
from oodbench.run.context import Context
from oodbench.run.plan import Job, reference_of
from oodbench.training import Recipe

NOT_CONTENT = {"title", "methods", "reproduces", "model"}
"""What matrices say that no number depends on; of a given model all that matters is in its recipe."""


def record_key(context: Context, job: Job) -> str:
    """Return the content address (sha256, hex) of a record.

    It is the same on every machine, of every release, and after every edit that raises no version.
    """
    matrix, method = context.matrix, job.method
    return address(
        PROTOCOL,
        context.key(job.recipe, job.seed).address,
        context.key(reference_of(job.recipe, matrix), job.seed).address,
        method.detector,
        method.search,
        content(matrix),
        {f"{role} {name}": images.sha256() for name, role, images in context.sets},
        *_followed(matrix, method),
    )


def _followed(matrix: Matrix, method: Method) -> Iterator[str]:
    """Yield what adaptive attacks on a method climb, where that is not its score."""
    attacked = any(not one.methods or method_of(method.name) in one.methods for one in matrix.adaptive)
    if attacked and isinstance(method.detector, Approximated):
        yield "differentiable"


def model_record_key(context: Context, recipe: Recipe, seed: int) -> str:
    """Return the content address (sha256, hex) of the record of a model: all that is in it depends on."""
    data = {f"{role} {name}": images.sha256() for name, role, images in context.sets}
    return address(PROTOCOL, context.key(recipe, seed).address, content(context.matrix), data)


def content(matrix: Matrix) -> dict[str, Any]:
    """Return what numbers depend on of a matrix and of the attacks that it names: fields that differ from defaults."""
    attacks = {name: find_attack(name).content() for name in matrix.attack_names}
    attacks |= {one.attack: find_adaptive(one.attack).content() for one in matrix.adaptive}
    said = matrix.model_dump(mode="json", exclude=NOT_CONTENT, exclude_defaults=True)
    return {"matrix": said, "attacks": attacks}
