"""pytorch-ood 0.4.0 beside the methods that shape activations: equal where definitions agree, else the difference.

Its scores are higher for outliers, ours for inliers.
"""

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.ash import Ash, AshAtMap
from oodbench.methods.dice import Dice
from oodbench.methods.lts import LogitScaling
from oodbench.methods.react import ReAct
from oodbench.methods.scale import Scale, ScaleAtMap
from oodbench.methods.vra import Vra
from pytorch_ood import detector as theirs
from torch import Tensor

from oodbench.contract import FEATURE_MAP, FEATURES, HEAD, LOGITS, Head


def as_maps(f: Tensor) -> Tensor:
    return f[:, :, None, None]


def pooled_head(lab):
    return lambda a: lab.net.head(a.mean(dim=(2, 3)))


@pytest.mark.parametrize("q", [85.0, 90.0, 99.0])
def test_react(lab, q: float) -> None:
    """On pooled features, fitted on the training set's: they leave both to the caller."""
    f, test = (lab.all(x)[FEATURES] for x in (lab.train[0], lab.test))
    peer = theirs.ReAct(None, pooled_head(lab), percentile=q / 100).fit_feature_maps(as_maps(f), lab.train[1])
    expected = -peer.predict_feature_maps(as_maps(test)).detach().numpy()
    np.testing.assert_allclose(lab.score(ReAct(q), lab.test), expected, rtol=1e-9)


@pytest.mark.parametrize("variant", ["p", "b", "s"])
def test_ash(lab, variant: str) -> None:
    """At the map, where they prune, and on the features, where OpenOOD and the authors' code do."""
    peer = theirs.ASH(None, pooled_head(lab), variant=f"ash-{variant}", percentile=0.65)
    outputs = lab.all(lab.test)
    at_map = -peer.predict_feature_maps(outputs[FEATURE_MAP]).detach().numpy()
    on_features = -peer.predict_feature_maps(as_maps(outputs[FEATURES])).detach().numpy()
    np.testing.assert_allclose(lab.score(AshAtMap(variant, 65.0), lab.test), at_map, rtol=1e-9)
    np.testing.assert_allclose(lab.score(Ash(variant, 65.0), lab.test), on_features, rtol=1e-9)


def test_their_ash_is_s_at_65_percent(lab) -> None:
    peer = theirs.ASH(None, pooled_head(lab))
    expected = -peer.predict_feature_maps(lab.all(lab.test)[FEATURE_MAP]).detach().numpy()
    np.testing.assert_allclose(lab.score(AshAtMap("s", 65.0), lab.test), expected, rtol=1e-9)


def test_scale(lab) -> None:
    peer = theirs.SCALE(None, pooled_head(lab), percentile=0.85)
    outputs = lab.all(lab.test)
    at_map = -peer.predict_feature_maps(outputs[FEATURE_MAP].contiguous()).detach().numpy()
    np.testing.assert_allclose(lab.score(ScaleAtMap(85.0), lab.test), at_map, rtol=1e-9)
    peer = theirs.SCALE(None, pooled_head(lab), percentile=0.65)
    on_features = -peer.predict_feature_maps(as_maps(outputs[FEATURES])).detach().numpy()
    np.testing.assert_allclose(lab.score(Scale(65.0), lab.test), on_features, rtol=1e-9)


def test_scale_and_ash_s_differ_where_features_are_negative_or_all_0() -> None:
    """They divide sums of signed features: a ratio of any size and sign, and NaN where there is no activation."""
    f = torch.tensor([[4.0, 1.0, -4.9], [0.0, 0.0, 0.0]])
    W, b = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]), torch.zeros(2)
    head = torch.nn.functional.linear
    for peer, ours in (
        (theirs.SCALE(None, lambda a: head(a.flatten(1), W, b), percentile=0.65), Scale(65.0)),
        (theirs.ASH(None, lambda a: head(a.flatten(1), W, b), variant="ash-s", percentile=0.65), Ash("s", 65.0)),
    ):
        signed, nothing = -peer.predict_feature_maps(as_maps(f.clone()))
        assert signed < 5  # exp(0.1 / 4): hardly any factor
        assert nothing.isnan()
        here = ours.score((), Given({FEATURES: f, HEAD: Head(W, b)}))
        assert here[0] > 4 * np.exp(5 / 4)
        assert here[1] == pytest.approx(np.log(2))


def test_lts(lab) -> None:
    """Their p is the share that is kept."""
    peer = theirs.LTS(None, lab.net.head, p=0.35)
    expected = -peer.predict_features(lab.all(lab.test)[FEATURES]).detach().numpy()
    np.testing.assert_allclose(lab.score(LogitScaling(65.0), lab.test), expected, rtol=1e-9)


def test_lts_differs_where_there_is_no_activation() -> None:
    f, z = torch.zeros(1, 4), torch.tensor([[1.0, 2.0]])
    assert theirs.LTS(None, lambda _: z, p=0.5).predict_features(f).isnan()
    assert LogitScaling(50.0).score((), Given({FEATURES: f, LOGITS: z})) == pytest.approx(np.logaddexp(1, 2))


@pytest.mark.parametrize("p", [10.0, 50.0, 90.0])
def test_dice(lab, p: float) -> None:
    """They fit in float32."""
    f, test = (lab.all(x)[FEATURES] for x in (lab.train[0], lab.test))
    peer = theirs.DICE(None, lab.net.head.weight, lab.net.head.bias, p / 100).fit_features(f, lab.train[1])
    expected = -peer.predict_features(test).detach().numpy()
    np.testing.assert_allclose(lab.score(Dice(p), lab.test), expected, rtol=1e-5)


class Data:
    """Training outputs alone."""

    def __init__(self, f: Tensor) -> None:
        self.train = Given({FEATURES: f})


def test_vra_agrees_where_alpha_is_0_and_differs_below_it_elsewhere() -> None:
    """Units that are mostly 0 have alpha = 0. Below an alpha above 0 theirs is alpha, ours and the authors' is 0."""
    generator = torch.Generator().manual_seed(0)
    often, test = (torch.randn(n, 6, generator=generator) for n in (200, 40))
    W, b = torch.randn(3, 6, generator=generator), torch.randn(3, generator=generator)

    def both(bank: Tensor, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        head = torch.nn.functional.linear
        peer = theirs.VRA(None, lambda a: head(a.flatten(1), W, b), lower_percentile=0.3, upper_percentile=0.9)
        peer.fit_feature_maps(as_maps(bank), torch.zeros(len(bank)))
        ours = Vra(lo=30.0, hi=90.0)
        scores = ours.score(ours.fit(Data(bank)), Given({FEATURES: x, HEAD: Head(W, b)}))
        return -peer.predict_feature_maps(as_maps(x)).numpy(), scores.numpy()

    expected, scores = both(often.relu(), test.relu())
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    expected, scores = both(often.exp(), torch.full((1, 6), 1e-3))
    assert scores[0] == pytest.approx(float(b.logsumexp(dim=0)), rel=1e-4)
    assert expected[0] != pytest.approx(scores[0], rel=1e-3)
