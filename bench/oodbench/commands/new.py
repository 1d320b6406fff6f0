"""`oodbench new`."""

import argparse
from pathlib import Path

from oodbench.commands import Verb


def add(verb: Verb) -> None:
    """Add the verb."""
    sub = verb(
        "new",
        new,
        "Write a method and its test to start from, in a clone of oodbench or as a package of its own.",
        "  oodbench new nearest-mean\n  oodbench new nearest-mean --package nearest-mean\n"
        "  CONTRIBUTING.md walks from there to a pull request.",
    )
    sub.add_argument("name", metavar="NAME", help="of the method: small letters, digits and hyphens")
    sub.add_argument("--package", type=Path, metavar="FOLDER", help="write a package there (default: two files here)")


def new(arguments: argparse.Namespace) -> int:
    """Write the files, and print which, and what to do then."""
    from oodbench.submission.template import new as write

    made = write(arguments.name, arguments.package or Path(), package=arguments.package is not None)
    print("\n".join(str(made.folder / path) for path in made.texts))
    print(f"\nnext:\n{made.then}")
    return 0
