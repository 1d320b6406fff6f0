"""A results folder that verifies clean, of drawn scores by the project's own writers, and the tools of a forger."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from oodbench.data.cards import card_sha256, find_card
from oodbench.data.matrix import find_matrix
from oodbench.measure.likelihood import bits_per_dim
from oodbench.outcomes import Fooled, Outcomes, outcomes_sha256, read_outcomes, write_outcomes
from oodbench.records import (
    SEAL,
    Changed,
    Cost,
    DataUsed,
    Environment,
    Git,
    ModelRecord,
    ModelUsed,
    Parameters,
    Passes,
    Quality,
    Record,
    Scores,
    _sha256,
    model_paths,
    model_sha256,
    read_model,
    read_scores,
    record_paths,
    write_cost,
    write_model,
    write_record,
    write_scores,
)
from oodbench.report.entries import collect
from oodbench.report.numbers import keep, numbers
from oodbench.report.rank_table import ranks_csv
from oodbench.report.standings import matrices_of
from oodbench.run.context import Context
from oodbench.run.models import describe
from oodbench.run.plan import plan
from oodbench.run.records import identity
from oodbench.run.registry import find
from oodbench.run.workspace import Workspace
from oodbench.schema import Attack, Calibration, Scaled
from oodbench.store import digest
from oodbench.verify.examine import labels, sizes
from oodbench.verify.pins import pins

MATRIX = "mnist5k-v1"
METHODS = ("glow", "knn", "msp", "odin-tuned")
COMMITTED = Path(__file__).parents[2] / "results"
ENVIRONMENT = Environment(
    device="cpu", threads=1, dtype="float32", python="3.11.7", platform="Linux x86_64", machine="cpu AVX512"
)
PACKAGES = {"numpy": "2.4.6", "oodbench": "0.1.0", "torch": "2.14.1"}
DIMENSIONS = 28 * 28


def make(root: Path) -> Path:
    """Write a results folder of one matrix: four methods of five seeds, a classifier and a density a seed."""
    matrix = find_matrix(MATRIX)
    context = Context(matrix, Workspace(results=root))
    for job in plan(matrix, find(METHODS), matrix.seeds):
        put(root, context, job)
    for name in ("claims.toml", "superseded.toml"):
        shutil.copy(COMMITTED / name, root / name)
    shutil.copytree(COMMITTED / "reported", root / "reported")
    retable(root)
    return root


def put(root: Path, context: Context, job: Any) -> None:
    """Write one record, its scores, its cost and its models."""
    method, seed = job.method.name, job.seed
    paths = record_paths(root, MATRIX, method, seed)
    scores, outcomes = drawn(method, seed)
    reference = classifier(root, job, outcomes)
    model = density(root, job, scores) if method == "glow" else reference
    said = identity(context, job, key=digest("key", method, seed))
    said |= {"git": Git(commit="ab" * 20, dirty=False), "packages": PACKAGES, "environment": ENVIRONMENT}
    if method == "odin-tuned":
        own: Parameters = said["parameters"]
        said["parameters"] = own.model_copy(update={"chosen": {"T": 1000.0, "eps": 0.0014}})
    record = Record(
        **said,
        facts={"T": 1000.0} if method == "odin-tuned" else {},
        behaviour={"test": (0.5, 0.25)},
        data=data_used(),
        passes=Passes(forward=2.0, gradient=1.0) if method == "odin-tuned" else Passes(forward=1.0),
        model=model,
        reference=reference,
        scores_sha256=write_scores(paths.scores, scores),
    )
    write_record(paths.record, record)
    seconds = {"train": 8.5, "evaluate": 0.2}
    write_cost(
        paths.cost, Cost(seconds=seconds, peak_memory_mb=1200.0, started_at=datetime(2026, 11, 28, 8, tzinfo=UTC))
    )


def data_used() -> dict[str, DataUsed]:
    """Return the sets as they are pinned."""
    pinned = pins()["data"][MATRIX]
    return {
        label: DataUsed(card_sha256=card_sha256(find_card(card)), data_sha256=pinned[label]["data"], split=role, n=n)
        for label, (card, role, n) in labels(find_matrix(MATRIX)).items()
    }


def drawn(method: str, seed: int) -> tuple[Scores, Outcomes]:
    """Return scores of a method, and what the classifier of its seed does."""
    known = sizes(find_matrix(MATRIX))
    of_model = np.random.default_rng([seed, 7])
    right = of_model.random(known["test", "test"]) < 0.96
    rng = np.random.default_rng([seed, METHODS.index(method)])
    test = rng.normal(1.5, 1, len(right)) - 1.0 * ~right
    ood, adversarial, fooled = {}, {}, {}
    for (kind, name), n in known.items():
        if kind == "ood":
            ood[name] = rng.normal(0, 1, n).astype(np.float32)
        if kind == "adversarial":
            index = np.flatnonzero(right)[:n].astype(np.int32)
            adversarial[name] = Changed(rng.normal(0.3, 1, n).astype(np.float32), index)
            fooled[name] = Fooled(index, of_model.random(n) < 0.5)
    return Scores(test.astype(np.float32), ood, adversarial), Outcomes(right, fooled)


def classifier(root: Path, job: Any, outcomes: Outcomes) -> ModelUsed:
    """Write the plain classifier of a seed, as msp has it."""
    matrix = find_matrix(MATRIX)
    (plain,) = plan(matrix, find(["msp"]), [job.seed])
    paths = model_paths(root, MATRIX, "plain", job.seed)
    accuracy = float(outcomes.correct.mean())
    quality = {"ece_10": 0.01, "ece_15": 0.012, "mad_calibration": 0.005, "rms_calibration": 0.02, "soft_f1": 0.3}
    quality |= {"oce": 1.1, "oce_share": 0.6, "brier": 0.06, "nll": 0.13}
    of_classes = {"classwise_ece": 0.004, "ib_inn_ece": 0.01, "ib_inn_mce": 0.05, "ib_inn_ice": 0.02}
    plain_numbers = Calibration(**quality, **of_classes)
    model = ModelRecord(
        matrix=MATRIX,
        name="plain",
        seed=job.seed,
        recipe=describe(plain.recipe),
        quality=Quality(**quality, accuracy=accuracy, parameters=77562, n_test=1000),
        calibration=Scaled(
            plain=plain_numbers, temperature=1.5, scaled=plain_numbers.model_copy(update={"ece_15": 0.005})
        ),
        attacks={name: attacked(one) for name, one in outcomes.attacks.items()},
        outcomes_sha256=outcomes_sha256(outcomes),
        key=digest("plain", job.seed),
        source_sha256="0" * 64,
        machine="cpu AVX512",
    )
    write_outcomes(paths.outcomes, outcomes)
    write_model(paths.record, model)
    return ModelUsed(name="plain", sha256=model_sha256(model))


def attacked(one: Fooled) -> Attack:
    n, fooled = len(one.index), int(one.fooled.sum())
    return Attack(n=n, fooled=fooled, success_rate=fooled / n, mean_linf=0.04, mean_l2=0.9, unmoved=2)


def density(root: Path, job: Any, scores: Scores) -> ModelUsed:
    """Write the Glow of a seed, whose bits follow from its scores."""
    sets = {"test": scores.test, **scores.ood}
    model = ModelRecord(
        matrix=MATRIX,
        name="glow",
        seed=job.seed,
        recipe=describe(job.recipe),
        bits_per_dimension={name: bits(values) for name, values in sets.items()},
        key=digest("glow", job.seed),
        source_sha256="0" * 64,
        machine="cpu AVX512",
    )
    write_model(model_paths(root, MATRIX, "glow", job.seed).record, model)
    return ModelUsed(name="glow", sha256=model_sha256(model))


def bits(values: np.ndarray) -> float:
    return float(bits_per_dim(values.astype(np.float64), (1, 28, 28)).mean())


# The tools of a forger who knows the code: whatever is changed is sealed, hashed and measured again.


def retable(root: Path) -> None:
    """Write the tables anew, as `oodbench table` does."""
    shutil.rmtree(root / ".cache", ignore_errors=True)
    entries = collect(root)
    found = numbers(root, entries)
    keep(root, found)
    (root / "ranks.csv").write_text(ranks_csv(matrices_of(entries, found)))
    shutil.rmtree(root / ".cache", ignore_errors=True)


def sealed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON file and seal it again."""
    content = json.loads(path.read_text())
    content.pop(SEAL, None)
    change(content)
    text = json.dumps(content | {SEAL: _sha256(content)}, sort_keys=True, indent=1, ensure_ascii=False)
    path.write_text(text + "\n")


def setting(path: Path, dotted: str, value: Any) -> None:
    """Set one field of a JSON file, and seal it again."""

    def change(content: dict[str, Any]) -> None:
        *way, last = dotted.split("|")
        for step in way:
            content = content[step]
        content[last] = value

    sealed(path, change)


def record_at(root: Path, method: str = "msp", seed: int = 0) -> Path:
    return record_paths(root, MATRIX, method, seed).record


def set_field(root: Path, dotted: str, value: Any, method: str = "msp", seed: int = 0) -> None:
    """Set one field of a record, `data|uniform|n`, and seal it again."""
    setting(record_at(root, method, seed), dotted, value)


def set_all(root: Path, dotted: str, value: Any, method: str = "msp") -> None:
    """Set one field of all records of a method."""
    for seed in find_matrix(MATRIX).seeds:
        set_field(root, dotted, value, method, seed)


def set_model(root: Path, dotted: str, value: Any, name: str = "plain", seed: int = 0) -> None:
    """Set one field of a model's record, seal it, and have all records that stand on it name the new content."""
    path = model_paths(root, MATRIX, name, seed).record
    setting(path, dotted, value)
    rename_model(root, name, seed)


def rename_model(root: Path, name: str = "plain", seed: int = 0) -> None:
    sha256 = model_sha256(read_model(model_paths(root, MATRIX, name, seed).record))

    def change(content: dict[str, Any]) -> None:
        for part in ("model", "reference"):
            if content[part]["name"] == name:
                content[part]["sha256"] = sha256

    for method in METHODS:
        sealed(record_at(root, method, seed), change)


def rescore(
    root: Path, change: Callable[[Scores], Scores], method: str = "msp", seed: int = 0, *, tables: bool = True
) -> None:
    """Change scores, and whatever follows from them."""
    paths = record_paths(root, MATRIX, method, seed)
    sha256 = write_scores(paths.scores, change(read_scores(paths.scores)))
    set_field(root, "scores_sha256", sha256, method, seed)
    if tables:
        retable(root)


def rejudge(root: Path, change: Callable[[Outcomes], Outcomes], seed: int = 0) -> None:
    """Change what a classifier does, and its hash, but not what its record counts."""
    paths = model_paths(root, MATRIX, "plain", seed)
    sha256 = write_outcomes(paths.outcomes, change(read_outcomes(paths.outcomes)))
    set_model(root, "outcomes_sha256", sha256, seed=seed)


def mapped(scores: Scores, change: Callable[[np.ndarray], np.ndarray]) -> Scores:
    """Return scores, each array of them changed."""
    return Scores(
        change(scores.test).astype(scores.test.dtype),
        {name: change(values).astype(values.dtype) for name, values in scores.ood.items()},
        {
            name: Changed(change(one.scores).astype(one.scores.dtype), one.index)
            for name, one in scores.adversarial.items()
        },
    )


def of(root: Path, method: str, seed: int) -> Scores:
    return read_scores(record_paths(root, MATRIX, method, seed).scores)


def table(root: Path, change: Callable[[Any], Any]) -> None:
    """Change the table of numbers."""
    path = root / "metrics.parquet"
    pq.write_table(change(pq.read_table(path)), path, compression="zstd")
