"""Who may take a rank: before a run, methods that nothing vouches for are held to the laws on the toy.

A method of this repository whose file is as it is committed is vouched for: the laws are tested at every commit, of all
methods. One of another package, or whose file is new or edited, is tried here: seconds, and its records say so.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from oodbench import checkout, listed
from oodbench.check.conformance import RUNS, checks_of, excuses
from oodbench.given import method_of
from oodbench.recipes import Plain
from oodbench.run.plan import Job, Skip
from oodbench.run.registry import Registered

log = logging.getLogger(__name__)

OF_THE_TOY = frozenset({"varied", "direction"})
"""Laws that a sound method may break on the toy for a reason of principle: what excuses it from others counts here not.

An excuse is the author's own word, and a rank is not."""


@dataclass(frozen=True)
class Refused:
    """A method that may take no rank.

    Attributes:
        method: Its name.
        why: The laws that it breaks, each with its reason.
    """

    method: str
    why: tuple[str, ...]

    def __str__(self) -> str:
        laws = "\n".join(f"  {one}" for one in self.why)
        return (
            f"{self.method} is not run, as it does not pass the checks that a rank asks for:\n{laws}\n"
            f"  mend it (oodbench check {self.method}), or run it with --unchecked: then its row says so, and has no "
            f"rank"
        )


def before_ranking(
    planned: Sequence[Job | Skip], *, unchecked: bool = False
) -> tuple[list[Job | Skip], tuple[Refused, ...]]:
    """Return what of a plan may run, its methods marked as checked or not, and what may not.

    Args:
        planned: The plan.
        unchecked: Let methods run that nothing vouches for; their records say so.
    """
    entries = {method_of(job.entry.method.name): job.entry for job in planned if isinstance(job, Job)}
    doubtful = {name: entry for name, entry in entries.items() if not vouched_for(entry)}
    found = {} if unchecked else {name: broken(_on_toy(name, entry)) for name, entry in doubtful.items()}
    refused = tuple(Refused(name, laws) for name, laws in found.items() if laws)
    bad = {one.method for one in refused}
    marked = []
    for item in planned:
        name = method_of(item.entry.method.name)
        if name in doubtful and name not in bad:
            item = replace(item, entry=replace(item.entry, checked=not unchecked))
        if name not in bad:
            marked.append(item)
    return marked, refused


def vouched_for(entry: Registered) -> bool:
    """Whether a method is one of this repository, as it is committed, or as it was released."""
    return entry.in_tree and entry.module.rpartition(".")[2] not in uncommitted()


def broken(entry: Registered) -> tuple[str, ...]:
    """Return the laws that a method breaks on the toy; that it cannot be tried there is one, too."""
    log.info("%s is not vouched for: held to the laws on the toy", entry.method.name)
    excused = {law: why for law, why in excuses(entry).items() if law in OF_THE_TOY}
    verdicts = {check.law: check.run() for check in checks_of(entry.method, excused)}
    found = [f"{law.name}: {verdict.why}" for law, verdict in verdicts.items() if not verdict.well]
    runs = verdicts[RUNS]
    return tuple(found or ([f"{RUNS.name}: {runs.why}"] if runs.status == "skipped" else []))


def _on_toy(name: str, entry: Registered) -> Registered:
    """Return a method as the toy has it: a plain classifier is trained there in the place of a given one."""
    recipe = entry.method.recipe
    return replace(entry, method=replace(entry.method, name=name, recipe=Plain() if recipe.given() else recipe))


@cache
def uncommitted() -> frozenset[str]:
    """Return the names of the files of methods that are new or edited since the last commit; none in a release."""
    if checkout.folder() is None:
        return frozenset()
    said = checkout.ask(listed.folder(), "status", "--porcelain", "--untracked-files=all", "--", ".") or ""
    return frozenset(Path(line[3:].strip('"')).stem for line in said.splitlines())
