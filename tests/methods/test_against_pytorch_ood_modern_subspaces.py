"""pytorch-ood 0.4.0 as an oracle for detectors that read subspaces and gradients of the features.

Its scores are higher for outliers, ours for inliers.
"""

import numpy as np
import pytest
import torch
from oodbench.methods.gradnorm import METHODS as GRADNORM
from oodbench.methods.nac import NeuronCoverage, edges_of
from oodbench.methods.vim import Vim
from pytorch_ood import detector as theirs
from torch import Tensor
from torch.nn import Identity, Linear, Module

from oodbench.contract import FEATURES
from oodbench.errors import BadMethod


def their_vim(lab, d: int) -> theirs.ViM:
    peer = theirs.ViM(None, d=d, w=lab.net.head.weight, b=lab.net.head.bias)
    return peer.fit_features(lab.all(lab.train[0])[FEATURES], lab.train[1])


@pytest.mark.parametrize("d", [1, 2, 3])
def test_vim(lab, d: int) -> None:
    """They work in float32."""
    expected = -their_vim(lab, d).predict_features(lab.all(lab.test)[FEATURES]).numpy()
    np.testing.assert_allclose(lab.score(Vim(d), lab.test), expected, rtol=1e-3, atol=1e-3)


def test_vim_differs_where_the_space_takes_every_feature(lab) -> None:
    """At d = F they divide by a residual of 0; we refuse."""
    peer = their_vim(lab, 5)
    assert peer.predict_features(lab.all(lab.test)[FEATURES]).isnan().all()
    with pytest.raises(BadMethod, match="leaves no residual"):
        lab.fit(Vim(5))


def test_gradnorm_is_theirs_times_the_classes(lab) -> None:
    """Their target is 1/C, as the paper's; ours, as the authors' code, is 1. They run a backward pass an image."""
    peer = theirs.GradNorm(lab.net, param_filter=lambda name: name == "head.weight")
    expected = -3 * peer.predict(lab.test).numpy()
    np.testing.assert_allclose(lab.score(GRADNORM[0].detector, lab.test), expected, rtol=1e-9)


def test_gradnorm_differs_by_all_other_weights(lab) -> None:
    """Unless told, they add the derivatives by every parameter."""
    everything = -theirs.GradNorm(lab.net).predict(lab.test)
    last = -theirs.GradNorm(lab.net, param_filter=lambda name: name == "head.weight").predict(lab.test)
    assert (everything > 1.5 * last).any()
    assert not torch.equal(everything.argsort(), last.argsort())


class AtFeatures(Module):
    """The head alone, on features: their layer is the identity before it."""

    def __init__(self, head: Linear) -> None:
        super().__init__()
        self.before, self.head = Identity(), head

    def forward(self, f: Tensor) -> Tensor:
        return self.head(self.before(f))


def their_coverage(lab, x: Tensor, alpha: float) -> np.ndarray:
    model = AtFeatures(lab.net.head)
    peer = theirs.NACUE(model, layers=[model.before], alpha=alpha, o_star=9)
    train, test = (lab.all(images)[FEATURES].requires_grad_() for images in (lab.train[0], x))
    return -peer.fit(train.split(30)).predict(test).numpy()


def test_nac_is_theirs_with_the_authors_bins(lab, monkeypatch) -> None:
    edges = edges_of(50)
    with monkeypatch.context() as patch:
        patch.setattr(
            "pytorch_ood.detector.nac._bin_indices_geometric", lambda u, m: torch.bucketize(u, edges, right=True) - 1
        )
        expected = their_coverage(lab, lab.test, alpha=5.0)
    ours = lab.score(NeuronCoverage(O=9, alpha=5.0), lab.test)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    assert np.abs(ours - their_coverage(lab, lab.test, alpha=5.0)).max() > 0.05  # theirs are narrow towards 0 and 1
