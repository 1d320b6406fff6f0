"""What code does, as a digest: provenance of a record, and the sign that its behaviour has to be checked anew.

A digest says that code is *another*, never that it does otherwise: to it, an error text and a formula are one.
What makes a number another number is declared, see `oodbench.identity`.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from oodbench.store import digest

OURS = "oodbench"


@cache
def source_digest(*modules: str) -> str:
    """Return the sha256 of modules' code, of ours that they import, and of their own packages' that they import.

    Comments, docstrings and layout do not count. A relative import is followed as an absolute one is.

    Example:
        >>> source_digest("oodbench.methods.msp") == source_digest("oodbench.methods.msp")
        True
    """
    followed = {OURS, *(_root(module) for module in modules)}
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen[name], imported = _behaviour(name)
            waiting += [other for other in imported if _root(other) in followed and _is_module(other)]
    return digest(seen)


def _root(module: str) -> str:
    return module.split(".")[0]


@cache
def _behaviour(module: str) -> tuple[str, tuple[str, ...]]:
    """Return a module's digest and the names that it imports, of modules and of what is in them."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return "", ()
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
    return hashlib.sha256(_outline(tree).encode()).hexdigest(), tuple(_imports(tree, package))


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module that is imported from: `from ..fits import x` in package a.b is from a.fits."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


@cache
def _is_module(name: str) -> bool:
    """Return whether a name is a module's; to look for one, Python imports the packages that it is in."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def _outline(node: Any) -> str:
    """Return a tree's text without docstrings and positions, the same under every Python version."""
    if isinstance(node, list):
        return "[" + ",".join(_outline(item) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list):
            value = [child for child in value if not _is_text(child)]
        if value not in (None, []) and name != "type_comment":
            parts.append(f"{name}={_outline(value)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
