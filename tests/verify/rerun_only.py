"""What passes every check of files, and only a re-run finds; forged in records that a run of the toy has made."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.verify.made import mapped, sealed, setting

from oodbench.outcomes import read_outcomes
from oodbench.records import Scores, model_sha256, read_model, read_scores, write_scores

TOY = "toy-v1"


@dataclass(frozen=True)
class Unseen:
    """One entry; as `tests.verify.catalogue.Forgery`, with what a re-run says of it."""

    kind: str
    what: str
    forge: Callable[[Path], None]
    says: str


def record(dotted: str, value: Any) -> Callable[[Path], None]:
    return lambda root: setting(root / TOY / "msp" / "0.json", dotted, value)


def model(value: Any, *dotted: str) -> Callable[[Path], None]:
    """Set fields of the model's record to one value, and have the record that stands on it name the new content."""

    def forge(root: Path) -> None:
        path = root / TOY / "models" / "plain" / "0.json"
        for name in dotted:
            setting(path, name, value)
        sha256 = model_sha256(read_model(path))

        def rename(content: dict[str, Any]) -> None:
            content["model"]["sha256"] = content["reference"]["sha256"] = sha256

        sealed(root / TOY / "msp" / "0.json", rename)

    return forge


def scores(change: Callable[[Path, Scores], Scores]) -> Callable[[Path], None]:
    def forge(root: Path) -> None:
        path = root / TOY / "msp" / "0.parquet"
        sha256 = write_scores(path, change(root, read_scores(path)))
        setting(root / TOY / "msp" / "0.json", "scores_sha256", sha256)

    return forge


def mirrored(root: Path, own: Scores) -> Scores:
    return mapped(own, lambda values: -values)


def oracle(root: Path, own: Scores) -> Scores:
    """Higher where the classifier is right, as one who has the labels would have it."""
    right = read_outcomes(root / TOY / "models" / "plain" / "0.parquet").correct
    return replace(own, test=(own.test + 3 * right).astype(np.float32))


def nudged(root: Path, own: Scores) -> Scores:
    """The lowest out-set a little lower, each input by another amount."""
    name = sorted(own.ood)[0]
    values = own.ood[name]
    return replace(own, ood={**own.ood, name: (values - 0.4 * np.linspace(0.5, 1, len(values))).astype(np.float32)})


def exchanged(root: Path, own: Scores) -> Scores:
    """Two inputs of the test set have each other's scores: no metric of an out-set moves."""
    right = read_outcomes(root / TOY / "models" / "plain" / "0.parquet").correct
    low, high = int(np.argmin(np.where(right, own.test, np.inf))), int(np.argmax(np.where(right, -np.inf, own.test)))
    test = own.test.copy()
    test[[low, high]] = test[[high, low]]
    return replace(own, test=test)


def shifted(content: dict[str, Any]) -> None:
    content["behaviour"] = {name: [value + 0.5 for value in made] for name, made in content["behaviour"].items()}


RERUN_ONLY = (
    Unseen("scores", "mirrored, everything made anew", scores(mirrored), "AUROC"),
    Unseen("scores", "an oracle over the labels", scores(oracle), "AUROC"),
    Unseen("scores", "nudged: out-set inputs lowered a little", scores(nudged), "AUROC"),
    Unseen(
        "scores",
        "a mistake and a right answer exchange their scores",
        scores(exchanged),
        "misclassification/misclassified: AUROC",
    ),
    Unseen("provenance", "a key of other parameters", record("key", "e" * 64), "key is "),
    Unseen(
        "provenance",
        "behaviour that the code does not have",
        lambda root: sealed(root / TOY / "msp" / "0.json", shifted),
        "behaviour is ",
    ),
    Unseen("parameters", "facts of a fit that was not", record("facts", {"T": 2.0}), "facts is "),
    Unseen("passes", "one pass said, of a method that is alone", record("passes|forward", 4.0), "passes is "),
    Unseen(
        "hashes",
        "of the bytes of a set, in a matrix that nobody pinned",
        record("data|toy-noise|data_sha256", "e" * 64),
        "data is ",
    ),
    Unseen(
        "accuracy",
        "a better calibration, wherever it stands",
        model(0.0001, "quality|ece_15", "calibration|plain|ece_15"),
        "plain.quality is ",
    ),
    Unseen(
        "accuracy",
        "a better calibration after temperature scaling",
        model(0.0001, "calibration|scaled|ece_15"),
        "plain.calibration is ",
    ),
    Unseen("accuracy", "a smaller network", model(12, "quality|parameters"), "plain.quality is "),
    Unseen("counts", "a shorter change of the attack", model(1.0, "attacks|fgsm-64|mean_l2"), "plain.attacks is "),
)


def forged(root: Path) -> dict[str, Any]:
    """Return the record that was forged, for messages."""
    content: dict[str, Any] = json.loads((root / TOY / "msp" / "0.json").read_text())
    return content
