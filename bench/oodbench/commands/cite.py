"""`oodbench cite` and `oodbench export`."""

import argparse
from pathlib import Path

from oodbench.commands import Verb, results


def add(verb: Verb) -> None:
    """Add the verbs."""
    sub = verb(
        "cite",
        cite,
        "Print a number with its interval, inputs and conditions, and BibTeX of the paper, the data and this release.",
        "  oodbench cite tiny-v1/odin@1#ood/glyphs/fpr95\n"
        "  oodbench cite fashion-mnist-v2/mahalanobis-b#ood/mean/auroc\n"
        "  oodbench cite tiny-v1/odin@1#model/test/accuracy\n"
        "  oodbench cite tiny-v1\n"
        "  oodbench cite tiny-v1/odin@1#ood --at v0.1.0\n"
        "  docs/cite.md says how ids are made.",
    )
    sub.add_argument("id", metavar="ID", help="MATRIX, MATRIX/METHOD@VERSION, or this and #KIND or #KIND/SET/METRIC")
    results(sub)
    sub.add_argument("--at", metavar="COMMIT", help="take the results of that commit, branch or tag")
    sub.add_argument("--bibtex", action="store_true", help="print the entries alone")

    sub = verb(
        "export",
        export,
        "Write the numbers of the leaderboard, with spreads, ranks and ids, for other programs: CSV, Parquet, LaTeX, "
        "or a folder that datasets.load_dataset reads, with Croissant metadata.",
        "  oodbench export numbers.csv\n"
        "  oodbench export numbers.parquet --matrix fashion-mnist-v2 --metric fpr95 auroc\n"
        "  oodbench export table.tex --matrix tiny-v1 --kind ood --metric fpr95 --method msp odin knn\n"
        "  oodbench export build/numbers",
    )
    sub.add_argument("out", type=Path, metavar="OUT", help="FILE.csv, FILE.parquet, FILE.tex, or a folder: a data set")
    for name, what in (("matrix", "names"), ("kind", 'kinds of failure, or "model"'), ("metric", "names")):
        sub.add_argument(f"--{name}", nargs="+", metavar=name.upper(), help=f"{what} (default: all)")
    sub.add_argument("--method", nargs="+", metavar="METHOD", help="names of rows; ranks stay those among all rows")
    results(sub)


def cite(arguments: argparse.Namespace) -> int:
    """Print what to say and to cite."""
    from oodbench.compare.operands import at_commit
    from oodbench.report.cite import cite as cited

    if arguments.at:
        with at_commit(arguments.at, arguments.results, Path()) as place:
            found = cited(arguments.id, place)
    else:
        found = cited(arguments.id, arguments.results)
    print(found.bibtex if arguments.bibtex else found)
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write numbers in a format of another program."""
    from oodbench.report.export import Chosen
    from oodbench.report.export import export as exported

    names = (arguments.matrix, arguments.kind, arguments.metric, arguments.method)
    what = Chosen(*(tuple(one or ()) for one in names))
    print(exported(arguments.results, arguments.out, what))
    return 0
