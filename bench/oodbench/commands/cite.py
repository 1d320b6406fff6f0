"""`oodbench cite`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Results, argument, option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = (
    "  oodbench cite tiny-v1/odin@1#ood/glyphs/fpr95\n"
    "  oodbench cite fashion-mnist-v2/mahalanobis-b#ood/mean/auroc\n"
    "  oodbench cite tiny-v1/odin@1#model/test/accuracy\n"
    "  oodbench cite tiny-v1\n"
    "  oodbench cite tiny-v1/odin@1#ood --at HEAD~20\n"
    "  docs/cite.md says how ids are made."
)


def command(
    id: Annotated[str, argument("ID", "MATRIX, MATRIX/METHOD@VERSION, or this and #KIND or #KIND/SET/METRIC")],
    results: Results = RESULTS,
    at: Annotated[
        str | None, option("--at", metavar="COMMIT", help="take the results of that commit, branch or tag")
    ] = None,
    bibtex: Annotated[bool, option("--bibtex", help="print the entries alone")] = False,
    as_json: Json = False,
) -> int:
    """Print a number with its interval, inputs and conditions, and BibTeX of the paper, the data and this release."""
    from oodbench.compare.operands import at_commit
    from oodbench.report.cite import cite

    if at:
        with at_commit(at, results, Path()) as place:
            found = cite(id, place)
    else:
        found = cite(id, results)
    data = {"id": id, "sentence": found.sentence, "bibtex": found.bibtex}
    return tell(Page(found.bibtex if bibtex else str(found), data=data), as_json)
