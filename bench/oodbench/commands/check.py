"""`oodbench check`."""

from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import argument, option
from oodbench.commands.told import Json, tell

EXAMPLES = "  oodbench check odin\n  oodbench check --all"


def command(
    methods: Annotated[list[str] | None, argument("[METHOD]...", "names", known=names.methods)] = None,
    every: Annotated[bool, option("--all", help="check every method")] = False,
    verbose: Annotated[bool, option("--verbose", "-v", help="also print the laws that hold or were skipped")] = False,
    as_json: Json = False,
) -> int:
    """Run the conformance checks on a method, in-tree or from an installed package."""
    from oodbench.check.conformance import check_methods

    answer, well = check_methods(methods or [], every=every, verbose=verbose)
    return tell(answer, as_json, well=well)
