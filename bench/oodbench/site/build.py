"""`oodbench site`: writes all pages; what is there and would be the same is not written, and not computed, again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from oodbench import __version__, reruns
from oodbench.compare.changelog import Change
from oodbench.errors import BadSetting
from oodbench.given import method_of, model_of
from oodbench.measure.metrics import METRICS
from oodbench.report.entries import Entry, collect
from oodbench.report.families import FAMILIES, family_of
from oodbench.report.numbers import RANKED_BY, RANKINGS, keep, numbers
from oodbench.report.pages import scale_said
from oodbench.report.reported import papers
from oodbench.report.standings import MatrixResults, Standings, matrices_of
from oodbench.report.superseded import Superseded, superseded
from oodbench.report.superseded import changes as superseded_changes
from oodbench.shown import Page
from oodbench.site import addresses
from oodbench.site.board import Line, Printed, board, data, lines, printed
from oodbench.site.costs import costs
from oodbench.site.curves import curves, seal
from oodbench.site.news import Night, since
from oodbench.site.render import environment, page
from oodbench.site.row import drawn, row
from oodbench.site.script import first_line, script
from oodbench.store import atomically

MARK = ".oodbench-site"
"""An empty file that says that a folder is a site: only then is what no page belongs to removed from it."""

CHARTS = "plot.js"
"""The library of charts, which npm makes; without it the pages have no pictures."""

Beside = Sequence[tuple[Standings, Sequence[Printed]]]
"""The papers' numbers of a matrix, by kind of failure."""

FIRST = 3
"""Rows of a board that the first page has."""


@dataclass
class Folder:
    """The folder of a site, as it is written.

    Attributes:
        path: Where it is.
        kept: Addresses of what belongs to it.
        written: How many files were new or changed.
    """

    path: Path
    kept: set[str] = field(default_factory=set)
    written: int = 0

    def put(self, address: str, content: str | bytes) -> None:
        """Write a file if it is not what lies there."""
        place, new = self.path / address, content.encode() if isinstance(content, str) else content
        self.kept.add(address)
        if not place.is_file() or place.read_bytes() != new:
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomically(place) as temporary:
                temporary.write_bytes(new)
            self.written += 1

    def has(self, address: str, seal: str) -> bool:
        """Whether a file that begins with a seal lies there; it is kept then."""
        place, line = self.path / address, first_line(seal).encode()
        if not place.is_file():
            return False
        with place.open("rb") as file:
            found = file.read(len(line)) == line
        if found:
            self.kept.add(address)
        return found

    def sweep(self) -> None:
        """Remove what no page belongs to."""
        for path in sorted(self.path.rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(self.path).as_posix() not in self.kept:
                path.unlink()


def build(results: Path, out: Path, release: str | None = None, nights: Sequence[Path] = ()) -> Page:
    """Write the site of a folder of results; return what to say.

    Args:
        results: The folder of results.
        out: The folder of the site: absent, empty, or a site.
        release: Commit, branch or tag that changes are told since; by default the last tag, if there is one.
        nights: What `oodbench compare --json` wrote of nightly re-runs.

    Raises:
        BadSetting: There are no results, `out` is something else, there is no such release, or a night is none.
        BadRecord: A record or scores file is broken.
    """
    news, read = since(results, release), [Night.read(path) for path in nights]
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        raise BadSetting(f"{out}: is no site, and holds files; name another folder, or empty it: --out FOLDER")
    entries = collect(results)
    if not entries:
        raise BadSetting(f"{results}: no records; make some: oodbench run tiny-v1, or name their folder: --results")
    found = numbers(results, entries)
    with suppress(OSError):  # of a folder that cannot be written to, all is measured again the next time
        keep(results, found)
    folder = Folder(out)
    folder.put(MARK, "")
    environment().globals["version"] = __version__
    matrices, earlier, reported = matrices_of(entries, found), superseded(results), papers(results)
    shown = []
    for matrix in matrices:
        own = earlier.get(matrix.name, {})
        beside = [(standings, printed(matrix, standings, reported)) for standings in matrix.kinds]
        shown.append((matrix, _boards(folder, matrix, beside, own)))
        _rows(folder, matrix, matrices, beside, own)
    folder.put(addresses.INDEX, _index(shown))
    folder.put(addresses.METHODS, page("methods.html", addresses.METHODS, methods=_methods(matrices)))
    folder.put(addresses.CHANGES, _changes(news, earlier, read, reruns.read(results)))
    charts = _assets(folder)
    folder.sweep()
    missing = "" if charts else f"; without pictures: {CHARTS} is made by npm, in a clone of the repository: make site"
    index = out / addresses.INDEX
    return Page(
        f"wrote {folder.written} of {len(folder.kept)} files; open {index}{missing}",
        data={"index": index, "files": len(folder.kept), "written": folder.written, "pictures": bool(charts)},
    )


def _boards(
    folder: Folder, matrix: MatrixResults, beside: Beside, earlier: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """Write the boards of a matrix and their data; return what the first page says of them."""
    by_row = _by_row(matrix.entries)
    of = {method: costs(entries) for method, entries in by_row.items()}
    said = []
    for standings, papers_of in beside:
        found = lines(standings, of, earlier)
        folder.put(addresses.board(matrix.name, standings.kind.name), board(matrix, standings, found, of, papers_of))
        for address, text in data(standings):
            folder.put(address, text)
        said.append(_said(matrix, standings, found))
    return said


def _said(matrix: MatrixResults, standings: Standings, found: Sequence[Line]) -> Mapping[str, Any]:
    """Return what the first page says of a board: its first rows."""
    return {
        "address": addresses.board(matrix.name, standings.kind.name),
        "kind": standings.kind,
        "heading": standings.kind.heading(RANKED_BY),
        "rows": len(standings.ranks),
        "ranked": len(standings.ranked),
        "best": sum(one.may_be_best for one in standings.ranked),
        "first": [
            {
                "method": line.method,
                "rank": line.ranks[RANKED_BY],
                "number": line.numbers[RANKED_BY],
                "address": addresses.row(matrix.name, line.method),
            }
            for line in found[:FIRST]
        ],
    }


def _rows(
    folder: Folder,
    matrix: MatrixResults,
    matrices: Sequence[MatrixResults],
    beside: Beside,
    earlier: Mapping[str, str],
) -> None:
    """Write the pages of a matrix's rows, and their curves where these are not there."""
    everywhere = _places(matrices)
    for method, entries in _by_row(matrix.entries).items():
        here = addresses.row(matrix.name, method)
        elsewhere = [
            (one.partition("/")[0] if name == method else one, addresses.up(here) + address)
            for name, one, address in everywhere[method_of(method)]
            if address != here
        ]
        folder.put(here, row(matrix, method, beside, earlier.get(method, ""), elsewhere))
        entry = drawn(entries)
        address = addresses.row_data(matrix.name, method)
        if entry and not folder.has(address, seal(entry)):
            folder.put(address, script(address, curves(entry), seal(entry)))
            entry.__dict__.pop("cells", None)  # the scores of all entries need not fit into memory


def _places(matrices: Sequence[MatrixResults]) -> dict[str, list[tuple[str, str, str]]]:
    """Return the rows of each method: name, matrix and name together, and address."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for matrix in matrices:
        for one in dict.fromkeys(record.method for record in matrix.records):
            place = one, f"{matrix.name}/{one}", addresses.row(matrix.name, one)
            found.setdefault(method_of(one), []).append(place)
    return found


def _index(shown: Sequence[tuple[MatrixResults, Sequence[Mapping[str, Any]]]]) -> str:
    told = [
        (
            {
                "name": matrix.name,
                "card": matrix.card,
                "in_set": matrix.in_set,
                "seeds": len({record.seed for record in matrix.records}),
                "rows": len({record.method for record in matrix.records}),
                "said": scale_said(matrix.card, matrix.scale),
                "gaps": matrix.gaps,
            },
            boards,
        )
        for matrix, boards in shown
    ]
    methods = {method_of(record.method) for matrix, _ in shown for record in matrix.records}
    definitions = [(METRICS[metric].title, METRICS[metric].definition) for metric in RANKINGS]
    return page(
        "index.html",
        addresses.INDEX,
        matrices=told,
        methods=len(methods),
        definitions=definitions,
        families=FAMILIES,
    )


def _methods(matrices: Sequence[MatrixResults]) -> Iterator[Mapping[str, Any]]:
    """Yield what the list of methods says of each."""
    records = {method_of(record.method): record for matrix in reversed(matrices) for record in matrix.records}
    places = _places(matrices)
    for name in sorted(places):
        record = records[name]
        paper = record.citation
        yield {
            "name": name,
            "title": record.title.removesuffix(f", {model}") if (model := model_of(record.method)) else record.title,
            "family": family_of(name),
            "paper": f"{paper.authors}: {paper.title}" + (f", {paper.year}" if paper.year else ""),
            "url": paper.url,
            "rows": [(whole.partition("/")[0] if one == name else whole, to) for one, whole, to in places[name]],
        }


def _changes(
    news: "tuple[str, Sequence[Change]] | str",
    earlier: Superseded,
    nights: Sequence[Night],
    samples: Sequence[reruns.Sample],
) -> str:
    told = [
        (matrix, change, methods)
        for matrix, of in earlier.items()
        for change, methods in superseded_changes(of).items()
    ]
    release, changes = ("", ()) if isinstance(news, str) else news
    return page(
        "changes.html",
        addresses.CHANGES,
        since=release,
        why=news if isinstance(news, str) else "",
        changes=changes,
        superseded=told,
        nights=nights,
        samples=sorted(samples, key=lambda one: one.date, reverse=True),
    )


def _assets(folder: Folder) -> bool:
    """Copy style, scripts and the library of charts; return whether that is there."""
    found = [one for one in files("oodbench.site").joinpath("assets").iterdir() if one.is_file()]
    for one in found:
        folder.put(f"assets/{one.name}", one.read_bytes())
    return any(one.name == CHARTS for one in found)


def _by_row(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.record.method, []).append(entry)
    return found
