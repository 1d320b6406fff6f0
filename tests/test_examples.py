"""Examples in docstrings run as doctests, offline, and every public function has one.

What is public is what the pages of docs/api list.
"""

import doctest
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import oodbench
from oodbench.measure.ranking import count

ROOT = Path(__file__).resolve().parents[1]
DIRECTIVE = re.compile(r"^::: ([\w.]+)\n(?:    options:\n      members: \[([^\]]*)\])?", re.MULTILINE)


def listed() -> list[tuple[str, tuple[str, ...] | None]]:
    """Return what the reference lists: a dotted name, and the names in it where not all are."""
    found = []
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        for name, members in DIRECTIVE.findall(page.read_text()):
            found.append((name, tuple(re.findall(r"\w+", members)) if members else None))
    return found


def resolved(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        home, _, last = name.rpartition(".")
        return getattr(resolved(home), last)


def public_functions() -> dict[str, Any]:
    """Return every public function, and the methods of what `oodbench` itself exports."""
    found = {}
    for name, members in listed():
        thing = resolved(name)
        if isinstance(thing, ModuleType):
            names = members or [key for key in vars(thing) if not key.startswith("_")]
            inside = {f"{name}.{key}": getattr(thing, key) for key in names}
            found |= {key: one for key, one in inside.items() if _made_in(one, name) and inspect.isfunction(one)}
        elif inspect.isfunction(thing):
            found[name] = thing
        elif name.startswith("oodbench.") and name.count(".") == 1:
            found[name] = thing
            if not issubclass(thing, nn.Module | oodbench.StoredOutputs):  # their methods are for the harness
                methods = vars(thing).items()
                found |= {f"{name}.{key}": one for key, one in methods if inspect.isfunction(one) and key[0] != "_"}
    return found


def _made_in(one: Any, module: str) -> bool:
    return getattr(one, "__module__", "") == module


def modules() -> list[str]:
    """Return the modules whose source has an example."""
    inside = (ROOT / "bench").rglob("*.py")
    having = [path.relative_to(ROOT / "bench") for path in inside if ">>> " in path.read_text(encoding="utf-8")]
    return sorted(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in having)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """Return the names that docs/api/index.md says an example has, and the libraries."""
    chance = torch.Generator().manual_seed(0)
    pixels = torch.rand(360, 1, 8, 8, generator=chance)
    classes = (pixels[:, 0, :4].mean(dim=(1, 2)) > pixels[:, 0, 4:].mean(dim=(1, 2))).long()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))
    parts = {"x": pixels[:200], "x_test": pixels[200:280], "x_held_out": pixels[280:]}
    labels = {"y": classes[:200], "y_test": classes[200:280], "y_held_out": classes[280:]}
    strange = torch.zeros(40, 1, 8, 8)
    strange[:, :, ::2] = torch.rand(40, 1, 4, 8, generator=chance)
    given = parts | labels | {"strange": strange}
    result = oodbench.evaluate(
        model,
        train=(given["x"], given["y"]),
        test=(given["x_test"], given["y_test"]),
        failures={"strange": given["strange"]},
        methods=["msp", "knn"],
    )
    at_hand = {"oodbench": oodbench, "np": np, "torch": torch, "Path": Path, "count": count}
    return {**at_hand, "model": model, "result": result, **given}


@pytest.mark.parametrize("module", modules())
def test_examples_run(module, names, tmp_path, monkeypatch):
    home = importlib.import_module(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "results").symlink_to(ROOT / "results")
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(exclude_empty=True).find(home, globs={**vars(home), **names}):
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
    assert runner.tries


def test_every_public_function_has_an_example():
    functions = public_functions()
    assert len(functions) > 60
    without = [name for name, one in functions.items() if ">>> " not in (inspect.getdoc(one) or "")]
    assert not without, f"no example: {', '.join(without)}"


def test_what_oodbench_exports_is_in_the_reference():
    assert {f"oodbench.{name}" for name in oodbench.__all__} <= {name for name, _ in listed()}
