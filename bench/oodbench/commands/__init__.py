"""Verbs of the command line that have a module each: `add` tells their grammar, what they call is imported on use."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Verb(Protocol):
    """Adds a verb to the command line and returns its grammar."""

    def __call__(
        self, name: str, call: Callable[[argparse.Namespace], int], help: str, example: str
    ) -> argparse.ArgumentParser:
        """Add the verb `name`, which does `call`; `example` stands below its help."""
        ...


def results(sub: argparse.ArgumentParser, what: str = "folder of results") -> None:
    """Add the option that says where results lie; `what` is said in the help."""
    sub.add_argument("--results", type=Path, default=Path("results"), help=f"{what} (default: results)")
