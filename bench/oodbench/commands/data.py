"""`oodbench data`."""

from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import Data, argument, one_of
from oodbench.commands.told import Json, tell

EXAMPLES = (
    "  oodbench data list\n  oodbench data get fashion-mnist\n  oodbench data get cifar10-v1\n"
    "  oodbench data check --data ~/sets"
)


def actions() -> tuple[str, ...]:
    """Return what there is to do."""
    return ("list", "get", "check")


def command(
    action: Annotated[str, argument("ACTION", "list, get or check", read=one_of("action", actions), known=actions)],
    cards: Annotated[
        list[str] | None,
        argument(
            "[CARD]...",
            "names of data sets, for get also of matrices; default: all",
            known=names.cards_and_matrices,
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Say which data sets are here, get one or all that a matrix names, or check their bytes."""
    from oodbench.data.inventory import check_cards, get_cards, list_cards

    act = {"list": list_cards, "get": get_cards, "check": check_cards}[action]
    answer, well = act(cards or (), data)
    return tell(answer, as_json, well=well)
