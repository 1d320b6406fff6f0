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

from oodbench.data.attack_cards import load_attacks
from oodbench.data.cards import card_sha256, find_card
from oodbench.data.matrix import Matrix
from oodbench.data.splits import find_cut
from oodbench.declarations import Facts, fingerprint
from oodbench.errors import OodbenchError
from oodbench.measure.kinds import KINDS, ROUNDED
from oodbench.measure.likelihood import bits_per_dim
from oodbench.records import SEAL, read_cost, read_model, read_outcomes, read_record, read_scores
from oodbench.schema import SCHEMA_VERSION, Cost, ModelRecord, Record
from oodbench.scorefile import TEST, Attacked, Scores
from oodbench.setfile import SetKey
from oodbench.spaces import Images
from oodbench.verify.bounded import check_parquet, content, json_of
from oodbench.verify.pins import Pinned
from oodbench.verify.walk import LARGEST

SKETCH = 512
"""Scores of test inputs by which near copies of other scores are found."""

COMMIT = re.compile(r"[0-9a-f]{40}")
VERSION = re.compile(r"[0-9]+(\.[0-9]+)*[A-Za-z0-9.+_-]{0,40}|absent")
MARKUP = re.compile(r"[<>]|javascript:|data:|\]\(|!\[", re.IGNORECASE)
"""What text that people wrote may not hold: it stands on pages."""

UNREADABLE = (
    *(OodbenchError, pa.ArrowException, OSError, ValueError, TypeError),
    *(KeyError, IndexError, OverflowError, MemoryError),
)
"""What the reader of a Parquet file of an unknown origin may raise."""

MISSING = object()

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
    groups = {field.name for field in fields(Scores)} - {TEST[0]}
    planned = {
        (kind.name, column.name): by_name.get(column.name.removesuffix(ROUNDED), matrix.n_test)
        for kind in KINDS.values()
        if kind.name in groups
        for column in kind.planned(matrix)
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
        check_parquet(path, sum(sizes(matrix).values()), 4)
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
    if against.facts is None:
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
    if (row["recipe"] is None) != (record.status == "skipped"):
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
    for sample in matrix.tuning_ood:
        found[f"{sample.card} (tuning)"] = (sample.card, "tuning", sample.n)
    if matrix.tuning_same is not None:
        (only,) = matrix.ood
        found[f"{only.card} (tuning)"] = (only.card, "tuning", matrix.tuning_same)
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
    if where.dtype != "float32":
        yield f"environment.dtype is {where.dtype!r}, expected 'float32': scores are made in it everywhere"
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
    if record.status == "ok" and not 1 <= forward <= 1e4:
        yield f"passes.forward is {forward:g}, expected at least one pass a test input"
    if gradient > forward:
        yield f"passes.gradient is {gradient:g}, more than the {forward:g} passes forward that they go back through"


def _texts(name: str, record: Record, against: Against) -> Iterator[str]:
    """Refuse what would do something on a page, or stand there as something else."""
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
        if key in expected and key[0] != "adversarial" and len(values) != expected[key]:
            yield f"has {len(values)} scores of {'/'.join(key)}, and {matrix.name} has {expected[key]} inputs there"
    for name, attacked in scores.adversarial.items():
        found = outcomes.attacks.get(name) if outcomes is not None else None
        if found is None or not np.array_equal(found.index, attacked.index):
            yield f"has scores of adversarial/{name} for other images than those that were attacked"
    if len(scores.test) > 9 and len(np.unique(scores.test)) < 3:
        yield f"gives {len(scores.test)} test inputs {len(np.unique(scores.test))} different scores: nothing is ranked"
    if rounded(scores.test):
        yield "has scores that were rounded: fewer than one in ten is different from all others"


def sets_of(scores: Scores) -> Iterator[tuple[SetKey, NDArray[Any]]]:
    """Yield the scores of each set."""
    yield TEST, scores.test
    for field in fields(scores):
        if field.name != TEST[0]:
            for name, values in getattr(scores, field.name).items():
                yield (field.name, name), values.scores if isinstance(values, Attacked) else values


def rounded(values: NDArray[Any]) -> bool:
    """Whether scores have lost their digits: of 100 or more, less than a tenth are different."""
    return len(values) >= 100 and 3 <= len(np.unique(values)) < len(values) / 10


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
    for check in (_quality, _attacks, _bits):
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
    wrong = 1 - right
    if own.brier is not None and not wrong / 2 - 1e-6 <= own.brier <= 2:
        yield f"quality.brier is {own.brier:.6g}; where {wrong:.4g} are wrong it is {wrong / 2:.4g} to 2"
    if own.nll is not None and own.nll < wrong * math.log(2) - 1e-6:
        yield f"quality.nll is {own.nll:.6g}; where {wrong:.4g} are wrong it is at least {wrong * math.log(2):.4g}"
    for field in ("ece_10", "ece_15", "mad_calibration", "rms_calibration"):
        value = getattr(own, field)
        if value is not None and value > 1 - 1e-9:
            yield f"quality.{field} is {value:.6g}: no classifier is as wrong of itself"
    if own.ece_15 is not None and own.ece_10 is not None and abs(own.ece_15 - own.ece_10) > 0.2:
        yield f"quality.ece_10 and ece_15 are {own.ece_10:.4g} and {own.ece_15:.4g}: bins alone do not part them so"
    if own.parameters is not None and own.parameters < 1:
        yield f"quality.parameters is {own.parameters}: a classifier has some"


def _attacks(model: ModelRecord, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    planned = {column.name for column in KINDS["adversarial"].planned(matrix)}
    acted = outcomes.attacks if outcomes is not None else {}
    for name in sorted(model.attacks.keys() ^ acted.keys()):
        where = "the record alone" if name in model.attacks else "the file of outcomes alone"
        yield f"attacks: {name} stands in {where}"
    for name in sorted((model.attacks.keys() | acted.keys()) - planned):
        yield f"attacks: {name} is none of {matrix.name}"
    if outcomes is not None and planned and (lacking := sorted(planned - acted.keys())):
        yield f"attacks: {', '.join(lacking)} of {matrix.name} are not there"
    for name, said in model.attacks.items():
        if name in acted:
            yield from _attack(name, said, acted[name], outcomes, matrix)


def _attack(name: str, said: Any, found: Any, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    n, fooled = len(found.index), int(found.fooled.sum())
    rate = fooled / n if n else None
    for field, got, expected in (("n", said.n, n), ("fooled", said.fooled, fooled)):
        if got != expected:
            yield f"attacks.{name}.{field} is {got}, and the outcomes come to {expected}"
    if (said.success_rate is None) != (rate is None) or abs((said.success_rate or 0) - (rate or 0)) > 1e-9:
        yield f"attacks.{name}.success_rate is {said.success_rate}, and the outcomes come to {rate}"
    asked = {one.attack: one.n for one in matrix.attacks}.get(name.removesuffix(ROUNDED))
    if asked is not None:
        first = np.flatnonzero(outcomes.correct)[:asked]
        if not np.array_equal(first, found.index):
            yield f"attacks.{name}: attacked are not the first {asked} test images that the model gets right"
    card = load_attacks().get(name.removesuffix(ROUNDED))
    if card is None or getattr(card, "norm", "linf") != "linf" or said.mean_linf is None or said.mean_l2 is None:
        return
    most = card.eps * (1 + 1e-5) + (0.5 / 255 if name.endswith(ROUNDED) else 0)
    if said.mean_linf > most:
        yield f"attacks.{name}.mean_linf is {said.mean_linf:.6g}, and the attack changes a pixel by {most:.6g} at most"
    if isinstance(matrix.space, Images):
        longest = said.mean_linf * math.sqrt(math.prod(matrix.space.shape)) * (1 + 1e-5)
        if not said.mean_linf * (1 - 1e-5) <= said.mean_l2 <= longest:
            yield f"attacks.{name}.mean_l2 is {said.mean_l2:.6g}, expected {said.mean_linf:.4g} to {longest:.4g}"


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
