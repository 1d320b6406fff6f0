"""A submission: its manifest held against its files, before anything else of it is read. Nothing of it is executed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from oodbench.data.matrix import known_matrix
from oodbench.declarations import declared
from oodbench.errors import BadRecord, OodbenchError
from oodbench.given import method_of
from oodbench.manifest import FILE, MOST_SOURCE, PULL_REQUEST, SOURCE, SOURCE_ENDINGS, Manifest
from oodbench.records import MODELS
from oodbench.verify.bounded import content, json_of
from oodbench.verify.faults import Fault
from oodbench.verify.walk import Tree, place_of, plain_files

MOST_MANIFEST = 1 << 20
MOST_RESULT = 64 << 20
"""Bytes of a file of results that is hashed; how large it may be to be read follows from its matrix."""

MOST_BYTES = 1 << 30
"""Of a submission as a whole; one of five seeds on ten matrices has a hundredth of it."""

IN_RESULTS = ("record", "scores", "cost", "model", "outcomes")
"""What a submission has of results; tables and pictures follow from these."""

UNSEEN = {chr(code) for span in ((0x202A, 0x202F), (0x2066, 0x206A), (0x200B, 0x2010)) for code in range(*span)}
UNSEEN |= {chr(code) for code in range(32) if chr(code) not in "\n\t\r\f"}
"""Characters that let source read otherwise than it runs, and control characters."""


def manifest_of(folder: Path) -> Manifest | None:
    """Return what a submission says of itself; None of a folder without a manifest.

    Raises:
        BadRecord: The manifest cannot be read, or breaks its schema.
    """
    path = folder / FILE
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return Manifest.model_validate(json_of(content(path, MOST_MANIFEST)))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))[:80]}: {one['msg']}" for one in error.errors()[:3]]
        raise BadRecord("; ".join(faults)) from error


def handed_in(folder: Path, tree: Tree) -> tuple[list[Fault], tuple[str, ...]]:
    """Return what is wrong with a submission beside its results, and which of its methods are new.

    Args:
        folder: The submission.
        tree: The files of its results.
    """
    try:
        manifest = manifest_of(folder)
    except OodbenchError as error:
        return [Fault(f"../{FILE}", str(error))], ()
    if manifest is None:
        return [], ()
    if (whole := sum(plain_files(folder).values())) > MOST_BYTES:
        return [Fault(f"../{FILE}", f"lies beside {whole} bytes, expected at most {MOST_BYTES}; nothing is hashed")], ()
    faults = [*_files(folder, manifest), *_rows(manifest, tree), *_source(folder, manifest)]
    known = declared()["methods"]
    return faults, tuple(name for name in manifest.methods if method_of(name) not in known)


def _files(folder: Path, manifest: Manifest) -> Iterator[Fault]:
    """Yield files that are too many, too few, or other ones than the manifest says."""
    there = {name: size for name, size in plain_files(folder).items() if name != FILE}
    for name in sorted(there.keys() - manifest.files.keys()):
        yield Fault(f"../{name}", f"is in no line of {FILE}: remove it, or make the submission again")
    for name in sorted(manifest.files.keys() - there.keys()):
        yield Fault(f"../{FILE}", f"names {name}, which is not there, or no plain file")
    seen: dict[str, str] = {}
    for name, said in manifest.files.items():
        if (other := seen.setdefault(name.lower(), name)) != name:
            yield Fault(f"../{name}", f"is {other} to file systems that do not tell letters by case")
        if (fault := _placed(name)) is not None:
            yield Fault(f"../{name}", fault)
        if name not in there:
            continue
        most = MOST_RESULT if name.startswith("results/") else MOST_SOURCE
        if there[name] > most:
            yield Fault(f"../{name}", f"has {there[name]} bytes, expected at most {most}; it is not read")
        elif there[name] != said.size:
            yield Fault(f"../{name}", f"has {there[name]} bytes, and {FILE} says {said.size}")
        elif hashlib.sha256(content(folder / name, most)).hexdigest() != said.sha256:
            yield Fault(f"../{name}", f"is not as it was when the submission was made: its sha256 is not in {FILE}")


def _placed(name: str) -> str | None:
    """Return what is wrong with where a file lies."""
    room, _, rest = name.partition("/")
    if room == SOURCE and rest:
        return None if name.endswith(SOURCE_ENDINGS) else f"is no text of source: expected {', '.join(SOURCE_ENDINGS)}"
    if name == PULL_REQUEST or (room == "results" and place_of(rest) in IN_RESULTS):
        return None
    return f"has no place in a submission: expected {SOURCE}/, results/<matrix>/, {PULL_REQUEST} and {FILE}"


def _rows(manifest: Manifest, tree: Tree) -> Iterator[Fault]:
    """Yield rows, matrices and seeds that are in the results alone, or in the manifest alone."""
    found: dict[str, dict[str, set[int]]] = {}
    for name in tree.of("record"):
        matrix, method, file = name.split("/")
        found.setdefault(matrix, {}).setdefault(method, set()).add(int(file.removesuffix(".json")))
    for matrix in sorted(found.keys() ^ manifest.seeds.keys()):
        where = "results" if matrix in found else FILE
        yield Fault(f"../{FILE}", f"matrix {matrix} stands in {where} alone")
    rows = {method for of_matrix in found.values() for method in of_matrix} - {MODELS}
    for row in sorted(rows ^ set(manifest.methods)):
        yield Fault(f"../{FILE}", f"method {row} stands in {'results' if row in rows else FILE} alone")
    for matrix, of_matrix in found.items():
        for method, seeds in of_matrix.items():
            if seeds != (said := set(manifest.seeds.get(matrix, ()))):
                yield Fault(f"{matrix}/{method}", f"has the seeds {sorted(seeds)}, and {FILE} says {sorted(said)}")
    for matrix in manifest.seeds:
        if known_matrix(matrix) is None:
            yield Fault(f"../{FILE}", f"names {matrix}, which is no matrix of this oodbench (oodbench list)")


def _source(folder: Path, manifest: Manifest) -> Iterator[Fault]:
    """Yield source that is not there, is no text, or reads otherwise than it runs; it is not imported or parsed."""
    names = [name for name in manifest.files if name.startswith(f"{SOURCE}/")]
    file = f"{manifest.module.replace('oodbench.methods.', 'methods.', 1).replace('.', '/')}.py"
    package = file.removesuffix(".py") + "/__init__.py"
    if not any(name.endswith((f"/{file}", f"/{package}")) for name in names):
        yield Fault(f"../{SOURCE}", f"has no {file}, the module that {FILE} says its methods are in")
    for name in names:
        try:
            text = content(folder / name, MOST_SOURCE).decode("utf-8")
        except (OodbenchError, UnicodeDecodeError) as error:
            yield Fault(f"../{name}", "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error))
            continue
        if unseen := sorted(UNSEEN & set(text)):
            yield Fault(f"../{name}", f"holds {unseen[0]!a}, which is not seen: source may read otherwise than it runs")
