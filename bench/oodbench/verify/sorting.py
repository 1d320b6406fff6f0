"""Every field of every file, sorted: recomputed, cross-checked, or only re-runnable. A test finds a field that is not.

"recomputed": made anew from the scores and outcomes, and compared. "cross-checked": held against what this repository
declares (methods, matrices, cards, pins) or against other files. "re-runnable": whatever stands there is taken until
the command is run that makes it again; it is bounded, and that is all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel

from oodbench.records import SEAL
from oodbench.report.numbers import COLUMNS
from oodbench.report.rank_table import COLUMNS as RANK_COLUMNS
from oodbench.reruns import COLUMNS as RERUN_COLUMNS
from oodbench.schema import Cost, ModelRecord, Record

How = Literal["recomputed", "cross-checked", "re-runnable"]

RERUN = "oodbench verify {matrix} --rerun 0.02"
REMAKE = "oodbench run {matrix} --methods {method} --seeds {seed} --results elsewhere"
CHECK = "oodbench check {method}"
PLAN = "oodbench plan {matrix} --methods {method}"
TABLE = "oodbench table"
DIAGNOSE = "oodbench diagnose {diagnostic} {matrix} --method {method} --seed {seed}"
HISTORY = "git show {commit}"


@dataclass(frozen=True)
class Sorted:
    """How a field is verified.

    Attributes:
        how: Of the three.
        by: What it is held against; of what is only re-runnable, the command.
    """

    how: How
    by: str


def _checked(*by: str) -> Sorted:
    return Sorted("cross-checked", ", ".join(by))


def _computed(by: str) -> Sorted:
    return Sorted("recomputed", by)


def _again(command: str = RERUN) -> Sorted:
    return Sorted("re-runnable", command)


METHOD, MATRIX, PATH, FILES = "what the method declares", "the matrix", "its own path", "the files beside it"

RECORD = {
    SEAL: _computed("all else in the file"),
    "schema_version": _checked("the schema of today"),
    "status": _checked(METHOD, FILES),
    "reason": _again(PLAN),
    "matrix": _checked(PATH),
    "method": _checked(PATH, METHOD),
    "seed": _checked(PATH, MATRIX),
    "title": _checked(METHOD),
    "citation.authors": _checked(METHOD),
    "citation.title": _checked(METHOD),
    "citation.year": _checked(METHOD),
    "citation.url": _checked(METHOD),
    "parameters.given": _checked(METHOD),
    "parameters.default": _checked(METHOD),
    "parameters.chosen": _again(),
    "parameters.undecided": _again(),
    "checked": _again(CHECK),
    "facts": _again(),
    "tuning_access": _checked(METHOD, MATRIX),
    "fits_on_labels": _checked(METHOD),
    "recipe": _checked(METHOD, MATRIX, "the record of its model"),
    "scale": _checked(MATRIX),
    "in_set": _checked(MATRIX),
    "data.*.card_sha256": _checked("the card"),
    "data.*.data_sha256": _checked("pins", "other records of the matrix"),
    "data.*.split": _checked(MATRIX),
    "data.*.n": _checked(MATRIX),
    "versions": _checked(METHOD),
    "source_sha256": _again(HISTORY),
    "behaviour": _checked("records of the same source, class of machine and release of torch"),
    "key": _again(PLAN),
    "git.commit": _again(HISTORY),
    "git.dirty": _checked("false: the code is in a commit"),
    "packages": _again(),
    "environment.device": _checked("environment.machine"),
    "environment.threads": _again(),
    "environment.dtype": _checked(MATRIX),
    "environment.python": _again(),
    "environment.platform": _again(),
    "environment.machine": _checked("the record of its model", "environment.device"),
    "passes.forward": _checked("records of the same parameters"),
    "passes.gradient": _checked("records of the same parameters"),
    "cells.*.status": _again(PLAN),
    "cells.*.reason": _again(PLAN),
    "cells.*.failure": _checked(MATRIX, "the scores"),
    "cells.*.name": _checked(MATRIX, "the scores"),
    "members": _checked(METHOD, MATRIX),
    **{f"adaptive.*.{name}": _computed("the scores") for name in ("n", "fooled", "success_rate")},
    **{f"adaptive.*.{name}": _again() for name in ("mean_linf", "mean_l2", "unmoved", "flat", "mean", "std")},
    "model.name": _checked("the record of the model"),
    "model.sha256": _computed("the record of the model"),
    "reference.name": _checked("the record of the model"),
    "reference.sha256": _computed("the record of the model"),
    "scores_sha256": _computed("the scores"),
}

PROBABILITIES = (
    "ece_10",
    "ece_15",
    "rms_calibration",
    "mad_calibration",
    "soft_f1",
    "oce",
    "oce_share",
    "brier",
    "nll",
)
OF_CLASSES = ("classwise_ece", "ib_inn_ece", "ib_inn_mce", "ib_inn_ice")
"""Of a classifier's probabilities, which no file of results holds."""

MODEL = {
    SEAL: _computed("all else in the file"),
    "schema_version": _checked("the schema of today"),
    "matrix": _checked(PATH),
    "name": _checked(PATH),
    "seed": _checked(PATH, MATRIX),
    "recipe": _checked("the records that stand on it"),
    "quality.accuracy": _computed("the outcomes"),
    "quality.parameters": _checked("other seeds"),
    "quality.n_test": _computed("the outcomes"),
    **{f"quality.{name}": _again() for name in PROBABILITIES},
    **{f"calibration.plain.{name}": _checked("quality, where the same number stands") for name in PROBABILITIES},
    **{f"calibration.plain.{name}": _again() for name in OF_CLASSES},
    "calibration.temperature": _again(),
    **{f"calibration.scaled.{name}": _again() for name in (*PROBABILITIES, *OF_CLASSES)},
    "bits_per_dimension": _computed("the scores, where they are log p; else only a re-run"),
    "attacks.*.n": _computed("the outcomes"),
    "attacks.*.fooled": _computed("the outcomes"),
    "attacks.*.success_rate": _computed("the outcomes"),
    "attacks.*.mean_linf": _again(),
    "attacks.*.mean_l2": _again(),
    "attacks.*.unmoved": _again(),
    "attacks_failed": _again(),
    "corruptions.*.n": _checked(MATRIX),
    "corruptions.*.error": _again(),
    "corruptions.*.clean_error": _computed("the outcomes"),
    "corruptions.*.delta_entropy": _again(),
    "outcomes_sha256": _computed("the outcomes"),
    "key": _again(PLAN),
    "source_sha256": _again(HISTORY),
    "machine": _checked("the records that stand on it"),
}

COST = {name: _again(REMAKE) for name in ("seconds", "cpu_seconds", "gpu_seconds", "passes", "peak_memory_mb")} | {
    name: _again(REMAKE) for name in ("started_at", "workers")
}

SCORES = {
    "kind": _checked(MATRIX),
    "set": _checked(MATRIX),
    "index": _checked(MATRIX, "the outcomes", "the draw of what is corrupted"),
    "score": _again(),
    SEAL: _computed("the scores"),
}

OUTCOMES = {
    "kind": _checked(MATRIX),
    "set": _checked(MATRIX),
    "index": _checked(MATRIX, "which test images are right"),
    "wrong": _again(),
    SEAL: _computed("the outcomes"),
}

METRICS_TABLE = {name: _computed("all scores") for name in (*COLUMNS, "inputs")}
RANKS_TABLE = {name: _computed("all scores") for name in RANK_COLUMNS}

SAMPLE = "oodbench verify {matrix} --rerun {share} --draw {draw}"
RERUNS_TABLE = {name: _again(SAMPLE) for name in RERUN_COLUMNS} | {
    "matrix": _checked("the matrices of this repository"),
    "records": _computed("what came of them"),
}
"""A draw can be made again where the results, and the code's commit, are those of then."""

PINNED = _checked("its sha256 in oodbench/verify/pins.json")

SORTED: dict[str, dict[str, Sorted]] = {
    "record": RECORD,
    "model": MODEL,
    "cost": COST,
    "scores": SCORES,
    "outcomes": OUTCOMES,
    "metrics": METRICS_TABLE,
    "ranks": RANKS_TABLE,
    "reruns": RERUNS_TABLE,
    "claims": {"*": PINNED},
    "reported": {"*": PINNED},
    "superseded": {"*": PINNED},
    "picture": {"*": _again(TABLE)},
    "diagnostic": {"*": _again(DIAGNOSE)},
    "failure": {"*": _again(REMAKE)},
}
"""By the kind of file (`oodbench.verify.walk.PLACES`) and by field; * is a whole file, whatever is in it."""

SCHEMAS: dict[str, type[BaseModel]] = {"record": Record, "model": ModelRecord, "cost": Cost}
"""Files whose fields are sorted one by one, and their schemas; those in `*` have a sha256, or a command, for all."""


def leaves(model: type[BaseModel]) -> Iterator[str]:
    """Yield the fields of a schema, those of models within it by a path: `data.*.n`."""
    for name, field in model.model_fields.items():
        inner = list(_inner(field.annotation))
        if not inner:
            yield name
        for star, part in inner:
            yield from (f"{name}{star}.{leaf}" for leaf in leaves(part))


def _inner(annotation: Any, star: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield star, annotation
    many = getattr(annotation, "__origin__", None) in (dict, tuple, list)
    for part in get_args(annotation):
        yield from _inner(part, ".*" if many else star)


def counts() -> dict[str, int]:
    """Return how many fields are verified how."""
    found = [one.how for fields in SORTED.values() for one in fields.values()]
    return {how: found.count(how) for how in get_args(How)}


def only_by_running() -> dict[str, list[str]]:
    """Return the fields that only a re-run can verify, by the command, each with its file."""
    made: dict[str, list[str]] = {}
    for kind, fields in SORTED.items():
        for name, one in fields.items():
            if one.how == "re-runnable":
                made.setdefault(one.by, []).append(kind if name == "*" else f"{kind}.{name}")
    return made
