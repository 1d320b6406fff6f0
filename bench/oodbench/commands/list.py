"""`oodbench list`."""

from typing import Annotated

from oodbench.commands.options import option
from oodbench.commands.told import tell

EXAMPLES = "  oodbench list\n  oodbench list --judges-mine\n  oodbench list --json"


def command(
    judges_mine: Annotated[
        bool, option("--judges-mine", help="only methods that judge a given classifier (oodbench.evaluate)")
    ] = False,
    as_json: Annotated[bool, option("--json", help="print JSON: all that is known of each")] = False,
) -> int:
    """List methods, matrices, data sets, attacks and corruptions."""
    from oodbench.run.listing import listing

    return tell(listing(judges_mine), as_json)
