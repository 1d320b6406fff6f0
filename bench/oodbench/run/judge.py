"""`oodbench evaluate`: a classifier by name, data by paths and names, a report in a folder and on the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, final

from oodbench.contract import Material
from oodbench.data.matrix import find_matrix
from oodbench.errors import BadSetting, reason
from oodbench.recipes import Plain
from oodbench.result import Result, load
from oodbench.result.kept import FILE
from oodbench.result.report import summary
from oodbench.run.evaluate import evaluate
from oodbench.run.registry import registry
from oodbench.run.sets import open_sets
from oodbench.shown import Page
from oodbench.sources.named import NamedModel, load_model, named_object
from oodbench.sources.stored import StoredModel

STORED = "stored"
"""Stands for a model whose outputs were stored: `stored`, or `stored:HEAD.npz`."""


@final
@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command line asks for: the options of `oodbench evaluate`, whose help says what each is."""

    model: str
    network: str | None = None
    weights: Path | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    head: str | None = None
    layers: Sequence[str] = ()
    pool: str | None = None
    test: str | None = None
    train: str | None = None
    failures: Sequence[str] = ()
    validation: str | None = None
    ood_validation: Sequence[str] = ()
    matrix: str | None = None
    data: Path | None = None
    transform: str | None = None
    classes: Path | None = None
    methods: Sequence[str] | None = None
    attacks: Sequence[str] | None = None
    out: Path | None = None
    cache: Path | None = None
    device: str = "cpu"
    batch: int | None = None
    gradient_batch: int | None = None
    workers: int = 0
    seed: int = 0


def judge(asked: Asked) -> tuple[Page, bool]:
    """Evaluate what a command line asks for, write the report; return what to print, and whether all came about.

    That is: a method had scores, and the report was written. Where it could not be, it is still printed.

    Raises:
        BadSetting: Options contradict one another, or the report's folder cannot be written to.
        OodbenchError: As `oodbench.evaluate`.
    """
    sets, model = _sets(asked), _model(asked)
    if asked.out is not None:
        _check_out(asked.out)
    result = evaluate(
        model,
        methods=asked.methods or _able(sets),
        attacks=asked.attacks if asked.attacks is not None else sets.pop("attacks", ()),
        transform=_transform(asked.transform),
        classes=_names(asked.classes),
        head=asked.head,
        layers=asked.layers,
        pool=asked.pool,
        device=asked.device,
        batch=asked.batch,
        gradient_batch=asked.gradient_batch,
        workers=asked.workers,
        cache=asked.cache,
        seed=asked.seed,
        **{name: given for name, given in sets.items() if name != "attacks"},
    )
    found, (kept, written) = summary(result), _kept(result, asked.out)
    well = any(one.scores is not None for one in result.judged)
    out = asked.out if written else None
    return Page(*found.parts, "", kept, data={**found.data, "out": out}), well and (written or asked.out is None)


def _kept(result: Result, out: Path | None) -> tuple[str, bool]:
    """Return what to say of the report, and whether it was written: where that fails, the numbers are not lost."""
    if out is None:
        return "nothing is kept: --out FOLDER writes the report, its pictures and all scores", False
    try:
        result.save(out)
    except Exception as error:
        return f"--out {out}: the report could not be written whole: {reason(error)}", False
    return f"wrote {out / 'report.md'}, its pictures, metrics.csv and scores.parquet", True


def _check_out(out: Path) -> None:
    """Make the report's folder, where it is absent, and try to write to it: a failure costs nothing yet.

    Raises:
        BadSetting: It cannot be made or written to.
        BadRecord: It holds scores that no result wrote, which are not replaced.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out) as file:
            file.write(b"tried")
    except OSError as error:
        raise BadSetting(f"--out {out}: {error.strerror or error}; expected a folder to write to") from error
    if (out / FILE).exists():
        load(out)


def _model(asked: Asked) -> NamedModel | StoredModel:
    name = asked.model
    if name == STORED or name.startswith(f"{STORED}:"):
        return StoredModel(name.partition(":")[2] or None)
    return load_model(name, network=asked.network, weights=asked.weights, mean=asked.mean, std=asked.std)


def _sets(asked: Asked) -> dict[str, Any]:
    """Return the sets as `evaluate` takes them: those of a matrix, or those that were named."""
    if asked.matrix is None:
        if asked.test is None:
            raise BadSetting("give --test DATA, held-out images with classes (or --matrix NAME, and its sets are read)")
        return {
            "train": asked.train,
            "test": asked.test,
            "validation": asked.validation,
            "failures": _by_name("--failures", asked.failures),
            "ood_validation": _by_name("--ood-validation", asked.ood_validation),
        }
    if given := [f"--{name}" for name in ("train", "test", "validation", "failures") if getattr(asked, name)]:
        raise BadSetting(f"got --matrix and {given[0]}; a matrix names all of its sets: leave one out")
    matrix = find_matrix(asked.matrix)
    sets = open_sets(matrix, asked.data)
    return {
        "train": sets.train,
        "test": sets.test,
        "validation": sets.validation,
        "failures": dict(sets.ood),
        "ood_validation": dict(sets.tuning),
        "attacks": tuple(one.attack for one in matrix.attacks),
    }


def _by_name(option: str, given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
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
