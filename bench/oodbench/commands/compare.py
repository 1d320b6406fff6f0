"""`oodbench compare` and `oodbench changes`."""

import argparse
from pathlib import Path

from oodbench.commands import Verb, results

SIDE = "MATRIX/METHOD, a folder of results, or a commit, branch or tag; tried in this order"

AT_COMMITS = "folder of results, also at commits"


def add(verb: Verb) -> None:
    """Add the verbs."""
    sub = verb(
        "compare",
        compare,
        "Compare two methods of a matrix, two folders of results, or the results at two commits, on the same inputs: "
        "what is noise, what is better, what is worse.",
        "  oodbench compare tiny-v1/msp tiny-v1/energy\n"
        "  oodbench compare msp odin --matrix fashion-mnist-v2\n"
        "  oodbench compare results build/nightly/results --fail-on regression --json report.json\n"
        "  oodbench compare main HEAD --matrix tiny-v1\n"
        "  oodbench compare main HEAD --fail-on regression unversioned\n"
        "  docs/compare.md says what each verdict means.",
    )
    sub.add_argument("before", metavar="A", help=SIDE)
    sub.add_argument("after", metavar="B", help="likewise; B is told beside A")
    sub.add_argument(
        "--matrix", help="of both: A and B may then be names of methods; of folders and commits, this matrix alone"
    )
    sub.add_argument(
        "--metrics", nargs="+", metavar="METRIC", help="ranking metrics to test (default: those that have ranks)"
    )
    sub.add_argument(
        "--fail-on",
        nargs="+",
        default=[],
        choices=("regression", "unversioned"),
        help="exit with 1 where something is significantly worse, slower, larger or gone (regression), or moved on one "
        "class of machine though no version did (unversioned)",
    )
    sub.add_argument("--markdown", type=Path, metavar="FILE", help="also write the page there")
    sub.add_argument("--json", type=Path, metavar="FILE", help="also write every number and test there")
    results(sub, AT_COMMITS)

    sub = verb(
        "changes",
        changes,
        "Print the changelog of the leaderboard between two releases: what came, went or moved, and why.",
        "  oodbench changes v0.1.0 HEAD\n  oodbench changes ../old/results results",
    )
    sub.add_argument("before", metavar="A", help="a folder of results, or a commit, branch or tag")
    sub.add_argument("after", metavar="B", help="likewise")
    results(sub, AT_COMMITS)


def compare(arguments: argparse.Namespace) -> int:
    """Print what is better and worse; return 1 where something is found that was not to be."""
    from oodbench.compare.comparison import compare as compared
    from oodbench.compare.comparison import told
    from oodbench.report.numbers import RANKINGS

    metrics = tuple(arguments.metrics or RANKINGS)
    found = compared(arguments.before, arguments.after, arguments.results, arguments.matrix, metrics)
    text, well = told(found, arguments.fail_on, arguments.markdown, arguments.json)
    print(text)
    return 0 if well else 1


def changes(arguments: argparse.Namespace) -> int:
    """Print what happened to the leaderboard."""
    from oodbench.compare.changelog import changes as changed

    print(changed(arguments.before, arguments.after, arguments.results), end="")
    return 0
