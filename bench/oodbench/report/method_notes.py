"""What the page of a method says beside its numbers here: its docstring, how it is called, what papers print."""

from collections.abc import Collection, Sequence

from oodbench import listed
from oodbench.report.families import FAMILIES, MOST_ROWS, folded
from oodbench.report.markdown import NONE, link, table
from oodbench.report.paper_numbers import as_printed
from oodbench.report.reported import Reported

FAILS = "Fails "
"""How a docstring begins its paragraph on when a detector is a bad choice."""

PRINTED = "## In papers and on boards"
ANCHOR = "in-papers-and-on-boards"


def notes(method: str, matrix: str | None) -> list[str]:
    """Return family, documentation, and how it is called; nothing of a method that is not in this repository.

    Args:
        method: Its name.
        matrix: One that it has scores on, if there is any.
    """
    line = next((line for line in listed.rows() if line.name == method), None)
    if line is None:
        return []
    said, fails = _documentation(line.module)
    parts = [f"Family: {line.family} ({FAMILIES[line.family]}).", *said, "## How to use it", _call(line, matrix)]
    return [*parts, "## When it fails", *fails] if fails else parts


def printed(method: str, reported: Sequence[Reported], paged: Collection[str]) -> list[str]:
    """Return what papers and boards print of a method, each number with its source; or which row of its file has some.

    Args:
        method: Its name.
        reported: What all papers and boards print.
        paged: Methods that have a page beside this one.
    """
    own = [one for one in reported if one.method == method]
    if not own:
        none = "None of the papers and boards whose numbers are kept in `results/reported` has one of it"
        known = {one.method for one in reported}
        beside = [link(f"`{row}`", f"{row}.md#{ANCHOR}") for row in _same_file(method) if row in known and row in paged]
        return [PRINTED, f"{none}; they have some of {', '.join(beside)}, of the same file." if beside else f"{none}."]
    said = [PRINTED, "Reported, not measured here; each as its source prints it."]
    if len(own) <= MOST_ROWS:
        return [*said, _table(own, [link(one.short, one.paper.url) for one in own])]
    places = {url: place for place, url in enumerate(dict.fromkeys(one.paper.url for one in own), 1)}
    sources = [f"[{one.short}][{places[one.paper.url]}]" if one.paper.url else one.short for one in own]
    addresses = "\n".join(f"[{place}]: {url}" for url, place in places.items() if url)
    return [*said, folded(f"{len(own)} numbers", _table(own, sources)), addresses]


def _table(numbers: Sequence[Reported], sources: Sequence[str]) -> str:
    words = ("In-set", "Set", "Metric", "Network", "Tuned on", "Source")
    rows = [
        [one.in_set, one.out_set or NONE, one.metric, as_printed(one), one.network, one.tuning, source]
        for one, source in zip(numbers, sources, strict=True)
    ]
    return table([*words[:3], "Printed", *words[3:]], rows, words)


def _same_file(method: str) -> list[str]:
    """Return the other rows of a method's file."""
    modules = {line.name: line.module for line in listed.rows()}
    return [name for name, module in modules.items() if name != method and module == modules.get(method)]


def _documentation(module: str) -> tuple[list[str], Sequence[str]]:
    """Return the paragraphs of a docstring, and those on when the detector fails."""
    paragraphs = [part for part in listed.docstring(module).split("\n\n") if part.strip()]
    fails = [part for part in paragraphs if part.startswith(FAILS)]
    return [part for part in paragraphs if part not in fails], fails


def _call(line: listed.Line, matrix: str | None) -> str:
    if not line.judges_mine and matrix is None:
        return (
            f"It trains a network of its own, and has not been run here: `oodbench plan MATRIX --methods {line.name}`."
        )
    if not line.judges_mine:
        run = f"oodbench run {matrix} --methods {line.name} --results my/results"
        return f"It trains a network of its own.\n\n```console\n$ {run}\n```"
    sets = ['train="train/"', 'test="test/"', 'failures={"far": "far/"}', *(f'{need}="{need}/"' for need in line.needs)]
    given = "".join(f"    {one},\n" for one in ("model", *sets, f'methods=["{line.name}"]'))
    return (
        '```python\nimport oodbench\n\nmodel = oodbench.load_model("timm:resnet18.a1_in1k")  # or a module of yours\n'
        f"result = oodbench.evaluate(\n{given})\n```"
    )
