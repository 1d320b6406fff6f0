"""What is wrong with a file."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """What is wrong with a file.

    Attributes:
        path: Of the file, relative to the folder of results.
        says: The fault: what was got, and what was expected.
    """

    path: str
    says: str

    def __str__(self) -> str:
        """Return it in one line, with nothing in it that a terminal would obey."""
        return f"{shown(ascii(self.path)[1:-1])}: {shown(self.says)}"


def shown(text: object, most: int = 400) -> str:
    """Return text of an unknown origin as a line may hold it: printable, and not longer than `most`."""
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text)[: most + 1])
    return line if len(line) <= most else f"{line[: most - 4]} ..."
