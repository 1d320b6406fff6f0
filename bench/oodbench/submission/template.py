"""`oodbench new`: a method and its test to start from. As they are written they pass `oodbench check` and the test."""

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from oodbench import listed
from oodbench.errors import BadMethod, BadSetting
from oodbench.store import atomically
from oodbench.verify.walk import skeleton

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""Of a new method; its file has underscores for the hyphens."""

LONGEST = 40


@dataclass(frozen=True)
class Files:
    """What is written, by the path of each file below a folder, and what to do then."""

    folder: Path
    texts: dict[str, str]
    then: str


def new(name: str, folder: Path, *, package: bool) -> Files:
    """Write a method and its test; nothing that is there is written over.

    Args:
        name: Of the method.
        folder: A clone of oodbench, or of a package the folder to write it to.
        package: Write a package of its own rather than two files in the clone.

    Raises:
        BadMethod: The name is taken, looks like one that is, or cannot be one.
        BadSetting: A file is there already, or the folder is no clone.
    """
    _check(name)
    files = _package(name, folder) if package else _in_tree(name, folder)
    for path in files.texts:
        if (folder / path).exists():
            raise BadSetting(f"{folder / path}: is there already, and nothing is written over it")
    for path, text in files.texts.items():
        with atomically(folder / path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return files


def _check(name: str) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST or name[0].isdigit():
        raise BadMethod(
            f"a method cannot be named {name!r}: expected at most {LONGEST} small letters, digits and single hyphens, "
            f"a letter first, as nearest-mean"
        )
    for line in listed.rows():
        if line.name == name or line.module.rpartition(".")[2] == _module(name):
            raise BadMethod(f"{name} is taken, by {line.module}; take another name")
        if skeleton(line.name) == skeleton(name):
            raise BadMethod(f"{name} looks like {line.name}, which is another method; take another name")


def _in_tree(name: str, folder: Path) -> Files:
    if not (folder / "methods").is_dir() or not (folder / "bench" / "oodbench").is_dir():
        raise BadSetting(
            f"{folder}: is no clone of oodbench; run it in one, or write a package: oodbench new {name} --package ."
        )
    module = _module(name)
    said = _names(name) | {"imported": f"oodbench.methods.{module}"}
    texts = {f"methods/{module}.py": METHOD.substitute(said), f"tests/methods/test_{module}.py": TEST.substitute(said)}
    return Files(
        folder,
        texts,
        f"make gallery                                # the method is listed\n"
        f"oodbench check {name}\n"
        f"python -m pytest tests/methods/test_{module}.py",
    )


def _package(name: str, folder: Path) -> Files:
    own = f"oodbench_{_module(name)}"
    said = _names(name) | {"imported": own, "own": own}
    texts = {
        "pyproject.toml": PYPROJECT.substitute(said),
        f"{own}.py": METHOD.substitute(said),
        f"test_{own}.py": TEST_OF_PACKAGE.substitute(said),
    }
    return Files(
        folder, texts, f"python -m pip install --editable {folder}\npython -m pytest {folder}\noodbench check {name}"
    )


def _module(name: str) -> str:
    return name.replace("-", "_")


def _names(name: str) -> dict[str, str]:
    words = name.split("-")
    return {"name": name, "title": " ".join(words).capitalize(), "Class": "".join(word.capitalize() for word in words)}


METHOD = Template('''\
"""$title: a first line that says what it scores.

Authors, "Title of the paper", venue and year.

    mu_c = mean of f over class c (training set),   s(x) = -min_c || f(x) - mu_c ||

Replace all this by the paper's formula in its symbols, and say where other code differs from it.

Fails where classes are no round clouds: a long one reaches far from its own mean.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.contract import FEATURES, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Means(NamedTuple):
    """What it learns: mu, the mean of the features of each class."""

    mu: Float[Tensor, "C F"]


@final
@dataclass(frozen=True)
class $Class:
    """Minus the distance to the nearest class mean; fields are hyper-parameters.

    Attributes:
        p: Of the norm.
    """

    p: float = 2.0

    version: ClassVar[int] = 1  # raise it whenever scores move
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    def fit(self, data: FitData) -> Means:
        """Return the class means of the training features."""
        f, y = data.train.features, data.train.labels
        return Means(torch.stack([f[y == c].mean(dim=0) for c in range(data.classes)]))

    def score(self, state: Means, batch: Outputs) -> Float[Tensor, "n"]:
        """Return one number an input, of this input alone; higher = more to be trusted."""
        return -torch.cdist(batch.features, state.mu, p=self.p, compute_mode=EXACT).amin(dim=1)


EXACT = "donot_use_mm_for_euclid_dist"
"""A sum over pairs, whose rounding does not depend on the size of the batch."""

METHODS = (
    Method(
        name="$name",
        title="$title",
        family="features",
        paper=Citation(authors="Authors", title="Title of the paper", year=None, url=None),
        recipe=Plain(),
        detector=$Class(),
    ),
)
''')

TEST = Template('''\
"""$name against a loop over the formula, in float64."""

import numpy as np
from $imported import $Class

from oodbench.contract import FEATURES


def by_loops(f: np.ndarray, y: np.ndarray, x: np.ndarray) -> list[float]:
    mu = [f[y == c].sum(axis=0) / (y == c).sum() for c in sorted(set(y.tolist()))]
    return [-min(float(np.sqrt(((row - mean) ** 2).sum())) for mean in mu) for row in x]


def test_score_by_loops(lab) -> None:
    f, x = (lab.all(inputs)[FEATURES].numpy() for inputs in (lab.train[0], lab.test))
    np.testing.assert_allclose(lab.score($Class(), lab.test), by_loops(f, lab.train[1].numpy(), x), rtol=1e-9)
''')

TEST_OF_PACKAGE = Template('''\
"""$name: every law of oodbench, and a loop over the formula in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from $imported import METHODS, $Class

from oodbench.check.conformance import checks_of


@pytest.mark.parametrize("check", [check for method in METHODS for check in checks_of(method)], ids=str)
def test_it_keeps_every_law(check) -> None:
    verdict = check.run()
    assert verdict.well, verdict


def by_loops(f: np.ndarray, y: np.ndarray, x: np.ndarray) -> list[float]:
    mu = [f[y == c].sum(axis=0) / (y == c).sum() for c in sorted(set(y.tolist()))]
    return [-min(float(np.sqrt(((row - mean) ** 2).sum())) for mean in mu) for row in x]


def test_score_by_loops() -> None:
    rng = np.random.default_rng(0)
    f, y, x = rng.normal(size=(30, 4)), np.arange(30) % 3, rng.normal(size=(7, 4))
    train = SimpleNamespace(features=torch.from_numpy(f), labels=torch.from_numpy(y))
    state = $Class().fit(SimpleNamespace(train=train, classes=3))
    scores = $Class().score(state, SimpleNamespace(features=torch.from_numpy(x)))
    np.testing.assert_allclose(scores, by_loops(f, y, x), rtol=1e-9)
''')

PYPROJECT = Template("""\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "oodbench-$name"
version = "0.1.0"
description = "$title: a detector of classifier failures, for oodbench"
requires-python = ">=3.11.4"
dependencies = ["oodbench"]

[project.entry-points."oodbench.methods"]
$name = "$own:METHODS"

[tool.setuptools]
py-modules = ["$own"]
""")
