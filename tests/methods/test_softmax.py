"""msp, max-logit, energy, temperature and baseline-t on a fixed network."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.baseline_t import METHODS as BASELINE_T
from oodbench.methods.baseline_t import TemperedSoftmax
from oodbench.methods.energy import METHODS as ENERGY
from oodbench.methods.energy import Energy
from oodbench.methods.max_logit import METHODS as MAX_LOGIT
from oodbench.methods.msp import METHODS as MSP
from scipy.optimize import minimize_scalar

from oodbench.contract import LOGITS
from oodbench.detectors.calibrated import CalibratedSoftmax, calibrate


def softmax(z: np.ndarray, T: float = 1.0) -> list[list[float]]:
    rows = []
    for row in z:
        total = sum(math.exp(v / T) for v in row)
        rows.append([math.exp(v / T) / total for v in row])
    return rows


def test_msp_is_the_log_odds_of_the_maximum_softmax(lab) -> None:
    p = [max(row) for row in softmax(lab.all(lab.test)[LOGITS].numpy())]
    s = lab.score(MSP[0].detector, lab.test)
    np.testing.assert_allclose(s, [math.log(q / (1 - q)) for q in p], rtol=1e-9)
    assert list(np.argsort(s)) == list(np.argsort(p))


def test_max_logit(lab) -> None:
    expected = [max(row) for row in lab.all(lab.test)[LOGITS].tolist()]
    np.testing.assert_allclose(lab.score(MAX_LOGIT[0].detector, lab.test), expected)


@pytest.mark.parametrize("T", [1.0, 4.0])
def test_energy(lab, T: float) -> None:
    expected = [T * math.log(sum(math.exp(v / T) for v in row)) for row in lab.all(lab.test)[LOGITS].tolist()]
    np.testing.assert_allclose(lab.score(Energy(T), lab.test), expected, rtol=1e-12)
    assert ENERGY[0].detector == Energy(1.0)


@pytest.mark.parametrize("T", [1.0, 2.0, 50.0])
def test_baseline_t_ranks_by_the_tempered_softmax(lab, T: float) -> None:
    p = [max(row) for row in softmax(lab.all(lab.test)[LOGITS].numpy(), T)]
    s = lab.score(TemperedSoftmax(T), lab.test)
    np.testing.assert_allclose(s, [T * math.log(2 * q / (1 - q)) for q in p], rtol=1e-9, atol=1e-9)
    assert list(np.argsort(s)) == list(np.argsort(p))


def test_baseline_t_at_1000_ranks_as_its_closed_form_limit(lab) -> None:
    z = lab.all(lab.test)[LOGITS]
    assert list(lab.score(TemperedSoftmax(1000.0), lab.test).argsort()) == (z.amax(1) - z.mean(1)).argsort().tolist()


def test_baseline_t_searches_liangs_grid() -> None:
    assert BASELINE_T[0].search.over == (("T", (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),)
    assert BASELINE_T[0].tuning_access == "ood_val"


def nll(z: torch.Tensor, y: torch.Tensor, beta: float) -> float:
    return float((torch.logsumexp(beta * z, 1) - beta * z[torch.arange(len(z)), y]).mean())


def some_logits(scale: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(400) % 5
    z = torch.randn(400, 5, generator=generator, dtype=torch.float64)
    z[torch.arange(400), y] += 1
    return z * scale, y


@pytest.mark.parametrize("scale", [0.05, 1.0, 8.0, 50.0])
def test_temperature_solves_the_convex_problem(scale: float) -> None:
    z, y = some_logits(scale)
    T = calibrate(z, y, 0.01, 100.0)
    brute = minimize_scalar(lambda beta: nll(z, y, beta), bounds=(0.01, 100), method="bounded", options={"xatol": 1e-9})
    assert pytest.approx(brute.x, rel=1e-4) == 1 / T
    assert nll(z, y, 1 / T) <= brute.fun + 1e-12
    # |dNLL/d(1/T)| < 1e-6, by autograd of the plain cross-entropy
    beta = torch.tensor(1 / T, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.cross_entropy(beta * z, y).backward()
    assert abs(float(beta.grad)) < 1e-6


def test_temperature_scales_with_the_logits() -> None:
    (z, y), factor = some_logits(1.0), 6.5
    assert calibrate(factor * z, y, 0.01, 100.0) == pytest.approx(factor * calibrate(z, y, 0.01, 100.0), rel=1e-9)


def test_temperature_stays_within_bounds_where_there_is_no_minimum() -> None:
    z, y = some_logits(1.0)
    z[torch.arange(400), y] = z.amax(dim=1) + 1
    assert calibrate(z, y, 0.01, 100.0) == 0.01  # no misclassification: the sharper the better
    assert calibrate(-z, y, 0.01, 100.0) == 100.0  # worse than chance: the flatter the better


def test_temperature_does_not_overflow_on_logits_of_1000() -> None:
    z, y = some_logits(1000.0)
    assert calibrate(z, y, 0.01, 1e5) == pytest.approx(1000 * calibrate(*some_logits(1.0), 0.01, 100.0), rel=1e-6)


def test_temperature_is_fitted_on_validation_and_used_in_the_score(lab) -> None:
    detector = CalibratedSoftmax()
    (T,) = lab.fit(detector)
    z, y = lab.all(lab.validation[0])[LOGITS], lab.validation[1]
    assert calibrate(z, y, 0.01, 100.0) == T
    assert 0.01 < T < 100
    p = [max(row) for row in softmax(lab.all(lab.test)[LOGITS].numpy(), T)]
    expected = [T * math.log(2 * q / (1 - q)) for q in p]
    np.testing.assert_allclose(lab.score(detector, lab.test), expected, rtol=1e-6, atol=1e-9)
