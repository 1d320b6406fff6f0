"""Reading a TOML file into a frozen model: unknown keys and values outside the vocabulary are errors for people."""

import re
import tomllib
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from oodbench.data.folder import cards_folder as cards_folder
from oodbench.data.folder import toml_files as toml_files
from oodbench.errors import BadCard


class Fixed(BaseModel):
    """A value read from a file: frozen, and without room for keys nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


M = TypeVar("M", bound=Fixed)


def read_toml(path: Path, model: type[M]) -> M:
    """Return the model that a TOML file describes.

    Raises:
        BadCard: The file cannot be read, is not TOML, has an unknown key, or a value outside the vocabulary; all faults
            are listed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadCard(f"{path} cannot be read ({error.strerror or error}); expected a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCard(f"{path.name} is not a TOML file: {error}.") from error
    return parse(content, model, path.name)


def parse(content: dict[str, Any], model: type[M], name: str) -> M:
    """Return the model that a mapping describes; `name` stands in the error."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = [_fault(one, model, content) for one in error.errors()]
        raise BadCard(f"{name} breaks the schema of a {_title(model)}:\n  " + "\n  ".join(faults)) from error


def _title(model: type[Fixed]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", model.__name__).lower()


def _fault(fault: Any, model: type[Fixed], content: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in fault["loc"]) or "the whole file"
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{place}: unknown key{_nearest(str(fault['loc'][-1]), _keys(model))}"
    got = _at(content, fault["loc"])
    said = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" + (f", got {got!r}" if isinstance(got, str | int | float) else "")


def _keys(model: type[Any]) -> set[str]:
    """Return every key of a model and of the models and dataclasses inside it."""
    if is_dataclass(model):
        return {field.name for field in fields(model)}
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys |= {name} | {key for inner in _models(field.annotation) for key in _keys(inner)}
    return keys


def _models(annotation: Any) -> list[type[Any]]:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def _nearest(got: str, known: set[str]) -> str:
    near = get_close_matches(got, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _at(content: Any, place: tuple[Any, ...]) -> Any:
    """Return the value at a place of nested content, or None: unions put words in the place that are no keys."""
    for part in place:
        if (isinstance(content, dict) and part in content) or (isinstance(content, list) and isinstance(part, int)):
            content = content[part]
    return content
