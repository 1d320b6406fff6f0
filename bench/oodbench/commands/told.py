"""How verbs answer: plain text to programs, fitted tables to a terminal; with `--json` one JSON value and no more."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

from oodbench.commands.options import option
from oodbench.shown import Page
from oodbench.terminal import is_colourful, is_terminal

UNBOUNDED = 1_000_000
"""Columns of what is no terminal: colours may be forced there, and nothing is broken."""

Json = Annotated[bool, option("--json", help="print JSON")]


def tell(answer: str, as_json: bool, *, well: bool = True, end: str = "\n") -> int:
    """Print an answer on stdout, and `end` after text; return the exit code: 0 where all is well, else 1."""
    if as_json:
        print(as_text(answer.data if isinstance(answer, Page) else answer))
    elif isinstance(answer, Page) and (is_terminal(sys.stdout) or is_colourful(sys.stdout)):
        from oodbench.commands.screen import draw

        draw(answer, sys.stdout, None if is_terminal(sys.stdout) else UNBOUNDED)
    else:
        print(answer, end=end)
    return 0 if well else 1


def tell_rebuilt(page: Path, rebuilt: tuple[str, bool], as_json: bool, *, checked: bool) -> int:
    """Print what came of writing or checking a generated page, and whether all was well; return the exit code."""
    text, well = rebuilt
    data = {"page": page, "checked": checked, "well": well, "said": text.splitlines()}
    return tell(Page(text, data=data), as_json, well=well)


def as_text(data: object) -> str:
    """Return a value as JSON: RFC 8259, so that numbers that are not finite are null."""
    return json.dumps(plain(data() if callable(data) else data), indent=1, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Return a value in the types that JSON has.

    Example:
        >>> plain({"a": (1, float("nan")), "b": {"y", "x"}})
        {'a': [1, None], 'b': ['x', 'y']}
    """
    if isinstance(value, Page):
        return plain(value.data)
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):  # a named tuple
        return plain(value._asdict())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if hasattr(value, "item"):  # a scalar of numpy
        return plain(value.item())
    return str(value)
