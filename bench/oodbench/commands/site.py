"""`oodbench site`."""

import argparse
from pathlib import Path

from oodbench.commands import Verb, results


def add(verb: Verb) -> None:
    """Add the verb."""
    sub = verb(
        "site",
        site,
        "Write the leaderboard as static pages that open from a disk and from any web host: sort, filter, compare, "
        "curves, costs, provenance. What has not changed is not made again.",
        "  oodbench site\n"
        "  oodbench site --results other/results --out public\n"
        "  oodbench site --since v0.1.0 --nightly build/nightly/comparison.json\n"
        "  docs/site.md says what the pages hold, and how to host them.",
    )
    results(sub)
    sub.add_argument("--out", type=Path, default=Path("build/site"), help="folder to write to (default: build/site)")
    sub.add_argument("--since", metavar="COMMIT", help="tell what has changed since then (default: the last tag)")
    sub.add_argument(
        "--nightly",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="what `oodbench compare --json` wrote of nightly re-runs (`make nightly`: build/nightly/comparison.json)",
    )


def site(arguments: argparse.Namespace) -> int:
    """Write the pages."""
    from oodbench.site.build import build

    print(build(arguments.results, arguments.out, arguments.since, arguments.nightly))
    return 0
