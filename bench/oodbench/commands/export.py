"""`oodbench export`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import RESULTS, Results, argument, option
from oodbench.commands.told import Json, tell

EXAMPLES = (
    "  oodbench export numbers.csv\n"
    "  oodbench export numbers.parquet --matrix fashion-mnist-v2 --metric fpr95 auroc\n"
    "  oodbench export table.tex --matrix tiny-v1 --kind ood --metric fpr95 --method msp odin knn\n"
    "  oodbench export build/numbers"
)


def command(
    out: Annotated[Path, argument("OUT", "FILE.csv, FILE.parquet, FILE.tex, or a folder: a data set")],
    matrix: Annotated[
        list[str] | None,
        option("--matrix", metavar="MATRIX...", help="names (default: all)", known=names.matrices),
    ] = None,
    kind: Annotated[
        list[str] | None,
        option("--kind", metavar="KIND...", help='kinds of failure, or "model" (default: all)'),
    ] = None,
    metric: Annotated[list[str] | None, option("--metric", metavar="METRIC...", help="names (default: all)")] = None,
    method: Annotated[
        list[str] | None,
        option(
            "--method",
            metavar="METHOD...",
            help="names of rows; ranks stay those among all rows",
            known=names.methods,
        ),
    ] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> int:
    """Write the numbers of the leaderboard, with spreads, ranks and ids: CSV, Parquet, LaTeX, or a data set.

    A data set is a folder that datasets.load_dataset reads, with Croissant metadata.
    """
    from oodbench.report.export import Chosen, export

    chosen = Chosen(*(tuple(one or ()) for one in (matrix, kind, metric, method)))
    return tell(export(results, out, chosen), as_json)
