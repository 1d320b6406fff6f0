"""`oodbench evaluate`: a classifier by name, data by paths and names, a report in a folder and on the terminal."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oodbench.contract import Material
from oodbench.data.matrix import find_matrix
from oodbench.errors import BadSetting
from oodbench.recipes import Plain
from oodbench.result import Result
from oodbench.result.report import summary
from oodbench.run.evaluate import evaluate
from oodbench.run.registry import registry
from oodbench.run.sets import open_sets
from oodbench.sources.named import NamedModel, load_model, named_object
from oodbench.sources.stored import StoredModel

STORED = "stored"
"""Stands for a model whose outputs were stored: `stored`, or `stored:HEAD.npz`."""


def judge(arguments: argparse.Namespace) -> str:
    """Evaluate what a command line asks for, write the report, and return what to print.

    Raises:
        BadSetting: Options contradict one another.
        OodbenchError: As `oodbench.evaluate`.
    """
    sets = _sets(arguments)
    result = evaluate(
        _model(arguments),
        methods=arguments.methods or _able(sets),
        attacks=arguments.attacks if arguments.attacks is not None else sets.pop("attacks", ()),
        transform=_transform(arguments.transform),
        classes=_names(arguments.classes),
        head=arguments.head,
        layers=arguments.layers or (),
        pool=arguments.pool,
        device=arguments.device,
        batch=arguments.batch,
        gradient_batch=arguments.gradient_batch,
        workers=arguments.workers,
        cache=arguments.cache,
        seed=arguments.seed,
        **{name: given for name, given in sets.items() if name != "attacks"},
    )
    return f"{summary(result)}\n\n{_kept(result, arguments.out)}"


def _kept(result: Result, out: Path | None) -> str:
    if out is None:
        return "nothing is kept: --out FOLDER writes the report, its pictures and all scores"
    result.save(out)
    return f"wrote {out / 'report.md'}, its pictures, metrics.csv and scores.parquet"


def _model(arguments: argparse.Namespace) -> NamedModel | StoredModel:
    name = arguments.model
    if name == STORED or name.startswith(f"{STORED}:"):
        return StoredModel(name.partition(":")[2] or None)
    return load_model(
        name, network=arguments.network, weights=arguments.weights, mean=arguments.mean, std=arguments.std
    )


def _sets(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the sets as `evaluate` takes them: those of a matrix, or those that were named."""
    if arguments.matrix is None:
        if arguments.test is None:
            raise BadSetting("give --test DATA, held-out images with classes (or --matrix NAME, and its sets are read)")
        return {
            "train": arguments.train,
            "test": arguments.test,
            "validation": arguments.validation,
            "failures": _by_name("--failures", arguments.failures),
            "ood_validation": _by_name("--ood-validation", arguments.ood_validation),
        }
    if given := [f"--{name}" for name in ("train", "test", "validation", "failures") if getattr(arguments, name)]:
        raise BadSetting(f"got --matrix and {given[0]}; a matrix names all of its sets: leave one out")
    matrix = find_matrix(arguments.matrix)
    sets = open_sets(matrix, arguments.data)
    return {
        "train": sets.train,
        "test": sets.test,
        "validation": sets.validation,
        "failures": dict(sets.ood),
        "ood_validation": dict(sets.tuning),
        "attacks": tuple(one.attack for one in matrix.attacks),
    }


def _by_name(option: str, given: Sequence[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given or ():
        name, equals, data = one.partition("=")
        if not equals or not name or not data:
            name, data = Path(one).stem or one, one
        if name in found:
            raise BadSetting(f"{option}: two sets are named {name!r}; name them: NAME={data}")
        found[name] = data
    return found


def _able(sets: Mapping[str, Any]) -> list[str]:
    """Return the methods that judge a given classifier and need no more than there is."""
    offered: set[Material] = {"labels"} if sets["train"] is not None else set()
    offered |= {"validation"} if sets["validation"] is not None else set()
    offered |= {"ood_validation"} if sets["ood_validation"] else set()
    return [
        name
        for name, entry in sorted(registry().items())
        if isinstance(entry.method.recipe, Plain) and entry.method.materials <= offered
    ]


def _transform(given: str | None) -> Any:
    """Return a user's own transform, MODULE:NAME.

    Raises:
        BadSetting: There is none of that name.
    """
    if given is None:
        return None
    module, colon, name = given.partition(":")
    if not colon:
        raise BadSetting(f"--transform: got {given!r}; expected MODULE:NAME, a callable that takes a PIL picture")
    try:
        return named_object(module, name)
    except ImportError as error:
        raise BadSetting(f"--transform {given}: {error}") from error


def _names(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(
            f"--classes {path}: cannot be read ({error}); expected a name a line, in the model's order"
        ) from error
