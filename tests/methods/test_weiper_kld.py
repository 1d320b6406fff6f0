"""WeiPer+KLD against plain numpy: perturbed heads, histograms, smoothing and divergences."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from oodbench.methods.weiper_kld import WeiPerKld, divergence, histogram
from torch import Tensor

from oodbench.contract import FEATURES, Head


def heads(w: np.ndarray, R: int, delta: float, seed: int) -> list[np.ndarray]:
    draw = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(R):
        noise = torch.randn(w.shape, generator=draw).numpy().astype(float)
        found.append(
            np.array(
                [row + delta * np.sqrt(sum(row**2)) * n / np.sqrt(sum(n**2)) for row, n in zip(w, noise, strict=True)]
            )
        )
    return found


def shares(numbers: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    inside = [v for v in numbers if low <= v <= high]
    return np.histogram(inside, bins=bins, range=(low, high))[0] / len(numbers)


def smoothed(q: np.ndarray, s: int) -> np.ndarray:
    left = (s - 1) // 2
    at = [[min(max(i + j - left, 0), len(q) - 1) for j in range(s)] for i in range(len(q))]
    return np.array([sum(q[places]) / s for places in at])


def symmetric(p: np.ndarray, q: np.ndarray, s: int, eps: float) -> float:
    p, q = p + eps, smoothed(q, s) + eps
    p, q = p / p.sum(), q / q.sum()
    return float(sum(p * np.log(p / q)) + sum(q * np.log(q / p)))


def by_loops(lab, d: WeiPerKld) -> list[float]:
    w, b = (t.detach().numpy() for t in (lab.net.head.weight, lab.net.head.bias))
    train, test = (lab.all(x)[FEATURES].numpy() for x in (lab.train[0], lab.test))
    perturbed = heads(w, d.R, d.delta, lab.seed)

    def logits(f: np.ndarray) -> np.ndarray:
        return np.concatenate([h @ f + b for h in perturbed])

    z = np.array([logits(f) for f in train])
    ends_f, ends_w = (train.min(), train.max()), (z.min(), z.max())
    p_f = np.mean([shares(f, *ends_f, d.bins) for f in train], axis=0)
    p_w = np.mean([shares(row, *ends_w, d.bins) for row in z], axis=0)
    scores = []
    for f in test:
        q_f, q_w = shares(f, *ends_f, d.bins), shares(logits(f), *ends_w, d.bins)
        msp = np.mean([np.exp(h @ f + b).max() / np.exp(h @ f + b).sum() for h in perturbed])
        apart = symmetric(p_f, q_f, d.s_f, 0.01) + d.lambda_1 * symmetric(p_w, q_w, d.s_w, 0.025)
        scores.append(-(apart - d.lambda_2 * msp))
    return scores


@pytest.mark.parametrize(
    "detector",
    [
        WeiPerKld(R=3, bins=10, s_f=3, s_w=4),
        WeiPerKld(R=2, bins=7, s_f=2, s_w=1, delta=0.5, lambda_1=0.3, lambda_2=4.0),
        WeiPerKld(R=5, bins=20, s_f=20, s_w=21),
    ],
    ids=["odd", "even", "wide"],
)
def test_scores_by_loops(lab, detector: WeiPerKld) -> None:
    np.testing.assert_allclose(lab.score(detector, lab.test), by_loops(lab, detector), rtol=1e-8)


def test_the_same_seed_perturbs_alike_in_every_batch(lab) -> None:
    """The authors' code draws anew for each batch."""
    detector = WeiPerKld(R=4)
    state = lab.fit(detector)
    whole = lab.score(detector, lab.test, state)
    np.testing.assert_allclose([lab.score(detector, x[None], state)[0] for x in lab.test], whole, rtol=1e-9)
    other = state._replace(seed=8)
    assert np.abs(lab.score(detector, lab.test, other) - whole).max() > 1e-4


def test_how_many_heads_exist_at_a_time_does_not_count(lab, monkeypatch) -> None:
    detector = WeiPerKld(R=5)
    together = lab.score(detector, lab.test)
    monkeypatch.setattr("oodbench.methods.weiper_kld.AT_ONCE", 7)  # two heads of three classes, the last alone
    np.testing.assert_allclose(lab.score(detector, lab.test), together, rtol=1e-9)


def test_numbers_beyond_the_range_are_in_no_bin_but_count() -> None:
    v = torch.tensor([[0.0, 0.5, 1.0, 2.0, -9.0]], dtype=torch.float64)
    found = histogram(v, torch.tensor([0.0, 1.5], dtype=torch.float64), 3)
    torch.testing.assert_close(found, torch.full((1, 3), 0.2, dtype=torch.float64))
    assert histogram(v, torch.tensor([0.0, 2.0], dtype=torch.float64), 4)[0, 3] == 1 / 5  # the largest is in the last


def test_alike_histograms_are_not_apart_and_smoothing_keeps_the_ends() -> None:
    p = torch.full((6,), 1 / 6, dtype=torch.float64)
    q = torch.eye(6, dtype=torch.float64)
    assert divergence(p, p[None], 3, 0.01).item() == pytest.approx(0, abs=1e-15)
    near, middle = divergence(p, q, 3, 0.01)[[0, 2]]
    assert near > middle  # the first bin goes on beyond the end, so that two thirds of it stay
    assert (divergence(p, q, 1, 0.01) > divergence(p, q, 4, 0.01)).all()


@dataclass
class Rows:
    features: Tensor
    head: Head

    def __len__(self) -> int:
        return len(self.features)


@dataclass
class Data:
    train: Rows
    seed: int = 0


@pytest.mark.parametrize(
    ("f", "w"),
    [
        (torch.zeros(20, 4), torch.randn(2, 4, generator=torch.Generator().manual_seed(0))),
        (-torch.rand(20, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(3, 4)),
        (torch.randn(20, 1, generator=torch.Generator().manual_seed(0)), torch.ones(1000, 1)),
    ],
    ids=["no feature", "no weight", "one feature, 1,000 classes"],
)
def test_degenerate_features_and_heads_give_a_score(f: Tensor, w: Tensor) -> None:
    detector = WeiPerKld(R=3)
    rows = Rows(f, Head(w, torch.zeros(len(w))))
    state = detector.fit(Data(rows))  # type: ignore[arg-type]
    assert detector.score(state, rows).isfinite().all()  # type: ignore[arg-type]
    assert detector.score(state, Rows(f + 9, rows.head)).isfinite().all()  # type: ignore[arg-type]


def test_at_most_so_many_training_inputs_are_looked_at(lab) -> None:
    few = lab.fit(WeiPerKld(R=2, most=3))
    assert (few.range_f != lab.fit(WeiPerKld(R=2)).range_f).any()
    assert float(few.p_f.sum()) == pytest.approx(1)
