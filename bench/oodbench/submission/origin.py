"""Where a method comes from: the files of its source, in this repository or in a package of its own."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlparse

from oodbench.errors import BadMethod
from oodbench.manifest import MOST_SOURCE, SOURCE_ENDINGS

IN_TREE = "oodbench.methods."

MOST = 500
"""Files of source."""

PASSED_OVER = frozenset({"build", "dist", "results", "submission", "node_modules", "__pycache__"})
"""Folders that hold no source, beside those whose name begins with a dot, and environments."""


@dataclass(frozen=True)
class Origin:
    """Where a method comes from.

    Attributes:
        module: That defines it.
        package: Name and version of its package; None of one of this repository.
        source: Where each file lies, by its path in a submission.
    """

    module: str
    package: str | None
    source: dict[str, Path]


def origin_of(module: str) -> Origin:
    """Return where a module's methods come from.

    Raises:
        BadMethod: Its source is not to be had, or is more than a reviewer reads.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise BadMethod(f"{module} has no file of source; expected a .py file")
    file = Path(spec.origin)
    if module.startswith(IN_TREE):
        return Origin(module, None, _in_tree(file))
    found = _distribution(module)
    source = _of_project(found) or _of_wheel(found)
    if len(source) > MOST:
        raise BadMethod(f"{module}: its package has {len(source)} files of source, expected at most {MOST}")
    return Origin(module, f"{found.metadata['Name']} {found.version}", source)


def _in_tree(file: Path) -> dict[str, Path]:
    test = file.parents[1] / "tests" / "methods" / f"test_{file.stem}.py"
    own = {f"methods/{file.name}": file, f"tests/methods/{test.name}": test}
    return {name: path for name, path in own.items() if path.is_file()}


def _distribution(module: str) -> Distribution:
    top = module.partition(".")[0]
    try:
        return distribution(packages_distributions()[top][0])
    except (KeyError, PackageNotFoundError) as error:
        raise BadMethod(f"{module} is of no installed package; expected one that pip installed") from error


def _of_project(found: Distribution) -> dict[str, Path]:
    """Return the source of a package that was installed from a folder, tests and all; nothing of another."""
    said = json.loads(found.read_text("direct_url.json") or "{}")
    address = urlparse(said.get("url", ""))
    if address.scheme != "file" or "dir_info" not in said:
        return {}
    root = Path(unquote(address.path))
    return {path.relative_to(root).as_posix(): path for path in _text_below(root)} if root.is_dir() else {}


def _of_wheel(found: Distribution) -> dict[str, Path]:
    """Return the source that a package installed."""
    files = [file for file in found.files or () if ".." not in file.parts and not file.parts[0].endswith(".dist-info")]
    there = {file.as_posix(): Path(str(file.locate())) for file in files}
    return {name: path for name, path in there.items() if _is_text(path)}


def _text_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_file() and _is_text(path):
            yield path
        elif path.is_dir() and path.name not in PASSED_OVER and not _is_made(path):
            yield from _text_below(path)


def _is_made(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").exists() or folder.name.endswith((".egg-info", ".dist-info"))


def _is_text(path: Path) -> bool:
    return path.name.endswith(SOURCE_ENDINGS) and path.is_file() and path.stat().st_size <= MOST_SOURCE


def one_module(modules: Iterable[str]) -> str:
    """Return the module that methods have in common.

    Raises:
        BadMethod: They are of several: each is handed in for itself.
    """
    found = sorted(set(modules))
    if len(found) != 1:
        raise BadMethod(f"these methods are of {len(found)} modules, {', '.join(found)}: hand in one at a time")
    return found[0]
