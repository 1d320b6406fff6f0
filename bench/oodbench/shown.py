"""What is shown to people: text with tables, plain where programs read it and fitted where a terminal shows it.

A `Page` is its plain text, and knows besides what tables it is made of and what a program would want of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any, Self, final

PROSE = 100
"""Letters of a line of plain prose."""


@final
@dataclass(frozen=True)
class Table:
    """A table, whose cells are text or numbers.

    Attributes:
        headers: Of the columns.
        rows: From top to bottom.
        align: "left" or "right", of each column; by default numbers are right and text is left.
        title: Stands above it.
        colours: Of a cell, by its text: "green", "red" ...
        name: Place of the column of names, which a terminal never breaks.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    align: Sequence[str] = ()
    title: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)
    name: int = 0

    def sides(self) -> tuple[str, ...]:
        """Return how each column is aligned."""
        if self.align:
            return tuple(self.align)
        columns = zip(*self.rows, strict=True) if self.rows else ([""] for _ in self.headers)
        return tuple("right" if all(isinstance(cell, int | float) for cell in column) else "left" for column in columns)

    def __str__(self) -> str:
        """Return it with a line a row, however wide.

        Example:
            >>> print(Table(("method", "n"), [("msp", 12), ("odin", 3)]))
            method      n
            --------  ---
            msp        12
            odin        3
        """
        from tabulate import tabulate

        plain = tabulate(
            [[str(cell) for cell in row] for row in self.rows],
            self.headers,
            "simple",
            colalign=self.sides() if self.rows else None,
            disable_numparse=True,
        )
        return f"{self.title}\n{plain}" if self.title else plain


@final
class Prose(str):
    """A paragraph: lines of 100 letters in plain text, as long as the terminal's on one."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return it in lines."""
        return fill(self, PROSE)


@final
class Markdown(str):
    """A page in Markdown, which a terminal shows set."""

    __slots__ = ()


@final
class Page(str):
    """The plain text of parts that stand below each other, and what a program would want of it.

    Attributes:
        parts: Lines of text, and tables.
        data: What `--json` prints: a value of plain types, dataclasses or paths, or a function that returns it.
    """

    __slots__ = ("data", "parts")

    parts: tuple[str | Table, ...]
    data: Any

    def __new__(cls, *parts: str | Table, data: object | Callable[[], object] = None) -> Self:
        r"""Return the page of parts.

        Example:
            >>> Page("a", "b", data={"letters": 2}) + "!"
            'a\nb!'
        """
        page = super().__new__(cls, "\n".join(map(str, parts)))
        page.parts, page.data = parts, data
        return page
