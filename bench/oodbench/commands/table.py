"""`oodbench table`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Check, Results, option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = "  oodbench table\n  oodbench table --check\n  oodbench table --csv numbers.csv"


def command(
    results: Results = RESULTS,
    leaderboard: Annotated[
        Path, option("--leaderboard", metavar="FILE", help="file to write (default: leaderboard.md)")
    ] = Path("leaderboard.md"),
    check: Check = False,
    csv: Annotated[Path | None, option("--csv", metavar="FILE", help="also write every number, one a line")] = None,
    as_json: Json = False,
) -> int:
    """Rebuild leaderboard.md from the stored scores."""
    from oodbench.report.leaderboard import rebuild

    text, well = rebuild(results, leaderboard, check=check, csv=csv)
    data = {"page": leaderboard, "checked": check, "well": well, "said": text.splitlines()}
    return tell(Page(text, data=data), as_json, well=well)
