"""Results folders made of drawn scores."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from oodbench.outcomes import Fooled, Outcomes, outcomes_sha256, write_outcomes
from oodbench.records import (
    Attack,
    CellRecord,
    Changed,
    Citation,
    Environment,
    Git,
    ModelRecord,
    ModelUsed,
    Parameters,
    Passes,
    Quality,
    Record,
    Scores,
    model_paths,
    model_sha256,
    record_paths,
    write_model,
    write_record,
    write_scores,
)


@dataclass(frozen=True)
class Hit:
    """An attack: scores of the attacked images, their places, whether they fooled the classifier."""

    scores: np.ndarray
    index: np.ndarray
    fooled: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """What a detector says, and what the classifier does that it judges."""

    test: np.ndarray
    correct: np.ndarray
    ood: dict[str, np.ndarray] = field(default_factory=dict)
    adversarial: dict[str, Hit] = field(default_factory=dict)

    @property
    def scores(self) -> Scores:
        attacked = {name: Changed(hit.scores, hit.index) for name, hit in self.adversarial.items()}
        return Scores(self.test, self.ood, attacked)

    @property
    def outcomes(self) -> Outcomes:
        return Outcomes(self.correct, {name: Fooled(hit.index, hit.fooled) for name, hit in self.adversarial.items()})


def scores(
    seed: int, shift: float, *, n: int = 200, sets=("hflip", "glyphs"), attacks=("fgsm-8",), m: int = 60
) -> Drawn:
    """Draw scores: good ones around `shift`, bad ones around 0."""
    rng = np.random.default_rng([seed, 7])  # the same inputs for every method of a seed
    test, correct = rng.normal(shift, 1, n), rng.random(n) < 0.9
    test[~correct] -= 1
    adversarial = {}
    for attack in attacks:
        for twin in (attack, f"{attack}@uint8"):
            index = np.arange(0, n, 4, dtype=np.int32)
            fooled = correct[index] & (rng.random(len(index)) < 0.6)
            adversarial[twin] = Hit(rng.normal(0, 1, len(index)).astype(np.float32), index, fooled)
    ood = {name: rng.normal(0, 1, m).astype(np.float32) for name in sets}
    return Drawn(test.astype(np.float32), correct, ood, adversarial)


def record(method: str, seed: int, *, matrix="made-v1", **fields) -> Record:
    """Return a record."""
    return Record(
        matrix=matrix,
        method=method,
        seed=seed,
        **{
            "title": method.upper(),
            "parameters": Parameters(),
            "citation": Citation(authors="One", title="T", year=2020, url=f"https://example.org/{method}"),
            "tuning_access": "none",
            "fits_on_labels": False,
            "scale": "tiny",
            "in_set": "mnist-5k",
            "recipe": {"name": "plain"},
        }
        | fields,
        source_sha256="0" * 64,
        git=Git(commit="ab" * 20, dirty=False),
        packages={},
        environment=Environment(device="cpu", threads=1, dtype="float32", python="3.11", platform="any"),
        passes=Passes(forward=1.0, gradient=float(method == "odin")),
    )


def attack(hit: Hit) -> Attack:
    n, fooled = len(hit.index), int(hit.fooled.sum())
    return Attack(n=n, fooled=fooled, success_rate=fooled / n, mean_linf=0.03, mean_l2=0.9)


def put_model(results: Path, name: str, seed: int, said: Drawn | None, *, matrix="made-v1", **fields) -> ModelUsed:
    """Write the record of a model, and what it does if it classifies."""
    paths = model_paths(results, matrix, name, seed)
    judged = {}
    if said is not None:
        quality = Quality(accuracy=float(said.correct.mean()), n_test=len(said.test))
        attacks = {one: attack(hit) for one, hit in said.adversarial.items()}
        judged = {"quality": quality, "attacks": attacks, "outcomes_sha256": outcomes_sha256(said.outcomes)}
        write_outcomes(paths.outcomes, said.outcomes)
    model = ModelRecord(matrix=matrix, name=name, seed=seed, **{"recipe": {"name": name}} | judged | fields)
    write_model(paths.record, model)
    return ModelUsed(name=name, sha256=model_sha256(model))


def put(results: Path, method: str, seed: int, said: Drawn | None, *, model="plain", density=None, **fields) -> Path:
    """Write a record and, if it has any, its scores and models; return the record's path.

    Args:
        results: The folder.
        method: Its name.
        seed: Its seed.
        said: What it says.
        model: Name of the classifier that it judges.
        density: Name of the density that it stands on, if that is another model.
        fields: Of the record, or (`quality`, `corruptions`, `bits_per_dimension`) of a model.
    """
    matrix = fields.get("matrix", "made-v1")
    paths = record_paths(results, matrix, method, seed)
    quality = {name: fields.pop(name) for name in ("quality", "corruptions") if name in fields}
    bits = {"bits_per_dimension": fields.pop("bits_per_dimension")} if "bits_per_dimension" in fields else {}
    if said is not None:
        own = {} if density else bits
        reference = put_model(results, model, seed, said, matrix=matrix, **quality, **own)
        stands_on = put_model(results, density, seed, None, matrix=matrix, **bits) if density else reference
        sha256 = write_scores(paths.scores, said.scores)
        fields |= {"model": stands_on, "reference": reference, "scores_sha256": sha256}
    write_record(paths.record, record(method, seed, **fields))
    return paths.record


def skipped_set(name: str, failure: str = "ood") -> CellRecord:
    return CellRecord(
        failure=failure, name=name, status="skipped", reason=f"{name} is not here; oodbench data get {name}"
    )
