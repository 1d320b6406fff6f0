"""What a number is the number of: content addresses of declared names, versions and values, never of source text.

A record stands for: the matrix's content, the recipe's and the detector's name, **version** and the fields that differ
from their defaults, the seed, the fingerprints of the data, and `PROTOCOL`. Another release, another error text, a new
field with a default, a new output or network leave every record as current as it was. Whoever changes what comes out
raises a version; golden scores (`tests/golden/scores`) and the check of behaviour at each run see to it.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import FunctionType
from typing import Any

from pydantic import BaseModel

from oodbench.store import digest

PROTOCOL = 1
"""Version of what happens between weights and scores: outputs and their storing, which images are attacked, what a
method is handed to fit and to tune on, quality and calibration of the model. The choice among candidates has its own,
that of `oodbench.contract.Grid`, which is part of what tuned rows alone are the address of."""

TRAINING = 1
"""Version of the training loop: the order of the images, augmentation, optimisers, schedules, what is drawn when."""


NOT_DECLARED = frozenset({"version", "reads", "fits_on", "provides", "wants", "spaces"})
"""Fields that are no parameters: the version stands for itself, and needs say nothing of what comes out."""


def address(*parts: Any) -> str:
    """Return the content address (sha256, hex) of values as they are declared.

    Example:
        >>> from oodbench.methods.knn import NearestNeighbours
        >>> address(NearestNeighbours()) == address(NearestNeighbours(k=50))  # 50 is the default
        True
    """
    return digest(*(declared(part) for part in parts))


def declared(value: Any) -> Any:
    """Return a value as JSON can hold it, and as its identity has it.

    A dataclass is its name, the package that it comes from, its `version` where it has one, and those of its fields
    that differ from their defaults, but for those that two equal ones may differ in; a function is its name; a model
    of pydantic its fields that were not left out.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return _declared_dataclass(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, FunctionType):
        return {"function": _name(value)}
    if isinstance(value, Mapping):
        return {str(key): declared(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [declared(inner) for inner in value]
    if isinstance(value, frozenset | set):
        return sorted((declared(inner) for inner in value), key=repr)
    return value


def _declared_dataclass(value: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"name": _name(type(value))}
    version = getattr(value, "version", None)
    if version is not None:
        said["version"] = version
    for field in fields(value):
        inner = getattr(value, field.name)
        if field.compare and field.name not in NOT_DECLARED and inner != _default(field):
            said[field.name] = declared(inner)
    return said


def _default(field: "Field[Any]") -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _name(value: Any) -> str:
    """Return the package and the name: where in its package a thing stands says nothing of what it is."""
    return f"{value.__module__.split('.')[0]}:{value.__qualname__}"
