"""pytorch-ood 0.4.0 as an oracle for distances of features: equal where definitions agree, else the difference stated.

Its scores are higher for outliers, ours for inliers.
"""

import numpy as np
import pytest
import torch
from oodbench.methods.fdbd import BoundaryDistance
from oodbench.methods.nci import CollapseProximity
from oodbench.methods.nnguide import NearestNeighbourGuidance
from oodbench.methods.she import HopfieldEnergy
from pytorch_ood import detector as theirs
from pytorch_ood.detector.fdbd import fDBD
from pytorch_ood.detector.nci import NCI
from torch import Tensor

from oodbench.contract import FEATURES
from oodbench.estimators import fit_relative_gaussians


def features(lab) -> tuple[Tensor, Tensor]:
    return lab.all(lab.train[0])[FEATURES], lab.all(lab.test)[FEATURES]


def test_relative_mahalanobis_is_theirs_times_n(lab) -> None:
    """They do not divide the scatters by N, and add 1e-6 to their diagonals; the unit that hardly ever fires is out."""
    train, test = (f[:, [0, 1, 2, 4]] for f in features(lab))
    peer = theirs.RMD(None).fit_features(train.float(), lab.train[1])
    ours = fit_relative_gaussians(train, lab.train[1], 1e-10).confidence(test)
    np.testing.assert_allclose(ours, -90 * peer.predict_features(test.float()), rtol=1e-3, atol=1e-3)


def test_fdbd(lab32) -> None:
    train, test = features(lab32)
    with torch.no_grad():
        peer = fDBD(None, lab32.net.head).fit_features(train)
        expected = -peer.predict_features(test).numpy()
    np.testing.assert_allclose(lab32.score(BoundaryDistance(), lab32.test), expected, rtol=1e-5)


def test_fdbd_differs_at_equal_rows_of_the_head() -> None:
    """They divide by 0: infinite where the classes' biases differ."""
    head = torch.nn.Linear(2, 3).requires_grad_(False)
    head.weight[:] = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    head.bias[:] = torch.tensor([1.0, 0.0, 0.0])
    peer = fDBD(None, head).fit_features(torch.rand(9, 2))
    assert not peer.predict_features(torch.tensor([[3.0, 0.0]])).isfinite().all()


@pytest.mark.parametrize("alpha", [0.0, 0.01])
def test_nci(lab32, alpha: float) -> None:
    train, test = features(lab32)
    peer = NCI(None, lab32.net.head, alpha).fit_features(train)
    expected = -peer.predict_features(test).numpy()
    np.testing.assert_allclose(lab32.score(CollapseProximity(alpha), lab32.test), expected, rtol=1e-4, atol=1e-5)


def test_she(lab32) -> None:
    train, test = features(lab32)
    with torch.no_grad():
        peer = theirs.SHE(None, lab32.net.head).fit_features(train, lab32.train[1])
        expected = -peer.predict_features(test).numpy()
    np.testing.assert_allclose(lab32.score(HopfieldEnergy(), lab32.test), expected, rtol=1e-5)


def test_nnguide(lab32) -> None:
    """Their bank is always the whole training set."""
    train, test = features(lab32)
    with torch.no_grad():
        peer = theirs.NNGuide(None, lab32.net.head, k=10).fit_features(train, lab32.train[1])
        expected = -peer.predict_features(test).numpy()
    np.testing.assert_allclose(lab32.score(NearestNeighbourGuidance(1.0, 10), lab32.test), expected, rtol=1e-5)
