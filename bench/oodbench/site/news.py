"""What is new: changes of the leaderboard since the last release, and what nightly re-runs found."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench import checkout
from oodbench.compare.changelog import Change, found
from oodbench.compare.comparison import COMPARED
from oodbench.compare.operands import RECORDS, opened
from oodbench.errors import BadSetting, OodbenchError

WORSE = ("regression", "lost")
"""Verdicts of a comparison that a night is not to have."""

GOOD = ("as committed", "not worse")
"""What a night should be."""

MOST = 20
"""Findings of a night that are told one by one."""


def since(results: Path, release: str | None) -> tuple[str, Sequence[Change]] | str:
    """Return what has changed in results, and since which release; in words why that cannot be told.

    Args:
        results: The folder of results.
        release: Commit, branch or tag, or another folder of results; by default the last tag.

    Raises:
        BadSetting: There is no such release, or it has no results; of the last tag that is told in words.
        BadRecord: A record is broken, likewise.
    """
    before = release or _last_tag(results)
    if before is None:
        return "no tag is known here"
    try:
        return before, _changes(before, results)
    except OodbenchError as error:
        if release:
            raise
        return f"the last tag, {before}, has no results that can be read ({error})"


def _changes(before: str, results: Path) -> list[Change]:
    here = results.resolve()
    with ExitStack() as sides:
        a, b = (
            sides.enter_context(opened(said, results, folder=here.parent, read=RECORDS)) for said in (before, str(here))
        )
        return list(found(a, b))


def _last_tag(results: Path) -> str | None:
    """Return the last tag before the present commit; None without git, repository or tag."""
    return checkout.ask(results, "describe", "--tags", "--abbrev=0") or None


@dataclass(frozen=True)
class Night:
    """What a nightly re-run found.

    Attributes:
        name: Of its file.
        before: What it was compared with.
        after: What it made.
        tests: How many.
        counts: Findings by verdict.
        worse: Those that are not to be, in words: what is worse, lost, or moved though no version did.
        verdict: In a word or two.
    """

    name: str
    before: str
    after: str
    tests: int
    counts: Mapping[str, int]
    worse: Sequence[str]
    verdict: str

    @property
    def good(self) -> bool:
        """Whether that is as it should be."""
        return self.verdict in GOOD

    @classmethod
    def read(cls, path: Path) -> "Night":
        """Return what `oodbench compare --json` wrote.

        Raises:
            BadSetting: The file is not there, or is something else.
        """
        try:
            said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            counts = {str(what): int(count) for what, count in said["counts"].items() if count}
            found: list[dict[str, Any]] = said["findings"]
            worse = [_told(one) for one in found if one["verdict"] in WORSE or one.get("unversioned")]
            verdict = _verdict({str(one["verdict"]) for one in found if one.get("kind") != "cost"}, bool(worse))
            more = [f"and {len(worse) - MOST} more"] if len(worse) > MOST else []
            name = f"{path.parent.name}/{path.name}"
            before, after, tests = str(said["before"]), str(said["after"]), int(said["tests"])
            return cls(name, before, after, tests, counts, worse[:MOST] + more, verdict)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadSetting(f"{path}: not what oodbench compare --json writes ({error!r})") from error


def _verdict(found: set[str], worse: bool) -> str:
    """Return what is said of a night, given the verdicts on its numbers: nothing is said of what was not compared."""
    if worse:
        return "differs"
    if not found & set(COMPARED):
        return "nothing compared"
    return "as committed" if found <= {"same", "noise"} else "not worse"


def _told(one: Mapping[str, Any]) -> str:
    where = " ".join(str(one[name]) for name in ("matrix", "row", "kind", "set", "metric") if one.get(name))
    return f"{one['verdict']}{' without a version' if one.get('unversioned') else ''}: {where}"
