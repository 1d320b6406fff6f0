"""Deep ensembles: who the members are, what they show, and the two formulas on their logits."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.deep_ensemble import METHODS, DeepEnsemble
from torch import Tensor

from oodbench import formulas
from oodbench.check.toy import TRAINING, toy, toy_model
from oodbench.contract import LOGITS
from oodbench.recipes import Plain

RECIPE = DeepEnsemble().sized("tiny", TRAINING)


def some(n: int = 20, M: int = 5, C: int = 4) -> Tensor:
    return 3 * torch.randn(n, M, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def softmax(z: list[float]) -> list[float]:
    total = sum(math.exp(v) for v in z)
    return [math.exp(v) / total for v in z]


def entropy(p: list[float]) -> float:
    return -sum(v * math.log(v) for v in p)


def naive(members: list[list[float]]) -> tuple[list[float], float, float]:
    """Return the mean probabilities of one input, their entropy, and the mutual information."""
    each = [softmax(z) for z in members]
    mean = [sum(p[c] for p in each) / len(each) for c in range(len(each[0]))]
    return mean, entropy(mean), entropy(mean) - sum(map(entropy, each)) / len(each)


def test_formulas_are_those_of_a_naive_loop() -> None:
    z = some()
    mean, H, information = zip(*(naive(row) for row in z.tolist()), strict=True)
    np.testing.assert_allclose(formulas.log_mean_softmax(z).exp(), mean, rtol=1e-12)
    np.testing.assert_allclose(formulas.predictive_entropy(z), H, rtol=1e-12)
    np.testing.assert_allclose(formulas.mutual_information(z), information, rtol=1e-9)


def test_identical_members_inform_of_nothing_and_have_the_members_entropy() -> None:
    z = some(M=1).expand(-1, 5, -1)
    assert (formulas.mutual_information(z) == 0).all()
    np.testing.assert_allclose(formulas.predictive_entropy(z), formulas.entropy(z[:, 0]), rtol=1e-14)
    np.testing.assert_allclose(formulas.log_mean_softmax(z), z[:, 0].log_softmax(dim=1), rtol=1e-14)


def test_members_that_are_sure_of_different_classes_inform_of_log_m() -> None:
    z = 60 * torch.eye(5)[None]
    assert float(formulas.mutual_information(z)) == pytest.approx(math.log(5), rel=1e-6)
    assert float(formulas.predictive_entropy(z)) == pytest.approx(math.log(5), rel=1e-6)


def test_small_information_of_sure_members_does_not_drown_in_rounding() -> None:
    # p_m = (1 - q_m, q_m) of vanishing q: I = mean of q_m log(q_m / q) - q_m + q, to first order in q
    gaps = torch.tensor([[40.0, 41.0, 42.0], [50.0, 51.0, 52.0], [60.0, 61.0, 62.0]])
    got = formulas.mutual_information(torch.stack([gaps, torch.zeros_like(gaps)], dim=2))
    for row, information in zip(gaps.tolist(), got.tolist(), strict=True):
        q = [math.exp(-gap) for gap in row]
        mean = sum(q) / 3
        assert information == pytest.approx(sum(v * math.log(v / mean) for v in q) / 3, rel=1e-5)


def test_formulas_depend_on_no_other_input_and_stay_finite() -> None:
    z = torch.cat([some().float(), torch.tensor([[[1e4, 0, 0, 0]] * 4 + [[0, 0, 0, 1e4]]])])
    for formula in (formulas.predictive_entropy, formulas.mutual_information, formulas.log_mean_softmax):
        whole = formula(z)
        assert whole.dtype == torch.float32
        assert whole.isfinite().all()
        assert torch.equal(torch.cat([formula(row[None]) for row in z]), whole)


def test_member_logits_are_the_plain_models_bit_for_bit() -> None:
    world = toy(DeepEnsemble())
    x = world.examples["test"].x
    plain = RECIPE.plain
    assert RECIPE.parts(0, (0,)) == tuple((Plain(TRAINING), seed) for seed in range(5))
    with torch.no_grad():
        expected = torch.stack([toy_model(plain, seed, "images").net(x) for seed in range(5)], dim=1)
    assert torch.equal(world.examples["test"].outputs[LOGITS.of_members], expected)
    assert torch.equal(world.examples["test"].outputs[LOGITS], formulas.log_mean_softmax(expected))
    assert len({expected[:, m].numpy().tobytes() for m in range(5)}) == 5


def test_passes_are_one_a_member() -> None:
    model = toy(DeepEnsemble()).model
    before = model.passes.forward
    model.outputs(torch.zeros(7, 1, 8, 8), frozenset({LOGITS.of_members}))
    assert model.passes.forward - before == 7 * 5


def test_an_ensemble_has_m_distinct_members_whatever_the_seeds() -> None:
    seeds = (0, 1, 2, 3, 4)
    for recipe in (DeepEnsemble(), DeepEnsemble(disjoint=True)):
        for given in (seeds, (3,), (0, 7)):
            for seed in given:
                own = [member for _, member in recipe.parts(seed, given)]
                assert len(set(own)) == len(own) == 5
    assert [member for _, member in DeepEnsemble().parts(3, (3,))] == [0, 1, 2, 3, 4]


def test_several_seeds_share_members_unless_they_are_disjoint() -> None:
    seeds = (0, 1, 2, 3, 4)

    def members(recipe: DeepEnsemble) -> list[int]:
        return [member for seed in seeds for _, member in recipe.parts(seed, seeds)]

    assert set(members(DeepEnsemble())) == set(range(9))
    assert sorted(members(DeepEnsemble(disjoint=True))) == list(range(25))


def test_nothing_is_left_to_train() -> None:
    assert RECIPE.training == dataclasses.replace(TRAINING, epochs=0)
    assert RECIPE.plain == Plain(TRAINING)


def test_rows_rank_by_minus_the_formulas() -> None:
    world = toy(DeepEnsemble())
    members = world.examples["test"].outputs[LOGITS.of_members]
    for row, formula in zip(METHODS, (formulas.predictive_entropy, formulas.mutual_information), strict=True):
        assert torch.equal(row.detector.score((), Given({LOGITS.of_members: members})), -formula(members))
