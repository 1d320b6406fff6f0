"""Files of the cache with their sha256: sealed when they are whole, checked when they are opened.

What is missing, cut short or changed is told, and counts as absent: whoever opens it makes it again.
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from oodbench.store import atomically, digest, file_sha256

log = logging.getLogger(__name__)

_checked: dict[Path, tuple[int, int, str]] = {}
"""Size, time and sha256 of the files that this process has read in full."""


def seal(marker: Path, names: Iterable[str], **facts: Any) -> None:
    """Write `marker`, a JSON file beside whole files: the sha256 of each, JSON-able facts, and a seal over both.

    It is written last: where it is, the files are whole.

    Args:
        marker: Its path.
        names: Names of the files, which lie in the same folder.
        facts: What else is to be known of them.
    """
    content = {"sha256": {name: file_sha256(marker.parent / name) for name in names}, **facts}
    with atomically(marker) as temporary:
        text = json.dumps({**content, "seal": digest(json.loads(json.dumps(content)))}, sort_keys=True)
        temporary.write_text(text, encoding="utf-8")


def unsealed(marker: Path) -> dict[str, Any] | None:
    """Return the facts of a seal whose files are as they were; None, and a warning, where one is not."""
    if not marker.exists():
        return None
    try:
        facts: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
        if facts.pop("seal") != digest(facts):
            raise ValueError("its words are not those that were sealed")
        broken = [name for name, sha256 in facts["sha256"].items() if _sha256(marker.parent / name) != sha256]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s: broken (%s); it is made again", marker, error)
        return None
    if broken:
        log.warning("%s: not what was written there; it is made again", marker.parent / broken[0])
        return None
    return facts


def _sha256(path: Path) -> str:
    """Return the sha256 of a file, read once a process while its size and time stay as they are."""
    stat = path.stat()
    known = _checked.get(path)
    if known is None or known[:2] != (stat.st_size, stat.st_mtime_ns):
        known = _checked[path] = (stat.st_size, stat.st_mtime_ns, file_sha256(path))
    return known[2]
