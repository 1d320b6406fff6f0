"""RegMixup: its loss by hand, and which way the scores point."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from oodbench.methods import regmixup as module
from oodbench.methods.regmixup import METHODS, RegMixup
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.training import TrainBatch

RECIPE = RegMixup().sized("tiny", TRAINING)


class Counted(nn.Module):
    """A linear classifier that notes the batches it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(9, 4).double()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.linear(x.flatten(1))


def nll(logits: list[float], y: int) -> float:
    return math.log(sum(math.exp(z) for z in logits)) - logits[y]


def test_the_loss_is_the_mean_over_clean_and_mixed_in_one_pass() -> None:
    chance = torch.Generator().manual_seed(3)
    x, y = torch.rand(6, 1, 3, 3, generator=chance, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = Counted()
        loss = RECIPE.loss(net, TrainBatch(x, y, torch.arange(6), 0, 0.0)).item()
    (seen,) = net.seen
    assert seen[:6].equal(x)
    lam, partner = recovered(x, seen[6:])
    assert 0.2 < lam < 0.8, "alpha = 20: near one half"
    with torch.no_grad():
        clean, mixed = net(x).tolist(), net(seen[6:]).tolist()
    expected = sum(nll(row, c) for row, c in zip(clean, y.tolist(), strict=True))
    for i, row in enumerate(mixed):
        expected += lam * nll(row, int(y[i])) + (1 - lam) * nll(row, int(y[partner[i]]))
    assert loss == pytest.approx(expected / 12, rel=1e-9)


def recovered(x: Tensor, mixed: Tensor) -> tuple[float, list[int]]:
    """The weight and the partners that made the mixed images: the same weight for all of them."""
    for j in range(1, len(x)):
        lam = float(((mixed[0] - x[j]) / (x[0] - x[j])).mean())
        partners = [
            [k for k in range(len(x)) if torch.allclose(mixed[i], lam * x[i] + (1 - lam) * x[k])] for i in range(len(x))
        ]
        if all(len(found) == 1 for found in partners):
            return lam, [found[0] for found in partners]
    raise AssertionError("no single weight makes the mixed images")


def test_weights_and_partners_change_from_step_to_step_and_have_their_law() -> None:
    net, x = Counted(), torch.rand(2, 1, 3, 3, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(600):
            RECIPE.loss(net, TrainBatch(x, torch.tensor([0, 1]), torch.arange(2), 0, 0.0))
    lams = [float(((m[2] - x[1]) / (x[0] - x[1])).mean()) for m in net.seen]
    swapped = torch.tensor([lam for lam in lams if lam < 1 - 1e-9])
    assert 240 < len(swapped) < 360, "half of the permutations of two are the identity"
    # Beta(20, 20): mean 1/2, variance 1/4/41
    assert swapped.mean() == pytest.approx(0.5, abs=0.02)
    assert swapped.std() == pytest.approx((1 / 164) ** 0.5, abs=0.012)


def test_killed_and_resumed_it_ends_with_the_same_bits(killed_and_resumed: Any) -> None:
    recipe = replace(RECIPE, training=replace(TRAINING, epochs=3))
    resumed, undisturbed = killed_and_resumed(recipe, blobs(96, 0), IN_SET)
    assert all(resumed[name].equal(tensor) for name, tensor in undisturbed.items())


def test_rows_and_scores() -> None:
    assert [row.name for row in METHODS] == ["regmixup", "regmixup-energy"]
    assert METHODS[0].recipe == METHODS[1].recipe

    class Answer:
        logits = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 5.0]])

    z = Answer.logits.double()
    # Dempster-Shafer: more uncertain where energy is less
    assert (3 / (3 + z.exp().sum(dim=1))).argsort().tolist() == [1, 0]
    energy, msp = module.energy(Answer()), module.msp(Answer())  # type: ignore[arg-type]
    assert energy.tolist() == pytest.approx(z.exp().sum(dim=1).log().tolist(), rel=1e-6)
    assert energy[1] > energy[0] and msp[1] > msp[0]
