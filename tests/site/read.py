"""Reads pages back: tables of HTML and of Markdown, files of data."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """What a page has: its tables, a list of rows of cells each, and its tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[dict[str, str | None]] = []
        self.text = ""
        self._in: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        if tag == "tr" and self.tables:
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._in and tag == self._in[-1]:
            self._in.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in:
            self.tables[-1][-1][-1] += data


def table(page: Page, *heads: str) -> list[dict[str, str]]:
    """Return the rows of the first table whose head has these words, by heading."""
    for one in page.tables:
        if one and set(heads) <= {cell.strip() for cell in one[0]}:
            names = [cell.strip() for cell in one[0]]
            return [dict(zip(names, (cell.strip() for cell in row), strict=True)) for row in one[1:]]
    raise AssertionError(f"no table with {heads}")


def markdown(text: str, *heads: str) -> list[dict[str, str]]:
    """Return the rows of all tables of a Markdown page whose head has these words, by heading, links as their words."""
    found, names = [], None
    for line in text.splitlines():
        if not line.startswith("|"):
            names = None
            continue
        cells = [plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if names is None:
            names = cells
        elif not set("".join(cells)) <= set(":- ") and set(heads) <= set(names):
            found.append(dict(zip(names, cells, strict=True)))
    return found


def plain(cell: str) -> str:
    """Return the words of a cell."""
    cell = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", cell)
    return cell.replace("`", "").replace("\\|", "|").replace(" †", "").strip()


def data(path: Path) -> tuple[str, Any]:
    """Return address and content of a file of data."""
    text = path.read_text(encoding="ascii")
    body = re.fullmatch(r"(?://[^\n]*\n)?oodbench\.give\((\"[^\"]*\"),(.*)\);\n", text, re.DOTALL)
    assert body, path
    return json.loads(body[1]), json.loads(body[2])
