"""Results folders made of drawn scores."""

from pathlib import Path

import numpy as np

from oodbench.records import (
    Attack,
    Attacked,
    CellRecord,
    Citation,
    Environment,
    Git,
    ModelRecord,
    Parameters,
    Passes,
    Record,
    Scores,
    record_paths,
    write_record,
    write_scores,
)


def scores(
    seed: int, shift: float, *, n: int = 200, sets=("hflip", "glyphs"), attacks=("fgsm-8",), m: int = 60
) -> Scores:
    """Draw scores: good ones around `shift`, bad ones around 0."""
    rng = np.random.default_rng([seed, 7])  # the same inputs for every method of a seed
    test, correct = rng.normal(shift, 1, n), rng.random(n) < 0.9
    test[~correct] -= 1
    adversarial = {}
    for attack in attacks:
        for twin in (attack, f"{attack}@uint8"):
            index = np.arange(0, n, 4, dtype=np.int32)
            fooled = correct[index] & (rng.random(len(index)) < 0.6)
            adversarial[twin] = Attacked(rng.normal(0, 1, len(index)).astype(np.float32), index, fooled)
    ood = {name: rng.normal(0, 1, m).astype(np.float32) for name in sets}
    return Scores(test.astype(np.float32), correct, ood, adversarial)


def record(method: str, seed: int, said: Scores | None, *, sha: str | None = None, matrix="toy-v1", **fields) -> Record:
    """Return a record beside those scores."""
    attacked = said.adversarial if said else {}
    return Record(
        matrix=matrix,
        method=method,
        seed=seed,
        title=method.upper(),
        citation=Citation(authors="One", title="T", year=2020, url=f"https://example.org/{method}"),
        parameters=Parameters(),
        **{
            "tuning_access": "none",
            "fits_on_labels": False,
            "scale": "tiny",
            "in_set": "mnist-5k",
            "recipe": {"name": "plain"},
            "model": ModelRecord(accuracy=float(said.correct.mean()), n_test=len(said.test)) if said else ModelRecord(),
        }
        | fields,
        source_sha256="0" * 64,
        git=Git(commit="ab" * 20, dirty=False),
        packages={},
        environment=Environment(device="cpu", threads=1, dtype="float32", python="3.11", platform="any"),
        passes=Passes(forward=1.0, gradient=float(method == "odin")),
        attacks={name: attack(a) for name, a in attacked.items()},
        scores_sha256=sha,
    )


def attack(a: Attacked) -> Attack:
    n, fooled = len(a.index), int(a.fooled.sum())
    return Attack(n=n, fooled=fooled, success_rate=fooled / n, mean_linf=0.03, mean_l2=0.9)


def put(results: Path, method: str, seed: int, said: Scores | None, **fields) -> Path:
    """Write a record, and its scores if it has any; return the record's path."""
    paths = record_paths(results, fields.get("matrix", "toy-v1"), method, seed)
    sha = write_scores(paths.scores, said) if said else None
    write_record(paths.record, record(method, seed, said, sha=sha, **fields))
    return paths.record


def skipped_set(name: str) -> CellRecord:
    return CellRecord(
        failure="ood", name=name, status="skipped", reason=f"{name} is not here; oodbench data get {name}"
    )
