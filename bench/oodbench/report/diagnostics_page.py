"""docs/diagnostics.md: every diagnostic over its seeds, from the files that `oodbench diagnose` wrote.

`results/diagnostics/MATRIX/METHOD/SEED/` holds a JSON file a diagnostic, named after it, and pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from oodbench.errors import BadRecord
from oodbench.report.diagnostics import Diagnostic, find_diagnostic, names
from oodbench.report.entries import DIAGNOSTICS, visible
from oodbench.report.site import differs
from oodbench.report.superseded import MARK, Superseded, superseded
from oodbench.store import atomically

COMMAND = "oodbench diagnostics"

HEADER = """# Diagnostics

What `oodbench diagnose` found of trained models, and of data: numbers that are no detector's score. Mean ± standard
deviation over the seeds that stand with each heading; AUROC and accuracy in percent. Pictures are of the first seed.
Generated from `results/diagnostics` by `{command}`."""


@dataclass(frozen=True)
class Found:
    """One file: which diagnostic it is of, and what it holds; `content` is of the diagnostic's schema."""

    name: str
    content: Any

    @property
    def diagnostic(self) -> Diagnostic:
        """The diagnostic."""
        return find_diagnostic(self.name)


def read_diagnostics(results: Path, matrix: str | None = None) -> list[Found]:
    """Return the files of a results folder, by matrix, diagnostic, method and seed.

    Raises:
        BadRecord: a file breaks its schema, or is not where its content says it belongs.
    """
    found = [_read(path) for path in visible(results, f"{DIAGNOSTICS}/{matrix or '*'}/*/*/*.json")]
    return sorted(found, key=lambda one: (one.content.matrix, one.name, one.content.method, one.content.seed))


def _read(path: Path) -> Found:
    if path.stem not in names():
        raise BadRecord(f"{path} is of no diagnostic; expected one of {', '.join(f'{name}.json' for name in names())}")
    try:
        content: Any = find_diagnostic(path.stem).schema.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the whole file"
        raise BadRecord(
            f"{path}: {where}: {fault['msg']}; make it again: oodbench diagnose {path.stem} "
            f"{path.parts[-4]}{_of(path.stem, path.parts[-3])} --seed {path.parts[-2]} --out {path.parent}"
        ) from error
    if (content.matrix, content.method, str(content.seed)) != path.parts[-4:-1]:
        raise BadRecord(f"{path} holds what was found of {content.matrix}, {content.method}, seed {content.seed}")
    return Found(path.stem, content)


def _of(name: str, method: str) -> str:
    """Return how a command says the method, which a diagnostic that needs no model has not."""
    return "" if find_diagnostic(name).method is None else f" --method {method}"


def findings(results: Path, matrix: str) -> Iterator[tuple[str, int, str, str, float]]:
    """Yield what claims may be of: method, seed, metric, set, value."""
    for one in read_diagnostics(results, matrix):
        for method, metric, name, value in one.diagnostic.findings(one.content):
            yield method, one.content.seed, metric, name, value


def page(results: Path) -> str:
    """Return the text of docs/diagnostics.md.

    Raises:
        BadRecord: as `read_diagnostics`.
    """
    parts, earlier = [HEADER.format(command=COMMAND)], superseded(results)
    for _, group in groupby(
        read_diagnostics(results), key=lambda one: (one.content.matrix, one.name, one.content.method)
    ):
        parts += _told(list(group), results, earlier)
    return "\n\n".join(parts) + "\n"


def _told(own: Sequence[Found], results: Path, earlier: Superseded) -> list[str]:
    first, told = own[0].content, own[0].diagnostic
    seeds = f"{len(own)} seeds" if len(own) > 1 else f"seed {first.seed}"
    folder = Path(DIAGNOSTICS) / first.matrix / first.method / str(first.seed)
    pictures = [folder / f"{name}.png" for name in told.pictures if (results / folder / f"{name}.png").is_file()]
    shown = [f"![{path.stem}, seed {first.seed}](../{results.name}/{path.as_posix()})" for path in pictures]
    contents = [one.content for one in own]
    whose = "" if told.method is None else f": `{first.method}`"
    change = earlier.get(first.matrix, {}).get(first.method)
    marked = [f"{MARK} Of an earlier version of `{first.method}`, to be made again: {change}."] if change else []
    return [f"## {told.title}{whose} on {first.matrix} ({seeds})", *marked, *told.section(contents), *shown]


def rebuild(results: Path, path: Path, *, check: bool = False) -> tuple[str, bool]:
    """Write the page, or only compare it; return what to say, and whether all is well.

    Raises:
        BadRecord: as `read_diagnostics`.
    """
    text = page(results)
    if check:
        fault = differs(path, text)
        again = f"{fault}\nrebuild it: {COMMAND} --results {results} --page {path}"
        return again if fault else f"{path} is what the diagnostics in {results} make.", fault is None
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return f"wrote {path}", True
