"""`oodbench diagnostics`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import RESULTS, Check, Results, option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

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

    text, well = rebuild(results, page, check=check)
    data = {"page": page, "checked": check, "well": well, "said": text.splitlines()}
    return tell(Page(text, data=data), as_json, well=well)
