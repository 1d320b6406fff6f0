"""Data as scripts: a page that lies on a disk may load a script, and nothing else."""

import json
from typing import Any

DIGITS = 5
"""Significant digits of numbers that are drawn or sorted by; what is read is text."""


def script(address: str, content: Any, seal: str = "") -> str:
    """Return a script that gives its content to the page under its own address, ASCII alone.

    Args:
        address: Of the file, relative to the folder of the site.
        content: Mappings, lists, texts and numbers.
        seal: Names what the content was made from, in the first line.
    """
    said = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return f"{first_line(seal)}oodbench.give({json.dumps(address)},{said});\n"


def first_line(seal: str) -> str:
    """Return the line that a sealed script begins with; nothing of one without a seal."""
    return f"// {seal}\n" if seal else ""


def shown(share: float) -> float:
    """Return a share as it is shown, in percent with two digits: a reader that rounds it again comes to the same.

    Example:
        >>> shown(0.117049)
        0.117
    """
    return round(share, 4)


def short(value: float) -> float:
    """Return a number with as many digits as a picture shows."""
    return float(f"{value:.{DIGITS}g}")
