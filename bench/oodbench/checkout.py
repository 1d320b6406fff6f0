"""What git says of a folder, and of the checkout that oodbench runs from."""

import subprocess
from pathlib import Path

import oodbench


def folder() -> Path | None:
    """Return the checkout that oodbench runs from; None where it is installed.

    A repository above an installed package is somebody else's.
    """
    package = Path(oodbench.__file__).parent
    top = package.parents[1]
    return top if package == top / "bench" / "oodbench" else None


def ask(where: Path, *words: str) -> str | None:
    """Return what git prints of a folder; None where there is no git, no repository, or no answer.

    Example:
        >>> ask(Path("/nowhere"), "rev-parse", "HEAD") is None
        True
    """
    try:
        done = subprocess.run(["git", "-C", str(where), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
