"""Every entry of a folder, examined: those that have changed since, by several processes."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from oodbench.data.matrix import Matrix, known_matrix
from oodbench.declarations import facts
from oodbench.errors import OodbenchError
from oodbench.measure.cells import cells
from oodbench.records import model_sha256
from oodbench.report.entries import Entry, StoredOutcomes
from oodbench.report.numbers import Draws, measured
from oodbench.schema import ModelRecord, ModelUsed, Record
from oodbench.verify.bounded import content
from oodbench.verify.examine import (
    Against,
    bits_faults,
    cost_faults,
    model_faults,
    read,
    read_table,
    record_faults,
    score_faults,
    sketch,
    sums,
)
from oodbench.verify.faults import Fault
from oodbench.verify.pins import pins
from oodbench.verify.state import State, key_of
from oodbench.verify.walk import Tree

FEW = 40
"""Entries for which other processes are not worth their start."""

Models = dict[tuple[str, str, int], ModelRecord]


@dataclass(frozen=True)
class Task:
    """One entry to examine, and what it stands on; all of it can travel to another process.

    Attributes:
        root: Folder of results.
        name: Of the record's file.
        files: Whether there are scores, and costs.
        superseded: See `Against`.
        new: Likewise.
        models: Those of its matrix and seed, by name.
    """

    root: Path
    name: str
    files: tuple[bool, bool]
    superseded: bool
    new: bool
    models: Mapping[str, ModelRecord]

    @property
    def matrix(self) -> str:
        """The folder that it lies in."""
        return self.name.split("/")[0]

    @property
    def seed(self) -> str:
        """The file's stem."""
        return self.name.rpartition("/")[2].removesuffix(".json")

    def beside(self, ending: str) -> str:
        """Return the name of a file beside the record."""
        return f"{self.name.removesuffix('.json')}.{ending}"


class Examined(NamedTuple):
    """What came of an entry: what is wrong, its numbers, its draws, and what copies have in common with it."""

    faults: list[tuple[str, str]]
    rows: list[list[Any]]
    draws: list[tuple[str, str, str, list[float]]]
    sketch: list[float]
    sums: dict[str, str]

    @property
    def by_key(self) -> Draws:
        """The draws as reports take them."""
        return {(inputs, kind, metric): np.array(drawn) for inputs, kind, metric, drawn in self.draws}


@dataclass(frozen=True)
class Looked:
    """An entry that was examined.

    Attributes:
        name: Of the record's file.
        record: None where it cannot be read.
        examined: What came of it.
    """

    name: str
    record: Record | None
    examined: Examined


@dataclass(frozen=True)
class Folder:
    """A folder that was examined.

    Attributes:
        tree: Its files.
        looked: Its entries.
        models: Its models.
        faults: All that was found of these.
        remade: How many entries were examined now, and not known before.
    """

    tree: Tree
    looked: Sequence[Looked]
    models: Models
    faults: Sequence[Fault]
    remade: int


def examine_folder(
    tree: Tree, state: State, superseded: Mapping[str, Iterable[str]], new: Sequence[str], workers: int
) -> Folder:
    """Return what came of all models and entries of a folder."""
    faults: list[Fault] = []
    models = _models(tree, faults)
    tasks = [task for task in _tasks(tree, models, superseded, new) if _known(task.matrix, task.name, faults)]
    keys = {task.name: _key(task) for task in tasks}
    state.ask(keys.values())
    fresh = [task for task in tasks if keys[task.name] not in state.known]
    made = dict(zip([task.name for task in fresh], _examined(fresh, workers), strict=True))
    looked = [_looked(task, made.get(task.name) or state.known[keys[task.name]]) for task in tasks]
    state.keep({keys[name]: found for name, found in made.items()})
    faults += [Fault(*fault) for one in looked for fault in one.examined.faults]
    return Folder(tree, looked, models, faults, len(fresh))


def _looked(task: Task, found: Any) -> Looked:
    return Looked(task.name, read(task.root / task.name, "record").value, Examined(*found))


def _known(matrix: str, name: str, faults: list[Fault]) -> bool:
    if known_matrix(matrix) is None:
        faults.append(Fault(name, f"is of {matrix}, which is no matrix of this oodbench (oodbench list)"))
        return False
    return True


def _models(tree: Tree, faults: list[Fault]) -> Models:
    """Return the models of a folder by matrix, name and seed."""
    found: Models = {}
    outcomes = set(tree.of("outcomes"))
    for name in tree.of("model"):
        folder, _, own, _ = name.split("/")
        if not _known(folder, name, faults):
            continue
        matrix = known_matrix(folder)
        assert matrix is not None
        model, said = read(tree.root / name, "model")
        faults += [Fault(name, one) for one in said]
        beside = f"{name.removesuffix('.json')}.parquet"
        if model is None:
            continue
        found[folder, own, model.seed] = model
        faults += [
            Fault(name, one) for one in _model(tree.root, name, model, matrix, beside, beside in outcomes, faults)
        ]
    alone = outcomes - {f"{name.removesuffix('.json')}.parquet" for name in tree.of("model")}
    faults += [Fault(name, "lies there without the record of a model") for name in sorted(alone)]
    return found


def _model(
    root: Path, name: str, model: ModelRecord, matrix: Matrix, beside: str, there: bool, faults: list[Fault]
) -> Iterable[str]:
    if (model.outcomes_sha256 is None) == there:
        yield f"outcomes_sha256 is {model.outcomes_sha256}, and {beside} is {'' if there else 'not '}there"
    if model.outcomes_sha256 is None or not there:
        yield from model_faults(name, model, None, matrix)
        return
    outcomes, said = read_table(root / beside, matrix, model.outcomes_sha256, "outcomes")
    faults += [Fault(beside, one) for one in said]
    if outcomes is not None:
        yield from model_faults(name, model, outcomes, matrix)


def _tasks(tree: Tree, models: Models, superseded: Mapping[str, Iterable[str]], new: Sequence[str]) -> Iterable[Task]:
    scores, costs = set(tree.of("scores")), set(tree.of("cost"))
    own: dict[tuple[str, str], dict[str, ModelRecord]] = {}
    for (matrix, name, seed), model in models.items():
        own.setdefault((matrix, str(seed)), {})[name] = model
    for name in tree.of("record"):
        matrix, method, file = name.split("/")
        stem = name.removesuffix(".json")
        files = f"{stem}.parquet" in scores, f"{stem}.cost.json" in costs
        old = method in superseded.get(matrix, ())
        yield Task(tree.root, name, files, old, method in new, own.get((matrix, file.removesuffix(".json")), {}))


def _key(task: Task) -> str:
    """Return the sha256 of all that decides what is found of an entry."""
    parts: list[str | bytes] = [task.name, str(task.superseded), str(task.new), str(task.files)]
    for name, there in (
        (task.name, True),
        *zip((task.beside("parquet"), task.beside("cost.json")), task.files, strict=True),
    ):
        parts.append(_bytes(task.root / name) if there else "absent")
    for name, model in sorted(task.models.items()):
        parts += [name, model.model_dump_json()]
    matrix = known_matrix(task.matrix)
    assert matrix is not None
    return key_of([*parts, matrix.model_dump_json(), str(sorted(pins()["data"].get(task.matrix, {}).items()))])


def _bytes(path: Path) -> bytes:
    try:
        return content(path, 64 << 20)
    except OodbenchError as error:
        return str(error).encode()


def _examined(tasks: Sequence[Task], workers: int) -> list[Any]:
    """Return what comes of tasks, in their order; those of one model in one process, which share its resamples."""
    if workers < 2 or len(tasks) < FEW:
        return [examine(task) for task in tasks]
    ordered = sorted(range(len(tasks)), key=lambda at: (tasks[at].matrix, tasks[at].seed, tasks[at].name))
    groups = [list(group) for _, group in groupby(ordered, lambda at: (tasks[at].matrix, tasks[at].seed))]
    chunks = [group[start : start + FEW] for group in groups for start in range(0, len(group), FEW)]
    found: list[Any] = [None] * len(tasks)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for chunk, made in zip(chunks, pool.map(_all, [[tasks[at] for at in chunk] for chunk in chunks]), strict=True):
            for at, one in zip(chunk, made, strict=True):
                found[at] = one
    return found


def _all(tasks: Sequence[Task]) -> list[Examined]:
    return [examine(task) for task in tasks]


def examine(task: Task) -> Examined:
    """Return what comes of one entry."""
    faults: list[tuple[str, str]] = []
    record, said = read(task.root / task.name, "record")
    faults += [(task.name, one) for one in said]
    if record is None:
        return Examined(faults, [], [], [], {})
    matrix = known_matrix(task.matrix)
    assert matrix is not None
    data = pins()["data"].get(task.matrix, {})
    against = Against(matrix, facts(task.matrix, record.method), data, task.superseded, task.new)
    faults += [(task.name, one) for one in record_faults(task.name, record, against)]
    faults += [(task.name, one) for one in _files(task, record)]
    faults += [(task.beside("cost.json"), one) for one in _cost(task, record)]
    if record.scores_sha256 is None or not task.files[0]:
        return Examined(faults, [], [], [], {})
    model, reference = _used(task, record, record.model, faults), _used(task, record, record.reference, faults)
    scores, said = read_table(task.root / task.beside("parquet"), matrix, record.scores_sha256, "scores")
    faults += [(task.beside("parquet"), one) for one in said]
    if scores is None or model is None or reference is None:
        return Examined(faults, [], [], [], {})
    stored = _stored(task, record, reference)
    outcomes = _outcomes(stored.path, task.matrix, stored.sha256) if stored else None
    wrong = list(score_faults(record, scores, reference, outcomes, matrix))
    faults += [(task.beside("parquet"), one) for one in wrong]
    if against.facts is not None:
        said = list(bits_faults(record, scores, model, matrix, against.facts))
        faults += [(f"{task.matrix}/models/{model.name}/{task.seed}.json", one) for one in said]
    return _measured(task, record, reference, stored, scores, outcomes, faults)


def _measured(
    task: Task,
    record: Record,
    reference: ModelRecord,
    stored: StoredOutcomes | None,
    scores: Any,
    outcomes: Any,
    faults: list[tuple[str, str]],
) -> Examined:
    entry = Entry(record, task.root / task.beside("parquet"), None, reference, stored)
    try:
        entry.__dict__["cells"] = tuple(cells(scores, outcomes, entry.shifted))
        rows, draws = measured(entry)
    except (OodbenchError, ValueError) as error:
        return Examined([*faults, (task.beside("parquet"), f"cannot be measured: {error}")], [], [], [], {})
    plain = [(*key, drawn.tolist()) for key, drawn in draws.items()]
    return Examined(faults, [list(row) for row in rows], plain, sketch(scores), sums(scores))


def _files(task: Task, record: Record) -> Iterable[str]:
    for there, what in zip(task.files, ("scores", "cost"), strict=True):
        if there != (record.status == "ok"):
            yield f"status is {record.status!r}, and a file of its {what} is {'' if there else 'not '}there"
    if record.status == "ok" and (record.model is None or record.reference is None):
        yield "names no model, or no classifier whose errors it is judged on"
    if record.status != "ok" and record.scores_sha256 is not None:
        yield f"status is {record.status!r}, and it names scores"


def _cost(task: Task, record: Record) -> Iterable[str]:
    if task.files[1]:
        cost, said = read(task.root / task.beside("cost.json"), "cost")
        yield from said
        yield from cost_faults(cost, record, datetime.now(UTC)) if cost is not None else ()


def _used(task: Task, record: Record, used: ModelUsed | None, faults: list[tuple[str, str]]) -> ModelRecord | None:
    """Return the model that a record names, if it is there and says what the record was made with."""
    if used is None:
        return None
    model = task.models.get(used.name)
    if model is None:
        faults.append((task.name, f"names the model {used.name}, seed {task.seed}, which is not there"))
        return None
    if model_sha256(model) != used.sha256:
        faults.append(
            (task.name, f"was made with another model {used.name}: sha256 of its content is not {used.sha256[:12]}...")
        )
    if used == record.model and model.recipe != record.recipe:
        faults.append((task.name, f"recipe is not that of its model {used.name}"))
    where = record.environment.machine
    if None not in (where, model.machine) and where != model.machine:
        faults.append((task.name, f"environment.machine is {where!r}, and its model was made on {model.machine!r}"))
    return model


def _stored(task: Task, record: Record, reference: ModelRecord) -> StoredOutcomes | None:
    path = task.root / task.matrix / "models" / reference.name / f"{record.seed}.parquet"
    return StoredOutcomes(path, reference.outcomes_sha256) if reference.outcomes_sha256 else None


@lru_cache(maxsize=4)
def _outcomes(path: Path, matrix: str, sha256: str) -> Any:
    """Return what a classifier does, None where its file is broken, which is told of the model."""
    found = known_matrix(matrix)
    assert found is not None
    return read_table(path, found, sha256, "outcomes").value
