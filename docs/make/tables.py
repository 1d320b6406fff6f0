"""Tables of generated pages as HTML, put into the built pages: a site generator takes most of its time over them.

    python docs/make/tables.py build/docs

Cells hold text, code, bold and links; that is all that `oodbench table` writes. While the site is built, a mark stands
for each table, so that neither Markdown nor the index of the search reads ten thousand numbers.
"""

import html
import json
import re
import sys
from pathlib import Path

TABLE = re.compile(r"^(\|.*\|)\n(\|(?: ?:?-+:? ?\|)+)\n((?:\|.*\|\n)*)", re.MULTILINE)
CELL = re.compile(r"(?<!\\)\|")
INLINE = re.compile(r"(`[^`]+`)")
BOLD = re.compile(r"\*\*(.+?)\*\*")
LINKED = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")
ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|<>~-])")


HELD = re.compile(r"(?:<p>)?\[table (\d+)\](?:</p>)?")
"""The mark of a table."""


def held(text: str, tables: list[str]) -> str:
    """Return a page with a mark for each table, and put the tables into the list as HTML."""

    def one(found: re.Match[str]) -> str:
        tables.append(_table(*found.groups()))
        return f"[table {len(tables) - 1}]\n"

    return TABLE.sub(one, text)


def put_in(text: str, tables: list[str]) -> str:
    """Return a built page with the tables in the places of their marks."""
    return HELD.sub(lambda found: tables[int(found[1])], text)


def _table(head: str, rule: str, body: str) -> str:
    aligned = [_side(cell) for cell in _cells(rule)]
    rows = "\n".join(_row("td", line, aligned) for line in body.splitlines())
    return f"<table>\n<thead>\n{_row('th', head, aligned)}\n</thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"


def _side(rule: str) -> str:
    return ' class="number"' if rule.endswith(":") else ""


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in CELL.split(line.strip()[1:-1])]


def _row(tag: str, line: str, aligned: list[str]) -> str:
    cells = zip(_cells(line), aligned, strict=True)
    return "<tr>" + "".join(f"<{tag}{side}>{inline(cell)}</{tag}>" for cell, side in cells) + "</tr>"


def inline(cell: str) -> str:
    r"""Return the Markdown of a cell as HTML.

    Example:
        >>> inline("[`a|b`](c.md) **1** \\| <2>")
        '<a href="c.html"><code>a|b</code></a> <strong>1</strong> | &lt;2&gt;'
    """
    parts = INLINE.split(cell.replace(r"\|", "|"))
    spans = [f"<code>{html.escape(part[1:-1])}</code>" if at % 2 else part for at, part in enumerate(parts)]
    held = "".join(f"\x00{at}\x00" if at % 2 else html.escape(part, quote=False) for at, part in enumerate(spans))
    linked = LINKED.sub(lambda found: f'<a href="{_page(found[2])}">{found[1]}</a>', held)
    plain = ESCAPED.sub(r"\1", BOLD.sub(r"<strong>\1</strong>", linked))
    return re.sub("\x00(\\d+)\x00", lambda found: spans[int(found[1])], plain)


def _page(target: str) -> str:
    """Return what a link to a page is once the pages are HTML."""
    path, hash_, anchor = target.partition("#")
    if "://" in path or not path.endswith(".md"):
        return target
    *folders, name = path.removesuffix(".md").split("/")
    return "/".join([*folders, "index" if name == "README" else name]) + ".html" + hash_ + anchor


def main() -> int:
    """Put the tables of `tables.json` into the pages of the site, both below the folder that the command names."""
    folder = Path(sys.argv[1])
    tables = json.loads((folder / "tables.json").read_text(encoding="utf-8"))
    for path in (folder / "site").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        if HELD.search(text):
            path.write_text(put_in(text, tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
