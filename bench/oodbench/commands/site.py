"""`oodbench site`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Results, option
from oodbench.commands.told import Json, tell

EXAMPLES = (
    "  oodbench site\n"
    "  oodbench site --results other/results --out public\n"
    "  oodbench site --since HEAD~20 --nightly build/nightly/comparison.json\n"
    "  docs/site.md says what the pages hold, and how to host them."
)


def command(
    results: Results = RESULTS,
    out: Annotated[Path, option("--out", metavar="FOLDER", help="folder to write to (default: build/site)")] = Path(
        "build/site"
    ),
    since: Annotated[
        str | None,
        option("--since", metavar="COMMIT", help="tell what has changed since then (default: the last tag)"),
    ] = None,
    nightly: Annotated[
        list[Path] | None,
        option(
            "--nightly",
            metavar="FILE...",
            help="what `oodbench compare --json` wrote of nightly re-runs (`make nightly`: "
            "build/nightly/comparison.json)",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Write the leaderboard as static pages that open from a disk and from any web host.

    Sort, filter, compare, curves, costs, provenance. What has not changed is not made again.
    """
    from oodbench.site.build import build

    return tell(build(results, out, since, nightly or []), as_json)
