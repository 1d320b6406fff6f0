"""`oodbench table`: the pages, the pictures, the ranks and the table of all numbers, from records and scores alone."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from oodbench.report.entries import collect
from oodbench.report.families import short_board
from oodbench.report.models import sweeps
from oodbench.report.numbers import COLUMNS, difference, keep, numbers
from oodbench.report.pages import pages
from oodbench.report.rank_table import FILE as RANKS
from oodbench.report.rank_table import ranks_csv
from oodbench.report.readme import with_block
from oodbench.report.reported import papers
from oodbench.report.site import COMMAND, MARK, PICTURE, WHOLE, Pages, Site, differs, sweep_picture
from oodbench.report.standings import MatrixResults, matrices_of
from oodbench.store import atomically


def table(results: Path, matrix: str | None = None) -> pd.DataFrame:
    """Return every number below `results`, a row each.

    Columns: matrix, kind (of failure), set, method, seed, metric, value (in [0, 1]), low and high (95 % interval, where
    there is one), n_good, n_bad.

    Raises:
        BadRecord: As `oodbench.report.numbers.numbers`.
    """
    frame = numbers(results, collect(results, matrix)).frame
    return frame.loc[frame["metric"] != "", list(COLUMNS)].reset_index(drop=True)


def leaderboard(results: Path, index: str = "leaderboard.md") -> Pages:
    """Return the text of every page by its path, relative to the folder of leaderboard.md.

    Raises:
        BadRecord: A record or scores file is broken, foreign, newer than this program, or the two do not match; or a
            record has other sets than its matrix.
        BadCard: A file of the papers' own numbers breaks its schema.
    """
    entries = collect(results)
    return pages(Site(results, index), matrices_of(entries, numbers(results, entries)), papers(results))


def rebuild(results: Path, path: Path, *, check: bool = False, csv: Path | None = None) -> tuple[str, bool]:
    """Write the pages, or only compare them; return what to say, and whether all is well.

    Args:
        results: Folder of records.
        path: Where leaderboard.md is; all other pages lie in docs/leaderboard beside it.
        check: Write nothing: measure all scores anew, believing nothing that is kept, and compare every page, the
            ranks, the table of numbers, and the block in README.md.
        csv: Also write all numbers there.

    Raises:
        BadRecord: As `leaderboard`.
    """
    if csv:
        with atomically(csv) as temporary:
            table(results).to_csv(temporary, index=False)
    if check:
        faults = compare(results, path)
        return "\n".join(faults) or f"{path} and its pages are what the scores in {results} make.", not faults
    count = write(results, path)
    return f"wrote {path} and {count - 1} pages" + (f" and {csv}" if csv else ""), True


def write(results: Path, path: Path) -> int:
    """Write all pages, the ranks as data and, where matplotlib is installed, the pictures; return how many pages.

    Raises:
        BadRecord: As `leaderboard`.
    """
    entries = collect(results)
    found = numbers(results, entries)
    matrices = matrices_of(entries, found)
    if find_spec("matplotlib"):
        _draw(results, matrices)
    site = Site(results, path.name)
    texts = pages(site, matrices, papers(results))
    for name, text in (texts | with_block(path.parent, site, matrices)).items():
        _put(path.parent / name, text)
    _put(results / RANKS, ranks_csv(matrices))
    for surplus in _surplus(path.parent, site, texts):
        if surplus.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            surplus.unlink()
    keep(results, found)
    return len(texts)


def compare(results: Path, path: Path) -> list[str]:
    """Return how pages, ranks, numbers and the block in README.md differ from what the scores make, and what mends it.

    Raises:
        BadRecord: As `leaderboard`.
    """
    entries = collect(results)
    found = numbers(results, entries, trust=False)
    matrices = matrices_of(entries, found)
    site = Site(results, path.name)
    texts = pages(site, matrices, papers(results))
    faults = [fault for name, text in texts.items() if (fault := differs(path.parent / name, text))]
    faults += [f"{one}: no scores make this page" for one in _surplus(path.parent, site, texts)]
    faults += [
        fault
        for name, text in with_block(path.parent, site, matrices).items()
        if (fault := differs(path.parent / name, text))
    ]
    faults += [fault] if (fault := differs(results / RANKS, ranks_csv(matrices))) else []
    faults += [fault] if (fault := difference(results, found)) else []
    how = f"rebuild what differs: {COMMAND} --results {results} --leaderboard {path}"
    return [*faults, how] if faults else []


def _put(place: Path, text: str) -> None:
    """Write a file if it is not what lies there."""
    if not place.is_file() or place.read_bytes() != text.encode():
        with atomically(place) as temporary:
            temporary.write_bytes(text.encode())


def _surplus(folder: Path, site: Site, texts: Pages) -> list[Path]:
    """Return the pages that lie among the generated ones and are none of them."""
    here = sorted((folder / site.folder).rglob("*.md"))
    return [path for path in here if path.relative_to(folder).as_posix() not in texts and path.name[0] != "."]


def _draw(results: Path, matrices: Sequence[MatrixResults]) -> None:
    from oodbench.report.pictures import draw, draw_sweep

    for matrix in matrices:
        draw(matrix, results / matrix.name / PICTURE, short=True)
        if any(len(short_board(one)) < len(one.ranks) for one in matrix.kinds):
            draw(matrix, results / matrix.name / WHOLE, short=False)
        for sweep in filter(lambda one: one.ordered, sweeps(matrix)):
            draw_sweep(sweep, matrix, results / matrix.name / sweep_picture(sweep.recipe, sweep.field))
