"""Energy fine-tuning: its loss by hand, margins that are measured once, and where it begins."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from oodbench.methods.energy_finetune import METHODS, EnergyFineTuned, measured
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, blends, blobs
from oodbench.errors import BadMethod
from oodbench.models.train import start, train
from oodbench.recipes import Plain
from oodbench.training import TrainBatch, Training

CPU = torch.device("cpu")
HOW = Training(network="toy-cnn", epochs=3, batch=32, lr=0.05)
RECIPE = EnergyFineTuned().sized("tiny", HOW)


class Linear(nn.Module):
    """A linear classifier with dropout, which must not touch what is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(9, 4).double(), nn.Dropout(0.5)
        self.linear.weight.data *= 20
        self.register_buffer("margins", torch.full((2,), torch.nan, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.dropout(x).flatten(1))


@pytest.fixture
def net() -> Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Linear()


@pytest.fixture
def batch() -> TrainBatch:
    chance = torch.Generator().manual_seed(3)
    inputs, outliers = (torch.rand(n, 1, 3, 3, generator=chance, dtype=torch.float64) for n in (6, 14))
    return TrainBatch(inputs, torch.tensor([0, 1, 2, 3, 0, 1]), torch.arange(6), 0, 0.0, outliers)


def energies(net: nn.Module, x: Tensor) -> list[float]:
    net.eval()
    with torch.no_grad():
        return [-math.log(sum(math.exp(z) for z in row)) for row in net(x).tolist()]


def test_the_loss_is_the_papers_with_both_hinges_squared(net: Linear, batch: TrainBatch) -> None:
    e_in, e_out = energies(net, batch.inputs), energies(net, batch.outliers)
    m_in, m_out = sorted(e_in)[2], sorted(e_out)[7]
    net.margins.copy_(torch.tensor([m_in, m_out], dtype=torch.float64))
    z = net(batch.inputs).tolist()
    ce = sum(-row[y] - e for row, y, e in zip(z, batch.labels.tolist(), e_in, strict=True)) / 6
    bounds = sum(max(0, e - m_in) ** 2 for e in e_in) / 6 + sum(max(0, m_out - e) ** 2 for e in e_out) / 14
    assert bounds > 0.1
    assert RECIPE.loss(net, batch).item() == pytest.approx(ce + 0.1 * bounds, rel=1e-12)


def test_margins_lie_two_deviations_about_the_mean_of_both_halves(net: Linear, batch: TrainBatch) -> None:
    e_in, e_out = (np.array(energies(net, x)) for x in (batch.inputs, batch.outliers))
    weights = np.r_[np.full(6, 1 / 12), np.full(14, 1 / 28)]
    both = np.r_[e_in, e_out]
    mu = (weights * both).sum()
    sigma = math.sqrt((weights * (both - mu) ** 2).sum())
    net.train()
    np.testing.assert_allclose(measured(net, batch.inputs, batch.outliers), [mu - 2 * sigma, mu + 2 * sigma])
    assert net.training


def test_margins_are_measured_before_the_first_step_and_stay(net: Linear, batch: TrainBatch) -> None:
    RECIPE.loss(net, batch)
    first = net.margins.clone()
    assert first.equal(measured(net, batch.inputs, batch.outliers))
    net.linear.weight.data *= 3
    RECIPE.loss(net, batch)
    assert net.margins.equal(first)
    fixed = replace(RECIPE, margins=(-23.0, -5.0))
    assert start(fixed, IN_SET, torch.zeros(0), 0).net.get_buffer("margins").tolist() == [-23, -5]


def trained(recipe: Any, **more: Any) -> nn.Module:
    ((part, seed),) = recipe.parts(0, (0,))
    plain = train(part, blobs(96, 0), IN_SET, seed, device=CPU)
    return train(recipe, blobs(96, 0), IN_SET, 0, device=CPU, outliers=blends(70, 1), parts=[plain], **more)


def test_it_begins_from_the_plain_classifier_and_parts_the_energies() -> None:
    assert RECIPE.parts(3, (0, 3)) == ((Plain(HOW), 3),)
    untouched = trained(replace(RECIPE, training=replace(RECIPE.training, epochs=0)))
    plain = train(Plain(HOW), blobs(96, 0), IN_SET, 0, device=CPU)
    for name, weight in plain.state_dict().items():
        assert weight.equal(untouched.state_dict()[name])
    tuned = trained(replace(RECIPE, training=replace(RECIPE.training, epochs=12)))
    inside, outside = (torch.from_numpy(images.batch(slice(None))) for images in (blobs(90, 7), blends(90, 8)))
    gap = [np.median(energies(one, outside)) - np.median(energies(one, inside)) for one in (untouched, tuned)]
    assert gap[1] > max(gap[0], 0)


def test_a_run_that_was_killed_ends_with_the_same_margins_and_weights(tmp_path: Any) -> None:
    def killer(text: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    recipe = replace(RECIPE, training=replace(RECIPE.training, epochs=2))
    whole = trained(recipe).state_dict()
    # the report comes before the state is saved: the first epoch is run again
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, resume_from=tmp_path / "resume", report=killer)
    again = trained(recipe, resume_from=tmp_path / "resume").state_dict()
    assert all(again[name].equal(weight) for name, weight in whole.items())


def test_a_step_without_outliers_is_told(net: Linear, batch: TrainBatch) -> None:
    with pytest.raises(BadMethod, match="without outliers; train it on a matrix that offers"):
        RECIPE.loss(net, replace(batch, outliers=None))


def test_rows() -> None:
    assert [row.name for row in METHODS] == ["energy-finetune", "energy-finetune-cifar"]
    assert METHODS[0].recipe != METHODS[1].recipe
    assert all(row.materials == {"outliers"} and row.tuning_access == "none" for row in METHODS)
