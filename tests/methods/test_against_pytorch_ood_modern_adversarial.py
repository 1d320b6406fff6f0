"""pytorch-ood 0.4.0 beside RankFeat and Gram matrices: equal where the definitions agree; its scores are negative."""

import numpy as np
import torch
from oodbench.methods.gram import Gram, grams
from oodbench.methods.rankfeat import METHODS as RANKFEAT
from pytorch_ood import detector as theirs

from oodbench.contract import FEATURE_MAP, LOGITS, MAPS


def test_rankfeat(lab) -> None:
    peer = theirs.RankFeat(None, lambda feature_map: lab.net.head(feature_map.mean(dim=(2, 3))))
    expected = -peer.predict_feature_maps(lab.all(lab.test)[FEATURE_MAP]).numpy()
    np.testing.assert_allclose(lab.score(RANKFEAT[0].detector, lab.test), expected, rtol=1e-6)


def test_the_grams_of_every_order(lab) -> None:
    feature_map = lab.all(lab.test)[FEATURE_MAP]
    expected = torch.cat([theirs.Gram._gram_vector(feature_map, p) for p in range(1, 11)], dim=1)
    np.testing.assert_allclose(grams(feature_map, 10), expected, rtol=1e-9)


def test_gram_differs_by_the_largest_probability_and_by_what_counts_as_usual(lab) -> None:
    """They hold out a tenth of the training images of each true class, for us it is validation; else they are equal."""
    state = lab.fit(Gram(powers=3))
    peer = theirs.Gram(None, [None, None], 3, [1, 2, 3])
    split = [[list(one.float().chunk(3, dim=1)) for one in side] for side in (state.low, state.high)]
    peer.feature_min, peer.feature_max = split
    peer.layer_norm = state.unit.float()
    with torch.no_grad():
        outputs = lab.net.outputs(lab.test, frozenset({MAPS}))
        found = peer.predict_structured(outputs[LOGITS].float(), [one.float() for one in outputs[MAPS]])
    p = outputs[LOGITS].softmax(dim=1).amax(dim=1).numpy()
    assert p.min() < 0.9
    np.testing.assert_allclose(lab.score(Gram(powers=3), lab.test, state), -found.numpy() / p, rtol=1e-3, atol=1e-3)
