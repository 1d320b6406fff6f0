"""A detector's parameters as JSON and back: what a record holds must be enough to build it again."""

import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from math import isfinite
from typing import Any, TypeVar

from oodbench.errors import BadMethod

T = TypeVar("T")


def to_json(value: Any, place: str = "detector") -> Any:
    """Return a value as JSON holds it: numbers, texts, tuples, frozen sets, dataclasses, functions by name.

    Raises:
        BadMethod: it, or a part of it, is none of these.
    """
    if value is None or type(value) in (bool, int, str) or (type(value) is float and isfinite(value)):
        return value
    if type(value) is tuple:
        return [to_json(part, f"{place}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, frozenset):
        return [to_json(part, place) for part in sorted(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name), f"{place}.{field.name}") for field in fields(value)}
    if callable(value) and _function(name := _name(value)) is value:
        return name
    raise BadMethod(
        f"{place} is {value!r}; a parameter is a finite number, a text, None, a tuple, a frozen set or a frozen "
        f"dataclass of these, or a function at the top of a module"
    )


def from_json(like: T, plain: Any) -> T:
    """Return a value whose parameters are read from JSON; `like` says nothing but their types."""
    made: Any
    if isinstance(like, tuple):
        made = tuple(from_json(part, one) for part, one in zip(like, plain, strict=True))
    elif isinstance(like, frozenset):
        kind = next(iter(like), None)
        made = frozenset(from_json(kind, one) for one in plain)
    elif is_dataclass(like) and not isinstance(like, type):
        made = replace(like, **{name: from_json(getattr(like, name), one) for name, one in plain.items()})
    elif callable(like):
        made = _function(plain)
    else:
        made = plain
    return made  # type: ignore[no-any-return]


def _name(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(sys.modules.get(module), function, None)
