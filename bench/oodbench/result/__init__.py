"""What judging a classifier of one's own came to: its scores, every number of them, and a folder that keeps it."""

from oodbench.result.kept import load
from oodbench.result.result import Result

__all__ = ["Result", "load"]
