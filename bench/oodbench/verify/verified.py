"""`oodbench verify`: a folder of results, or one matrix of it, from its files to a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from oodbench.data.matrix import known_matrix
from oodbench.errors import BadRecord
from oodbench.verify.across import across
from oodbench.verify.entries import Folder, examine_folder
from oodbench.verify.faults import Fault
from oodbench.verify.handed_in import handed_in
from oodbench.verify.rest import rest, superseded_rows
from oodbench.verify.sorting import counts, only_by_running
from oodbench.verify.state import State
from oodbench.verify.tables import tables
from oodbench.verify.walk import Tree, specials, walk

MOST_SHOWN = 60
"""Faults that a report lists."""


@dataclass(frozen=True)
class Report:
    """What came of a folder.

    Attributes:
        root: The folder of results.
        only: The one matrix that was looked at, if not all.
        faults: What is wrong; none where all is well.
        records: How many records there are.
        files: How many files.
        examined: How many records were examined now: of the others it was known what is in them.
        seconds: Of the clock.
    """

    root: Path
    only: str | None
    faults: tuple[Fault, ...]
    records: int
    files: int
    examined: int
    seconds: float


def place(path: Path) -> tuple[Path, str | None]:
    """Return the folder of results that a path names, and the one matrix of it where the path is that.

    Args:
        path: A folder of results, a matrix in one, or a submission: a folder that holds one as `results`.

    Raises:
        BadRecord: There is no such folder.
    """
    if not path.is_dir():
        raise BadRecord(
            f"{path}: no such folder; expected results, a matrix in them, or a submission with results in it"
        )
    if known_matrix(path.resolve().name) is not None:
        return path.resolve().parent, path.resolve().name
    inner = path / "results"
    return (inner, None) if inner.is_dir() and not inner.is_symlink() else (path, None)


def verify(
    path: Path, *, against: Path | None = None, new: Sequence[str] = (), state: State | None = None, workers: int = 1
) -> Report:
    """Return what is wrong with results.

    Args:
        path: As `place` takes it.
        against: Results that are believed: what both have must be alike, and nobody's scores may be those of others.
        new: Rows of methods that this repository does not have yet; a submission's manifest names its own.
        state: What was found before.
        workers: Processes that measure.

    Raises:
        BadRecord: A folder is not there, is a link, or holds more files than any results do.
    """
    started = perf_counter()
    state = state or State(None)
    root, only = place(path)
    tree = walk(root, only)
    about: list[Fault] = []
    if only is None and root == path / "results":
        about, unknown = handed_in(path, tree)
        new = (*new, *unknown)
    superseded, faults = superseded_rows(walk_root(root, only, tree))
    folder = examine_folder(tree, state, superseded, new, workers)
    beside = _beside(against, root, {name.split("/")[0] for name in tree.of("record")}, state, workers)
    faults += specials(path) if root == path / "results" else []
    faults += [*about, *tree.faults, *folder.faults, *across(folder, beside), *rest(tree, folder, superseded)]
    if only is None and (tree.of("metrics") or tree.of("ranks")):
        faults += tables(folder)
        faults += _gone(folder, beside)
    files = sum(map(len, tree.files.values()))
    unique = tuple(sorted(set(faults)))
    return Report(root, only, unique, len(tree.of("record")), files, folder.remade, perf_counter() - started)


def walk_root(root: Path, only: str | None, tree: Tree) -> Tree:
    """Return the tree that has the files at the root, which a matrix alone does not show."""
    if only is None or not (root / "superseded.toml").is_file():
        return tree
    return Tree(root, {"superseded": ["superseded.toml"]})


def _beside(against: Path | None, root: Path, matrices: set[str], state: State, workers: int) -> Folder | None:
    """Return the believed records of the matrices that were handed in."""
    if against is None or against.resolve() == root.resolve():
        return None
    tree = walk(against)
    for kind, names in tree.files.items():
        tree.files[kind] = [name for name in names if name.split("/")[0] in matrices or "/" not in name]
    superseded, _ = superseded_rows(tree)
    return examine_folder(tree, state, superseded, (), workers)


def _gone(folder: Folder, beside: Folder | None) -> list[Fault]:
    """Return the believed records that a whole folder of results has no longer."""
    own = {one.name for one in folder.looked}
    gone = [one.name for one in beside.looked if one.name not in own] if beside else []
    return [Fault(name, f"stands in {beside.tree.root if beside else ''}, and is not here any more") for name in gone]


def told(report: Report, *, verbose: bool = False) -> str:
    """Return a report as text: faults first, then how fields are verified, and what only a re-run can."""
    shown = report.faults if verbose else report.faults[:MOST_SHOWN]
    lines = [str(fault) for fault in shown]
    if len(shown) < len(report.faults):
        lines.append(f"and {len(report.faults) - len(shown)} more; all: --verbose")
    found = counts()
    name = report.root / report.only if report.only else report.root
    lines.append(
        f"{name}: {report.records} records in {report.files} files, {report.examined} measured now, "
        f"{report.seconds:.1f} s; "
        + (f"{len(report.faults)} faults" if report.faults else "nothing is wrong that can be seen without a re-run")
    )
    lines.append(
        f"of {sum(found.values())} fields {found['recomputed']} are recomputed, {found['cross-checked']} are "
        f"cross-checked, {found['re-runnable']} are only re-runnable:"
    )
    lines += [f"  {command}\n    {', '.join(fields)}" for command, fields in only_by_running().items()]
    return "\n".join(lines)
