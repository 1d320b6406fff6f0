"""Laws of the scores: one sound number an input, that depends on this input alone."""

from itertools import pairwise

import torch
from torch import Tensor

from oodbench.check.trial import Trial
from oodbench.data.toys import CLASSES
from oodbench.errors import BadMethod
from oodbench.measure.ranking import ranking

TOLERANCE = 1e-4
"""By how much a score may differ between batches: a share of its own size and of the test scores' quartile distance.

Sums of float32 depend on the shape of a batch in their last bits, and a density with narrow components magnifies that.
"""

ALONE = 8 * CLASSES
"""How many test images are scored one by one."""


def runs(trial: Trial) -> None:
    """It fits and scores without an error."""
    trial.scores  # noqa: B018


def shape(trial: Trial) -> None:
    """Scores have the shape [n], for a batch and for a single input."""
    for n in (len(trial.toy.examples["test"].x), 1):
        got = trial.score(trial.fitted, "test", torch.arange(n))
        if not isinstance(got, Tensor):
            raise BadMethod(f"score returned a {type(got).__name__}, expected a tensor")
        if got.shape != (n,):
            raise BadMethod(f"score returned shape {list(got.shape)} for {n} inputs, expected [{n}]")


def dtype(trial: Trial) -> None:
    """Scores are float32 or float64."""
    if trial.scores.dtype not in (torch.float32, torch.float64):
        raise BadMethod(f"score returned {trial.scores.dtype}, expected torch.float32 or torch.float64")


def finite(trial: Trial) -> None:
    """Scores are neither NaN nor infinite, near the training inputs and far from them."""
    for role in ("test", "far"):
        scores = trial.score(trial.fitted, role)
        if bad := int((~scores.isfinite()).sum()):
            raise BadMethod(f"{bad} of {len(scores)} scores of the {role} images are NaN or infinite")


def varied(trial: Trial) -> None:
    """Scores are not all the same."""
    if (trial.scores == trial.scores[0]).all():
        raise BadMethod(f"all {len(trial.scores)} test images have the score {trial.scores[0]:g}")


def deterministic(trial: Trial) -> None:
    """Fitted again with the same seed it gives the same scores, bit for bit; so it does when it scores again."""
    for what, again in (("scored", trial.score(trial.fitted, "test")), ("fitted", trial.again.scores)):
        if not torch.equal(again, trial.scores):
            raise BadMethod(
                f"{what} twice it gives two answers, {_worst(again, trial.scores)}: "
                f"is there a generator without a seed? `data.seed` is one"
            )


def alone_as_in_a_batch(trial: Trial) -> None:
    """An input has the same score alone, in small batches and in a large one."""
    n = len(trial.scores)
    for size, upto in ((1, ALONE), (3 * CLASSES, n)):
        cuts = [*range(0, upto, size), upto]
        parts = [trial.score(trial.fitted, "test", torch.arange(*ends)) for ends in pairwise(cuts)]
        _close(torch.cat(parts), trial.scores[:upto], trial.scores, f"in batches of {size}, not {n},")


def order_of_a_batch(trial: Trial) -> None:
    """An input has the same score wherever in a batch it stands."""
    order = torch.randperm(len(trial.scores), generator=torch.Generator().manual_seed(1))
    _close(trial.score(trial.fitted, "test", order), trial.scores[order], trial.scores, "in another order")


def direction(trial: Trial) -> None:
    """Higher = more to be trusted: test images rank above uniform noise, which holds no class's evidence."""
    good, bad = (trial.score(trial.fitted, role).double().numpy() for role in ("test", "far"))
    auroc = ranking(good, bad)["auroc"]
    if not auroc > 0.5:
        raise BadMethod(
            f"test images rank below uniform noise (AUROC {auroc:.3f}; means {good.mean():.4g} and {bad.mean():.4g}): "
            f"is the sign of the score right? Higher = more in-distribution"
        )


def _close(got: Tensor, expected: Tensor, scores: Tensor, how: str) -> None:
    low, high = torch.quantile(scores.double(), torch.tensor([0.25, 0.75], dtype=torch.float64))
    allowed = TOLERANCE * (expected.double().abs() + high - low)
    if ((got.double() - expected.double()).abs() > allowed).any():
        raise BadMethod(
            f"{how} inputs have other scores, {_worst(got, expected)}: each must depend on its own input alone"
        )


def _worst(got: Tensor, expected: Tensor) -> str:
    i = int((got.double() - expected.double()).abs().argmax())
    return f"{got[i]:.7g} and {expected[i]:.7g} for test image {i}"
