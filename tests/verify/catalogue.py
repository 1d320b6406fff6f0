"""The catalogue: what a forger, or an accident, may do to results, and the message that tells of it.

Each entry starts from a folder that verifies clean (`tests.verify.made`) and changes it. "Careful" forgers seal, hash
and measure again whatever follows from what they change; the others edit a file and leave it at that.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.verify.made import (
    MATRIX,
    METHODS,
    mapped,
    of,
    record_at,
    rejudge,
    rename_model,
    rescore,
    retable,
    sealed,
    set_all,
    set_field,
    set_model,
    setting,
    table,
)

from oodbench.outcomes import Fooled, Outcomes
from oodbench.records import Changed, Scores
from oodbench.reruns import COLUMNS as RERUN_COLUMNS
from oodbench.setfile import Values, read_sets, write_sets


@dataclass(frozen=True)
class Forgery:
    """One entry.

    Attributes:
        kind: What sort of forgery or fault it is.
        what: What is done, for people.
        forge: Does it to a folder.
        file: The file, or folder, that the message names.
        says: What the message says of it.
    """

    kind: str
    what: str
    forge: Callable[[Path], None]
    file: str
    says: str


SCORES = f"{MATRIX}/msp/0.parquet"
RECORD = f"{MATRIX}/msp/0.json"
MODEL = f"{MATRIX}/models/plain/0.json"
OUTCOMES = f"{MATRIX}/models/plain/0.parquet"
RERUNS = "reruns.csv"
OUTSIDE = "0" * 64


def text(root: Path, name: str, old: str, new: str) -> None:
    """Edit a text file by hand."""
    path = root / name
    content = path.read_text()
    assert old in content, f"{old!r} is not in {name}"
    path.write_text(content.replace(old, new, 1))


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(content) and None


def field(dotted: str, value: Any, method: str = "msp", seed: int = 0) -> Callable[[Path], None]:
    return lambda root: set_field(root, dotted, value, method, seed)


def everywhere(dotted: str, value: Any, method: str = "msp") -> Callable[[Path], None]:
    return lambda root: set_all(root, dotted, value, method)


def model(dotted: str, value: Any, name: str = "plain") -> Callable[[Path], None]:
    return lambda root: set_model(root, dotted, value, name)


def scored(change: Callable[[Scores], Scores], *, tables: bool = True) -> Callable[[Path], None]:
    return lambda root: rescore(root, change, tables=tables)


def copied(method: str, seed: int) -> Callable[[Path], None]:
    return lambda root: rescore(root, lambda own: of(root, method, seed), tables=not seed)


def noisy(method: str, seed: int) -> Callable[[Path], None]:
    rng = np.random.default_rng(0)
    return lambda root: rescore(
        root, lambda own: mapped(of(root, method, seed), lambda values: values + 1e-3 * rng.normal(size=len(values)))
    )


def swapped(root: Path) -> None:
    one, other = (root / MATRIX / method / "0.parquet" for method in ("msp", "knn"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def reruns(
    date: str = "2026-11-28", matrix: str = MATRIX, counts: str = "3,0,0,0", machine: str = "cpu AVX512"
) -> Callable[[Path], None]:
    line = f"{date},{matrix},{'ab' * 20},5f0c,0.1,3,{counts},0,{machine}"
    return write(RERUNS, f"{','.join(RERUN_COLUMNS)}\n{line}\n".encode())


def cheat(values: np.ndarray) -> np.ndarray:
    return values + 1


def set_lacking(scores: Scores) -> Scores:
    return replace(scores, ood={name: values for name, values in scores.ood.items() if name != "glyphs"})


def set_more(scores: Scores) -> Scores:
    return replace(scores, ood={**scores.ood, "digits": scores.ood["glyphs"]})


def set_renamed(scores: Scores) -> Scores:
    ood = dict(scores.ood)
    ood["Glyphs"] = ood.pop("glyphs")
    return replace(scores, ood=ood)


def corrupted_more(scores: Scores) -> Scores:
    return replace(scores, corruption={"fog-1": Changed(scores.test[:9], np.arange(9, dtype=np.int32))})


def hard_dropped(scores: Scores) -> Scores:
    return replace(scores, ood={**scores.ood, "glyphs": np.sort(scores.ood["glyphs"])[:900]})


def padded(scores: Scores) -> Scores:
    easy = np.full(100, scores.ood["glyphs"].min(), np.float32)
    more = {"glyphs": np.concatenate([scores.ood["glyphs"], easy]), "uniform": scores.ood["uniform"][:400]}
    return replace(scores, ood=scores.ood | more)


def of_others(scores: Scores) -> Scores:
    attacked = {
        name: Changed(one.scores, np.arange(len(one.index), dtype=np.int32)) for name, one in scores.adversarial.items()
    }
    return replace(scores, adversarial=attacked)


def not_a_number(root: Path) -> None:
    sets, _ = read_sets(root / SCORES, "score", "file")
    test = sets["test", "test"]
    values = test.values.copy()
    values[3] = np.nan
    sets["test", "test"] = Values(test.index, values)
    set_field(root, "scores_sha256", write_sets(root / SCORES, "score", sets))


def oracle(root: Path) -> None:
    """The best of all methods for each input, as one who knows the answer would choose."""
    every = [of(root, method, 0) for method in METHODS]

    def best(own: Scores) -> Scores:
        test = np.max([one.test for one in every], axis=0)
        return replace(own, test=test, ood={name: np.min([one.ood[name] for one in every], 0) for name in own.ood})

    rescore(root, best)


def seed_gone(root: Path) -> None:
    for path in (root / MATRIX / "msp").glob("4.*"):
        path.unlink()
    retable(root)


def seed_added(seed: int) -> Callable[[Path], None]:
    def forge(root: Path) -> None:
        for path in (root / MATRIX / "msp").glob("0.*"):
            shutil.copy(path, path.with_name(path.name.replace("0.", f"{seed}.", 1)))
        setting(root / MATRIX / "msp" / f"{seed}.json", "seed", seed)

    return forge


def method_as(name: str) -> Callable[[Path], None]:
    """Hand msp in under another name."""

    def forge(root: Path) -> None:
        shutil.copytree(root / MATRIX / "msp", root / MATRIX / name)
        for path in (root / MATRIX / name).glob("?.json"):
            setting(path, "method", name)

    return forge


def rivals_gone(root: Path) -> None:
    shutil.rmtree(root / MATRIX / "knn")


def model_of_other_seed(root: Path) -> None:
    for ending in ("json", "parquet"):
        path = root / MATRIX / "models" / "plain" / f"0.{ending}"
        shutil.copy(path.with_name(f"1.{ending}"), path)
    setting(root / MODEL, "seed", 0)
    rename_model(root)


def model_alone(root: Path) -> None:
    path = root / MATRIX / "models" / "plain" / "7.json"
    shutil.copy(root / MODEL, path)
    setting(path, "seed", 7)


def more_right(outcomes: Outcomes) -> Outcomes:
    return replace(outcomes, correct=np.ones_like(outcomes.correct))


def never_fooled(outcomes: Outcomes) -> Outcomes:
    attacks = {name: Fooled(one.index, np.zeros_like(one.fooled)) for name, one in outcomes.attacks.items()}
    return replace(outcomes, attacks=attacks)


def fifo(name: str) -> Callable[[Path], None]:
    def forge(root: Path) -> None:
        (root / name).unlink()
        os.mkfifo(root / name)

    return forge


def link(name: str, target: str) -> Callable[[Path], None]:
    def forge(root: Path) -> None:
        (root / name).unlink()
        (root / name).symlink_to(target)

    return forge


def folder(name: str) -> Callable[[Path], None]:
    def forge(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return forge


def socket(root: Path) -> None:
    import socket as sockets

    (root / RECORD).unlink()
    before = Path.cwd()
    os.chdir((root / RECORD).parent)  # the name of a socket has 108 letters at most
    try:
        with sockets.socket(sockets.AF_UNIX) as one:
            one.bind("0.json")
    finally:
        os.chdir(before)


def many_rows(root: Path) -> None:
    """A gigabyte of equal scores, which pack to a few kilobytes."""
    n = 20_000_000
    scores = pa.table(
        {
            "kind": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), ["test"]),
            "set": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), ["test"]),
            "index": pa.array(np.zeros(n, np.int32)),
            "score": pa.array(np.zeros(n, np.float32)),
        }
    )
    pq.write_table(scores, root / SCORES, compression="zstd", store_schema=False)


def huge_word(root: Path) -> None:
    """A word of 64 megabytes in the dictionary of a column, in a file of a few kilobytes."""
    content = pq.read_table(root / SCORES).to_pydict()
    content["set"][0] = "a" * (64 << 20)
    pq.write_table(pa.table(content), root / SCORES, compression="zstd", store_schema=False)


def key_twice(root: Path) -> None:
    text(root, RECORD, '"seed": 0', '"seed": 0,\n "seed": 0')


def columns_more(root: Path) -> None:
    content = pq.read_table(root / SCORES)
    pq.write_table(content.append_column("code", pa.array(["import os"] * len(content))), root / SCORES)


def unsorted(root: Path) -> None:
    content = pq.read_table(root / SCORES)
    pq.write_table(content.take(np.arange(len(content))[::-1]), root / SCORES, store_schema=False)


def rows_twice(root: Path) -> None:
    content = pq.read_table(root / SCORES)
    places = np.arange(len(content))
    places[1] = 0
    pq.write_table(content.take(places), root / SCORES, store_schema=False)


def foreign_kind(root: Path) -> None:
    values = {("test", "test"): Values(np.arange(9, dtype=np.int32), np.zeros(9, np.float32))}
    sha256 = write_sets(
        root / SCORES, "score", values | {("bonus", "x"): Values(np.zeros(1, np.int32), np.zeros(1, np.float32))}
    )
    set_field(root, "scores_sha256", sha256)


def better(column: str, value: float) -> Callable[[Path], None]:
    """Change one column of the numbers of a method."""

    def change(numbers: pa.Table) -> pa.Table:
        frame = numbers.to_pandas()
        frame.loc[(frame["method"] == "msp") & (frame["metric"] == "auroc"), column] = value
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()

    return lambda root: table(root, change)


def shared_behaviour(root: Path) -> None:
    set_field(root, "behaviour", {"test": [0.5, 0.75]}, seed=1)


def data_of_all(root: Path) -> None:
    for method in METHODS:
        set_all(root, "data|uniform|data_sha256", OUTSIDE, method)


def matrix_unknown(root: Path) -> None:
    shutil.copytree(root / MATRIX, root / "mnist5k-v9")
    for path in (root / "mnist5k-v9").glob("*/?.json"):
        setting(path, "matrix", "mnist5k-v9")


def excused(root: Path) -> None:
    rescore(root, set_lacking, tables=False)
    cell = {"failure": "ood", "name": "glyphs2", "status": "skipped", "reason": "not here"}
    set_field(root, "cells", [cell])


def marked_superseded(root: Path) -> None:
    path = root / "superseded.toml"
    path.write_text(path.read_text() + f'\n[[superseded]]\nmatrix = "{MATRIX}"\nmethods = ["msp"]\nchange = "none"\n')


def unsealed(root: Path) -> None:
    content = json.loads((root / RECORD).read_text())
    del content["seal"]
    (root / RECORD).write_text(json.dumps(content))


def too_many_chosen(root: Path) -> None:
    set_all(root, "parameters|chosen", {"T": 17.0, "eps": 0.0014}, "odin-tuned")


def all_wrong_seed(root: Path) -> None:
    sealed(record_at(root), lambda content: content.update(seed=-1))


def no_cost(root: Path) -> None:
    (root / MATRIX / "msp" / "0.cost.json").unlink()


def cost(dotted: str, value: Any) -> Callable[[Path], None]:
    def forge(root: Path) -> None:
        path = root / MATRIX / "msp" / "0.cost.json"
        content = json.loads(path.read_text())
        content[dotted] = value
        path.write_text(json.dumps(content))

    return forge


def picture(name: str, content: bytes) -> Callable[[Path], None]:
    def forge(root: Path) -> None:
        (root / MATRIX / "figures").mkdir()
        (root / MATRIX / "figures" / name).write_bytes(content)

    return forge


def diagnostic(content: bytes) -> Callable[[Path], None]:
    def forge(root: Path) -> None:
        place = root / "diagnostics" / MATRIX / "glow" / "0"
        place.mkdir(parents=True)
        (place / "samples.json").write_bytes(content)

    return forge


COST = f"{MATRIX}/msp/0.cost.json"
TRACE = f"{MATRIX}/msp/0.failed.txt"
SVG = f"{MATRIX}/figures/overview.svg"
DIAGNOSTIC = f"diagnostics/{MATRIX}/glow/0/samples.json"

CATALOGUE = (
    # Scores.
    Forgery(
        "scores",
        "edited, nothing else",
        lambda r: rescore(r, lambda s: mapped(s, cheat), tables=False) or set_field(r, "scores_sha256", OUTSIDE),
        SCORES,
        "does not match its record",
    ),
    Forgery(
        "scores",
        "edited and hashed, the tables left",
        lambda r: rescore(r, lambda s: replace(s, test=s.test + 1), tables=False),
        "metrics.parquet",
        "of mnist5k-v1, msp, seed 0",
    ),
    Forgery(
        "scores",
        "rounded to one digit, everything made anew",
        scored(lambda s: mapped(s, lambda v: v.round(1))),
        SCORES,
        "has scores that were rounded",
    ),
    Forgery("scores", "all the same", scored(lambda s: mapped(s, lambda v: v * 0)), SCORES, "nothing is ranked"),
    Forgery(
        "scores",
        "mirrored from another method",
        lambda r: rescore(r, lambda s: mapped(of(r, "knn", 0), lambda v: -v)),
        SCORES,
        "mirrored",
    ),
    Forgery("scores", "files of two methods swapped", swapped, SCORES, "does not match its record"),
    Forgery(
        "scores",
        "hard inputs of an out-set dropped",
        scored(hard_dropped, tables=False),
        SCORES,
        "has 900 scores of ood/glyphs, and mnist5k-v1 has 1000 inputs there",
    ),
    Forgery(
        "scores",
        "an out-set padded with easy inputs",
        scored(padded, tables=False),
        SCORES,
        "has 1100 scores of ood/glyphs, and mnist5k-v1 has 1000 inputs there",
    ),
    Forgery(
        "scores",
        "corrupted images of a matrix that has none",
        scored(corrupted_more, tables=False),
        SCORES,
        "has scores of corruption/fog-1, which mnist5k-v1 does not name",
    ),
    Forgery("scores", "rows twice", rows_twice, SCORES, "or one stands there twice"),
    Forgery("scores", "rows in another order", unsorted, SCORES, "not sorted by kind, set and index"),
    Forgery("scores", "another method's on the same model", copied("knn", 0), SCORES, "another method, or nearly"),
    Forgery("scores", "another method's with noise", noisy("knn", 0), SCORES, "another method, or nearly"),
    Forgery(
        "scores",
        "another method's in another unit",
        lambda r: rescore(r, lambda s: mapped(of(r, "knn", 0), lambda v: 3 * v - 2)),
        SCORES,
        "another method, or nearly",
    ),
    Forgery("scores", "another seed's", copied("msp", 1), SCORES, "of other images than those that were attacked"),
    Forgery(
        "scores",
        "another seed's with noise, attacked images put right",
        lambda r: rescore(r, lambda s: replace(mapped(of(r, "msp", 1), cheat), adversarial=s.adversarial)),
        f"{MATRIX}/msp/1.parquet",
        "of another seed or model",
    ),
    Forgery(
        "scores",
        "attacked images exchanged",
        scored(of_others, tables=False),
        SCORES,
        "of other images than those that were attacked",
    ),
    Forgery(
        "scores",
        "NaN among them",
        not_a_number,
        SCORES,
        "1 of 1000 scores are NaN or infinite",
    ),
    Forgery("scores", "taken away", lambda r: (r / SCORES).unlink(), RECORD, "a file of its scores is not there"),
    Forgery("scores", "without a record", lambda r: (r / RECORD).unlink(), SCORES, "without a record"),
    # Sets.
    Forgery("sets", "one dropped", scored(set_lacking, tables=False), SCORES, "has no scores of ood/glyphs"),
    Forgery("sets", "one dropped, and excused under another name", excused, RECORD, "cells names ood/glyphs2"),
    Forgery(
        "sets",
        "one excused that is scored",
        field("cells", [{"failure": "ood", "name": "glyphs", "status": "skipped", "reason": "not here"}]),
        SCORES,
        "has scores of ood/glyphs, which the record says was skipped",
    ),
    Forgery(
        "sets",
        "one added",
        scored(set_more, tables=False),
        SCORES,
        "has scores of ood/digits, which mnist5k-v1 does not name",
    ),
    Forgery("sets", "one renamed by case", scored(set_renamed, tables=False), SCORES, "has scores of ood/Glyphs"),
    Forgery("sets", "a kind of failure that there is none of", foreign_kind, SCORES, "unknown kind 'bonus'"),
    # Numbers.
    Forgery("metrics", "AUROC edited", better("value", 0.999), "metrics.parquet", "value of mnist5k-v1, msp"),
    Forgery("intervals", "narrowed", better("low", 0.99), "metrics.parquet", "low of mnist5k-v1, msp"),
    Forgery("intervals", "raised", better("high", 1.0), "metrics.parquet", "high of mnist5k-v1, msp"),
    Forgery("counts", "more bad inputs said", better("n_bad", 9), "metrics.parquet", "n_bad of mnist5k-v1, msp"),
    Forgery("metrics", "said to be of other inputs", better("inputs", "0" * 16), "metrics.parquet", "inputs of"),
    Forgery(
        "metrics",
        "numbers of a rival dropped",
        lambda r: table(r, lambda t: t.filter(pa.array([one != "knn" for one in t["method"].to_pylist()]))),
        "metrics.parquet",
        "numbers too few",
    ),
    Forgery(
        "metrics",
        "a number twice",
        lambda r: table(r, lambda t: pa.concat_tables([t, t.slice(0, 1)])),
        "metrics.parquet",
        "1 numbers twice",
    ),
    Forgery(
        "metrics",
        "numbers of a method without scores",
        lambda r: table(r, lambda t: pa.concat_tables([t, t.slice(0, 1).set_column(3, "method", [["ours"]])])),
        "metrics.parquet",
        "that no scores make",
    ),
    Forgery(
        "metrics", "the table taken away", lambda r: (r / "metrics.parquet").unlink(), "metrics.parquet", "is not there"
    ),
    Forgery(
        "metrics",
        "the table replaced by another",
        write("metrics.parquet", b"PAR1" + b"\0" * 64 + b"PAR1"),
        "metrics.parquet",
        "cannot be read",
    ),
    Forgery(
        "ranks", "a place edited", lambda r: text(r, "ranks.csv", ",1,", ",2,"), "ranks.csv", "and the scores make"
    ),
    Forgery(
        "ranks",
        "a row dropped",
        lambda r: (r / "ranks.csv").write_text("\n".join((r / "ranks.csv").read_text().split("\n")[:-2]) + "\n"),
        "ranks.csv",
        "is '', and the scores make",
    ),
    # The model.
    Forgery(
        "accuracy",
        "edited by hand",
        lambda r: text(r, MODEL, '"accuracy": 0.9', '"accuracy": 0.99'),
        MODEL,
        "its seal does not fit its content",
    ),
    Forgery(
        "accuracy",
        "edited, sealed, named by all records",
        model("quality|accuracy", 0.999),
        MODEL,
        "quality.accuracy is 0.999, and the outcomes come to",
    ),
    Forgery(
        "accuracy",
        "a model that is always right",
        lambda r: rejudge(r, more_right),
        MODEL,
        "and the outcomes come to 1",
    ),
    Forgery("accuracy", "n_test edited", model("quality|n_test", 10000), MODEL, "quality.n_test is 10000"),
    Forgery(
        "accuracy",
        "a Brier score that this accuracy cannot have",
        model("quality|brier", 1e-6),
        MODEL,
        "quality.brier is 1e-06",
    ),
    Forgery(
        "accuracy",
        "a log loss that this accuracy cannot have",
        model("quality|nll", 1e-6),
        MODEL,
        "quality.nll is 1e-06",
    ),
    Forgery(
        "accuracy",
        "a smaller network said",
        model("quality|parameters", 10),
        f"{MATRIX}/models/plain/1.json",
        "quality.parameters is 77562, and of seed 0 10",
    ),
    Forgery(
        "accuracy",
        "another Brier score before temperature scaling",
        model("calibration|plain|brier", 0.05),
        MODEL,
        "calibration.plain.brier is 0.05, and quality.brier is 0.06: it is one number",
    ),
    Forgery(
        "accuracy",
        "a log loss after temperature scaling that this accuracy cannot have",
        model("calibration|scaled|nll", 1e-6),
        MODEL,
        "calibration.scaled.nll is 1e-06",
    ),
    Forgery(
        "accuracy",
        "a largest gap below the mean one",
        model("calibration|scaled|ib_inn_mce", 0.001),
        MODEL,
        "calibration.scaled.ib_inn_ece is 0.01, more than ib_inn_mce, 0.001",
    ),
    Forgery(
        "accuracy",
        "a classwise calibration error that no classifier has",
        model("calibration|scaled|classwise_ece", 0.9),
        MODEL,
        "calibration.scaled.classwise_ece is 0.9; of 10 classes it is 0.2 at most",
    ),
    Forgery(
        "accuracy",
        "a temperature, and no numbers of it",
        model("calibration|scaled", None),
        MODEL,
        "calibration.temperature is 1.5, and calibration.scaled is not there",
    ),
    Forgery(
        "accuracy",
        "robust to what its matrix does not corrupt",
        model("corruptions", {"fog-1": {"n": 9, "error": 0.0, "clean_error": 0.0, "delta_entropy": 0.0}}),
        MODEL,
        "corruptions stand there, and mnist5k-v1 has none for this model",
    ),
    Forgery(
        "counts",
        "images unmoved that fooled it",
        model("attacks|fgsm-26|unmoved", 599),
        MODEL,
        "attacks.fgsm-26.unmoved is 599, and",
    ),
    Forgery(
        "counts",
        "fewer attacks said to have fooled it",
        model("attacks|fgsm-26|fooled", 1),
        MODEL,
        "attacks.fgsm-26.fooled is 1, and the outcomes come to",
    ),
    Forgery(
        "counts",
        "fewer images said to be attacked",
        model("attacks|fgsm-26|n", 5),
        MODEL,
        "attacks.fgsm-26.n is 5, and the outcomes come to 600",
    ),
    Forgery(
        "counts",
        "a lower success rate",
        model("attacks|fgsm-26|success_rate", 0.01),
        MODEL,
        "attacks.fgsm-26.success_rate is 0.01",
    ),
    Forgery("counts", "nothing fools it", lambda r: rejudge(r, never_fooled), MODEL, "and the outcomes come to 0"),
    Forgery(
        "counts",
        "a stronger attack than its card allows",
        model("attacks|fgsm-26|mean_linf", 0.5),
        MODEL,
        "attacks.fgsm-26.mean_linf is 0.5, and the attack changes a pixel by 0.1",
    ),
    Forgery(
        "counts",
        "a change too long for its pixels",
        model("attacks|fgsm-26|mean_l2", 90.0),
        MODEL,
        "attacks.fgsm-26.mean_l2 is 90",
    ),
    Forgery(
        "bits",
        "lowered",
        model("bits_per_dimension|test", 1.0, "glow"),
        f"{MATRIX}/models/glow/0.json",
        "bits_per_dimension.test is 1, and the scores of glow come to",
    ),
    Forgery(
        "bits",
        "of a set that nobody tests",
        model("bits_per_dimension|imagenet", 1.0, "glow"),
        f"{MATRIX}/models/glow/0.json",
        "bits_per_dimension names 'imagenet'",
    ),
    Forgery(
        "model",
        "of another seed",
        model_of_other_seed,
        f"{MATRIX}/models/plain/1.json",
        "null, or that of another model",
    ),
    Forgery(
        "model", "taken away", lambda r: (r / MODEL).unlink(), RECORD, "names the model plain, seed 0, which is not"
    ),
    Forgery(
        "model",
        "one that nothing stands on",
        model_alone,
        f"{MATRIX}/models/plain/7.json",
        "seed 7 is none of mnist5k-v1",
    ),
    Forgery(
        "model",
        "edited, and its records not",
        lambda r: setting(r / MODEL, "quality|nll", 0.5),
        RECORD,
        "was made with another model plain",
    ),
    Forgery(
        "model",
        "said to be trained otherwise",
        model("recipe", {"name": "plain"}),
        RECORD,
        "recipe is not that of its model plain",
    ),
    Forgery(
        "model",
        "outcomes of another model",
        lambda r: shutil.copy(r / MATRIX / "models" / "plain" / "1.parquet", r / OUTCOMES) and None,
        OUTCOMES,
        "does not match",
    ),
    # What a record says of its method.
    Forgery("passes", "fewer said", field("passes|forward", 0.0), RECORD, "passes.forward is 0"),
    Forgery(
        "passes", "fewer said at one seed", field("passes|forward", 3.0), f"{MATRIX}/msp/1.json", "passes is not as in"
    ),
    Forgery("passes", "more back than forth", field("passes|gradient", 9.0), RECORD, "passes.gradient is 9"),
    Forgery(
        "tuning access",
        "none said",
        everywhere("tuning_access", "none", "odin-tuned"),
        f"{MATRIX}/odin-tuned/0.json",
        "tuning_access is 'none', and the method says 'ood_val'",
    ),
    Forgery(
        "tuning access",
        "no labels said to be fitted on",
        everywhere("fits_on_labels", True),
        RECORD,
        "fits_on_labels is True",
    ),
    Forgery(
        "parameters",
        "a default edited",
        everywhere("parameters|default", {"k": 1}, "knn"),
        f"{MATRIX}/knn/0.json",
        "parameters.default is {'k': 1}",
    ),
    Forgery(
        "parameters",
        "one given that the method has not",
        everywhere("parameters|given", {"T": 2.0}),
        RECORD,
        "parameters.given is {'T': 2.0}",
    ),
    Forgery(
        "parameters",
        "chosen, and no candidate",
        too_many_chosen,
        f"{MATRIX}/odin-tuned/0.json",
        "parameters.chosen.T is 17.0, which is no candidate",
    ),
    Forgery(
        "parameters",
        "chosen by a method that tunes nothing",
        everywhere("parameters|chosen", {"T": 2.0}),
        RECORD,
        "parameters.chosen names ['T']",
    ),
    Forgery("provenance", "another title", everywhere("title", "State of the art"), RECORD, "title is"),
    Forgery("provenance", "another author", everywhere("citation|authors", "Us"), RECORD, "citation is"),
    Forgery("provenance", "versions of later", everywhere("versions|detector", 9), RECORD, "later than what"),
    Forgery("provenance", "versions of before", everywhere("versions|detector", 0), RECORD, "versions are"),
    Forgery("provenance", "a commit that is none", everywhere("git|commit", "deadbeef"), RECORD, "git.commit is"),
    Forgery("provenance", "code of no commit", everywhere("git|dirty", True), RECORD, "git.dirty is true"),
    Forgery("provenance", "a GPU said", everywhere("environment|device", "cuda"), RECORD, "environment.machine is"),
    Forgery(
        "provenance",
        "another machine than its model's",
        everywhere("environment|machine", "cpu AVX2"),
        RECORD,
        "and its model was made on 'cpu AVX512'",
    ),
    Forgery("provenance", "another precision", everywhere("environment|dtype", "float16"), RECORD, "environment.dtype"),
    Forgery(
        "provenance",
        "a package's version that is none",
        everywhere("packages|torch", "the best"),
        RECORD,
        "packages.torch is 'the best'",
    ),
    Forgery(
        "provenance", "behaviour of one seed edited", shared_behaviour, f"{MATRIX}/msp/1.json", "behaviour is not as in"
    ),
    Forgery(
        "provenance",
        "the key of another record",
        lambda r: set_field(r, "key", json.loads((r / MATRIX / "knn" / "0.json").read_text())["key"]),
        RECORD,
        "key is that of",
    ),
    Forgery("provenance", "a run without checks", field("checked", False), RECORD, "ran unchecked, and has no rank"),
    Forgery("provenance", "no key", field("key", None), RECORD, "key is null"),
    Forgery(
        "recipe",
        "fewer epochs said",
        everywhere("recipe|training|epochs", 1),
        RECORD,
        "recipe is not what the method trains in mnist5k-v1",
    ),
    Forgery("recipe", "members that there are none of", everywhere("members", [0, 1]), RECORD, "members are [0, 1]"),
    Forgery("scale", "another", everywhere("scale", "paper"), RECORD, "scale is 'paper', and mnist5k-v1 has 'cpu'"),
    Forgery("in-set", "another", everywhere("in_set", "mnist"), RECORD, "in_set is 'mnist'"),
    Forgery(
        "hashes",
        "of a set, in one record",
        field("data|uniform|data_sha256", OUTSIDE),
        RECORD,
        "data.uniform.data_sha256 is 000000000000...",
    ),
    Forgery("hashes", "of a set, in all records", data_of_all, RECORD, "data.uniform.data_sha256 is 000000000000..."),
    Forgery(
        "hashes",
        "of a card",
        everywhere("data|uniform|card_sha256", OUTSIDE),
        RECORD,
        "data.uniform.card_sha256 is neither that of the card",
    ),
    Forgery("hashes", "fewer inputs of a set", everywhere("data|uniform|n", 5), RECORD, "data.uniform.n is 5"),
    Forgery(
        "hashes",
        "another part of a set",
        everywhere("data|uniform|split", "test"),
        RECORD,
        "data.uniform.split is 'test'",
    ),
    Forgery(
        "hashes",
        "a set that the matrix does not name",
        everywhere("data|mine", {"card_sha256": None, "data_sha256": OUTSIDE, "split": "ood", "n": 5}),
        RECORD,
        "data names 'mine'",
    ),
    Forgery(
        "hashes",
        "a set not named",
        lambda r: sealed(record_at(r), lambda c: c["data"].pop("uniform") and None),
        RECORD,
        "data lacks uniform",
    ),
    Forgery("hashes", "the seal taken off", unsealed, RECORD, "has no seal"),
    Forgery(
        "hashes",
        "a field edited under the seal",
        lambda r: text(r, RECORD, '"threads": 1', '"threads": 8'),
        RECORD,
        "its seal does not fit its content",
    ),
    # Seeds and rivals.
    Forgery("seeds", "cherry-picked: the worst taken away", seed_gone, f"{MATRIX}/msp", "lacks [4]"),
    Forgery("seeds", "one added", seed_added(5), f"{MATRIX}/msp/5.json", "seed 5 is none of mnist5k-v1"),
    Forgery("seeds", "a negative one", all_wrong_seed, RECORD, "holds the record of mnist5k-v1, msp, seed -1"),
    Forgery("rivals", "removed", rivals_gone, "metrics.parquet", "numbers that no scores make"),
    Forgery("rivals", "said to be of an earlier version", marked_superseded, RECORD, "stands in superseded.toml"),
    Forgery(
        "rivals",
        "said to have been skipped",
        lambda r: sealed(record_at(r, "knn"), lambda c: c.update(status="skipped", reason="no time")),
        f"{MATRIX}/knn/0.json",
        "this method can run there",
    ),
    # Files that people write.
    Forgery("matrix", "one that is none", matrix_unknown, "mnist5k-v9/msp/0.json", "which is no matrix"),
    Forgery(
        "reported",
        "a paper's number lowered",
        lambda r: text(r, "reported/liang2018.toml", "9", "1"),
        "reported/liang2018.toml",
        "is not as it was pinned",
    ),
    Forgery(
        "reported",
        "a paper taken away",
        lambda r: (r / "reported" / "liang2018.toml").unlink(),
        "reported/liang2018.toml",
        "is pinned, and not there any more",
    ),
    Forgery(
        "reported",
        "a paper added",
        write("reported/ours2026.toml", b"x = 1\n"),
        "reported/ours2026.toml",
        "is pinned nowhere",
    ),
    Forgery(
        "claims",
        "one turned round",
        lambda r: text(r, "claims.toml", 'expected = "holds"', 'expected = "open"'),
        "claims.toml",
        "is not as it was pinned",
    ),
    Forgery(
        "claims",
        "superseded rows forgotten",
        write("superseded.toml", b""),
        "superseded.toml",
        "is not as it was pinned",
    ),
    # Names.
    Forgery("names", "that differ by case", method_as("MSP"), f"{MATRIX}/msp/0.cost.json", "which looks like"),
    Forgery(
        "names", "that look alike", method_as("rnsp"), f"{MATRIX}/rnsp/0.json", "no method here has the row 'rnsp'"
    ),
    Forgery(
        "names", "a digit for a letter", method_as("0din-tuned"), f"{MATRIX}/odin-tuned/0.cost.json", "which looks like"
    ),
    Forgery(
        "names", "of another alphabet", method_as("m\u0455p"), f"{MATRIX}/m\\u0455p/0.json", "has no place in results"
    ),
    Forgery("names", "that leave the folder", field("method", "../../msp"), RECORD, "not of its own place"),
    Forgery(
        "names",
        "that leave the folder, of a model",
        field("model|name", "../../../etc/passwd"),
        RECORD,
        "names the model ../../../etc/passwd",
    ),
    Forgery(
        "names",
        "with control characters",
        write(f"{MATRIX}/msp/\x1b[2J.json", b"{}"),
        f"{MATRIX}/msp/\\x1b[2J.json",
        "has no place in results",
    ),
    Forgery(
        "names",
        "of a record of another method",
        lambda r: shutil.copy(r / MATRIX / "knn" / "0.json", r / RECORD) and None,
        RECORD,
        "not of its own place",
    ),
    # Files that are none.
    Forgery("files", "a link to another file", link(RECORD, "1.json"), RECORD, "is a link"),
    Forgery("files", "a link out of the folder", link(SCORES, "/etc/passwd"), SCORES, "is a link"),
    Forgery("files", "a link to a device without end", link(RECORD, "/dev/zero"), RECORD, "is a link"),
    Forgery("files", "a pipe that nobody writes to", fifo(RECORD), RECORD, "is a pipe"),
    Forgery("files", "a socket", socket, RECORD, "is a socket"),
    Forgery("files", "a folder in place of a file", folder(RECORD), RECORD, "is a folder"),
    Forgery(
        "files",
        "a program among results",
        write(f"{MATRIX}/msp/setup.py", b"import os"),
        f"{MATRIX}/msp/setup.py",
        "has no place in results",
    ),
    Forgery(
        "files",
        "a pickle in place of scores",
        write(SCORES, b"\x80\x04\x95cos\nsystem\n(S'id'\ntR."),
        SCORES,
        "no Parquet file",
    ),
    Forgery("files", "a traceback of what did not fail", write(TRACE, b"Traceback"), TRACE, "says that it failed"),
    # Bombs and malformed files.
    Forgery(
        "bombs",
        "a record of a megabyte",
        write(RECORD, b'{"a": "' + b"x" * (1 << 20) + b'"}'),
        RECORD,
        "expected at most 262144",
    ),
    Forgery(
        "bombs",
        "brackets within brackets",
        write(RECORD, b'{"a":' + b"[" * 10000 + b"]" * 10000 + b"}"),
        RECORD,
        "nested more than",
    ),
    Forgery(
        "bombs",
        "brackets hidden behind those in text",
        write(RECORD, b'{"a":' + b'["]",' * 5000 + b"1" + b"]" * 5000 + b"}"),
        RECORD,
        "nested more than",
    ),
    Forgery("bombs", "twenty million rows in a few kilobytes", many_rows, SCORES, "expected at most"),
    Forgery("bombs", "a word of 64 megabytes in a few kilobytes", huge_word, SCORES, "it is not unpacked"),
    Forgery(
        "bombs",
        "a footer longer than the file",
        write(SCORES, b"PAR1" + b"\0" * 40 + b"\xff\xff\xff\x7fPAR1"),
        SCORES,
        "says that its footer has 2147483647 bytes",
    ),
    Forgery(
        "bombs",
        "a number of a million digits",
        write(RECORD, b'{"schema_version": ' + b"9" * 200000 + b"}"),
        RECORD,
        "not JSON",
    ),
    Forgery("malformed", "a key twice", key_twice, RECORD, "has the key 'seed' more than once"),
    Forgery(
        "malformed",
        "a key that nobody reads",
        lambda r: sealed(record_at(r), lambda c: c.update(rank=1)),
        RECORD,
        "Extra inputs are not permitted",
    ),
    Forgery("malformed", "a column that nobody reads", columns_more, SCORES, "has 5 columns, expected 4"),
    Forgery(
        "malformed",
        "Infinity in a record",
        lambda r: text(r, RECORD, '"forward": 1.0', '"forward": Infinity'),
        RECORD,
        "holds the number Infinity",
    ),
    Forgery(
        "malformed",
        "cut off in the middle",
        lambda r: (r / RECORD).write_bytes((r / RECORD).read_bytes()[:900]) and None,
        RECORD,
        "truncated or not JSON",
    ),
    Forgery("malformed", "no text", write(RECORD, b"\xff\xfe\x00"), RECORD, "is not a text file"),
    Forgery("malformed", "a schema of later", field("schema_version", 3), RECORD, "written by a newer oodbench"),
    # Text that does something.
    Forgery(
        "markup",
        "a title that a spreadsheet computes",
        field("title", '=HYPERLINK("http://x","y")'),
        RECORD,
        "a spreadsheet computes what begins with",
    ),
    Forgery(
        "markup",
        "a script in a reason",
        field(
            "cells", [{"failure": "ood", "name": "glyphs", "status": "skipped", "reason": "<script>alert(1)</script>"}]
        ),
        RECORD,
        "no markup",
    ),
    Forgery(
        "markup",
        "an address of script in a citation",
        everywhere("citation|url", "javascript:alert(1)"),
        RECORD,
        "no markup, no address of script",
    ),
    Forgery("markup", "a link in a key", everywhere("facts", {"[x](http://a.b)": 1.0}), RECORD, "no markup"),
    Forgery(
        "markup",
        "letters that turn the line round",
        everywhere("environment|platform", "Linux \u202e46_68x"),
        RECORD,
        "no control character",
    ),
    Forgery(
        "markup",
        "a script in a picture",
        picture("overview.svg", b"<svg><script>1</script></svg>"),
        SVG,
        "a picture has no script in it",
    ),
    Forgery(
        "markup",
        "what a click runs, in a picture",
        picture("overview.svg", b"<svg><a onclick='x()'/></svg>"),
        SVG,
        "a picture has no script in it",
    ),
    Forgery(
        "markup",
        "a page as a picture",
        picture("overview.png", b"<html>"),
        f"{MATRIX}/figures/overview.png",
        "is no PNG picture",
    ),
    # Cost and diagnostics.
    Forgery("cost", "taken away", no_cost, RECORD, "a file of its cost is not there"),
    Forgery("cost", "no time at all", cost("seconds", {"train": 0.0}), COST, "a run takes time"),
    Forgery("cost", "less than nothing", cost("seconds", {"train": -1.0}), COST, "greater than or equal to 0"),
    Forgery("cost", "a megabyte of memory", cost("peak_memory_mb", 1.0), COST, "torch alone takes more"),
    Forgery("cost", "a hundred thousand processes", cost("workers", 100_000), COST, "workers are 100000"),
    Forgery("cost", "hours of a GPU on a CPU", cost("gpu_seconds", {"train": 9.0}), COST, "it was made on a CPU"),
    Forgery("cost", "begun in the year 2999", cost("started_at", "2999-01-01T00:00:00Z"), COST, "still to come"),
    Forgery(
        "diagnostics",
        "of another method",
        diagnostic(b'{"method": "vae", "matrix": "mnist5k-v1", "seed": 0}'),
        DIAGNOSTIC,
        "and lies in the folder of",
    ),
    Forgery("diagnostics", "not finite", diagnostic(b'{"n": NaN}'), DIAGNOSTIC, "holds the number NaN"),
    Forgery(
        "history", "a re-run that drifted, not counted", reruns(counts="2,0,0,0"), RERUNS, "line 2 counts 2 records"
    ),
    Forgery("history", "of a matrix that is none", reruns(matrix="mine-v1"), RERUNS, "line 2 is of mine-v1"),
    Forgery(
        "history", "of a day to come", reruns(date="2999-01-01"), RERUNS, "line 2 is of 2999-01-01, which is still"
    ),
    Forgery("history", "markup", reruns(machine="<b>cpu</b>"), RERUNS, "line 2: machine"),
)
"""What `oodbench verify` finds by itself; `tests.verify.rerun_only` has what only a re-run does."""
