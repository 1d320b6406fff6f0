"""What people and programs write beside scores: the papers' numbers, claims, diagnostics, pictures, tracebacks."""

import hashlib
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from oodbench.data.fixed import parse
from oodbench.data.matrix import known_matrix
from oodbench.data.published import PUBLISHED, matrix_sha256
from oodbench.declarations import facts
from oodbench.errors import BadCard, OodbenchError
from oodbench.forward_precision import told
from oodbench.report.superseded import SupersededRows
from oodbench.reruns import history
from oodbench.verify.bounded import content, json_of
from oodbench.verify.entries import Folder
from oodbench.verify.faults import Fault
from oodbench.verify.pins import PINNED, pins
from oodbench.verify.walk import LARGEST, Tree, skeleton

SCRIPT = re.compile(
    rb"<\s*script|javascript:|<\s*foreignObject|\son[a-z]+\s*=|<!ENTITY|<\s*(iframe|embed|object)", re.I
)
"""What a picture of lines may not hold."""

PNG = b"\x89PNG\r\n\x1a\n"


def superseded_rows(tree: Tree) -> tuple[dict[str, set[str]], list[Fault]]:
    """Return the rows that are said to be of earlier versions, by matrix, and what is wrong with the file."""
    found: dict[str, set[str]] = {}
    for name in tree.of("superseded"):
        try:
            text = content(tree.root / name, LARGEST["superseded"]).decode("utf-8")
            for one in parse(tomllib.loads(text), SupersededRows, name).superseded:
                found.setdefault(one.matrix, set()).update(one.methods)
        except (OodbenchError, ValueError, RecursionError, BadCard) as error:
            return {}, [Fault(name, f"cannot be read: {error}")]
    return found, []


def rest(tree: Tree, folder: Folder, superseded: dict[str, set[str]]) -> Iterator[Fault]:
    """Yield what is wrong with all that is no record, no model and no table."""
    yield from _matrices(tree)
    yield from _pinned(tree)
    yield from _not_superseded(folder, superseded)
    yield from _look_alikes(folder)
    yield from _reruns(tree)
    for name in tree.of("picture"):
        yield from _picture(tree, name)
    for name in tree.of("diagnostic"):
        yield from _picture(tree, name) if name.endswith((".svg", ".png")) else _diagnostic(tree, name)
    records = {one.name: one.record for one in folder.looked}
    for name in tree.of("failure"):
        record = records.get(name.replace(".failed.txt", ".json"))
        if record is None or record.status != "failed":
            yield Fault(name, "is the traceback of a failure, and no record beside it says that it failed")
    for kind, ending in (("scores", ".parquet"), ("cost", ".cost.json")):
        for name in tree.of(kind):
            if name.removesuffix(ending) + ".json" not in set(tree.of("record")):
                yield Fault(name, f"is a file of {kind} without a record")


def _matrices(tree: Tree) -> Iterator[Fault]:
    """Yield matrices whose file is not the one that was published under that name."""
    for name in dict.fromkeys(name.split("/")[0] for kind in ("record", "model") for name in tree.of(kind)):
        if known_matrix(name) is None:
            continue  # told of each of its files
        file, _ = told(name)
        if file not in PUBLISHED:
            yield Fault(name, "is a matrix that is not published: its file is in no list of hashes")
        elif matrix_sha256(file) != PUBLISHED[file]:
            yield Fault(name, f"its matrix file is not the published one: sha256 is not {PUBLISHED[file][:12]}...")


def _pinned(tree: Tree) -> Iterator[Fault]:
    """Yield files that people write and that are not as they were pinned, and those that are gone."""
    expected = pins()["files"]
    for kind in PINNED:
        for name in tree.of(kind):
            raw = content(tree.root / name, LARGEST[kind])
            if name not in expected:
                yield Fault(name, "is pinned nowhere; reviewed? python -m oodbench.verify.pins results")
            elif hashlib.sha256(raw).hexdigest() != expected[name]:
                yield Fault(name, "is not as it was pinned; reviewed? python -m oodbench.verify.pins results")
    if tree.of("metrics"):
        there = {name for kind in PINNED for name in tree.of(kind)}
        yield from (Fault(name, "is pinned, and not there any more") for name in sorted(expected.keys() - there))


def _not_superseded(folder: Folder, superseded: dict[str, set[str]]) -> Iterator[Fault]:
    """Yield rows that are said to be of an earlier version and are not: a mark that frees them of checks."""
    for one in folder.looked:
        record = one.record
        if record is None or record.method not in superseded.get(record.matrix, ()):
            continue
        found = facts(record.matrix, record.method)
        if found is None or record.status != "ok":
            continue
        members = found.row["members"].get(str(record.seed), [])
        if record.versions == found.of["versions"] and list(record.members) == members:
            yield Fault(one.name, "stands in superseded.toml, and is of the version that its method declares")


def _look_alikes(folder: Folder) -> Iterator[Fault]:
    """Yield methods that this repository does not have and whose names look like one that it has."""
    from oodbench.declarations import declared

    known = {skeleton(name): name for name in declared()["methods"]}
    for matrix, method in dict.fromkeys(tuple(one.name.split("/")[:2]) for one in folder.looked):
        base = method.partition("@")[0]
        like = known.get(skeleton(base))
        if like is not None and like != base:
            yield Fault(f"{matrix}/{method}", f"looks like {like}, which is another method; rename it")


def _reruns(tree: Tree) -> Iterator[Fault]:
    """Yield lines of the history of re-runs that are none, that lie in time to come, or are of no matrix."""
    for name in tree.of("reruns"):
        try:
            samples = history(content(tree.root / name, LARGEST["reruns"]).decode("utf-8"))
        except (OodbenchError, ValueError) as error:
            yield Fault(name, str(error))
            continue
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        for at, one in enumerate(samples, 2):
            if known_matrix(one.matrix) is None:
                yield Fault(name, f"line {at} is of {one.matrix}, which is no matrix of this oodbench")
            if one.date > tomorrow:
                yield Fault(name, f"line {at} is of {one.date.isoformat()}, which is still to come")


def _picture(tree: Tree, name: str) -> Iterator[Fault]:
    raw = content(tree.root / name, LARGEST["picture"])
    if name.endswith(".png") and not raw.startswith(PNG):
        yield Fault(name, "is no PNG picture")
    if name.endswith(".svg"):
        if b"<svg" not in raw[:2048]:
            yield Fault(name, "is no SVG picture")
        elif found := SCRIPT.search(raw):
            yield Fault(name, f"holds {found.group(0).decode(errors='replace')!r}: a picture has no script in it")


def _diagnostic(tree: Tree, name: str) -> Iterator[Fault]:
    if not name.endswith(".json"):
        return
    try:
        found = json_of(content(tree.root / name, LARGEST["diagnostic"]))
    except OodbenchError as error:
        yield Fault(name, str(error))
        return
    _, matrix, method, seed, _ = name.split("/")
    said = tuple(str(found.get(field, own)) for field, own in (("matrix", matrix), ("method", method), ("seed", seed)))
    if said != (matrix, method, seed):
        yield Fault(name, f"is of {', '.join(said)}, and lies in the folder of {matrix}, {method}, seed {seed}")
