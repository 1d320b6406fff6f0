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

Differences are paired by seed; their 95 % interval is Student's over seeds. A claim *holds* where the interval lies
above 0, is *reversed* where it lies below, and is *open* where it contains 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from oodbench.measure.kinds import ROUNDED, KindName
from oodbench.records import Quality
from oodbench.report.diagnostics import metrics as diagnosed
from oodbench.report.diagnostics_page import findings
from oodbench.report.entries import Entry, collect
from oodbench.report.markdown import NONE, table
from oodbench.report.numbers import numbers
from oodbench.report.site import differs
from oodbench.store import atomically

FILE = "claims.toml"
COMMAND = "oodbench claims"

Verdict = Literal["holds", "open", "reversed"]
Values = npt.NDArray[np.float64]

OWN = {"accuracy": 100.0, "oce": 1.0, "bits_per_dimension": 1.0}
"""What is the model's own rather than a failure set's, and what it is printed in: percent, a ratio, or bits."""

HEADER = """# What the papers say, and what holds here

Each claim of a paper that our matrices can test, beside the paper's numbers. A claim **holds** where the paired
difference over seeds exceeds 0 by more than its 95 % interval, is **reversed** where it is below 0 by as much, and is
**open** where the interval contains 0. The papers trained larger networks, for longer, on other data: what is compared
is the direction, not the size. Numbers are percent (bits per dimension apart), mean ± standard deviation over seeds.

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
    """

    claim: Claim
    more: Values
    less: Values

    @property
    def difference(self) -> float:
        """Mean of the paired differences."""
        return float((self.more - self.less).mean())

    @property
    def margin(self) -> float:
        """Half the width of its 95 % interval."""
        each = self.more - self.less
        return float(stdtrit(len(each) - 1, 0.975) * each.std(ddof=1) / np.sqrt(len(each)))

    @property
    def verdict(self) -> Verdict:
        """Whether the claim holds."""
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
    frames = {matrix: _frame(results, matrix) for matrix in dict.fromkeys(one.matrix for one in claims)}
    return [_found(one, frames[one.matrix]) for one in claims]


def _frame(results: Path, matrix: str) -> pd.DataFrame:
    """Return every number of a matrix in the unit that it is printed in: method, seed, metric, kind, set, value."""
    entries = collect(results, matrix)
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


def _found(one: Claim, frame: pd.DataFrame) -> Found:
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
    return Found(one, more, less)


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
    parts = [HEADER.format(command=COMMAND)]
    for matrix, group in groupby(found, key=lambda one: one.claim.matrix):
        headers = ["Claim", "Paper", "There", "Here", "Difference", "Verdict", "Likely reason"]
        rows = [_row(one) for one in group]
        parts += [f"## {matrix}", table(headers, rows, set(headers) - {"Difference"})]
    return "\n\n".join(parts) + "\n"


def _row(found: Found) -> list[str]:
    one = found.claim
    where = f"{one.metric}, {', '.join(one.sets) or one.failure or 'test'}"
    here = f"`{one.more}` {_said(one.more, found.more)} against `{one.less}` {_said(one.less, found.less)} ({where})"
    difference = (
        f"{found.difference:+.2f} [{found.difference - found.margin:.2f}, {found.difference + found.margin:.2f}]"
    )
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
