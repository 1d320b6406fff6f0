"""`oodbench metrics`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = "  oodbench metrics --good in.npy --bad out.npy --json"


def command(
    good: Annotated[Path, option("--good", metavar="FILE", help=".npy file: scores of what should be accepted")],
    bad: Annotated[Path, option("--bad", metavar="FILE", help=".npy file: scores of what should be flagged")],
    as_json: Json = False,
) -> int:
    """Compute every ranking metric of two arrays of scores (higher = more to be trusted)."""
    from oodbench.measure.files import measure_files

    numbers = measure_files(good, bad)
    return tell(Page(*(f"{name:22} {value}" for name, value in numbers.items()), data=numbers), as_json)
