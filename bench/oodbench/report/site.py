"""Where the generated pages lie, how one links to another, and how one differs from what lies there."""

import posixpath
from difflib import unified_diff
from pathlib import Path

from oodbench import reruns
from oodbench.given import method_of
from oodbench.report.markdown import link
from oodbench.report.standings import MatrixResults, Standings
from oodbench.report.superseded import MARK as OF_AN_EARLIER_VERSION
from oodbench.report.superseded import superseded
from oodbench.report.tables import Linked

COMMAND = "oodbench table"

MARK = f"<!-- made by `{COMMAND}`; do not edit -->"
"""First line of every generated page: one that has it, and is not made any more, is removed."""

PICTURE = "figures/fpr95.svg"
"""Below the folder of a matrix: the rows of the short board."""

WHOLE = "figures/fpr95-all.svg"
"""All rows, where the short board has not all."""

METHODS = "methods"
"""The folder of the methods' pages, beside those of the matrices."""

Pages = dict[str, str]
"""Text by path, relative to the folder of leaderboard.md, with slashes."""


class Site:
    """Where pages lie, and how one links to another.

    Attributes:
        index: Name of the file that lists all, leaderboard.md as a rule.
        folder: Folder of all others, relative to that file.
        results: Folder of results.
        superseded: What has changed since rows were made, by matrix and method.
        reruns: Samples of records that were made again.
    """

    def __init__(self, results: Path, index: str) -> None:
        self.index = index
        self.folder = f"docs/{Path(index).stem}"
        self.results = results
        self.superseded = superseded(results)
        self.reruns = reruns.read(results)

    @property
    def choice(self) -> str:
        """The page that helps to choose a method."""
        return f"{self.folder}/which-detector.md"

    def of_matrix(self, matrix: MatrixResults) -> str:
        """Return the page of a matrix."""
        return f"{self.folder}/{matrix.name}/README.md"

    def of_kind(self, standings: Standings) -> str:
        """Return the page of a matrix and kind."""
        return f"{self.folder}/{standings.matrix}/{standings.kind.name}.md"

    def of_metric(self, standings: Standings, metric: str) -> str:
        """Return the page of a matrix, kind and metric, by set."""
        return f"{self.folder}/{standings.matrix}/{standings.kind.name}-{metric}.md"

    def of_method(self, method: str) -> str:
        """Return the page of a method; the rows of a method on given models have it in common."""
        return f"{self.folder}/{METHODS}/{method_of(method)}.md"

    def linked(self, here: str, matrix: str) -> Linked:
        """Return what links from a page to that of a method, with a mark where an earlier version made the row."""
        return lambda method: link(f"`{method}`", to(here, self.of_method(method))) + self.mark(matrix, method)

    def mark(self, matrix: str, method: str) -> str:
        """Return what stands behind a method's name where an earlier version of it made the row."""
        return f" {OF_AN_EARLIER_VERSION}" if method in self.superseded.get(matrix, {}) else ""

    def picture(self, here: str, matrix: MatrixResults, name: str, text: str) -> list[str]:
        """Return a picture of a matrix, if it has been drawn."""
        drawn = (self.results / matrix.name / name).is_file()
        return [f"![{text}]({to(here, f'{self.results.name}/{matrix.name}/{name}')})"] if drawn else []


def to(here: str, there: str) -> str:
    """Return a relative link from one page to another file."""
    return posixpath.relpath(there, posixpath.dirname(here) or ".")


def sweep_picture(recipe: str, field: str) -> str:
    """Return where the picture of a sweep lies below the folder of a matrix."""
    return f"figures/{recipe}-{field}.svg"


def differs(path: Path, new: str) -> str | None:
    """Return how the file at `path` differs from the page `new`; None if it does not."""
    if not path.exists():
        return f"{path} does not exist"
    old = path.read_bytes().decode("utf-8", errors="replace")
    if old == new:
        return None
    lines = unified_diff(old.splitlines(), new.splitlines(), str(path), f"{path} (rebuilt)", lineterm="", n=0)
    return f"{path} is not what the scores make\n" + "\n".join(lines)
