"""Look at the built site: every link leads somewhere, to its place on a page too, and nothing comes from another host.

python docs/make/built.py build/docs/site
"""

import html
import os
import re
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

ID = re.compile(r"\b(?:id|name)=\"([^\"]+)\"")
LINK = re.compile(r"<a\b[^>]*?\bhref=\"([^\"]+)\"")
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*?\bsrc=\"([^\"]+)\"|<link\b[^>]*?\bhref=\"([^\"]+)\"")
IMPORTED = re.compile(r"url\(\s*[\"']?(https?://[^)\"']+)|@import\s+[\"'](https?://[^\"']+)")
ELSEWHERE = re.compile(r"[a-z]+:|//")


def faults(site: Path) -> list[str]:
    """Return every broken link and everything that is loaded from elsewhere, a line each."""
    pages = {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    ids = {page: frozenset(map(html.unescape, ID.findall(text))) for page, text in pages.items()}
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    found = []
    for page, text in pages.items():
        loaded = [html.unescape(a or b) for a, b in LOADED.findall(text)]
        found += [f"{page}: loads {target} from another host" for target in loaded if ELSEWHERE.match(target)]
        inside = {
            target for target in (*map(html.unescape, LINK.findall(text)), *loaded) if not ELSEWHERE.match(target)
        }
        if page != "404.html":  # its addresses are of a host's root
            found += [f"{page}: {why}" for target in sorted(inside) if (why := _broken(page, target, ids, files))]
    for path in site.rglob("*.css"):
        imported = IMPORTED.findall(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: loads {a or b} from another host" for a, b in imported]
    return found


def _broken(page: str, target: str, ids: dict[str, frozenset[str]], files: set[str]) -> str | None:
    path, _, anchor = target.partition("#")
    path = path.partition("?")[0]
    there = os.path.normpath(PurePosixPath(page).parent / unquote(path)) if path else page
    if there not in files:
        return f"a link leads to {target}, and there is no {there} on the site"
    if anchor and there in ids and unquote(anchor) not in ids[there] and anchor != "__top":
        return f"a link leads to {target}, and {there} has no such place"
    return None


def main() -> int:
    """Print the faults of the site that the command names; fail if there is one."""
    site = Path(sys.argv[1])
    found = faults(site)
    print(
        "\n".join(found)
        or f"{len(list(site.rglob('*.html')))} pages: every link leads somewhere, nothing is loaded from elsewhere"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
