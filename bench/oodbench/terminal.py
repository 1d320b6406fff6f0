"""What a stream can show: whether it is a terminal, and whether it takes colours."""

import os
from typing import TextIO

DUMB = ("dumb", "unknown")
"""Values of $TERM of terminals that only print: no colours, and no line is drawn twice."""


def is_terminal(stream: TextIO) -> bool:
    """Return whether people look at a stream: tables fit it then, and are whole elsewhere."""
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def is_live(stream: TextIO) -> bool:
    """Return whether what was printed can be drawn anew: a bar that moves."""
    return is_terminal(stream) and os.environ.get("TERM", "") not in DUMB


def is_colourful(stream: TextIO) -> bool:
    """Return whether to colour: NO_COLOR says never, FORCE_COLOR always, else terminals that are not dumb."""
    if os.environ.get("NO_COLOR"):
        return False
    return os.environ.get("FORCE_COLOR", "0") not in ("", "0") or is_live(stream)
