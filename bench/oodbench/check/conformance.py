"""Is a method sound? Every law of the contract, tried on the toy."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Literal

from oodbench.check import declarations, scoring, side_effects
from oodbench.check.notes import notes_of
from oodbench.check.trial import Trial
from oodbench.contract import Method
from oodbench.errors import BadMethod, UnknownName, reason
from oodbench.run.registry import Registered, find, registry
from oodbench.shown import Page


@dataclass(frozen=True)
class Law:
    """Something that every method keeps: a function that raises if a method does not, its docstring the law in words.

    A law is not tried where one of those that it comes `after` is broken: its verdict would mean nothing.
    """

    holds: Callable[[Trial], None]
    after: tuple["Law", ...] = ()

    @property
    def name(self) -> str:
        """The function's name, with hyphens."""
        return self.holds.__name__.replace("_", "-")


FROZEN = Law(declarations.frozen)
WELL_FORMED = Law(declarations.well_formed, after=(FROZEN,))
RUNS = Law(scoring.runs, after=(WELL_FORMED,))
SHAPE = Law(scoring.shape, after=(RUNS,))
DTYPE = Law(scoring.dtype, after=(SHAPE,))
FINITE = Law(scoring.finite, after=(DTYPE,))
DETERMINISTIC = Law(scoring.deterministic, after=(FINITE,))

OF_THE_RUN = (
    side_effects.inputs_kept,
    side_effects.weights_kept,
    side_effects.modes_kept,
    side_effects.generators_kept,
    side_effects.facts_finite,
    declarations.outputs_as_declared,
    declarations.materials_as_declared,
    declarations.labels_only_for_fitting,
)

OF_SOUND_SCORES = (
    scoring.varied,
    scoring.alone_as_in_a_batch,
    scoring.order_of_a_batch,
    scoring.direction,
)

OF_SAME_SCORES = (side_effects.state_saved, declarations.parameters_in_json)


@dataclass(frozen=True)
class Verdict:
    """What became of a law: it holds ("ok"), it does not ("FAILED"), or it could not be tried ("skipped"), and why."""

    status: Literal["ok", "FAILED", "skipped"]
    why: str = ""

    @property
    def well(self) -> bool:
        """Whether the law is not broken."""
        return self.status != "FAILED"

    def __str__(self) -> str:
        return f"{self.status:8}{self.why}".rstrip()


@dataclass(frozen=True, eq=False)
class Examination:
    """One method's trial and the verdicts so far; its checks share it, so that little is done twice."""

    trial: Trial
    excused: Mapping[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def verdict(self, law: Law) -> Verdict:
        """Return the verdict of a law, and first of those before it."""
        if law.name not in self.verdicts:
            self.verdicts[law.name] = self._try(law)
        return self.verdicts[law.name]

    def _try(self, law: Law) -> Verdict:
        if law.name in self.excused:
            return Verdict("skipped", self.excused[law.name])
        for before in law.after:
            verdict = self.verdict(before)
            if verdict.status != "ok":
                return Verdict("skipped", verdict.why if verdict.well else f"{before.name} failed")
        if law is RUNS and (lacking := self.trial.method.materials - self.trial.materials):
            return Verdict("skipped", f"the toy has no {', '.join(sorted(lacking))}")
        try:
            law.holds(self.trial)
        except BadMethod as error:
            return Verdict("FAILED", str(error))
        except Exception as error:  # whatever a method does wrong is a verdict, not a crash
            return Verdict("FAILED", reason(error))
        return Verdict("ok")


@dataclass(frozen=True, eq=False)
class Check:
    """One law for one method."""

    law: Law
    examination: Examination

    @property
    def method(self) -> Method:
        """The method."""
        return self.examination.trial.method

    def run(self) -> Verdict:
        """Return the verdict."""
        return self.examination.verdict(self.law)

    def __str__(self) -> str:
        return f"{self.method.name}-{self.law.name}"


def laws() -> Iterator[Law]:
    """Yield every law, in the order in which they are tried."""
    yield from (FROZEN, WELL_FORMED, RUNS, SHAPE, DTYPE, FINITE, DETERMINISTIC)
    yield from (Law(holds, after=(RUNS,)) for holds in OF_THE_RUN)
    yield from (Law(holds, after=(FINITE,)) for holds in OF_SOUND_SCORES)
    yield from (Law(holds, after=(DETERMINISTIC,)) for holds in OF_SAME_SCORES)


def checks_of(method: Method, excused: Mapping[str, str] = MappingProxyType({})) -> list[Check]:
    """Return the checks of a method: one for each law.

    Args:
        method: The method.
        excused: Laws, by name, that it cannot keep, and why: they are skipped, and say so.

    Raises:
        UnknownName: no law has such a name.
    """
    for name in excused:
        if name not in (known := [law.name for law in laws()]):
            raise UnknownName("law", name, known)
    examination = Examination(Trial(method), excused)
    return [Check(law, examination) for law in laws()]


def excuses(entry: Registered) -> Mapping[str, str]:
    """Return the laws that a row cannot keep for a reason of principle, and the reason: its module's `EXCUSED`."""
    excused: Mapping[str, Mapping[str, str]] = getattr(import_module(entry.module), "EXCUSED", {})
    return excused.get(entry.method.name, {})


def check_methods(names: list[str], every: bool, *, verbose: bool = False) -> tuple[Page, bool]:
    """Return a line for each law that is broken and each note, a sum, and whether all is well.

    Args:
        names: Registered methods, in-tree or from installed packages.
        every: Check all that are registered.
        verbose: Also a line for each law that holds or was skipped.

    Raises:
        UnknownName: no such method; the nearest is offered.
        BadMethod: a file or an entry point holds no method, or two share a name.
    """
    entries = list(registry().values()) if every else find(names)
    if not entries:
        said = "no method named: give one or more names (`oodbench list` shows them), or --all"
        return Page(said, data={"error": said}), False
    lines = []
    data: list[dict[str, object]] = []
    count: Counter[str] = Counter()
    for entry in entries:
        checks = checks_of(entry.method, excuses(entry))
        verdicts, notes = {check.law.name: check.run() for check in checks}, _notes(checks)
        data.append({"method": entry.method.name, "laws": verdicts, "notes": notes})
        for check in checks:
            verdict = verdicts[check.law.name]
            count[verdict.status] += 1
            if verbose or not verdict.well:
                lines.append(f"{check.method.name:16} {check.law.name:24} {verdict}")
        for note in notes:
            count["note"] += 1
            lines.append(f"{entry.method.name:16} {'note':24} {note}")
    methods = "1 method" if len(entries) == 1 else f"{len(entries)} methods"
    noted = f", {count['note']} to note" if count["note"] else ""
    lines.append(f"{methods}: {count['ok']} ok, {count['FAILED']} failed, {count['skipped']} skipped{noted}")
    return Page(*lines, data=data), not count["FAILED"]


def _notes(checks: list[Check]) -> list[str]:
    """Return what is to be told of a method though it breaks no law; nothing of one whose scores are not finite."""
    examination = checks[0].examination
    return list(notes_of(examination.trial)) if examination.verdict(FINITE).status == "ok" else []
