"""Gather the pages of the documentation in one folder, so that a site generator finds them.

    python docs/make/pages.py build/docs/pages

Pages lie where they are read on a code host: `docs/`, `leaderboard.md`, `CONTRIBUTING.md`. A site has them under one
root, and nothing else of the repository. So each page is copied, its links are turned, and a file that a page links to
(a card, a picture of results) is copied to `files/`. A link that leads nowhere ends the build. Needs the standard
library alone.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import names
from lists import lists
from tables import held

ROOT = Path(__file__).resolve().parents[2]

AT_THE_ROOT = ("leaderboard.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Pages beside the folder `docs`."""

LISTED = {"methods/rows.csv": "methods.md", "datasets/matrices": "matrices.md", "datasets": "data-sets.md"}
"""What has a page made of it: in the repository a link leads to the source, on the site to the page."""

CODE = re.compile(r"(^```.*?^```|^(?: {4}|\t).*?$|``.+?``|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
"""Blocks and spans of code, where brackets are no links."""

LINK = re.compile(r"(\]\()([^()\s]+(?:\([^()\s]*\))?)(\))")
"""The target of an inline link or picture."""

NAMED_BLOCK = re.compile(r"^(```\w+) file=(\S+)$", re.MULTILINE)
"""The beginning of a block of code that is a file."""

HEADING_OF_NUMBERS = re.compile(r"^(## \[[a-z0-9-]+-v\d+\]\(.*)$", re.MULTILINE)
"""On the page of a method: the heading over its numbers on a matrix."""


class BrokenLinks(Exception):
    """Pages have links that lead nowhere."""


def sources(root: Path = ROOT) -> dict[str, str]:
    """Return where each page goes, by where it lies: paths below the root of the repository and of the site."""
    made = root / "docs" / "make"
    below = sorted(path for path in (root / "docs").rglob("*.md") if made not in path.parents)
    pages = {path.relative_to(root).as_posix(): path.relative_to(root / "docs").as_posix() for path in below}
    return pages | {name: name for name in AT_THE_ROOT} | LISTED


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return a page with everything but its code changed.

    Example:
        >>> outside_code("a `a` a", str.upper)
        'A `a` A'
    """
    return "".join(part if place % 2 else change(part) for place, part in enumerate(CODE.split(text)))


class Links:
    """Turns the links of pages, and remembers which files they need and which links are broken."""

    def __init__(self, pages: dict[str, str], known: frozenset[str]) -> None:
        self.pages, self.known = pages, known
        self.files: dict[str, str] = {}
        self.broken: list[str] = []

    def inside(self, folder: str) -> list[str]:
        """Return the files below a folder, by their paths from there."""
        return sorted(name.removeprefix(f"{folder}/") for name in self.known if name.startswith(f"{folder}/"))

    def turned(self, page: str, text: str) -> str:
        """Return the text of a page with links as the site has them."""

        def one(found: re.Match[str]) -> str:
            before, target, after = found.groups()
            return before + self._target(page, target) + after

        return outside_code(text, lambda part: LINK.sub(one, part))

    def _target(self, page: str, target: str) -> str:
        if re.match(r"[a-z]+:|#", target):
            return target
        path, hash_, anchor = target.partition("#")
        there = os.path.normpath(PurePosixPath(page).parent / path)
        if there in self.pages:
            goal = self.pages[there]
        elif there.startswith("docs/") and there in self.known:
            goal = there.removeprefix("docs/")
            self.files[there] = goal
        elif there in self.known:
            goal = self.files[there] = f"files/{there}"
        elif inside := self.inside(there):
            goal = self.files[there] = f"files/{there}/index.md"
            self.files |= {f"{there}/{name}": f"files/{there}/{name}" for name in inside}
        else:
            self.broken.append(f"{page}: a link leads to {target}, and there is no {there} in the repository")
            return target
        return os.path.relpath(goal, PurePosixPath(self.pages[page]).parent) + hash_ + anchor


def _folder(name: str, files: Sequence[str]) -> str:
    """Return a page that lists the files of a folder."""
    rows = "\n".join(f"- [`{file}`]({file})" for file in files)
    return f"---\nsearch:\n  exclude: true\n---\n\n# `{name}`\n\n{rows}\n"


def _dressed(page: str, text: str) -> str:
    """Return a page with what the site generator wants said: numbers are not searched, folded parts are Markdown."""
    text = outside_code(text, lambda part: part.replace("<details>", '<details markdown="1">'))
    text = NAMED_BLOCK.sub(r'\1 title="\2"', text)
    if page.startswith("leaderboard/methods/"):
        return HEADING_OF_NUMBERS.sub(r"\1 { data-search-exclude }", text)
    if page.startswith("leaderboard/") and not page.endswith(("README.md", "which-detector.md")):
        return f"---\nsearch:\n  exclude: true\n---\n\n{text}"
    return text


def tracked(root: Path = ROOT) -> frozenset[str]:
    """Return the files of the repository: what git tracks, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(name for name in listed.stdout.splitlines() if (root / name).is_file())


def gather(out: Path, root: Path = ROOT) -> int:
    """Write all pages, and what they link to, below `out`, and large tables beside it; return how many pages there are.

    Raises:
        BrokenLinks: A link leads nowhere.
        names.UnknownNames: A page names a method, matrix, card or attack that there is not.
    """
    links, tables = Links(sources(root), tracked(root)), list[str]()
    texts = {page: (root / page).read_text(encoding="utf-8") for page in links.pages if page not in LISTED}
    _check_names(texts, root)
    made = _turned(texts, links, tables) | _listed(links, root)
    if links.broken:
        raise BrokenLinks("\n".join(links.broken))
    shutil.rmtree(out, ignore_errors=True)
    for there, goal in (links.files | _assets(root)).items():
        if (root / there).is_file():
            (out / goal).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / there, out / goal)
        else:
            made[goal] = _folder(there, links.inside(there))
    for name, text in made.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
    (out.parent / "tables.json").write_text(json.dumps(tables), encoding="utf-8")
    return len(made)


def _check_names(texts: dict[str, str], root: Path) -> None:
    by_hand = {page: text for page, text in texts.items() if not page.startswith("docs/leaderboard/")}
    names.check(by_hand | {"README.md": (root / "README.md").read_text(encoding="utf-8")}, names.known(root))


def _turned(texts: dict[str, str], links: Links, tables: list[str]) -> dict[str, str]:
    """Return the pages as the site generator reads them; of generated ones the tables are held back."""
    made = {}
    for page, text in texts.items():
        goal, turned = links.pages[page], links.turned(page, text)
        made[goal] = _dressed(goal, held(turned, tables) if goal.startswith("leaderboard") else turned)
    return made


def _listed(links: Links, root: Path) -> dict[str, str]:
    """Return the pages that are lists."""
    made = lists(root)
    links.pages |= {f"docs/{name}": name for name in made}
    return {name: links.turned(f"docs/{name}", text) for name, text in made.items()}


def _assets(root: Path) -> dict[str, str]:
    """Return where pictures and styles go, by where they lie."""
    there = [path for folder in ("pictures", "style") for path in sorted((root / "docs" / folder).glob("*"))]
    return {path.relative_to(root).as_posix(): path.relative_to(root / "docs").as_posix() for path in there}


def main() -> int:
    """Gather the pages in the folder that the command names."""
    if len(sys.argv) != 2:
        print("usage: python docs/make/pages.py FOLDER", file=sys.stderr)
        return 2
    try:
        print(f"{gather(Path(sys.argv[1]))} pages")
    except (BrokenLinks, names.UnknownNames) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
