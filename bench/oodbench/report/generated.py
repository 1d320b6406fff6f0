"""A page that the scores make: how a file differs from what would be written."""

from difflib import unified_diff
from pathlib import Path


def difference(results: Path, path: Path, new: str, command: str) -> str | None:
    """Return how the file at `path` differs from the page `new`, and the command that mends it; None if equal."""
    if not path.exists():
        return f"{path} does not exist; write it: {command}"
    old = path.read_bytes().decode("utf-8", errors="replace")
    if old == new:
        return None
    lines = unified_diff(old.splitlines(), new.splitlines(), str(path), f"{path} (rebuilt)", lineterm="", n=0)
    return f"{path} is not what the scores in {results} make; rebuild it: {command}\n" + "\n".join(lines)
