"""Tables of generated pages as HTML: a site generator takes a minute over what is read here in a second.

Cells hold text, code, bold, links to pages and pictures of none; that is all that `oodbench table` writes.
"""

import html
import re

TABLE = re.compile(r"^(\|.*\|)\n(\|(?: ?:?-+:? ?\|)+)\n((?:\|.*\|\n)*)", re.MULTILINE)
CELL = re.compile(r"(?<!\\)\|")
INLINE = re.compile(r"(`[^`]+`)")
BOLD = re.compile(r"\*\*(.+?)\*\*")
LINKED = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")
ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|<>~-])")


def as_html(text: str) -> str:
    """Return a page with its tables as HTML."""
    return TABLE.sub(lambda found: _table(*found.groups()), text)


def _table(head: str, rule: str, body: str) -> str:
    aligned = [_side(cell) for cell in _cells(rule)]
    rows = "\n".join(_row("td", line, aligned) for line in body.splitlines())
    return f"<table>\n<thead>\n{_row('th', head, aligned)}\n</thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"


def _side(rule: str) -> str:
    right, left = rule.endswith(":"), rule.startswith(":")
    side = "center" if right and left else "right" if right else "left"
    return f' style="text-align: {side}"'


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
