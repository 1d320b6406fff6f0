"""The limits by which two methods may come to the same scores: they do."""

from types import SimpleNamespace

import torch
from oodbench.methods.gen import GeneralisedEntropy
from oodbench.methods.react import Ceiling, ReAct
from scipy.stats import spearmanr

from oodbench.contract import Head
from oodbench.formulas import uniform_cross_entropy
from oodbench.shaping import energy


def test_gen_tends_to_the_mean_of_log_p_as_its_exponent_goes_to_0() -> None:
    batch = SimpleNamespace(logits=3 * torch.randn(200, 50, generator=torch.Generator().manual_seed(0)))
    ranks = [
        spearmanr(GeneralisedEntropy(gamma=g).score((), batch), uniform_cross_entropy(batch.logits)).statistic
        for g in (1.0, 0.1, 0.001)
    ]
    assert ranks[0] < ranks[1] < ranks[2]
    assert ranks[2] > 0.9999


def test_react_is_the_energy_under_a_ceiling_that_no_activation_reaches() -> None:
    generator = torch.Generator().manual_seed(0)
    head = Head(torch.randn(5, 8, generator=generator), torch.randn(5, generator=generator))
    bounded = torch.tanh(torch.randn(100, 8, generator=generator))
    batch = SimpleNamespace(features=bounded, head=head)
    assert torch.equal(ReAct().score(Ceiling(1.0), batch), energy(bounded.double(), head))
    assert not torch.equal(ReAct().score(Ceiling(0.1), batch), energy(bounded.double(), head))
