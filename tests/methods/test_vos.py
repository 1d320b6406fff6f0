"""VOS: virtual outliers have the law of the paper's, the bank holds the last features, the loss by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from oodbench.methods.vos import INSIDE, METHODS, Vos, WithInside, least_likely
from scipy.stats import kstest
from torch import nn

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import FEATURES, HEAD, LOGITS
from oodbench.models.train import start, train
from oodbench.training import TrainBatch

RECIPE = Vos().sized("tiny", replace(TRAINING, epochs=3))


@pytest.fixture(autouse=True)
def seeded() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def fresh() -> Any:
    return start(RECIPE, IN_SET, torch.zeros(0), 0).net


def small(classes: int = 3, width: int = 2) -> WithInside:
    net = fresh()
    return WithInside(net.net, classes, width)


def test_the_least_likely_of_many_is_drawn_without_drawing_them() -> None:
    """Its length is that of the longest of N normal vectors; its direction is as it was."""
    N, F, times = 50, 3, 4000
    rng = np.random.default_rng(1)
    longest = np.sqrt((rng.standard_normal((times, N, F)) ** 2).sum(axis=2)).max(axis=1)
    e = torch.randn(times, F, dtype=torch.float64)
    drawn = least_likely(e, N)
    assert kstest(drawn.norm(dim=1).numpy(), longest).pvalue > 0.01
    torch.testing.assert_close(drawn / drawn.norm(dim=1, keepdim=True), e / e.norm(dim=1, keepdim=True))
    assert kstest(least_likely(e, 1).square().sum(1).numpy(), "chi2", args=(F,)).pvalue > 0.01
    assert least_likely(torch.randn(5, 2048, dtype=torch.float64), 10_000).isfinite().all()


def test_virtual_outliers_lie_about_their_class_at_one_mahalanobis_distance() -> None:
    net = small()
    spread = torch.tensor([[3.0, 2.0], [0.0, 0.3]])
    for c, centre in enumerate([(0.0, 0.0), (100.0, 0.0), (0.0, 50.0)]):
        x = torch.randn(400, 2) @ spread + torch.tensor(centre)
        net.keep(x, torch.full((400,), c))
    x = net.bank[:, :400].double()
    centred = (x - x.mean(dim=1, keepdim=True)).reshape(-1, 2).numpy()
    covariance = centred.T @ centred / 1200 + 1e-4 * np.eye(2)
    away = (torch.stack([net.virtual(10_000) for _ in range(200)]).double() - x.mean(dim=1)).numpy()
    squared = np.einsum("kcf,fg,kcg->kc", away, np.linalg.inv(covariance), away)
    # of 10,000 draws of chi^2 with two degrees the largest is log(10,000) * 2 = 18.4 and a bit (Gumbel: + 1.15)
    assert squared.mean() == pytest.approx(2 * math.log(10_000) + 2 * 0.5772, abs=0.5)
    assert np.abs(away.mean(axis=(0, 1)) / np.sqrt(np.diag(covariance))).max() < 1, "on all sides"


def test_the_bank_keeps_the_last_features_of_each_class() -> None:
    net = small()
    depth = net.bank.shape[1]
    assert depth == 1000
    for step in range(5):
        rows = torch.arange(300.0)[:, None].expand(-1, 2) + 300 * step
        net.keep(rows, torch.arange(300) % 2)  # a class 150 rows a step: 750 in all
    assert net.seen.tolist() == [750, 750, 0]
    assert sorted(net.bank[1, :750, 0].tolist()) == list(range(1, 1500, 2))
    net.keep(-torch.arange(1.0, 1201)[:, None].expand(-1, 2), torch.ones(1200, dtype=torch.int64))
    assert sorted(net.bank[1, :, 0].tolist()) == [float(-i) for i in range(1200, 200, -1)]
    net.keep(torch.full((1, 2), 7.0), torch.ones(1, dtype=torch.int64))
    assert sorted(net.bank[1, :, 0].tolist()) == [float(-i) for i in range(1200, 201, -1)] + [7.0], "the oldest is gone"
    assert WithInside(net.net, 1000, 4).bank.shape == (1000, 50, 4)


def test_classes_that_were_not_seen_have_no_outlier_and_one_row_is_enough() -> None:
    net = small()
    net.keep(torch.tensor([[1.0, 2.0]]), torch.tensor([2]))
    (v,) = net.virtual(10_000)
    assert v.isfinite().all() and 0 < (v - torch.tensor([1.0, 2.0])).norm() < 0.1  # the ridge's width, 0.01


def test_the_log_odds_are_of_the_weighted_energy() -> None:
    net = small()
    net.w.data = torch.tensor([0.5, -3.0, 2.0])
    net.odds.weight.data[:], net.odds.bias.data[:] = 1.5, -0.25
    z = [[1.0, 9.0, -2.0], [200.0, 0.0, 201.0]]
    expected = [
        1.5 * (max(row) + math.log(sum(w * math.exp(v - max(row)) for w, v in zip((0.5, 1e-6, 2.0), row, strict=True))))
        - 0.25
        for row in z
    ]
    assert net.inside(torch.tensor(z)).tolist() == pytest.approx(expected, rel=1e-5)
    net.w.data = torch.full((3,), -1.0)
    assert net.inside(torch.tensor(z)).isfinite().all()


def test_the_loss_adds_the_second_term_from_its_time_on(monkeypatch: pytest.MonkeyPatch) -> None:
    net = fresh()
    x, y = torch.from_numpy(blobs(12, 0).batch(slice(None))), torch.arange(12) % 3
    given = net.outputs(x, frozenset({FEATURES}))
    ce = nn.functional.cross_entropy(given[LOGITS], y).item()
    early, late = (TrainBatch(x, y, torch.arange(12), 0, progress) for progress in (0.39, 0.4))
    assert RECIPE.loss(net, early).item() == pytest.approx(ce)
    assert net.seen.tolist() == [4, 4, 4], "features are kept before they are needed"
    v = torch.linspace(0, 3, 3 * 8).view(3, 8)
    monkeypatch.setattr(net, "virtual", lambda draws: v)
    weight, bias = net.constants[HEAD]
    odds_in, odds_out = given[INSIDE].tolist(), net.inside(v @ weight.T + bias).tolist()
    bce = sum(math.log1p(math.exp(-o)) for o in odds_in) + sum(math.log1p(math.exp(o)) for o in odds_out)
    loss = RECIPE.loss(net, late)
    assert loss.item() == pytest.approx(ce + 0.1 * bce / 15, rel=1e-5)
    loss.backward()
    assert net.w.grad.abs().sum() > 0 and net.odds.weight.grad.abs().sum() > 0


def test_trained_it_tells_inputs_from_virtual_outliers(killed_and_resumed: Any) -> None:
    recipe = replace(RECIPE, training=replace(RECIPE.training, epochs=4))
    resumed, undisturbed = killed_and_resumed(recipe, blobs(96, 0), IN_SET)
    assert all(resumed[name].equal(tensor) for name, tensor in undisturbed.items())
    net: Any = train(replace(recipe, beta=5.0), blobs(96, 0), IN_SET, 0, device=torch.device("cpu"))
    weight, bias = net.constants[HEAD]
    with torch.no_grad():
        inside = net.outputs(torch.from_numpy(blobs(90, 7).batch(slice(None))), frozenset({INSIDE}))[INSIDE]
        outside = torch.cat([net.inside(net.virtual(10_000) @ weight.T + bias) for _ in range(30)])
    assert inside.mean() > outside.mean()


def test_a_network_that_diverges_is_told_by_the_loop() -> None:
    net = small()
    net.keep(torch.full((4, 2), torch.nan), torch.zeros(4, dtype=torch.int64))
    assert net.virtual(10).isnan().all()


def test_rows() -> None:
    assert [row.name for row in METHODS] == ["vos", "vos-weighted"]
    assert METHODS[0].recipe == METHODS[1].recipe
    assert all(not row.materials and row.family == "training" for row in METHODS)
