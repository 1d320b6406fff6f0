"""docs/claims.md: what the papers say of two methods, and whether it holds here, from the committed scores.

`results/claims.toml` names each claim as data:

    [[claim]]
    statement = "Outlier Exposure lifts the mean over out-sets"
    source = "Hendrycks 2019, Table 1"
    paper = "97.81 against 89.27 on CIFAR-10"
    matrix = "fashion-mnist-v1"
    metric = "auroc"                  # or what is the model's own (OWN), or what a diagnostic finds
    failure = "ood"                   # none for these
    sets = ["mnist-5k"]               # all of the failure's where none are named
    more = "oe-finetune"              # what the claim puts higher: a method, or a number in the metric's unit
    less = "msp"
    expected = "holds"                # what the committed scores say of it
    why = "..."                       # the likely reason, where it does not hold

Differences are paired by seed and by input; their variance is that over both (`oodbench.measure.paired`), or over seeds
alone where no input has a number of its own: overconfidence, bits per dimension, what diagnostics find. Claims are
tested together, by Holm's procedure at 5 %, and each interval has the confidence that its test is held against. A claim
*holds* where the interval lies above 0, is *reversed* where it lies below, *open* where it contains 0, and *untested*
where the seeds of a method share members (`oodbench.report.members`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator
from scipy.special import stdtrit

from oodbench.data.fixed import Fixed, read_toml
from oodbench.errors import BadCard, UnknownName
from oodbench.measure.intervals import p_value
from oodbench.measure.kinds import ROUNDED, KindName
from oodbench.measure.paired import Variance, resampled, resampled_mean, variance
from oodbench.records import Quality
from oodbench.report.diagnostics import metrics as diagnosed
from oodbench.report.diagnostics_page import findings
from oodbench.report.entries import Entry, collect
from oodbench.report.markdown import NONE, table
from oodbench.report.members import shares_members
from oodbench.report.numbers import numbers
from oodbench.report.site import differs
from oodbench.store import atomically

FILE = "claims.toml"
COMMAND = "oodbench claims"

LEVEL = 0.05
"""Of all verdicts on the page together: the chance that any of them is one of chance."""

Verdict = Literal["holds", "open", "reversed", "untested"]
Values = npt.NDArray[np.float64]

OWN = {"accuracy": 100.0, "oce": 1.0, "bits_per_dimension": 1.0}
"""What is the model's own rather than a failure set's, and what it is printed in: percent, a ratio, or bits."""

HEADER = """# What the papers say, and what holds here

Each claim of a paper that our matrices can test, beside the paper's numbers. A claim **holds** where the interval of
the difference lies above 0, is **reversed** where it lies below, and is **open** where it contains 0. The difference is
paired by seed and by test input. Its interval is Student's, with the variance over test inputs and over training runs
together; over training runs alone for overconfidence (oce), bits per dimension and what diagnostics find. The {tested}
claims that are tested are corrected for their number by Holm's procedure: with 95 % confidence none that **holds** or
is **reversed** is so by chance. The confidence of an interval is 1 − 0.05 / k: k is {tested} for the most significant
claim, one less for each that follows, and {last} for the first that is open and all that are less significant. A claim
is **untested** where the seeds of a method are ensembles that share members: their spread is none over training runs.
The papers trained larger networks, for longer, on other data: what is compared is the direction, not the size. Numbers
are percent (bits per dimension apart), mean ± standard deviation over seeds.

Generated from the stored scores by `{command}`; the claims are in `results/claims.toml`."""


class Claim(Fixed):
    """One claim; see the module."""

    statement: str
    source: str
    paper: str
    matrix: str
    metric: str
    failure: KindName | None = None
    sets: tuple[str, ...] = ()
    more: str | float
    less: str | float
    expected: Verdict
    why: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        alone = [*OWN, *diagnosed()]
        if (self.failure is None) != (self.metric in alone):
            raise ValueError(f"metric {self.metric!r} with failure {self.failure!r}: one of {alone} has none")
        if (self.expected == "holds") == bool(self.why):
            raise ValueError(f"{self.statement!r}: `why` stands with what does not hold, and with nothing else")
        return self


class Claims(Fixed):
    """The file."""

    claim: tuple[Claim, ...] = Field(min_length=1)


@dataclass(frozen=True, eq=False)
class Found:
    """What the scores say of a claim.

    Attributes:
        more: What it puts higher, a number a seed, in the unit that it is printed in.
        less: What it puts lower, likewise.
        drawn: `more` - `less` on resamples of the test inputs [S, resamples]; None where no input has its own number.
        shared: Whether the seeds of a method share members, so that nothing is tested.
        k: Of how many claims this is the most significant, itself among them; what corrects its interval.
    """

    claim: Claim
    more: Values
    less: Values
    drawn: Values | None = None
    shared: bool = False
    k: int = 1

    @property
    def difference(self) -> float:
        """Mean of the paired differences."""
        return float((self.more - self.less).mean())

    @property
    def variance(self) -> Variance:
        """Of the difference, over seeds and inputs."""
        return variance(self.more - self.less, self.drawn)

    @property
    def p(self) -> float:
        """Two-sided p-value of the difference, of this claim alone."""
        return p_value(self.difference, self.variance.value, len(self.more), self.variance.df)

    @property
    def margin(self) -> float:
        """Half the width of its interval, of confidence 1 - 0.05 / k."""
        return float(stdtrit(self.variance.df, 1 - LEVEL / self.k / 2) * np.sqrt(self.variance.value))

    @property
    def verdict(self) -> Verdict:
        """Whether the claim holds."""
        if self.shared:
            return "untested"
        if self.difference > self.margin:
            return "holds"
        return "reversed" if self.difference < -self.margin else "open"


def read_claims(results: Path) -> tuple[Claim, ...]:
    """Return the claims of a results folder.

    Raises:
        BadCard: the file is missing or breaks its schema.
    """
    path = results / FILE
    if not path.is_file():
        raise BadCard(f"{path} does not exist; it holds the claims to be tested")
    return read_toml(path, Claims).claim


def judge(results: Path) -> list[Found]:
    """Return what the stored scores say of every claim.

    Raises:
        BadCard: a claim names what has no number.
        BadRecord: as `oodbench.report.entries.collect`.
    """
    claims = read_claims(results)
    stored = {matrix: collect(results, matrix) for matrix in dict.fromkeys(one.matrix for one in claims)}
    frames = {matrix: _frame(results, matrix, entries) for matrix, entries in stored.items()}
    draws = {matrix: _Draws(entries) for matrix, entries in stored.items()}
    return corrected([_found(one, frames[one.matrix], draws[one.matrix]) for one in claims])


def corrected(found: Sequence[Found]) -> list[Found]:
    """Return claims with intervals that are corrected for their number, by Holm's procedure.

    The most significant of K is held against 5 % / K, the next against 5 % / (K - 1), until one fails: it and all that
    are less significant have its level, at which none of them is significant.
    """
    order = sorted((at for at, one in enumerate(found) if not one.shared), key=lambda at: found[at].p)
    made, k = list(found), len(order)
    for step, at in enumerate(order):
        made[at] = replace(found[at], k=k)
        if found[at].p <= LEVEL / k and k == len(order) - step:
            k -= 1
    return [replace(one, k=max(1, one.k)) for one in made]


class _Draws:
    """What claims are about, on resamples of the test inputs, by what they ask; each is drawn once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = {(entry.record.method, entry.record.seed): entry for entry in entries}
        self._known: dict[tuple[object, ...], Values | None] = {}

    def of(self, one: Claim, method: str, seed: int) -> Values | None:
        """Return a side of a claim at a seed [resamples], in the unit that it is printed in."""
        key = method, seed, one.metric, one.failure, one.sets
        if key not in self._known:
            self._known[key] = self._drawn(one, self._entries[method, seed])
        return self._known[key]

    def shared(self, method: str) -> bool:
        """Whether the seeds of a method share members."""
        return shares_members([entry.record for (name, _), entry in self._entries.items() if name == method])

    def _drawn(self, one: Claim, entry: Entry) -> Values | None:
        if one.metric == "accuracy" and entry.outcomes:
            return OWN["accuracy"] * resampled_mean(entry.outcomes.read.correct, "good")
        if one.failure is None:
            return None
        cells = [cell for cell in entry.cells if cell.failure == one.failure and not cell.name.endswith(ROUNDED)]
        whole = [cell for cell in cells if len(cell.good) and len(cell.bad) and (not one.sets or cell.name in one.sets)]
        entry.__dict__.pop("cells", None)  # the scores of all entries need not fit into memory
        return 100 * resampled(whole, one.metric)


def _frame(results: Path, matrix: str, entries: Sequence[Entry]) -> pd.DataFrame:
    """Return every number of a matrix in the unit that it is printed in: method, seed, metric, kind, set, value."""
    found = numbers(results, entries).frame
    found = found[(found["metric"] != "") & ~found["set"].str.endswith(ROUNDED)]
    frame = found[["method", "seed", "metric", "kind", "set", "value"]].assign(value=100 * found["value"])
    own = [row for entry in entries for row in _own(entry)]
    own += [(method, seed, metric, "", *rest) for method, seed, metric, *rest in findings(results, matrix)]
    return pd.concat([frame, pd.DataFrame(own, columns=frame.columns)], ignore_index=True)


def _own(entry: Entry) -> Iterable[tuple[object, ...]]:
    """Yield what belongs to the models; they stand without a kind of failure."""
    where = entry.record.method, entry.record.seed
    quality = entry.reference.quality if entry.reference else Quality()
    for metric, value in (("accuracy", quality.accuracy), ("oce", quality.oce)):
        if value is not None:
            yield *where, metric, "", "test", OWN[metric] * value
    for name, bits in (entry.model.bits_per_dimension if entry.model else {}).items():
        yield *where, "bits_per_dimension", "", name, OWN["bits_per_dimension"] * bits


def _found(one: Claim, frame: pd.DataFrame, draws: _Draws) -> Found:
    frame = frame[(frame["kind"] == (one.failure or "")) & (frame["metric"] == one.metric)]
    if one.sets:
        for name in one.sets:
            if name not in set(frame["set"]):
                raise UnknownName(f"set of {one.statement!r}", name, set(frame["set"]))
        frame = frame[frame["set"].isin(one.sets)]
    sides = [_side(one, side, frame) for side in (one.more, one.less)]
    seeds = [set(side.index) for side in sides if side is not None]
    common = sorted(set.intersection(*seeds)) if seeds else []
    if len(common) < 2:
        raise BadCard(f"{one.statement!r}: {len(common)} seeds have both numbers; expected two at least")
    more, less = (
        np.array([float(said)] * len(common) if side is None else [side[seed] for seed in common])
        for said, side in zip((one.more, one.less), sides, strict=True)
    )
    drawn = [_drawn(one, said, common, draws) for said in (one.more, one.less)]
    difference = drawn[0] - drawn[1] if drawn[0] is not None and drawn[1] is not None else None
    shared = any(draws.shared(said) for said in (one.more, one.less) if isinstance(said, str))
    return Found(one, more, less, difference, shared)


def _drawn(one: Claim, said: str | float, seeds: Sequence[int], draws: _Draws) -> Values | None:
    """Return a side on resamples of the inputs, by seed [S, resamples]; of a number, that number."""
    if not isinstance(said, str):
        return np.full((len(seeds), 1), float(said))
    found = [draws.of(one, said, seed) for seed in seeds]
    return np.stack([each for each in found if each is not None]) if all(each is not None for each in found) else None


def _side(one: Claim, said: str | float, frame: pd.DataFrame) -> "pd.Series[float] | None":
    """Return a method's mean over sets by seed; None for a number."""
    if not isinstance(said, str):
        return None
    if said not in set(frame["method"]):
        raise UnknownName(f"method of {one.statement!r} with {one.metric}", said, set(frame["method"]))
    means: pd.Series[float] = frame[frame["method"] == said].groupby("seed")["value"].mean()
    return means


def page(found: Sequence[Found]) -> str:
    """Return the text of docs/claims.md."""
    tested = [one.k for one in found if not one.shared]
    parts = [HEADER.format(command=COMMAND, tested=len(tested), last=min(tested, default=0))]
    for matrix, group in groupby(found, key=lambda one: one.claim.matrix):
        headers = ["Claim", "Paper", "There", "Here", "Difference", "Verdict", "Likely reason"]
        rows = [_row(one) for one in group]
        parts += [f"## {matrix}", table(headers, rows, set(headers) - {"Difference"})]
    return "\n\n".join(parts) + "\n"


def _row(found: Found) -> list[str]:
    one = found.claim
    where = f"{one.metric}, {', '.join(one.sets) or one.failure or 'test'}"
    here = f"`{one.more}` {_said(one.more, found.more)} against `{one.less}` {_said(one.less, found.less)} ({where})"
    low, high = found.difference - found.margin, found.difference + found.margin
    difference = f"{found.difference:+.2f}" + ("" if found.shared else f" [{low:.2f}, {high:.2f}]")
    return [one.statement, one.source, one.paper, here, difference, f"**{found.verdict}**", one.why or NONE]


def _said(said: str | float, values: Values) -> str:
    return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}" if isinstance(said, str) else ""


def rebuild(results: Path, path: Path, *, check: bool = False) -> tuple[str, bool]:
    """Write the page, or only compare it; return what to say, and whether it and every expectation are as they are.

    Raises:
        BadCard: as `judge`.
        BadRecord: likewise.
    """
    found = judge(results)
    wrong = [
        f"{one.claim.statement!r} is expected to be {one.claim.expected!r}, and is {one.verdict!r}: "
        f"{one.difference:+.2f} ± {one.margin:.2f}"
        for one in found
        if one.verdict != one.claim.expected
    ]
    text = page(found)
    if check:
        fault = differs(path, text)
        wrong += [fault, f"rebuild it: {COMMAND} --results {results} --page {path}"] if fault else []
        return "\n".join(wrong) or f"{path} is what the scores in {results} make.", not wrong
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return "\n".join([f"wrote {path}", *wrong]), not wrong
