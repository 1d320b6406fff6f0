"""One entry of a results folder: a record, its scores, its cost, and the models that it names.

What comes of it follows from the bytes of these files and from what this repository declares, and from nothing else:
it may be kept under their sha256.
"""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from oodbench.data.cards import card_sha256, find_card
from oodbench.data.matrix import Matrix
from oodbench.data.splits import find_cut, sample
from oodbench.declarations import Facts, fingerprint
from oodbench.errors import OodbenchError
from oodbench.forward_precision import WHOLE
from oodbench.measure.kinds import KINDS, KNOWN, ROUNDED
from oodbench.measure.likelihood import bits_per_dim
from oodbench.records import SEAL, read_cost, read_model, read_outcomes, read_record, read_scores
from oodbench.schema import SCHEMA_VERSION, Calibration, Cost, ModelRecord, Quality, Record
from oodbench.scorefile import TEST, Adapted, Changed, Scores
from oodbench.setfile import SetKey
from oodbench.spaces import Images
from oodbench.verify.attacks import adaptive_faults, attack_faults
from oodbench.verify.bounded import check_parquet, content, json_of
from oodbench.verify.pins import Pinned
from oodbench.verify.walk import LARGEST

SKETCH = 512
"""Scores of test inputs by which near copies of other scores are found."""

COMMIT = re.compile(r"[0-9a-f]{40}")
VERSION = re.compile(r"[0-9]+(\.[0-9]+)*[A-Za-z0-9.+_-]{0,40}|absent")
MARKUP = re.compile(r"[<>]|javascript:|data:|\]\(|!\[", re.IGNORECASE)
"""What text that people wrote may not hold: it stands on pages."""

FORMULA = ("=", "+", "-", "@", "\t")
"""What a cell of a spreadsheet begins with that is computed."""

UNREADABLE = (
    *(OodbenchError, pa.ArrowException, OSError, ValueError, TypeError),
    *(KeyError, IndexError, OverflowError, MemoryError),
)
"""What the reader of a Parquet file of an unknown origin may raise."""

MISSING = object()

OF_RIGHT = frozenset({"adversarial", "adaptive"})
"""Kinds of sets that are made of those test images that the model gets right: how many they are, depends on it."""

FIRST_RUN = datetime(2020, 1, 1, tzinfo=UTC)
"""No record is older than this package."""


@dataclass(frozen=True)
class Against:
    """What an entry is held against, all of it from this repository.

    Attributes:
        matrix: The matrix.
        facts: What its method declares; None of a method that this repository does not have.
        data: What is pinned of each set, by the label that records give it; empty where nobody pinned it.
        superseded: Whether the row is said to be of an earlier version of its method.
        new: Whether the method may be one that this repository does not have yet.
    """

    matrix: Matrix
    facts: Facts | None
    data: Mapping[str, Pinned]
    superseded: bool = False
    new: bool = False


class Found(NamedTuple):
    """A file that was read, and what is wrong with it."""

    value: Any
    faults: list[str]


def sizes(matrix: Matrix) -> dict[SetKey, int]:
    """Return how many inputs each set of a scores file of a matrix has; of attacks, at most."""
    by_name = {one.card: one.n for one in matrix.ood} | {one.attack: one.n for one in matrix.attacks}
    by_name |= {one.name: one.n for one in matrix.corrupted} | {one.attack: one.n for one in matrix.adaptive}
    groups = {field.name for field in fields(Scores)} - {TEST[0]}
    planned = {
        (kind.name, column.name): by_name.get(column.name.removesuffix(ROUNDED), matrix.n_test)
        for kind in KINDS.values()
        if kind.name in groups
        for column in kind.planned(matrix)
        if not column.name.endswith(KNOWN)  # has scores of another kind
    }
    return {TEST: matrix.n_test} | planned


def read(path: Path, kind: str) -> Found:
    """Return what a JSON file holds: a `Record`, a `ModelRecord` or a `Cost`; None where it cannot be read."""
    parse = {"record": read_record, "model": read_model, "cost": read_cost}[kind]
    try:
        raw = json_of(content(path, LARGEST[kind]))
        if kind != "cost" and SEAL not in raw:
            return Found(None, ["has no seal; every record is written with one"])
        schema = raw.get("schema_version", SCHEMA_VERSION)
        if type(schema) is not int or schema < SCHEMA_VERSION:
            return Found(
                None, [f"is of schema {schema!r}, expected {SCHEMA_VERSION}: python -m oodbench.migrate results"]
            )
        return Found(parse(path), [])
    except (OodbenchError, RecursionError, OverflowError, ValueError, TypeError) as error:
        return Found(None, [_own(error, path)])


def _own(error: Exception, path: Path) -> str:
    """Return what an error says of a file, without its name, which stands before it."""
    return str(error).removeprefix(f"{path}: ")


def read_table(path: Path, matrix: Matrix, sha256: str | None, kind: str) -> Found:
    """Return what a Parquet file holds, `Scores` or `Outcomes`, of a matrix and of a sha256; None where it cannot."""
    try:
        spare = matrix.n_test  # so that a set too many is read, and named
        check_parquet(path, sum(sizes(matrix).values()) + spare, 4)
        return Found(read_scores(path, sha256) if kind == "scores" else read_outcomes(path, sha256), [])
    except UNREADABLE as error:
        return Found(None, [_own(error, path)])


def record_faults(name: str, record: Record, against: Against) -> Iterator[str]:
    """Yield what is wrong with a record by itself."""
    for check in (_place, _of_matrix, _of_method, _of_recipe, _data, _provenance, _texts, _cells):
        yield from check(name, record, against)


def _place(name: str, record: Record, against: Against) -> Iterator[str]:
    folder, method, file = name.split("/")
    own = (record.matrix, record.method, str(record.seed))
    if own != (folder, method, file.removesuffix(".json")):
        yield f"holds the record of {record.matrix}, {record.method}, seed {record.seed}: not of its own place"
    if record.seed not in against.matrix.seeds:
        yield f"seed {record.seed} is none of {record.matrix}: expected one of {list(against.matrix.seeds)}"


def _of_matrix(name: str, record: Record, against: Against) -> Iterator[str]:
    matrix = against.matrix
    if record.scale != matrix.scale:
        yield f"scale is {record.scale!r}, and {matrix.name} has {matrix.scale!r}"
    if record.in_set != matrix.in_set:
        yield f"in_set is {record.in_set!r}, and {matrix.name} has {matrix.in_set!r}"


def _of_method(name: str, record: Record, against: Against) -> Iterator[str]:
    if record.checked is False:
        yield f"ran unchecked, and has no rank: make it again without --unchecked (oodbench check {record.method})"
    if against.facts is None:
        if against.new and record.checked is None and record.status == "ok":
            yield "checked is null: no run says that this new method passed the checks that a rank asks for"
        if not against.new:
            yield f"no method here has the row {record.method!r} in {record.matrix}; is it new? --new {record.method}"
        return
    of = against.facts.of
    _, at, model = record.method.partition("@")
    said = {
        "title": (record.title, record.title if against.superseded else of["title"] + (f", {model}" if at else "")),
        "citation": (record.citation.model_dump(), of["citation"]),
        "fits_on_labels": (record.fits_on_labels, of["fits_on_labels"]),
        "tuning_access": (record.tuning_access, access(against.matrix, of["tuning"])),
    }
    for field, (got, expected) in said.items():
        if got != expected:
            yield f"{field} is {got!r}, and the method says {expected!r}"
    yield from _versions(record, against, of["versions"])
    if not against.superseded:
        yield from _parameters(record, against)


def access(matrix: Matrix, own: str) -> str:
    """Return what a row of a matrix is tuned on, given what its method says."""
    return "ood_val_same" if own == "ood_val" and (matrix.tuning_same or matrix.tuning_shares_source) else own


def _versions(record: Record, against: Against, declared: Mapping[str, int]) -> Iterator[str]:
    got = record.versions
    if not against.superseded and got != declared:
        yield f"versions are {got}, and the method declares {declared}; make it again, or name it in superseded.toml"
    if any(version > declared.get(name, 0) for name, version in got.items()):
        yield f"versions are {got}, later than what the method declares: {declared}"


def _parameters(record: Record, against: Against) -> Iterator[str]:
    assert against.facts is not None
    of, own = against.facts.of, record.parameters
    declared = of["parameters"]
    if record.scale == "paper":
        declared = of.get("parameters_at_paper_scale", declared)
    if own.given != declared["given"]:
        yield f"parameters.given is {own.given}, and the method declares {declared['given']}"
    if any(declared["default"].get(name, MISSING) != value for name, value in own.default.items()):
        yield f"parameters.default is {own.default}, and the method declares {declared['default']}"
    search = of.get("search", {})
    tuned = record.status == "ok" and bool(search)
    if set(own.chosen) != (set(search) if tuned else set()):
        yield f"parameters.chosen names {sorted(own.chosen)}, and the method tunes {sorted(search)}"
    for field, value in own.chosen.items():
        if field in search and value not in search[field]:
            yield f"parameters.chosen.{field} is {value!r}, which is no candidate: {search[field]}"
    if own.undecided and not tuned:
        yield "parameters.undecided is true, and the method tunes nothing"


def _of_recipe(name: str, record: Record, against: Against) -> Iterator[str]:
    if against.facts is None or against.superseded:
        return
    row = against.facts.row
    lower = against.matrix.forward_precision != WHOLE  # there more methods are skipped
    if (row["recipe"] is None) != (record.status == "skipped") and not (lower and record.status == "skipped"):
        what = "cannot run there" if row["recipe"] is None else "can run there"
        yield f"status is {record.status!r}, and this method {what}"
    if row["recipe"] is not None and fingerprint(record.recipe) != row["recipe"]:
        yield f"recipe is not what the method trains in {record.matrix}: {record.recipe}"
    members = row["members"].get(str(record.seed), [])
    if list(record.members) != members and not (members == [record.seed] and not record.members):
        yield f"members are {list(record.members)}, and the recipe's are {members}"


def _data(name: str, record: Record, against: Against) -> Iterator[str]:
    if record.status != "ok":
        if record.data:
            yield f"names {len(record.data)} sets that it used, and its status is {record.status!r}"
        return
    expected = labels(against.matrix)
    excused = {cell.name for cell in record.cells if cell.failure == "ood"}
    if lacking := sorted(set(expected) - set(record.data) - excused):
        yield f"data lacks {', '.join(lacking)}, which {record.matrix} names"
    for label, used in record.data.items():
        if label not in expected:
            yield f"data names {label!r}, which {record.matrix} does not: expected {', '.join(expected)}"
            continue
        card, role, n = expected[label]
        if used.split != role:
            yield f"data.{label}.split is {used.split!r}, expected {role!r}"
        if used.n != n:
            yield f"data.{label}.n is {used.n}, and {record.matrix} has {n}"
        pinned = against.data.get(label)
        if used.card_sha256 not in (card_sha256(find_card(card)), pinned["card"] if pinned else None):
            yield f"data.{label}.card_sha256 is neither that of the card {card} nor what was pinned of an earlier one"
        if pinned and used.data_sha256 != pinned["data"]:
            yield f"data.{label}.data_sha256 is {used.data_sha256[:12]}..., pinned is {pinned['data'][:12]}..."


def labels(matrix: Matrix) -> dict[str, tuple[str, str, int]]:
    """Return card, role and size of each set, by the label that records give it."""
    in_set = matrix.in_set
    card = find_card(in_set)
    found = {
        f"{in_set}/train": (in_set, "train", len(find_cut(card, "train").indices)),
        f"{in_set}/validation": (in_set, "validation", len(find_cut(card, "validation").indices)),
        f"{in_set}/test": (in_set, "test", matrix.n_test),
    }
    for one in matrix.ood:
        found[f"{in_set}/{one.card}" if one.card == in_set else one.card] = (one.card, "ood", one.n)
    for held in matrix.tuning_ood:
        found[f"{held.card} (tuning)"] = (held.card, "tuning", held.n)
    if matrix.tuning_same is not None:
        (only,) = matrix.ood
        found[f"{only.card} (tuning)"] = (only.card, "tuning", matrix.tuning_same)
    if matrix.corrupted:
        found[f"{in_set}/corrupted"] = (in_set, "corruption", sum(one.n for one in matrix.corrupted))
    return found


def _provenance(name: str, record: Record, against: Against) -> Iterator[str]:
    git, where = record.git, record.environment
    if git.commit is not None and not COMMIT.fullmatch(git.commit):
        yield f"git.commit is {git.commit!r}, expected 40 digits of a commit, or null"
    if git.dirty:
        yield "git.dirty is true: the code that made it is in no commit; commit it, and make the record again"
    for package, version in record.packages.items():
        if not VERSION.fullmatch(version):
            yield f"packages.{package} is {version!r}, expected a version"
    if record.packages and not {"oodbench", "torch", "numpy"} <= record.packages.keys():
        yield f"packages names {sorted(record.packages)}, expected oodbench, torch and numpy among them"
    if where.dtype != (expected := against.matrix.forward_precision):
        yield f"environment.dtype is {where.dtype!r}, expected {expected!r}, of the forward passes in {record.matrix}"
    if not 1 <= where.threads <= 4096:
        yield f"environment.threads is {where.threads}, expected 1 to 4096"
    if not VERSION.fullmatch(where.python):
        yield f"environment.python is {where.python!r}, expected a version"
    kind = where.device.split(":")[0]
    if kind not in ("cpu", "cuda", "mps", "xpu"):
        yield f"environment.device is {where.device!r}, expected cpu, cuda, cuda:1 ..."
    if where.machine is not None and where.machine.split(" ")[0] != kind:
        yield f"environment.machine is {where.machine!r}, and environment.device is {where.device!r}"
    if not re.fullmatch(r"[A-Za-z0-9_. -]{1,80}", where.platform):
        yield f"environment.platform is {where.platform!r}, expected a system and a processor"
    forward, gradient = record.passes.forward, record.passes.gradient
    least = 0 if against.facts is not None and against.facts.of.get("asks_no_model") else 1
    if record.status == "ok" and not least <= forward <= 1e4:
        yield f"passes.forward is {forward:g}, expected at least one pass a test input"
    if gradient > forward:
        yield f"passes.gradient is {gradient:g}, more than the {forward:g} passes forward that they go back through"


def _texts(name: str, record: Record, against: Against) -> Iterator[str]:
    """Refuse what would do something on a page, or stand there as something else."""
    for place, text in (("title", record.title), *((f"citation.{k}", v) for k, v in record.citation if k != "year")):
        if text and str(text).startswith(FORMULA):
            yield f"{place} is {str(text)[:80]!r}: a spreadsheet computes what begins with = + - @ or a tab"
    for place, text in texts(record.model_dump(mode="json", exclude={"recipe", "behaviour"})):
        if MARKUP.search(text) or not all(letter.isprintable() or letter == "\n" for letter in text):
            yield f"{place} is {text[:80]!r}: no markup, no address of script and no control character may stand there"


def texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a value, keys among them, by its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"a key of {place or 'the record'}", str(key)
            yield from texts(inner, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner, place)


def _cells(name: str, record: Record, against: Against) -> Iterator[str]:
    planned = {(kind.name, column.name) for kind in KINDS.values() for column in kind.planned(against.matrix)}
    for cell in record.cells:
        if (cell.failure, cell.name) not in planned:
            yield f"cells names {cell.failure}/{cell.name}, which {record.matrix} does not"


def score_faults(record: Record, scores: Scores, model: ModelRecord, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    """Yield what is wrong with scores: their sets, sizes and order, and values that no detector gives."""
    expected, sets = sizes(matrix), dict(sets_of(scores))
    excused = {(cell.failure, cell.name) for cell in record.cells}
    excused |= {("adversarial", name) for name, attack in model.attacks.items() if attack.n == 0}
    for kind, name in sorted(sets.keys() - expected.keys()):
        yield f"has scores of {kind}/{name}, which {matrix.name} does not name"
    for kind, name in sorted(expected.keys() - sets.keys() - excused):
        yield f"has no scores of {kind}/{name}, and the record says no reason"
    for kind, name in sorted(sets.keys() & excused):
        yield f"has scores of {kind}/{name}, which the record says was skipped or failed"
    for key, values in sets.items():
        if key in expected and key[0] not in OF_RIGHT and len(values) != expected[key]:
            yield f"has {len(values)} scores of {'/'.join(key)}, and {matrix.name} has {expected[key]} inputs there"
    for name, attacked in scores.adversarial.items():
        found = outcomes.attacks.get(name) if outcomes is not None else None
        if found is None or not np.array_equal(found.index, attacked.index):
            yield f"has scores of adversarial/{name} for other images than those that were attacked"
    yield from adaptive_faults(record, scores, outcomes, matrix)
    for name, corrupted in scores.corruption.items():
        if not np.array_equal(corrupted_places(matrix, len(corrupted.index)), corrupted.index):
            yield f"has scores of corruption/{name} for other images than those that {matrix.name} corrupts"
    if len(scores.test) > 9 and len(np.unique(scores.test)) < 3:
        yield f"gives {len(scores.test)} test inputs {len(np.unique(scores.test))} different scores: nothing is ranked"
    if rounded(scores.test):
        yield "has scores that were rounded: few are different, and they are decimals of few digits"


def corrupted_places(matrix: Matrix, n: int) -> NDArray[np.int64]:
    """Return the places of the n test images that a matrix corrupts: of all types and severities the same ones."""
    return sample(matrix.n_test, n, matrix.in_set, "test", "corrupted")


def sets_of(scores: Scores) -> Iterator[tuple[SetKey, NDArray[Any]]]:
    """Yield the scores of each set."""
    yield TEST, scores.test
    for field in fields(scores):
        if field.name != TEST[0]:
            for name, values in getattr(scores, field.name).items():
                yield (field.name, name), values.scores if isinstance(values, Changed | Adapted) else values


def rounded(values: NDArray[Any]) -> bool:
    """Whether scores have lost their digits: of 100 or more less than a tenth are different, and they are decimals.

    The most frequent value is left out: methods that clip have one. Scores that a method counts, or sums over bins, are
    few as well, and no decimals: they are multiples of another number.
    """
    found, counts = np.unique(values, return_counts=True)
    if len(values) < 100 or not 3 <= len(found) < len(values) / 10:
        return False
    others = np.delete(found, counts.argmax())
    digits = 3 - math.floor(math.log10(max(float(others.std()), 1e-30)))
    decimals = np.round(others.astype(np.float64), digits).astype(others.dtype)
    return bool((decimals == others).mean() > 0.9)


def bits_faults(record: Record, scores: Scores, model: ModelRecord, matrix: Matrix, facts: Facts) -> Iterator[str]:
    """Yield which bits per dimension of a density are not what its scores, log p in nats, come to."""
    if not facts.of.get("scores_log_density") or not isinstance(matrix.space, Images):
        return
    found = {"test": scores.test, **scores.ood}
    for name, said in model.bits_per_dimension.items():
        if name in found:
            bits = float(bits_per_dim(found[name].astype(np.float64), matrix.space.shape).mean())
            if not math.isclose(bits, said, rel_tol=1e-4, abs_tol=1e-4):
                yield f"bits_per_dimension.{name} is {said:.6g}, and the scores of {record.method} come to {bits:.6g}"


def model_faults(name: str, model: ModelRecord, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    """Yield what is wrong with the record of a model, given what it does."""
    folder, _, own, file = name.split("/")
    if (model.matrix, model.name, str(model.seed)) != (folder, own, file.removesuffix(".json")):
        yield f"holds the record of {model.matrix}, {model.name}, seed {model.seed}: not of its own place"
    if model.seed not in matrix.seeds:
        yield f"seed {model.seed} is none of {matrix.name}: expected one of {list(matrix.seeds)}"
    for check in (_quality, _calibration, attack_faults, _corruptions, _bits):
        yield from check(model, outcomes, matrix)
    for place, text in texts(model.model_dump(mode="json", exclude={"recipe"})):
        if MARKUP.search(text) or not text.isprintable():
            yield f"{place} is {text[:80]!r}: no markup and no control character may stand there"


def _quality(model: ModelRecord, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    own = model.quality
    if outcomes is None:
        if said := [field for field, value in own.model_dump().items() if value is not None]:
            yield f"quality says {', '.join(said)}, and there is no file of what the model does"
        return
    n, right = len(outcomes.correct), float(outcomes.correct.mean()) if len(outcomes.correct) else 0.0
    if n != matrix.n_test:
        yield f"{n} test images are judged, and {matrix.name} has {matrix.n_test}"
    if own.n_test != n:
        yield f"quality.n_test is {own.n_test}, and {n} test images are judged"
    if own.accuracy is None or abs(own.accuracy - right) > 1e-9:
        yield f"quality.accuracy is {own.accuracy}, and the outcomes come to {right:.6g}"
        return
    yield from _probabilities("quality", own, 1 - right)
    if own.parameters is not None and own.parameters < 1:
        yield f"quality.parameters is {own.parameters}: a classifier has some"


def _probabilities(place: str, own: Quality | Calibration, wrong: float) -> Iterator[str]:
    """Yield what no probabilities come to, given the share of test images that is misjudged."""
    if own.brier is not None and not wrong / 2 - 1e-6 <= own.brier <= 2:
        yield f"{place}.brier is {own.brier:.6g}; where {wrong:.4g} are wrong it is {wrong / 2:.4g} to 2"
    if own.nll is not None and own.nll < wrong * math.log(2) - 1e-6:
        yield f"{place}.nll is {own.nll:.6g}; where {wrong:.4g} are wrong it is at least {wrong * math.log(2):.4g}"
    for field in ("ece_10", "ece_15", "mad_calibration", "rms_calibration"):
        value = getattr(own, field)
        if value is not None and value > 1 - 1e-9:
            yield f"{place}.{field} is {value:.6g}: no classifier is as wrong of itself"
    if own.ece_15 is not None and own.ece_10 is not None and abs(own.ece_15 - own.ece_10) > 0.2:
        yield f"{place}.ece_10 and ece_15 are {own.ece_10:.4g} and {own.ece_15:.4g}: bins alone do not part them so"
    mad, rms = own.mad_calibration, own.rms_calibration
    if mad is not None and rms is not None and mad > rms + 1e-9:
        yield f"{place}.mad_calibration is {mad:.6g}, more than rms_calibration, {rms:.6g}, over the same bins"
    if own.oce is not None and own.oce_share is not None and own.oce * own.oce_share * 0.003 > wrong + 1e-9:
        yield f"{place}.oce is {own.oce:.6g} of a share of {own.oce_share:.4g}: more errors than {wrong:.4g}"


def _calibration(model: ModelRecord, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    """Yield what is wrong with calibration before and after temperature scaling, which moves no prediction."""
    own = model.calibration
    if own is None:
        return
    if outcomes is None:
        yield "calibration stands there, and there is no file of what the model does"
        return
    if (own.temperature is None) != (own.scaled is None):
        there = "not there" if own.scaled is None else "there"
        yield f"calibration.temperature is {own.temperature}, and calibration.scaled is {there}"
    if own.temperature is not None and own.temperature <= 0:
        yield f"calibration.temperature is {own.temperature:g}, expected more than 0"
    for name in Calibration.model_fields.keys() & Quality.model_fields.keys():
        said, got = getattr(model.quality, name), getattr(own.plain, name)
        if (said is None) != (got is None) or abs((said or 0) - (got or 0)) > 1e-6 * (1 + (said or 0)):
            yield f"calibration.plain.{name} is {got}, and quality.{name} is {said}: it is one number"
    wrong = 1 - float(outcomes.correct.mean()) if len(outcomes.correct) else 0.0
    for place, part in (("plain", own.plain), ("scaled", own.scaled)):
        if part is not None:
            yield from _probabilities(f"calibration.{place}", part, wrong)
            yield from _of_classes(f"calibration.{place}", part, find_card(matrix.in_set).classes)


def _of_classes(place: str, own: Calibration, classes: int) -> Iterator[str]:
    """Yield what the numbers over all classes cannot be."""
    if own.classwise_ece > 2 / classes + 1e-9:
        yield f"{place}.classwise_ece is {own.classwise_ece:.6g}; of {classes} classes it is {2 / classes:.4g} at most"
    inner = {name: getattr(own, name) for name in ("ib_inn_ece", "ib_inn_mce", "ib_inn_ice")}
    if len({value is None for value in inner.values()}) > 1:
        yield f"{place} has only some of {', '.join(inner)}: they are of the same bins"
    elif own.ib_inn_mce is not None:
        for name in ("ib_inn_ece", "ib_inn_ice"):
            if inner[name] > own.ib_inn_mce + 1e-9:
                yield f"{place}.{name} is {inner[name]:.6g}, more than ib_inn_mce, {own.ib_inn_mce:.6g}"


def _corruptions(model: ModelRecord, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    """Yield what is wrong with what corruption is said to do to a classifier."""
    planned = {one.name: one.n for one in matrix.corrupted} if outcomes is not None else {}
    said = model.corruptions or {}
    if model.corruptions is not None and not planned:
        yield f"corruptions stand there, and {matrix.name} has none for this model"
    for name in sorted(said.keys() - planned.keys()):
        yield f"corruptions: {name} is none of {matrix.name}"
    if lacking := sorted(planned.keys() - said.keys()):
        yield f"corruptions: {', '.join(lacking)} of {matrix.name} are not there"
    most = math.log(max(find_card(matrix.in_set).classes, 1)) * (1 + 1e-6)
    for name in sorted(said.keys() & planned.keys()):
        one, n = said[name], planned[name]
        clean = float((~outcomes.correct)[corrupted_places(matrix, n)].mean())
        if one.n != n:
            yield f"corruptions.{name}.n is {one.n}, and {matrix.name} corrupts {n}"
        if abs(one.clean_error - clean) > 1e-9:
            yield f"corruptions.{name}.clean_error is {one.clean_error}, and the outcomes come to {clean:.6g}"
        if abs(one.error * n - round(one.error * n)) > 1e-6 * n:
            yield f"corruptions.{name}.error is {one.error:.6g}, which no whole number of {n} images makes"
        if abs(one.delta_entropy) > most:
            yield f"corruptions.{name}.delta_entropy is {one.delta_entropy:.6g}, expected {-most:.4g} to {most:.4g}"


def _bits(model: ModelRecord, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    sets = {"train", "validation", "test"} | {one.card for one in matrix.ood}
    for name, bits in model.bits_per_dimension.items():
        if name not in sets:
            yield f"bits_per_dimension names {name!r}, which is no set of {matrix.name}"
        if not -50 < bits < 1e6:
            yield f"bits_per_dimension.{name} is {bits:.6g}: no density of pixels comes to that"


def cost_faults(cost: Cost, record: Record, now: datetime) -> Iterator[str]:
    """Yield what no run costs."""
    if not FIRST_RUN <= cost.started_at <= now + timedelta(days=1):
        yield f"started_at is {cost.started_at.isoformat()}: before this package was, or still to come"
    if cost.peak_memory_mb < 20:
        yield f"peak_memory_mb is {cost.peak_memory_mb:g}: torch alone takes more"
    if not cost.seconds or not 0 < sum(cost.seconds.values()) < 1e9:
        yield f"seconds are {cost.seconds}: a run takes time"
    if cost.workers is not None and cost.workers > 4096:
        yield f"workers are {cost.workers}, expected 1 to 4096"
    if record.environment.device == "cpu" and any(cost.gpu_seconds.values()):
        yield f"gpu_seconds are {cost.gpu_seconds}, and the record says that it was made on a CPU"
    for place, text in texts(cost.model_dump(mode="json")):
        if MARKUP.search(text) or not text.isprintable():
            yield f"{place} is {text[:80]!r}: no markup and no control character may stand there"


def sketch(scores: Scores) -> list[float]:
    """Return scores of evenly spread inputs of all sets that no attack made: what near copies have in common."""
    clean = [(key, values) for key, values in sets_of(scores) if key[0] != "adversarial"]
    whole = np.concatenate([values.astype(np.float64) for _, values in sorted(clean, key=lambda one: one[0])])
    places = np.linspace(0, len(whole) - 1, min(SKETCH, len(whole))).astype(np.int64)
    found: Sequence[float] = whole[places].tolist()
    return list(found)


def sums(scores: Scores) -> dict[str, str]:
    """Return the sha256 (its beginning) of each set's scores; of those alone that tell most inputs apart."""
    return {
        "/".join(key): hashlib.sha256(values.astype(np.float64).tobytes()).hexdigest()[:16]
        for key, values in sets_of(scores)
        if len(values) >= 50 and len(np.unique(values)) > len(values) / 2
    }
