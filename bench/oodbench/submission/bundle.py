"""`oodbench submit`: source, records, scores and a manifest in one folder, verified before it stands there."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from oodbench import __version__, checkout
from oodbench.data.matrix import find_matrix
from oodbench.errors import BadRecord, BadSetting
from oodbench.given import method_of
from oodbench.manifest import FILE, PULL_REQUEST, SOURCE, HandedIn, Manifest
from oodbench.records import Record, command, model_paths, read_record, record_paths
from oodbench.submission.origin import Origin
from oodbench.submission.pull_request import pull_request
from oodbench.verify.faults import Fault
from oodbench.verify.verified import verify


@dataclass(frozen=True)
class Bundle:
    """What came of a submission.

    Attributes:
        folder: Where it stands.
        files: How many files it has.
        faults: What is wrong with it; then it stands nowhere.
    """

    folder: Path
    files: int
    faults: tuple[Fault, ...]


def bundle(methods: Sequence[str], origin: Origin, matrices: Sequence[str], results: Path, out: Path) -> Bundle:
    """Write a submission, unless something is wrong with it.

    Args:
        methods: Names, of one module.
        origin: Where they come from.
        matrices: On which they have all seeds.
        results: Folder of their records, among others that they are compared with.
        out: Where to write it; nothing may be there.

    Raises:
        BadSetting: Something is there.
        BadRecord: A record is not there, is broken, or says that it failed or was skipped.
    """
    if out.exists():
        raise BadSetting(f"{out}: is there already; remove it, or name another folder by --out")
    records = [record for matrix in matrices for record in records_of(results, matrix, methods)]
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
        stage = Path(temporary) / out.name
        for name, path in origin.source.items():
            _copied(path, stage / SOURCE / name)
        for record in records:
            _copy_record(results, record, stage / "results")
        rows = tuple(dict.fromkeys(record.method for record in records))
        text = pull_request(origin, records, results)
        (stage / PULL_REQUEST).write_text(text, encoding="utf-8")
        files = _files(stage)
        seeds = {matrix: find_matrix(matrix).seeds for matrix in matrices}
        manifest = Manifest(
            methods=rows,
            module=origin.module,
            package=origin.package,
            seeds=seeds,
            oodbench=__version__,
            commit=commit(),
            files=files,
        )
        (stage / FILE).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        faults = verify(stage, against=results).faults
        if not faults:
            stage.rename(out)
    return Bundle(out, len(files) + 1, faults)


def records_of(results: Path, matrix: str, methods: Sequence[str]) -> list[Record]:
    """Return the records of methods on a matrix, at every seed of it.

    Raises:
        BadRecord: One is not there, is broken, or says that it failed or was skipped.
    """
    folder = results / matrix
    there = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = []
    for method in methods:
        rows = [name for name in there if method_of(name) == method] or [method]
        for row in rows:
            for seed in find_matrix(matrix).seeds:
                path = record_paths(results, matrix, row, seed).record
                if not path.is_file():
                    raise BadRecord(
                        f"{path}: is not there; a row needs every seed of its matrix: oodbench run {matrix} --methods "
                        f"{method}"
                    )
                record = read_record(path)
                if record.status != "ok":
                    raise BadRecord(f"{path}: is {record.status}: {record.reason}; {command(record)}")
                found.append(record)
    return found


def commit() -> str | None:
    """Return the commit of this clone; None where oodbench was installed."""
    top = checkout.folder()
    return checkout.ask(top, "rev-parse", "HEAD") if top else None


def _copy_record(results: Path, record: Record, to: Path) -> None:
    """Copy a record, its scores and cost, and the models that it names."""
    where = record.matrix, record.method, record.seed
    for path, copy in zip(record_paths(results, *where), record_paths(to, *where), strict=True):
        if path.is_file():
            _copied(path, copy)
    for used in dict.fromkeys(one.name for one in (record.model, record.reference) if one):
        of_model = record.matrix, used, record.seed
        for path, copy in zip(model_paths(results, *of_model), model_paths(to, *of_model), strict=True):
            if path.is_file():
                _copied(path, copy)


def _copied(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def _files(folder: Path) -> dict[str, HandedIn]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _handed_in(path.read_bytes()) for path in files}


def _handed_in(raw: bytes) -> HandedIn:
    return HandedIn(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))
