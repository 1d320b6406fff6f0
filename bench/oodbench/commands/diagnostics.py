"""`oodbench diagnostics`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Check, Results, option
from oodbench.commands.told import Json, tell_rebuilt

EXAMPLES = "  oodbench diagnostics\n  oodbench diagnostics --check"


def command(
    results: Results = RESULTS,
    page: Annotated[Path, option("--page", metavar="FILE", help="file to write (default: docs/diagnostics.md)")] = Path(
        "docs/diagnostics.md"
    ),
    check: Check = False,
    as_json: Json = False,
) -> int:
    """Write what the diagnostics found over seeds, from the files that diagnose wrote."""
    from oodbench.report.diagnostics_page import rebuild

    return tell_rebuilt(page, rebuild(results, page, check=check), as_json, checked=check)
