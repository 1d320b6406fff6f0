"""`oodbench table`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Check, Results, option
from oodbench.commands.told import Json, tell_rebuilt

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

    return tell_rebuilt(leaderboard, rebuild(results, leaderboard, check=check, csv=csv), as_json, checked=check)
