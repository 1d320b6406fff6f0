"""What entries say of each other: seeds that are all there, facts that agree, scores that are nobody else's."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from oodbench.data.cards import find_card
from oodbench.data.matrix import known_matrix
from oodbench.declarations import facts
from oodbench.records import model_sha256, promise
from oodbench.schema import ModelRecord, Record
from oodbench.store import digest
from oodbench.verify.entries import Folder, Looked
from oodbench.verify.faults import Fault

SAME_SEED = 0.99995
"""Correlation of scores (or of their ranks) of two methods on one model, from which they are one method's."""

OTHER_SEED = 0.9998
"""The same where models differ: the largest between seeds in the committed results is 0.9991, two PixelCNN++."""

PEARSON = 1 - 1e-6
"""Correlation of the scores themselves, from which one is the other with noise or in another unit."""

LIMITS = (
    # The softmax's maximum or the largest logit: as a temperature, a step or a norm goes to its limit, or as no more
    # than two classes matter.
    frozenset(
        {
            *("msp", "temperature", "baseline-t", "odin", "odin-tuned", "odin-fgsm", "i-odin", "i-odin-tuned"),
            *("margin", "max-logit", "max-logit-pnorm", "doctor", "rel-u", "rel-u-tuned", "entropy", "energy"),
        }
    ),
    # The energy: under a ceiling that no activation reaches, as those of a recurrent network are bounded.
    frozenset({"energy", "react", "react-tuned"}),
    # The mean of log p: as GEN's exponent goes to 0, for (p (1 - p))^g = 1 + g log p (1 - p) + ...
    frozenset({"uniform-cross-entropy", "gen", "gen-tuned"}),
    # 1 - sum p^2, where GEN's exponent is chosen as 1 and no class is left out: sum p (1 - p).
    frozenset({"doctor", "gen-tuned"}),
)
"""Methods that a network may leave no difference between, by the limit that they tend to. That one of them has the
scores of another only a re-run can judge."""

OF_TWO_CLASSES = frozenset(
    {
        *("msp", "temperature", "baseline-t", "margin", "doctor", "entropy", "max-logit-pnorm", "rel-u", "rel-u-tuned"),
        *("gen", "gen-tuned", "uniform-cross-entropy"),
    }
)
"""Functions of the differences of the logits: where there are two classes there is one, and they order inputs alike."""

AGREE: Mapping[str, Callable[[Record], Any]] = {
    "passes": lambda record: record.passes,
    "behaviour": lambda record: sorted(record.behaviour.items()),
    "data": lambda record: sorted((label, used.data_sha256) for label, used in record.data.items()),
}
"""What two records of one origin cannot differ in."""


def across(folder: Folder, beside: Folder | None) -> Iterator[Fault]:
    """Yield what is wrong with entries beside each other, and beside those of a folder that is believed.

    What a folder has in place of a believed record is held against that one, too, and no less against the others.
    """
    believed = beside.looked if beside else []
    yield from _made_again(folder, believed)
    yield from _seeds(folder, believed)
    yield from _agreement(folder, believed)
    yield from _keys(folder, believed)
    yield from _copies(folder, believed)
    yield from _equal_sets(folder, believed)
    yield from _models(folder, beside)


def _ok(looked: Iterable[Looked]) -> list[tuple[str, Record]]:
    return [(one.name, one.record) for one in looked if one.record is not None and one.record.status == "ok"]


def _seeds(folder: Folder, believed: Sequence[Looked]) -> Iterator[Fault]:
    """Yield methods that lack a seed of their matrix: whoever chooses seeds chooses numbers."""
    seeds: dict[tuple[str, str], set[int]] = {}
    for one in (*folder.looked, *believed):
        matrix, method, file = one.name.split("/")
        seeds.setdefault((matrix, method), set()).add(int(file.removesuffix(".json")))
    for matrix, method in dict.fromkeys((one.name.split("/")[0], one.name.split("/")[1]) for one in folder.looked):
        card = known_matrix(matrix)
        if card is not None and (lacking := sorted(set(card.seeds) - seeds[matrix, method])):
            there = sorted(seeds[matrix, method])
            yield Fault(f"{matrix}/{method}", f"has the seeds {there} and lacks {lacking}: seeds may not be chosen")


def _agreement(folder: Folder, believed: Sequence[Looked]) -> Iterator[Fault]:
    origins: dict[str, Callable[[Record], Hashable]] = {
        "passes": lambda record: digest(_base(record), record.parameters.model_dump(), record.recipe, record.versions),
        "behaviour": lambda record: (_base(record), record.source_sha256, promise(record), _space(record)),
        "data": lambda record: (record.matrix, tuple(record.data)),
    }
    for what, said in AGREE.items():
        first: dict[Hashable, tuple[str, Any]] = {}
        for name, record in (*_ok(believed), *_ok(folder.looked)):
            other, value = first.setdefault((what, origins[what](record)), (name, said(record)))
            if value != said(record):
                yield Fault(name, f"{what} is not as in {other}, which has the same origin: one of them was changed")


def _base(record: Record) -> str:
    return record.method.partition("@")[0]


def _space(record: Record) -> str:
    """Return which toy its behaviour is of: that of images, or that of words."""
    matrix = known_matrix(record.matrix)
    return matrix.space.name if matrix else ""


def _made_again(folder: Folder, believed: Sequence[Looked]) -> Iterator[Fault]:
    """Yield records that would make the same numbers as the believed one in their place, and have others."""
    there = dict(_ok(believed))
    for name, record in _ok(folder.looked):
        known = there.get(name)
        if known is None or (known.key, known.environment.machine) != (record.key, record.environment.machine):
            continue  # other versions, parameters or data; or numbers that differ as machines do
        if known.scores_sha256 != record.scores_sha256:
            says = "has other scores than the believed record of this key and class of machine"
            yield Fault(name, f"{says}: make it again, and raise the version of what changed")


def _keys(folder: Folder, believed: Sequence[Looked]) -> Iterator[Fault]:
    """Yield records of one content address that say different things, and those of different seeds with one."""
    first: dict[str, tuple[str, Record]] = {
        record.key: (name, record) for name, record in _ok(believed) if record.key is not None
    }
    for name, record in _ok(folder.looked):
        if record.key is None:
            yield Fault(name, "key is null: nothing says what its numbers depend on")
            continue
        other, one = first.setdefault(record.key, (name, record))
        same = (one.scores_sha256, one.seed, one.matrix) == (record.scores_sha256, record.seed, record.matrix)
        if other != name and not same:
            yield Fault(name, f"key is that of {other}, which has other scores, another seed or another matrix")


def _models(folder: Folder, beside: Folder | None) -> Iterator[Fault]:
    """Yield models that nothing stands on, that differ from believed ones, or that are not alike over seeds."""
    used = {
        (one.record.matrix, model.name, one.record.seed)
        for one in folder.looked
        if one.record is not None
        for model in (one.record.model, one.record.reference)
        if model is not None
    }
    first: dict[tuple[str, str], tuple[int, Any]] = {}
    keys: dict[str, tuple[str, str, int]] = {}
    for at, model in folder.models.items():
        matrix, name, seed = at
        path = f"{matrix}/models/{name}/{seed}.json"
        if at not in used:
            yield Fault(path, "no record stands on this model; remove it")
        believed = beside.models.get(at) if beside else None
        if believed is not None and model.machine == believed.machine and not _is(model, believed):
            yield Fault(
                path, f"is not the model {name} of seed {seed} that stands in {beside.tree.root if beside else ''}"
            )
        other, parameters = first.setdefault((matrix, name), (seed, model.quality.parameters))
        if model.quality.parameters != parameters:
            yield Fault(path, f"quality.parameters is {model.quality.parameters}, and of seed {other} {parameters}")
        if model.key is None or keys.setdefault(model.key, at) != at:
            yield Fault(path, f"key is {model.key}: null, or that of another model")


def _is(model: ModelRecord, believed: ModelRecord) -> bool:
    """Whether a model says what a believed record of it says; where that is older and lacks a field, that is no matter.

    Both are of one content only where sha256 says so, too: an older record lacks no more than what that leaves out.
    """
    said = believed.model_dump(exclude_none=True)
    return model_sha256(model) == model_sha256(believed) and _holds(model.model_dump(), said)


def _holds(whole: Any, part: Any) -> bool:
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(name in whole and _holds(whole[name], value) for name, value in part.items())
    return bool(whole == part)


def _copies(folder: Folder, believed: Sequence[Looked]) -> Iterator[Fault]:
    """Yield entries whose scores are, or nearly are, those of another seed, of another model or of another method."""
    own = {id(one) for one in folder.looked}
    groups: dict[tuple[str, int], list[Looked]] = {}
    for one in (*believed, *folder.looked):
        if one.record is not None and one.examined.sketch:
            groups.setdefault((one.record.matrix, len(one.examined.sketch)), []).append(one)
    for group in groups.values():
        values = np.array([one.examined.sketch for one in group])
        pearson, spearman = _correlation(values), _correlation(np.apply_along_axis(rankdata, 1, values))
        close = np.triu((np.abs(spearman) > OTHER_SEED) | (np.abs(pearson) > PEARSON), 1)
        for i, j in np.argwhere(close).tolist():
            other, one = group[i], group[j]  # believed ones come first
            if id(one) not in own or one.name == other.name:
                continue
            if said := _copied(other, one, float(pearson[i, j]), float(spearman[i, j])):
                yield Fault(one.name.replace(".json", ".parquet"), said.format(other=other.name.removesuffix(".json")))


def _equal_sets(folder: Folder, believed: Sequence[Looked]) -> Iterator[Fault]:
    """Yield sets whose scores are those of another seed or model, number for number."""
    first: dict[tuple[str, str, str], Looked] = {}
    own = {id(one) for one in folder.looked}
    for one in (*believed, *folder.looked):
        for name, sha256 in one.examined.sums.items() if one.record is not None else ():
            other = first.setdefault((one.name.split("/")[0], name, sha256), one)
            assert one.record is not None
            assert other.record is not None
            if id(one) not in own or one.name == other.name:
                continue
            same = (other.record.seed, other.record.reference) == (one.record.seed, one.record.reference)
            if not same and not _of_inputs_alone(other.record, one.record):
                says = f"has the scores of {other.name.removesuffix('.json')} for {name}, number for number"
                yield Fault(one.name.replace(".json", ".parquet"), says)


def _correlation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of each row with each [n n]; 0 where a row has no spread."""
    centred = values - values.mean(axis=1, keepdims=True)
    lengths = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    units = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
    found: NDArray[np.float64] = units @ units.T
    return found


def _copied(a: Looked, b: Looked, pearson: float, spearman: float) -> str:
    """Return what is said of two entries whose scores are this close; nothing where they may be."""
    assert a.record is not None
    assert b.record is not None
    if _of_inputs_alone(a.record, b.record):
        return ""
    strongest = max(abs(pearson), abs(spearman))
    how = f"correlation of scores {pearson:.7f}, of ranks {spearman:.7f}"
    if min(pearson, spearman) < -OTHER_SEED:
        return f"has the scores of {{other}} mirrored ({how})"
    if a.record.seed != b.record.seed or (a.record.model != b.record.model and a.record.method == b.record.method):
        return f"has the scores of {{other}}, of another seed or model, or nearly ({how})"
    if a.record.reference != b.record.reference:
        return f"has the scores of {{other}}, of another model, or nearly ({how})"
    if strongest < SAME_SEED or _may_be_alike(a.record, b.record):
        return ""
    return f"has the scores of {{other}}, another method, or nearly ({how})"


def _has_two_classes(name: str) -> bool:
    matrix = known_matrix(name)
    return matrix is not None and find_card(matrix.in_set).classes == 2


def _of_inputs_alone(a: Record, b: Record) -> bool:
    """Whether both are one method at one seed that asks no model: beside another model it has the same scores."""
    one = facts(a.matrix, a.method)
    return _base(a) == _base(b) and a.seed == b.seed and one is not None and one.of.get("asks_no_model", False)


def _may_be_alike(a: Record, b: Record) -> bool:
    """Whether two methods are of one file, as a tuned one and its untuned twin, or may both come to one order."""
    groups = (*LIMITS, OF_TWO_CLASSES) if _has_two_classes(a.matrix) else LIMITS
    if any({_base(a), _base(b)} <= group for group in groups):
        return True
    one, other = facts(a.matrix, a.method), facts(b.matrix, b.method)
    return one is not None and other is not None and one.of["module"] == other.of["module"]
