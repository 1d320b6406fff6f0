"""pytorch-ood 0.4.0 as an oracle of what is made of logits: equal where definitions agree, and the difference if not.

Its scores are higher for outliers, ours for inliers.
"""

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.gen import GeneralisedEntropy
from oodbench.methods.kl_matching import KlMatching
from oodbench.methods.mcm import ConceptMatching
from oodbench.methods.openmax import OpenMax
from oodbench.methods.pnml import Pnml
from pytorch_ood import detector as theirs
from torch import Tensor, nn

from oodbench.contract import FEATURES, HEAD, LOGITS, Head


def logits_of(lab, x: Tensor) -> Tensor:
    """Return logits so short that no probability is 0 or 1."""
    return lab.all(x)[LOGITS] / 20


class OfLogits:
    """What `fit` sees: logits of training and validation images."""

    def __init__(self, lab) -> None:
        train, validation = lab.train, lab.validation
        self.train = Given({LOGITS: logits_of(lab, train[0]), FEATURES: lab.all(train[0])[FEATURES]})
        self.train.labels = train[1]  # type: ignore[attr-defined]
        self.validation = Given({LOGITS: logits_of(lab, validation[0])})


@pytest.mark.parametrize(("gamma", "M"), [(0.1, 100), (1.0, 2)])
def test_gen_is_theirs_times_m_by_logarithm(lab, gamma: float, M: int) -> None:
    """They take the mean over the M classes, we the sum; ranked by -log."""
    z = logits_of(lab, lab.test)
    expected = -np.log(min(M, 3) * theirs.GEN.score(z, gamma, M).numpy())
    np.testing.assert_allclose(GeneralisedEntropy(gamma, M).score((), Given({LOGITS: z})), expected, rtol=1e-4)


def test_gen_differs_where_theirs_clips_probabilities() -> None:
    z = torch.zeros(20, 10)
    z[:, 0] = torch.linspace(25, 60, 20)
    assert len(theirs.GEN.score(z).unique()) < 3
    assert (GeneralisedEntropy().score((), Given({LOGITS: z})).diff() > 0).all()


def test_kl_matching(lab) -> None:
    data, z = OfLogits(lab), logits_of(lab, lab.test)
    peer = theirs.KLMatching(None).fit_logits(data.validation.logits)
    expected = -peer.predict_logits(z).detach().numpy()
    s = KlMatching().score(KlMatching().fit(data), Given({LOGITS: z}))
    np.testing.assert_allclose(s, expected, rtol=1e-6, atol=1e-12)


def test_kl_matching_differs_in_float32_where_their_sums_cancel(lab) -> None:
    """A divergence of 1e-8 is a difference of numbers near 1e-2; theirs goes below 0."""
    validation = torch.zeros(40, 3)
    validation[:, 0] = torch.linspace(10, 14, 40)
    z = torch.zeros(200, 3)
    z[:, 0] = torch.linspace(11, 13, 200)
    data = OfLogits(lab)
    data.validation = Given({LOGITS: validation})
    peer = theirs.KLMatching(None).fit_logits(validation).predict_logits(z)
    s = KlMatching().score(KlMatching().fit(data), Given({LOGITS: z}))
    assert peer.min() < 0
    assert len(s.unique()) == 200
    assert (s <= 0).all()


def test_pnml(lab) -> None:
    """They take a head, of the normalised features, and float32."""
    f = lab.all(lab.test)[FEATURES]
    head = nn.Linear(5, 3)
    head.weight.data, head.bias.data = lab.net.head.weight.float(), torch.zeros(3)
    peer = theirs.PNML(None, head).fit_features(lab.all(lab.train[0])[FEATURES], lab.train[1])
    regret = peer.predict_features(f).double().numpy() * np.log(3)
    ours = Head(head.weight.detach(), head.bias.detach())
    s = Pnml().score(Pnml().fit(OfLogits(lab)), Given({FEATURES: f, HEAD: ours})).numpy()
    np.testing.assert_allclose(np.log1p(np.exp(-s)), regret, rtol=1e-3, atol=1e-6)


def test_mcm_is_theirs_by_log_odds(lab) -> None:
    f, W = lab.all(lab.test)[FEATURES], lab.net.head.weight.detach()
    cosines = nn.functional.normalize(f, dim=1) @ nn.functional.normalize(W, dim=1).T
    expected = -theirs.MaxSoftmax.score(cosines, 0.1).numpy()
    s = ConceptMatching(0.1).score((), Given({FEATURES: f, HEAD: Head(W, torch.zeros(3))})).numpy() / 0.1 - np.log(2)
    np.testing.assert_allclose(1 / (1 + np.exp(-s)), expected, rtol=1e-5)


def peer_of(z: Tensor, y: Tensor, alpha: int, tail: int) -> theirs.OpenMax:
    return theirs.OpenMax(None, tailsize=tail, alpha=alpha, euclid_weight=1.0).fit_logits(z, y)


@pytest.mark.parametrize(("alpha", "tail"), [(3, 20), (1, 10)])
def test_openmax_is_theirs_of_the_images_classified_right(lab, alpha: int, tail: int) -> None:
    """They fit all images of a class. Scipy's search for the Weibull's shape stops within 1e-4 of the root."""
    data, z = OfLogits(lab), 3 * logits_of(lab, lab.test)
    right = data.train.logits.argmax(dim=1) == lab.train[1]
    peer = peer_of(data.train.logits[right], lab.train[1][right], alpha, tail)
    p = peer.predict_logits(z).numpy()
    s = OpenMax(alpha, tail).score(OpenMax(alpha, tail).fit(data), Given({LOGITS: z})).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(s)), p, rtol=2e-2)


def test_openmax_differs_where_theirs_depends_on_the_batch(lab) -> None:
    """They measure the distance to those classes alone that some input of the batch is predicted as."""
    data, z = OfLogits(lab), 3 * logits_of(lab, lab.test)
    peer, state = peer_of(data.train.logits, lab.train[1], 3, 20), OpenMax(3).fit(data)
    theirs_alone = torch.cat([peer.predict_logits(row[None]) for row in z])
    ours_alone = torch.cat([OpenMax(3).score(state, Given({LOGITS: row[None]})) for row in z])
    assert (theirs_alone - peer.predict_logits(z)).abs().max() > 0.01
    np.testing.assert_allclose(ours_alone, OpenMax(3).score(state, Given({LOGITS: z})), rtol=1e-6)
