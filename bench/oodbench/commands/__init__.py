"""Verbs of the command line that have a module each: `add` tells their grammar, what they call is imported on use."""

import argparse
from collections.abc import Callable
from typing import Protocol


class Verb(Protocol):
    """Adds a verb to the command line and returns its grammar."""

    def __call__(
        self, name: str, call: Callable[[argparse.Namespace], int], help: str, example: str
    ) -> argparse.ArgumentParser:
        """Add the verb `name`, which does `call`; `example` stands below its help."""
        ...
