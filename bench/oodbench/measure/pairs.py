"""How sure the difference between two methods is, for all pairs at once: its variance over inputs and training seeds.

What a difference would be with other test inputs and other training runs is seen at two levels:

1. Inputs, by a bootstrap on which all methods and seeds were judged alike (`oodbench.measure.resamples`). It gives
   V_inputs, the variance of the difference with these training runs, averaged over the S seeds, and V_one, the mean of
   the variances of one seed's difference.
2. Seeds, by s^2 / S, where s^2 is the variance of the S differences, with S - 1 in the denominator.

Both hold what an input and a training run do together, V_both, which must count once. It shows in how much less the
mean over seeds varies over resamples than one seed does: V_both = (V_one - V_inputs) / (S - 1). So, as in an analysis
of variance with crossed effects,

    V = V_inputs + max(0, s^2 / S - V_both).

Of five seeds s^2 has 4 degrees of freedom, and of the many pairs of a table some are small by chance. Pairs are alike,
so s^2 borrows from all of them (Smyth, Linear models and empirical Bayes methods, Stat. Appl. Genet. Mol. Biol. 3,
2004, sections 3 and 6.2): the ratio s^2 / V_one, which varies far less from pair to pair than s^2 does, is s0^2 times a
scaled inverse chi-squared number of d0 degrees of freedom. Its posterior mean is moderated towards s0^2, with
d0 + S - 1 degrees of freedom. Two things are more careful than there, since rows differ and share their noise with all
their pairs: s^2 is never taken to be less than it is, so a noisy row stays noisy, and d0 is at most (K - 2) (S - 1),
since K rows hold (K - 1) (S - 1) degrees of freedom in all.

Two methods that rise and fall together over seeds have an s^2 far below what is common, and moderation hides a
difference that each seed shows. So V by the pair's own s^2, with S - 1 degrees of freedom, is given too, and the
smaller p-value of the two counts. No theorem makes that a test of its level; in simulated tables it is
(`docs/ranks.md`), since the own one, with as much of V_inputs in it, is well on the safe side.

With one seed V is V_inputs: what another training run would change cannot be seen.

Example:
    >>> import numpy as np
    >>> seeds = np.array([[0.10, 0.12, 0.11], [0.30, 0.33, 0.31]])  # two methods, three seeds
    >>> certain = np.repeat(seeds[:, :, None], 50, axis=2)  # of inputs that leave no doubt
    >>> found = differences(seeds, certain)
    >>> f"{found.own[0, 1] ** 0.5:.4f} at {found.own_df:.0f} degrees of freedom"
    '0.0033 at 2 degrees of freedom'
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""A variance of a difference below this share of the variances themselves is what rounding leaves of none."""


class Differences(NamedTuple):
    """How sure the mean difference of each pair is.

    Attributes:
        moderated: Its variance, of seeds moderated over all pairs [K, K].
        df: Degrees of freedom of that.
        own: Its variance, of seeds by the pair alone [K, K].
        own_df: Degrees of freedom of that.
    """

    moderated: Floats
    df: float
    own: Floats
    own_df: float


class Prior(NamedTuple):
    """What a table's variances have in common: where they lie, and how many degrees of freedom that is worth."""

    scale: float
    df: float


def differences(means: Floats, drawn: Floats) -> Differences:
    """Return the variances of the differences between all pairs of methods.

    Args:
        means: Of each method at each seed [K, S].
        drawn: The same on each resample of the inputs [K, S, R].
    """
    (methods, seeds), resamples = means.shape, drawn.shape[2]
    of_inputs = _of_pairs(drawn.mean(axis=1), resamples - 1)
    if seeds == 1:
        return Differences(of_inputs, resamples - 1, of_inputs, resamples - 1)
    centred = drawn - drawn.mean(axis=2, keepdims=True)
    of_one_seed = _of_pairs(centred.reshape(methods, -1), (resamples - 1) * seeds, centre=False)
    of_both = (of_one_seed - of_inputs) / (seeds - 1)
    own = _of_pairs(means, seeds - 1)
    moderated, df = _moderated(own, of_one_seed, seeds - 1)
    total = [of_inputs + np.maximum(0, of_seeds / seeds - of_both) for of_seeds in (moderated, own)]
    return Differences(total[0], min(df, resamples - 1), total[1], min(seeds, resamples) - 1)


def prior(ratios: Floats, df: int) -> Prior:
    """Return the scale s0^2 and the degrees of freedom d0 behind scaled variances (Smyth 2004, section 6.2).

    With z the logarithm of a ratio, E z = log s0^2 + psi(df / 2) - psi(d0 / 2) + log(d0 / df) and
    var z = psi'(df / 2) + psi'(d0 / 2). Ratios that vary no more than chance has them vary have infinite d0.

    Args:
        ratios: Variances, each over its scale; at least two, all positive.
        df: Degrees of freedom of each.
    """
    z = np.log(ratios)
    centre = float(z.mean()) - float(special.digamma(df / 2)) + np.log(df / 2)
    beyond_chance = float(z.var(ddof=1)) - float(special.polygamma(1, df / 2))
    if beyond_chance <= 0:
        return Prior(float(np.exp(centre)), np.inf)
    half = trigamma_inverse(beyond_chance)
    return Prior(float(np.exp(centre + special.digamma(half) - np.log(half))), 2 * half)


def trigamma_inverse(value: float) -> float:
    """Return y with psi'(y) = value > 0, by Newton's method on 1 / psi' (Smyth 2004, appendix).

    Example:
        >>> round(trigamma_inverse(0.6449340668), 6)
        2.0
    """
    y = 0.5 + 1 / value
    for _ in range(50):
        slope = float(special.polygamma(1, y))
        step = slope * (1 - slope / value) / float(special.polygamma(2, y))
        y += step
        if abs(step) < 1e-10 * y:
            break
    return y


def _of_pairs(rows: Floats, df: int, centre: bool = True) -> Floats:
    """Return the variance of the difference of each pair of rows [K, K]."""
    rows = rows - rows.mean(axis=1, keepdims=True) if centre else rows
    covariance = rows @ rows.T / df
    own = np.diag(covariance)
    both = own[:, None] + own
    variance: Floats = both - 2 * covariance
    variance[variance < ROUNDING * both] = 0
    return variance


def _moderated(own: Floats, scale: Floats, df: int) -> tuple[Floats, float]:
    """Return what is taken for each pair's variance over seeds, never below its own, and its degrees of freedom."""
    upper = np.triu_indices(len(own), 1)
    seen = (own[upper] > 0) & (scale[upper] > 0)
    if seen.sum() < 2:
        return own, float(df)
    common = prior(own[upper][seen] / scale[upper][seen], df)
    common = common._replace(df=min(common.df, float((len(own) - 2) * df)))
    return towards(common, own, scale, df), common.df + df


def towards(common: Prior, own: Floats, scale: Floats, df: int) -> Floats:
    """Return variances moved towards the common one of their scales, and never below themselves.

    Args:
        common: Of the variances, each over its scale; of finite degrees of freedom.
        own: Variances, of any shape.
        scale: Theirs, likewise.
        df: Degrees of freedom of each.
    """
    weight = common.df / (common.df + df)
    return np.maximum(own, weight * common.scale * scale + (1 - weight) * own)
