"""`oodbench diagnostics`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Check, Results, option

EXAMPLES = "  oodbench diagnostics\n  oodbench diagnostics --check"


def command(
    results: Results = RESULTS,
    page: Annotated[Path, option("--page", metavar="FILE", help="file to write (default: docs/diagnostics.md)")] = Path(
        "docs/diagnostics.md"
    ),
    check: Check = False,
) -> int:
    """Write what the diagnostics found over seeds, from the files that diagnose wrote."""
    from oodbench.report.diagnostics_page import rebuild

    text, well = rebuild(results, page, check=check)
    print(text)
    return 0 if well else 1
