"""`oodbench table`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Check, Results, option

EXAMPLES = "  oodbench table\n  oodbench table --check\n  oodbench table --csv numbers.csv"


def command(
    results: Results = RESULTS,
    leaderboard: Annotated[
        Path, option("--leaderboard", metavar="FILE", help="file to write (default: leaderboard.md)")
    ] = Path("leaderboard.md"),
    check: Check = False,
    csv: Annotated[Path | None, option("--csv", metavar="FILE", help="also write every number, one a line")] = None,
) -> int:
    """Rebuild leaderboard.md from the stored scores."""
    from oodbench.report.leaderboard import rebuild

    text, well = rebuild(results, leaderboard, check=check, csv=csv)
    print(text)
    return 0 if well else 1
