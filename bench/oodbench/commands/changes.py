"""`oodbench changes`."""

from typing import Annotated

from oodbench.commands.options import RESULTS, ResultsAnywhere, argument
from oodbench.commands.told import Json, tell

EXAMPLES = "  oodbench changes HEAD~20 HEAD\n  oodbench changes ../old/results results"


def command(
    before: Annotated[str, argument("A", "a folder of results, or a commit, branch or tag")],
    after: Annotated[str, argument("B", "likewise")],
    results: ResultsAnywhere = RESULTS,
    as_json: Json = False,
) -> int:
    """Print the changelog of the leaderboard between two releases: what came, went or moved, and why."""
    from oodbench.compare.changelog import changes

    return tell(changes(before, after, results), as_json, end="")
