"""Pages on a terminal: tables as wide as it is, coloured where it takes colours.

rich breaks names where a table is too wide, or cuts them. Here names are whole: where there is no room for a long one
beside its row, it stands above it, and other cells are broken.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, zip_longest
from textwrap import wrap
from typing import TextIO

from rich.console import Console
from rich.text import Text

from oodbench.shown import Markdown, Page, Table
from oodbench.terminal import is_colourful

GAP = "  "
"""Between columns."""

CELLS = re.compile(r"(?<!\\)\|")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
MARKS = re.compile(r"`|\*\*")

LONGEST = 24
"""Of a name beside which the rest of its row stands, where there is little room."""

ROOMS = (20, 8)
"""Columns that a broken cell has at least: where names stand beside their rows, and where long ones stand above."""


def draw(page: Page, stream: TextIO, width: int | None = None) -> None:
    """Print a page on a stream; `width` is that of the terminal if it is not told."""
    colourful = is_colourful(stream)
    console = Console(
        file=stream,
        width=width,
        force_terminal=colourful,
        no_color=not colourful,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for part in page.parts:
        for one in blocks(part) if isinstance(part, Markdown) else [part]:
            for line in fitted(one, console.width) if isinstance(one, Table) else lines_of(one, console.width):
                console.print(line, soft_wrap=True)


def lines_of(text: str | Text, width: int) -> list[Text]:
    """Return text broken between words; a path that is longer than the terminal is whole, and can be copied."""
    style = text.style if isinstance(text, Text) else ""
    made = []
    for line in (text.plain if isinstance(text, Text) else f"{text:s}").split("\n"):
        indent = " " * (len(line) - len(line.lstrip(" ")))
        broken = wrap(
            line,
            width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
        )
        made += [Text(one, style) for one in broken or [""]]
    return made


def blocks(markdown: str) -> Iterator[Text | Table]:
    """Yield a page's lines, headings bold, and its tables."""
    for is_table, group in groupby(markdown.rstrip("\n").split("\n"), key=lambda line: line.startswith("|")):
        lines = list(group)
        if is_table:
            headers, sides, *rows = ([cell.strip() for cell in CELLS.split(line)[1:-1]] for line in lines)
            align = ["right" if side.endswith(":") else "left" for side in sides]
            yield _named(Table([_bare(one) for one in headers], [[_bare(cell) for cell in row] for row in rows], align))
            continue
        for line in lines:
            yield Text(_bare(line.lstrip("# ") if line.startswith("#") else line), "bold" if line[:1] == "#" else "")


def _named(table: Table) -> Table:
    """Return a table whose names are in the first column in which rows differ: they are told apart by it."""
    ways = [len({row[at] for row in table.rows}) for at in range(len(table.headers))]
    return replace(table, name=next((at for at, number in enumerate(ways) if number > 1), 0))


def _bare(text: str) -> str:
    """Return a line of Markdown without its marks; links are their text."""
    return MARKS.sub("", LINK.sub(r"\1", text)).replace(r"\|", "|")


def fitted(table: Table, width: int) -> list[Text]:
    """Return a table's lines; none is wider than `width`, unless a name or numbers are.

    Where there is too little room, what every row says alike stands once, above.
    """
    if len(table.rows) > 1 and sum(_whole(table)) + len(GAP) * (len(table.headers) - 1) > width:
        alike = [
            at for at in range(len(table.headers)) if at != table.name and len({row[at] for row in table.rows}) == 1
        ]
        if alike and len(alike) < len(table.headers) - 1:
            said = "; ".join(f"{table.headers[at]}: {table.rows[0][at]}" for at in alike)
            title = [Text(table.title, "bold")] if table.title else []
            return [*title, *lines_of(said, width), *fitted(_without(table, alike), width)]
    sides = table.sides()
    rows = [[str(cell) for cell in row] for row in table.rows]
    widths = _widths(table, rows, width)
    made = [Text(table.title, "bold")] if table.title else []
    made += _lines(table.headers, widths, sides, ["bold"] * len(sides), table.name)
    made.append(Text(GAP.join("-" * one for one in widths), "dim"))
    for row in rows:
        made += _lines(row, widths, sides, [table.colours.get(cell, "") for cell in row], table.name)
    return made


def _whole(table: Table) -> list[int]:
    """Return the widths of the columns where nothing is broken."""
    return [max(len(str(row[at])) for row in (table.headers, *table.rows)) for at in range(len(table.headers))]


def _without(table: Table, columns: Collection[int]) -> Table:
    """Return a table without some columns, and without a title."""
    left = [at for at in range(len(table.headers)) if at not in columns]
    sides = table.sides()
    return Table(
        [table.headers[at] for at in left],
        [[row[at] for at in left] for row in table.rows],
        [sides[at] for at in left],
        colours=table.colours,
        name=left.index(table.name),
    )


def _widths(table: Table, rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the columns' widths: the widest that may be broken gives way until all fit."""
    every = [list(table.headers), *rows]
    whole = _whole(table)
    room = width - len(GAP) * (len(whole) - 1)
    sides = table.sides()
    names = [len(row[table.name]) for row in every]
    short = max(one for one in names if one <= max(LONGEST, names[0]))
    found = whole
    for name, room_of_cell in zip((max(names), short), ROOMS, strict=True):
        found = [name if at == table.name else size for at, size in enumerate(whole)]
        least = [_least([row[at] for row in every], side, room_of_cell) for at, side in enumerate(sides)]
        least[table.name] = name
        while sum(found) > room and (loose := [at for at, size in enumerate(found) if size > least[at]]):
            found[max(loose, key=found.__getitem__)] -= 1
        if sum(found) <= room:
            break
    return found


def _least(column: Sequence[str], side: str, room: int) -> int:
    """Return how narrow a column may be: numbers are never broken, their header is, between words."""
    if side == "left":
        return room
    return max(*map(len, column[0].split()), *map(len, column[1:]), 1)


def _lines(
    row: Sequence[str], widths: Sequence[int], sides: Sequence[str], styles: Sequence[str], name: int
) -> list[Text]:
    """Return a row's lines: as many as its highest cell has, below a name that is too long for its column."""
    above = [Text(row[name], styles[name])] if len(row[name]) > widths[name] else []
    cells = ["" if above and at == name else cell for at, cell in enumerate(row)]
    broken = [wrap(cell, size, break_on_hyphens=False) or [""] for cell, size in zip(cells, widths, strict=True)]
    made = []
    for line in zip_longest(*broken, fillvalue=""):
        text = Text()
        for at, (cell, size, side, style) in enumerate(zip(line, widths, sides, styles, strict=True)):
            text.append(GAP if at else "").append(cell.rjust(size) if side == "right" else cell.ljust(size), style)
        text.rstrip()
        made.append(text)
    return above + made
