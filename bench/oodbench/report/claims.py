"""Whether what the papers say of two methods holds here, from the committed scores; see `oodbench.report.claim_file`.

Differences are paired by seed and by input; their variance is that over both, where that over five seeds, which may be
small by chance, is moderated over all claims (`oodbench.measure.paired`). It is that over seeds alone where no input
has a number of its own: overconfidence, bits per dimension, mCE, lengths of attacks, what diagnostics find. Claims, and
the comparisons that test reasons, are tested together, by Holm's procedure at 5 %, and each interval has the confidence
that its test is held against. A claim *holds* where the interval lies above 0, is *reversed* where it lies below,
*open* where it contains 0, and *untested* where the seeds of a method share members (`oodbench.report.members`).

That two methods are alike is a claim of `within` - |difference|: it holds where the interval of the difference lies
within +-`within`, and is reversed where it lies beyond on one side (the two one-sided tests of equivalence).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from oodbench.data.matrix import known_matrix
from oodbench.errors import BadCard, UnknownName
from oodbench.measure.intervals import p_value
from oodbench.measure.kinds import TWINS, not_averaged
from oodbench.measure.paired import Variance, moderated, over_inputs, resampled_mean, unseen, variance
from oodbench.measure.pairs import Prior, prior
from oodbench.measure.resamples import drawn_mean
from oodbench.records import ModelRecord, Quality
from oodbench.report.claim_file import OWN, Claim, Comparison, Verdict, read_claims
from oodbench.report.diagnostics_page import findings
from oodbench.report.entries import Entry, collect
from oodbench.report.members import shares_members
from oodbench.report.numbers import numbers
from oodbench.report.robustness import ratios_of
from oodbench.report.standings import of_its_seeds, of_plain

FEWEST = 10
"""Claims, for their variances over seeds to have anything in common."""

LEVEL = 0.05
"""Of all verdicts on the page together: the chance that any of them is one of chance."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """What the scores say of a claim, or of a comparison that tests a reason.

    Attributes:
        claim: It, or that whose reason is tested.
        comparison: What is compared.
        more: What it puts higher, a number a seed, in the unit that it is printed in.
        less: What it puts lower, likewise.
        drawn: `more` - `less` on resamples of the test inputs [S, resamples]; None where no input has its own number.
        pairs: Size of the smallest group of inputs behind it; None where no input has its own number.
        shared: Whether the seeds of a method share members, so that nothing is tested.
        k: Of how many comparisons this is the most significant, itself among them; what corrects its interval.
        by: What tests the reason.
    """

    claim: Claim
    comparison: Comparison
    more: Values
    less: Values
    drawn: Values | None = None
    pairs: int | None = None
    shared: bool = False
    where: str = ""
    common: Prior | None = None
    k: int = 1
    by: tuple["Found", ...] = ()

    @property
    def difference(self) -> float:
        """Mean of the paired differences."""
        return float((self.more - self.less).mean())

    @property
    def lead(self) -> float:
        """What is above 0 where the claim is right: the difference, or how far within the distance it is."""
        within = self.comparison.within
        return self.difference if within is None else within - abs(self.difference)

    @property
    def variance(self) -> Variance:
        """Of the difference, over seeds and inputs; that over seeds is moderated where claims have one in common.

        It is no less than what resamples cannot show, where at a seed all inputs agree.
        """
        if self.common is None or self.drawn is None:
            found = variance(self.more - self.less, self.drawn)
        else:
            found = moderated(self.more - self.less, self.drawn, self.common)
        if self.drawn is None or self.pairs is None or not found.value:
            return found
        reach = 100 * unseen(self.drawn / 100, self.pairs)
        return found._replace(value=max(found.value, (reach / float(stdtrit(found.df, 1 - LEVEL / 2))) ** 2))

    @property
    def ratio(self) -> float:
        """How much more the difference varies over seeds than over inputs; 0 or infinite where it does not vary."""
        return over_inputs(self.more - self.less, self.drawn) if self.drawn is not None else np.inf

    @property
    def p(self) -> float:
        """Two-sided p-value of the lead, of this claim alone."""
        return p_value(self.lead, self.variance.value, len(self.more), self.variance.df)

    @property
    def margin(self) -> float:
        """Half the width of its interval, of confidence 1 - 0.05 / k."""
        return float(stdtrit(self.variance.df, 1 - LEVEL / self.k / 2) * np.sqrt(self.variance.value))

    @property
    def verdict(self) -> Verdict:
        """Whether the claim holds."""
        if self.shared:
            return "untested"
        if self.p > LEVEL / self.k:
            return "open"
        return "holds" if self.lead > 0 else "reversed"


def judge(results: Path) -> list[Found]:
    """Return what the stored scores say of every claim.

    Raises:
        BadCard: a claim names what has no number.
        BadRecord: as `oodbench.report.entries.collect`.
    """
    claims = read_claims(results)
    stored = {
        matrix: of_its_seeds(collect(results, matrix), known_matrix(matrix))
        for matrix in dict.fromkeys(one.matrix for one in claims)
    }
    frames = {matrix: _frame(results, matrix, entries) for matrix, entries in stored.items()}
    draws = {matrix: _Draws(entries) for matrix, entries in stored.items()}
    found = []
    for one in claims:
        whole, *by = (_found(one, part, frames[one.matrix], draws[one.matrix]) for part in (one, *one.by))
        found.append(replace(whole, by=tuple(by)))
    return corrected(found)


def _moderated(found: Sequence[Found]) -> list[Found]:
    """Return claims that know what their variances over seeds have in common, those of each number of seeds."""
    own = [one.ratio for one in found]
    vary = [not one.shared and 0 < ratio < np.inf for one, ratio in zip(found, own, strict=True)]
    seeds = [len(one.more) for one in found]
    made = list(found)
    for several in set(seeds):
        alike = [at for at, one in enumerate(seeds) if one == several and vary[at]]
        if len(alike) < FEWEST:
            continue
        common = prior(np.array([own[at] for at in alike]), several - 1)
        known = common._replace(df=min(common.df, (len(alike) - 1) * (several - 1)))
        for at in alike:
            made[at] = replace(found[at], common=known)
    return made


def corrected(found: Sequence[Found]) -> list[Found]:
    """Return claims with intervals that are corrected for the number of comparisons, by Holm's procedure.

    The most significant of K is held against 5 % / K, the next against 5 % / (K - 1), until one fails: it and all that
    are less significant have its level, at which none of them is significant.
    """
    every = _moderated([one for claim in found for one in (claim, *claim.by)])
    order = sorted((at for at, one in enumerate(every) if not one.shared), key=lambda at: every[at].p)
    made, k = list(every), len(order)
    for step, at in enumerate(order):
        made[at] = replace(every[at], k=k)
        if every[at].p <= LEVEL / k and k == len(order) - step:
            k -= 1
    after = iter([replace(one, k=max(1, one.k)) for one in made])
    return [replace(next(after), by=tuple(next(after) for _ in claim.by)) for claim in found]


class _Drawn(NamedTuple):
    """A side of a claim at a seed: on resamples of the inputs [resamples], in the unit that it is printed in.

    `pairs` is the size of the smallest group of inputs behind it.
    """

    values: Values
    pairs: int


class _Draws:
    """What claims are about, on resamples of the test inputs, by what they ask; each is drawn once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = {(entry.record.method, entry.record.seed): entry for entry in entries}
        self._known: dict[tuple[object, ...], _Drawn | None] = {}

    def of(self, one: Comparison, method: str, seed: int) -> _Drawn | None:
        """Return a side of a claim at a seed; None where no input has a number of its own."""
        key = method, seed, one.metric, one.failure, one.sets
        if key not in self._known:
            entry = self._entries.get((method, seed))  # a diagnostic of data, or of a model without a row, has none
            self._known[key] = self._drawn(one, entry) if entry else None
        return self._known[key]

    def shared(self, method: str) -> bool:
        """Whether the seeds of a method share members."""
        return shares_members([entry.record for (name, _), entry in self._entries.items() if name == method])

    def _drawn(self, one: Comparison, entry: Entry) -> _Drawn | None:
        if one.metric == "accuracy" and entry.outcomes:
            correct = entry.outcomes.read.correct
            return _Drawn(OWN["accuracy"] * resampled_mean(correct, "good"), len(correct))
        if one.failure is None:
            return None
        cells = [cell for cell in entry.cells if cell.failure == one.failure and not cell.name.endswith(TWINS)]
        entry.__dict__.pop("cells", None)  # the scores of all entries need not fit into memory
        left_out = frozenset() if one.sets else not_averaged(known_matrix(entry.record.matrix))
        names = set(one.sets) or {cell.name for cell in cells} - left_out
        whole = [cell for cell in cells if len(cell.good) and len(cell.bad) and cell.name in names]
        return _Drawn(100 * drawn_mean(whole, one.metric), min(min(len(cell.good), len(cell.bad)) for cell in whole))


def _frame(results: Path, matrix: str, entries: Sequence[Entry]) -> pd.DataFrame:
    """Return every number of a matrix in the unit that it is printed in: method, seed, metric, kind, set, value."""
    found = numbers(results, entries).frame
    found = found[(found["metric"] != "") & ~found["set"].str.endswith(TWINS)]
    frame = found[["method", "seed", "metric", "kind", "set", "value"]].assign(value=100 * found["value"])
    classifiers = ((entry.record.seed, entry.reference) for entry in entries if entry.reference)
    plain = {seed: model for seed, model in classifiers if of_plain(model.recipe)}
    own = [row for entry in entries for row in _own(entry, plain.get(entry.record.seed))]
    own += [(method, seed, metric, "", *rest) for method, seed, metric, *rest in findings(results, matrix)]
    return pd.concat([frame, pd.DataFrame(own, columns=frame.columns)], ignore_index=True)


def _own(entry: Entry, plain: ModelRecord | None) -> Iterable[tuple[object, ...]]:
    """Yield what belongs to the models; they stand without a kind of failure."""
    where, model = (entry.record.method, entry.record.seed), entry.reference
    quality = model.quality if model else Quality()
    for metric in ("accuracy", "oce", "oce_share"):
        value = getattr(quality, metric)
        if value is not None:
            yield *where, metric, "", "test", OWN[metric] * value
    for metric, value in _under_corruption(model, plain) if model else ():
        yield *where, metric, "", "corrupted", OWN[metric] * value
    for name, attack in (model.attacks if model else {}).items():
        if attack.mean_l2 is not None:
            yield *where, "attack_l2", "", name, OWN["attack_l2"] * attack.mean_l2
    for name, bits in (entry.model.bits_per_dimension if entry.model else {}).items():
        yield *where, "bits_per_dimension", "", name, OWN["bits_per_dimension"] * bits


def _under_corruption(model: ModelRecord, plain: ModelRecord | None) -> Iterable[tuple[str, float]]:
    ratios = dict(zip(("mce", "relative_mce"), ratios_of(model, plain), strict=True))
    yield from ((name, ratio) for name, ratio in ratios.items() if ratio is not None)
    if model.corruptions:
        yield "delta_entropy", fmean(one.delta_entropy for one in model.corruptions.values())


def _found(claim: Claim, one: Comparison, frame: pd.DataFrame, draws: _Draws) -> Found:
    frame = frame[(frame["kind"] == (one.failure or "")) & (frame["metric"] == one.metric)]
    if one.sets:
        for name in one.sets:
            if name not in set(frame["set"]):
                raise UnknownName(f"set of {claim.statement!r}", name, set(frame["set"]))
        frame = frame[frame["set"].isin(one.sets)]
    else:
        frame = frame[~frame["set"].isin(not_averaged(known_matrix(claim.matrix)))]
    sides = [_side(claim, one, side, frame) for side in (one.more, one.less)]
    seeds = [set(side.index) for side in sides if side is not None]
    common = sorted(set.intersection(*seeds)) if seeds else []
    if len(common) < 2:
        raise BadCard(f"{claim.statement!r}: {len(common)} seeds have both numbers; expected two at least")
    more, less = (
        np.array([float(said)] * len(common) if side is None else [side[seed] for seed in common])
        for said, side in zip((one.more, one.less), sides, strict=True)
    )
    drawn = [_drawn(one, said, common, draws) for said in (one.more, one.less)]
    behind = [draws.of(one, said, seed) for said in (one.more, one.less) if isinstance(said, str) for seed in common]
    difference = drawn[0] - drawn[1] if drawn[0] is not None and drawn[1] is not None else None
    shared = any(draws.shared(said) for said in (one.more, one.less) if isinstance(said, str))
    where = ", ".join(sorted(set(frame["set"])))
    pairs = min((side.pairs for side in behind if side is not None), default=None)
    return Found(claim, one, more, less, difference, pairs, shared, where)


def _drawn(one: Comparison, said: str | float, seeds: Sequence[int], draws: _Draws) -> Values | None:
    """Return a side on resamples of the inputs, by seed [S, resamples]; of a number, that number."""
    if not isinstance(said, str):
        return np.full((len(seeds), 1), float(said))
    found = [draws.of(one, said, seed) for seed in seeds]
    known = [each.values for each in found if each is not None]
    return np.stack(known) if len(known) == len(found) else None


def _side(claim: Claim, one: Comparison, said: str | float, frame: pd.DataFrame) -> "pd.Series[float] | None":
    """Return a method's mean over sets by seed; None for a number."""
    if not isinstance(said, str):
        return None
    if said not in set(frame["method"]):
        raise UnknownName(f"method of {claim.statement!r} with {one.metric}", said, set(frame["method"]))
    own = frame[frame["method"] == said]
    if one.failure is not None:
        _check_sets(claim, said, own, set(frame["set"]))
    means: pd.Series[float] = own.groupby("seed")["value"].mean()
    return means


def _check_sets(claim: Claim, said: str, own: pd.DataFrame, sets: set[str]) -> None:
    """Refuse a mean over other sets at one seed, or of one method, than at another.

    Raises:
        BadCard: A seed lacks a set.
    """
    for seed, there in own.groupby("seed")["set"]:
        if lacking := sorted(sets - set(there)):
            raise BadCard(
                f"{claim.statement!r}: {said} has no number on {', '.join(lacking)} at seed {seed}, and a mean is over "
                f"the same sets everywhere; name those that all have: sets = [...]"
            )
