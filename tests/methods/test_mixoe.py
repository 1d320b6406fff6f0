"""MixOE: its loss by hand for both mixes, and the law of the box."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from oodbench.methods import mixoe as module
from oodbench.methods.mixoe import METHODS, MixOe, blended, pasted
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, TRAINING, blends, blobs
from oodbench.errors import BadMethod
from oodbench.models.train import train
from oodbench.recipes import Plain
from oodbench.training import TrainBatch

RECIPES = [row.recipe.sized("tiny", TRAINING) for row in METHODS]


class Counted(nn.Module):
    """A linear classifier that notes the batches it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 4).double()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.linear(x.flatten(1))


@pytest.fixture(autouse=True)
def seeded() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        yield


@pytest.fixture
def batch() -> TrainBatch:
    inputs, outliers = torch.rand(6, 1, 8, 8, dtype=torch.float64), 2 + torch.rand(7, 1, 8, 8, dtype=torch.float64)
    return TrainBatch(inputs, torch.tensor([0, 1, 2, 3, 0, 1]), torch.arange(6), 0, 0.0, outliers)


@pytest.mark.parametrize("recipe", RECIPES, ids=["linear", "cut"])
def test_the_loss_is_the_papers_sum_in_one_pass(recipe: Any, batch: TrainBatch) -> None:
    net = Counted()
    loss = recipe.loss(net, batch).item()
    (seen,) = net.seen
    x, o, mixed = batch.inputs, batch.outliers[:6], seen[6:]
    assert seen[:6].equal(x)
    lam = share_of_the_input(x, o, mixed)
    total = 0.0
    for i, y in enumerate(batch.labels.tolist()):
        p, q = (net(one[i : i + 1]).softmax(dim=1)[0].tolist() for one in (x, mixed))
        target = [lam * (c == y) + (1 - lam) / 4 for c in range(4)]
        total += -math.log(p[y]) + 5 * -sum(t * math.log(v) for t, v in zip(target, q, strict=True))
    assert loss == pytest.approx(total / 6, rel=1e-9)


def share_of_the_input(x: Tensor, o: Tensor, mixed: Tensor) -> float:
    """The mean share of inputs in a mixed batch, whichever way it was mixed; one for all of its images."""
    shares = ((o - mixed) / (o - x)).flatten(1).mean(dim=1)
    torch.testing.assert_close(shares, shares[:1].expand(len(x)))
    return float(shares[0])


def test_blending_is_of_pixels() -> None:
    mixed, lam = blended(torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2), 0.3)
    assert lam == 0.3
    torch.testing.assert_close(mixed, torch.full((2, 1, 2, 2), 0.3))


@pytest.mark.parametrize("lam", [0.0, 0.36, 0.75, 1.0])
def test_a_box_of_the_outlier_is_pasted_into_the_input(lam: float) -> None:
    x, o = torch.zeros(3, 2, 20, 30), torch.ones(3, 2, 20, 30)
    side = (int(20 * math.sqrt(1 - lam)) // 2 * 2, int(30 * math.sqrt(1 - lam)) // 2 * 2)
    areas = []
    for _ in range(200):
        mixed, left = pasted(x, o, lam)
        assert x.sum() == 0, "the inputs stay"
        assert mixed.equal(mixed[:1, :1].expand_as(mixed)), "one box for all"
        box = mixed[0, 0]
        assert left == pytest.approx(1 - float(box.mean()))
        rows, columns = box.any(dim=1), box.any(dim=0)
        assert float(box.sum()) == int(rows.sum()) * int(columns.sum()), "it is a box"
        assert int(rows.sum()) <= side[0] and int(columns.sum()) <= side[1]
        areas.append(float(box.sum()))
    assert max(areas) == side[0] * side[1] or lam == 0.0
    assert lam == 1.0 or min(areas) < max(areas), "the edge cuts some"


def test_too_few_outliers_are_told(batch: TrainBatch) -> None:
    for outliers, got in ((None, 0), (batch.outliers[:5], 5)):
        with pytest.raises(BadMethod, match=f"got {got} outliers for 6 inputs, and needs one for each"):
            RECIPES[0].loss(Counted(), replace(batch, outliers=outliers))


@pytest.mark.parametrize("recipe", RECIPES, ids=["linear", "cut"])
def test_it_is_tuned_from_the_plain_classifier_and_outliers_end_below(recipe: Any) -> None:
    assert recipe.parts(3, (0, 3)) == ((Plain(TRAINING), 3),)
    assert recipe.training.outlier_ratio == 1
    cpu, recipe = torch.device("cpu"), replace(recipe, training=replace(recipe.training, epochs=6))
    plain = train(Plain(TRAINING), blobs(96, 0), IN_SET, 0, device=cpu)
    net = train(recipe, blobs(96, 0), IN_SET, 0, device=cpu, outliers=blends(96, 1), parts=[plain])
    inside, outside = (torch.from_numpy(images.batch(slice(None))) for images in (blobs(90, 7), blends(90, 8)))
    with torch.no_grad():
        gaps = [
            float(one(inside).softmax(1).amax(1).mean() - one(outside).softmax(1).amax(1).mean())
            for one in (plain, net)
        ]
    assert gaps[1] > max(gaps[0], 0)


def test_rows() -> None:
    assert [row.name for row in METHODS] == ["mixoe", "mixoe-cut"]
    assert (MixOe().alpha, MixOe().beta, RECIPES[1].alpha, RECIPES[1].mix) == (1.0, 5.0, 2.0, "box")
    assert all(row.materials == {"outliers"} and row.detector.formula is module.msp for row in METHODS)
