"""Confidence from stored scores, and calibration with out-set inputs mixed in."""

import numpy as np
import pytest
from scipy.special import softmax

from oodbench.errors import BadData
from oodbench.measure.calibration import ece, mad_calibration, rms_calibration, soft_f1
from oodbench.measure.confidence import (
    MIXTURES,
    Judgements,
    alone,
    everything,
    numbers,
    of_log_odds,
    of_tempered,
    one_to_five,
    reliability,
)


def drawn(n=200, classes=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (n, classes))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_confidence_comes_back_from_the_scores_that_the_methods_store(temperature):
    torch = pytest.importorskip("torch")
    from oodbench.formulas import msp_key, tempered_margin

    z = drawn()
    p = softmax(z / temperature, axis=1).max(1)
    np.testing.assert_allclose(of_tempered(tempered_margin(torch.tensor(z), temperature).numpy(), temperature, 7), p)
    np.testing.assert_allclose(of_log_odds(msp_key(torch.tensor(z), temperature).numpy()), p)


@pytest.mark.parametrize(("temperature", "classes"), [(0.0, 7), (-1.0, 7), (1.0, 1)])
def test_what_has_no_temperature_is_refused(temperature, classes):
    with pytest.raises(BadData, match=f"temperature {temperature} and {classes} classes"):
        of_tempered(np.zeros(1), temperature, classes)


INSIDE = Judgements(np.linspace(0.5, 0.99, 23), np.arange(23) % 4 > 0)
OUTSIDE = np.linspace(0.2, 0.9, 50)


def test_hendrycks_mixes_one_out_set_input_with_five():
    mixed = one_to_five(INSIDE, OUTSIDE)
    assert len(mixed.correct) == 4 + 20  # 23 // 5 = 4 out-set inputs
    assert mixed.confidence[-4:].tolist() == OUTSIDE[[0, 12, 25, 37]].tolist()
    assert not mixed.correct[-4:].any()
    assert mixed.confidence[:20].tolist() == INSIDE.confidence[[i * 23 // 20 for i in range(20)]].tolist()
    assert mixed.correct[:20].tolist() == INSIDE.correct[[i * 23 // 20 for i in range(20)]].tolist()
    few = one_to_five(INSIDE, OUTSIDE[:2])
    assert (len(few.correct), few.confidence[-2:].tolist()) == (12, OUTSIDE[:2].tolist())
    with pytest.raises(BadData, match="got 4 in-set and 50 out-set inputs"):
        one_to_five(Judgements(*(part[:4] for part in INSIDE)), OUTSIDE)
    with pytest.raises(BadData, match="got 23 in-set and 0 out-set inputs"):
        one_to_five(INSIDE, OUTSIDE[:0])


def test_ours_has_all_of_both():
    mixed = everything(INSIDE, OUTSIDE)
    assert mixed.confidence.tolist() == [*INSIDE.confidence, *OUTSIDE]
    assert mixed.correct.tolist() == [*INSIDE.correct, *[False] * 50]
    assert alone(INSIDE, OUTSIDE) is INSIDE
    assert list(MIXTURES.values()) == [alone, one_to_five, everything]


def test_numbers_are_those_of_calibration():
    mixed = everything(INSIDE, OUTSIDE)
    assert numbers(mixed) == {
        "ece_15": ece(*mixed, 15),
        "rms_calibration": rms_calibration(*mixed),
        "mad_calibration": mad_calibration(*mixed),
        "soft_f1": soft_f1(*mixed),
    }
    certain = Judgements(np.ones(6), np.array([True] * 5 + [False]))  # one of six is wrong, and all are sure
    assert numbers(certain)["ece_15"] == pytest.approx(1 / 6)


def test_a_reliability_diagram_by_hand():
    judged = Judgements(np.array([0.1, 0.15, 0.2, 1.0]), np.array([True, False, True, True]))
    found = reliability(judged, 10)
    assert found.n.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found.confidence[[0, 1, 9]] == pytest.approx([0.1, 0.175, 1])
    assert found.accuracy[[0, 1, 9]] == pytest.approx([1, 0.5, 1])
    assert np.isnan(found.accuracy[2:9]).all()


def test_the_gaps_of_a_reliability_diagram_are_ece():
    found = reliability(INSIDE)
    seen = found.n > 0
    gaps = np.abs(found.accuracy - found.confidence)[seen]
    assert (gaps * found.n[seen]).sum() / 23 == pytest.approx(ece(*INSIDE, 15))
