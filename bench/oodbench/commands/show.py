"""`oodbench show`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import RESULTS, Results, argument, at_least, option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = "  oodbench show tiny-v1 msp\n  oodbench show fashion-mnist-v2 knn --seed 3 --out pictures"


def command(
    matrix: Annotated[str, argument("MATRIX", "name of a matrix with records", known=names.matrices)],
    method: Annotated[str, argument("METHOD", "a method with a record there", known=names.methods)],
    seed: Annotated[
        int | None,
        option(
            "--seed",
            metavar="SEED",
            read=at_least(0),
            help="of the model (default: the lowest that has a record)",
        ),
    ] = None,
    out: Annotated[
        Path | None, option("--out", metavar="FOLDER", help="folder to write to (default: shown/MATRIX/METHOD)")
    ] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> int:
    """Draw what a method scores right, wrong, out-set, attacked and corrupted inputs, from the stored scores."""
    from oodbench.report.show import show

    made = show(results, matrix, method, seed, out or Path("shown") / matrix / method)
    return tell(Page(made.table, "", *map(str, made.files), data={"sets": made.sets, "files": made.files}), as_json)
