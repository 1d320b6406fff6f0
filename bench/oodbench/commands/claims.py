"""`oodbench claims`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Check, Results, option
from oodbench.commands.told import Json, tell_rebuilt

EXAMPLES = "  oodbench claims\n  oodbench claims --check"


def command(
    results: Results = RESULTS,
    page: Annotated[Path, option("--page", metavar="FILE", help="file to write (default: docs/claims.md)")] = Path(
        "docs/claims.md"
    ),
    check: Check = False,
    as_json: Json = False,
) -> int:
    """Test the papers' claims on the stored scores, and write the page that says what holds."""
    from oodbench.report.claims_page import rebuild

    return tell_rebuilt(page, rebuild(results, page, check=check), as_json, checked=check)
