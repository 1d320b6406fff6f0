"""Where two rows may have the same scores: the limits that methods tend to, and inputs alone."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from oodbench.methods.gen import GeneralisedEntropy
from oodbench.methods.react import Ceiling, ReAct
from scipy.stats import spearmanr

from oodbench.contract import Head
from oodbench.formulas import uniform_cross_entropy
from oodbench.shaping import energy
from oodbench.verify import across
from oodbench.verify.verified import verify

RESULTS = Path(__file__).parents[2] / "results"
MATRIX = "cifar10-resnet-v2"


def test_gen_tends_to_the_mean_of_log_p_as_its_exponent_goes_to_0() -> None:
    batch = SimpleNamespace(logits=3 * torch.randn(200, 50, generator=torch.Generator().manual_seed(0)))
    ranks = [
        spearmanr(GeneralisedEntropy(gamma=g).score((), batch), uniform_cross_entropy(batch.logits)).statistic
        for g in (1.0, 0.1, 0.001)
    ]
    assert ranks[0] < ranks[1] < ranks[2]
    assert ranks[2] > 0.9999


def test_gen_of_exponent_1_over_all_classes_orders_as_doctor_does() -> None:
    batch = SimpleNamespace(logits=3 * torch.randn(200, 5, generator=torch.Generator().manual_seed(0)))
    gen = GeneralisedEntropy(gamma=1.0).score((), batch)
    assert spearmanr(gen, batch.logits.double().softmax(1).square().sum(1)).statistic > 1 - 1e-12


def test_react_is_the_energy_under_a_ceiling_that_no_activation_reaches() -> None:
    generator = torch.Generator().manual_seed(0)
    head = Head(torch.randn(5, 8, generator=generator), torch.randn(5, generator=generator))
    bounded = torch.tanh(torch.randn(100, 8, generator=generator))
    batch = SimpleNamespace(features=bounded, head=head)
    assert torch.equal(ReAct().score(Ceiling(1.0), batch), energy(bounded.double(), head))
    assert not torch.equal(ReAct().score(Ceiling(0.1), batch), energy(bounded.double(), head))


def test_a_method_that_asks_no_model_has_the_same_scores_beside_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the committed records of two public networks; of a method that asks them it would be a fault."""
    for name in ("magnet-error@resnet-20", "magnet-error@resnet-32", "models"):
        shutil.copytree(RESULTS / MATRIX / name, tmp_path / MATRIX / name)
    assert verify(tmp_path).faults == ()
    monkeypatch.setattr(across, "_of_inputs_alone", lambda a, b: False)
    said = [str(fault) for fault in verify(tmp_path).faults]
    assert any("number for number" in fault for fault in said)
