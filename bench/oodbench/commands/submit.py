"""`oodbench submit`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import RESULTS, Results, argument, option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = (
    "  oodbench submit nearest-mean --matrix tiny-v1 mnist5k-v1\n"
    "  oodbench verify submission/nearest-mean --against results\n"
    "  CONTRIBUTING.md says where it goes, who makes it again, and what happens then."
)


def command(
    methods: Annotated[
        list[str],
        argument("METHOD...", "of one module, in-tree or of an installed package", known=names.methods),
    ],
    matrix: Annotated[
        list[str],
        option("--matrix", metavar="MATRIX...", help="those it has every seed of", known=names.matrices),
    ],
    results: Results = RESULTS,
    out: Annotated[
        Path | None, option("--out", metavar="FOLDER", help="folder to write (default: submission/METHOD)")
    ] = None,
    as_json: Json = False,
) -> int:
    """Make a submission: a folder with source, records, scores, a manifest and the text of the pull request."""
    from oodbench.manifest import PULL_REQUEST
    from oodbench.run.registry import find
    from oodbench.submission.bundle import bundle
    from oodbench.submission.origin import one_module, origin_of

    rows = list(dict.fromkeys(methods))
    origin = origin_of(one_module([entry.module for entry in find(rows)]))
    made = bundle(rows, origin, list(dict.fromkeys(matrix)), results, out or Path("submission") / rows[0])
    if made.faults:
        said = f"\nnothing was written: {len(made.faults)} faults"
        page = Page(*map(str, made.faults), said, data={"written": False, "faults": made.faults})
        return tell(page, as_json, well=False)
    text = made.folder / PULL_REQUEST
    page = Page(
        f"{made.folder}: {made.files} files, verified; the pull request's text is {text}",
        f"next: oodbench verify {made.folder}, then CONTRIBUTING.md, 'Hand it in'",
        data={"written": True, "folder": made.folder, "files": made.files, "pull_request": text},
    )
    return tell(page, as_json)
