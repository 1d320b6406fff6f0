"""`oodbench new`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands.options import argument, option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = (
    "  oodbench new nearest-mean\n  oodbench new nearest-mean --package nearest-mean\n"
    "  CONTRIBUTING.md walks from there to a pull request."
)


def command(
    name: Annotated[str, argument("NAME", "of the method: small letters, digits and hyphens")],
    package: Annotated[
        Path | None,
        option("--package", metavar="FOLDER", help="write a package there (default: two files here)"),
    ] = None,
    as_json: Json = False,
) -> int:
    """Write a method and its test to start from, in a clone of oodbench or as a package of its own."""
    from oodbench.submission.template import new

    made = new(name, package or Path(), package=package is not None)
    files = [made.folder / path for path in made.texts]
    return tell(Page(*map(str, files), f"\nnext:\n{made.then}", data={"files": files, "next": made.then}), as_json)
