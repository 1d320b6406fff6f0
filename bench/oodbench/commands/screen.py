"""Pages on a terminal: tables as wide as it is, coloured where it takes colours.

rich breaks names where a table is too wide, or cuts them. Here names are whole: where there is no room for a long one
beside its row, it stands above it, and other cells are broken.
"""

from collections.abc import Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import TextIO

from rich.console import Console
from rich.text import Text

from oodbench.shown import Page, Table
from oodbench.terminal import is_colourful

GAP = "  "
"""Between columns."""

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
        lines = fitted(part, console.width) if isinstance(part, Table) else [Text(part)]
        for line in lines:
            console.print(line, soft_wrap=True)


def fitted(table: Table, width: int) -> list[Text]:
    """Return a table's lines; none is wider than `width`, unless a name or a number is."""
    sides = table.sides()
    rows = [[str(cell) for cell in row] for row in table.rows]
    widths = _widths(table, rows, width)
    made = [Text(table.title, "bold")] if table.title else []
    made += _lines(table.headers, widths, sides, ["bold"] * len(sides), table.name)
    made.append(Text(GAP.join("-" * one for one in widths), "dim"))
    for row in rows:
        made += _lines(row, widths, sides, [table.colours.get(cell, "") for cell in row], table.name)
    return made


def _widths(table: Table, rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the columns' widths: the widest that may be broken gives way until all fit."""
    every = [list(table.headers), *rows]
    whole = [max(len(row[at]) for row in every) for at in range(len(table.headers))]
    room = width - len(GAP) * (len(whole) - 1)
    loose = [at for at, side in enumerate(table.sides()) if at != table.name and side == "left"]
    names = [len(row[table.name]) for row in every]
    short = max(one for one in names if one <= max(LONGEST, names[0]))
    found = whole
    for name, least in zip((max(names), short), ROOMS, strict=True):
        found = [name if at == table.name else size for at, size in enumerate(whole)]
        while sum(found) > room and any(found[at] > least for at in loose):
            found[max(loose, key=found.__getitem__)] -= 1
        if sum(found) <= room:
            break
    return found


def _lines(
    row: Sequence[str], widths: Sequence[int], sides: Sequence[str], styles: Sequence[str], name: int
) -> list[Text]:
    """Return a row's lines: as many as its highest cell has, below a name that is too long for its column."""
    above = [Text(row[name], styles[name])] if len(row[name]) > widths[name] else []
    cells = ["" if above and at == name else cell for at, cell in enumerate(row)]
    broken = [_broken(cell, size, side) for cell, size, side in zip(cells, widths, sides, strict=True)]
    made = []
    for line in zip_longest(*broken, fillvalue=""):
        text = Text()
        for at, (cell, size, side, style) in enumerate(zip(line, widths, sides, styles, strict=True)):
            text.append(GAP if at else "").append(cell.rjust(size) if side == "right" else cell.ljust(size), style)
        text.rstrip()
        made.append(text)
    return above + made


def _broken(cell: str, width: int, side: str) -> list[str]:
    return [cell] if side == "right" else wrap(cell, width, break_on_hyphens=False) or [""]
