"""Outlier Exposure: its loss by hand, one forward pass, where fine-tuning begins, and which way the scores point."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oodbench.methods import outlier_exposure as module
from oodbench.methods.outlier_exposure import METHODS, OeFineTuned, OeScratch
from torch import Tensor, nn

from oodbench import formulas
from oodbench.check.toy import IN_SET, blends, blobs
from oodbench.contract import LOGITS
from oodbench.data.matrix import load_matrices
from oodbench.errors import BadMethod, Diverged
from oodbench.models import checkpoint
from oodbench.models.train import start, train
from oodbench.recipes import Plain
from oodbench.report.reported import load_reported
from oodbench.spaces import Images
from oodbench.training import InSet, TrainBatch, Training

CPU = torch.device("cpu")
IMAGES, OUTLIERS = blobs(96, 0), blends(70, 1)
HOW = Training(network="toy-cnn", epochs=3, batch=32, lr=0.05, dropout=0.2, augment=("flip", "shift2"))
RECIPES = (OeScratch().sized("tiny", HOW), OeFineTuned().sized("tiny", replace(HOW, lr=0.5)))
MSP, UNIFORM = (METHODS[place].detector for place in (0, 1))


class Counted(nn.Module):
    """A linear classifier that notes the batches it is given."""

    def __init__(self, D: int, C: int) -> None:
        super().__init__()
        self.linear = nn.Linear(D, C).double()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.linear(x.flatten(1))


def step(inputs: Tensor, labels: Tensor, outliers: Tensor | None) -> TrainBatch:
    return TrainBatch(inputs, labels, torch.arange(len(inputs)), 0, 0.0, outliers)


@pytest.fixture
def batch() -> TrainBatch:
    chance = torch.Generator().manual_seed(3)
    inputs, outliers = (torch.rand(n, 1, 3, 3, generator=chance, dtype=torch.float64) for n in (6, 12))
    return step(inputs, torch.tensor([0, 1, 2, 3, 0, 1]), outliers)


def naive(logits: list[list[float]], labels: list[int], outside: list[list[float]], lam: float) -> float:
    """The paper's sum, a probability at a time."""

    def p(z: list[float]) -> list[float]:
        total = sum(math.exp(v) for v in z)
        return [math.exp(v) / total for v in z]

    inner = sum(-math.log(p(z)[y]) for z, y in zip(logits, labels, strict=True)) / len(logits)
    outer = sum(-sum(math.log(q) for q in p(z)) / len(z) for z in outside) / len(outside)
    return inner + lam * outer


@pytest.mark.parametrize("recipe", [replace(recipe, lam=lam) for recipe in RECIPES for lam in (0.5, 1.0, 0.0)])
def test_the_loss_is_the_papers_sum_and_takes_one_pass(recipe: Any, batch: TrainBatch) -> None:
    net = Counted(9, 4)
    loss = recipe.loss(net, batch)
    assert len(net.seen) == 1
    assert net.seen[0].equal(torch.cat([batch.inputs, batch.outliers]))
    inside, outside = (net(x).tolist() for x in (batch.inputs, batch.outliers))
    assert loss.item() == pytest.approx(naive(inside, batch.labels.tolist(), outside, recipe.lam), rel=1e-12)


def test_the_means_are_apart_so_that_more_outliers_weigh_no_more(batch: TrainBatch) -> None:
    net, recipe = Counted(9, 4), RECIPES[0]
    doubled = step(batch.inputs, batch.labels, torch.cat([batch.outliers, batch.outliers]))  # type: ignore[list-item]
    assert recipe.loss(net, doubled).item() == pytest.approx(recipe.loss(net, batch).item(), rel=1e-12)


def test_the_gradient_stops_nowhere(batch: TrainBatch) -> None:
    """It is the derivative of the whole loss: by finite differences."""
    net, recipe = Counted(9, 4), RECIPES[0]
    recipe.loss(net, batch).backward()
    weight, gradient = net.linear.weight, net.linear.weight.grad
    assert gradient is not None
    for place in ((0, 0), (2, 5), (3, 8)):
        ends = []
        for by in (1e-5, -1e-5):
            with torch.no_grad():
                weight[place] += by
                ends.append(recipe.loss(net, batch).item())
                weight[place] -= by
        assert gradient[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


def test_batch_norm_sees_inputs_and_outliers_together() -> None:
    net = start(Plain(HOW), InSet(Images((1, 8, 8), (0.1,), (0.2,)), 3), torch.zeros(0, dtype=torch.int64), 0).net
    x, outside = torch.rand(16, 1, 8, 8), torch.rand(32, 1, 8, 8)
    maps: list[Tensor] = []
    norm = next(part for part in net.modules() if isinstance(part, nn.BatchNorm2d))
    norm.register_forward_hook(lambda _, args, __: maps.append(args[0]))
    RECIPES[0].loss(net.train(), step(x, torch.zeros(16, dtype=torch.int64), outside))
    (seen,) = maps
    assert len(seen) == 48
    torch.testing.assert_close(norm.running_mean, 0.1 * seen.mean(dim=(0, 2, 3)))


def test_a_step_without_outliers_is_told() -> None:
    with pytest.raises(BadMethod, match="a step without outliers"):
        RECIPES[0].loss(Counted(9, 4), step(torch.rand(2, 9), torch.tensor([0, 1]), None))


def test_half_precision_ends_before_the_loss() -> None:
    net = start(
        Plain(HOW), InSet(Images((1, 8, 8), (0.1,), (0.2,)), 3), torch.zeros(0, dtype=torch.int64), 0
    ).net.eval()
    batch = step(torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]), torch.rand(8, 1, 8, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(batch.inputs).dtype == torch.bfloat16
        assert RECIPES[0].loss(net, batch).dtype == torch.float64


# H(U; p).


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=12))
def test_h_is_at_least_log_c_and_is_kl_more(z: list[float]) -> None:
    logits = torch.tensor([z], dtype=torch.float64)
    h, u = formulas.uniform_cross_entropy(logits).item(), 1 / len(z)
    kl = sum(u * (math.log(u) - log_p) for log_p in logits.log_softmax(dim=1)[0].tolist())
    assert h >= math.log(len(z)) - 1e-12
    assert h - math.log(len(z)) == pytest.approx(kl, abs=1e-9)


@pytest.mark.parametrize("C", [2, 10, 1000])
def test_h_is_log_c_where_p_is_uniform(C: int) -> None:
    logits = torch.full((3, C), 7.5, requires_grad=True)
    h = formulas.uniform_cross_entropy(logits)
    torch.testing.assert_close(h, torch.full((3,), math.log(C)))
    (slope,) = torch.autograd.grad(h.sum(), logits)
    torch.testing.assert_close(slope, torch.zeros_like(slope))


def test_h_does_not_saturate_where_the_probability_does() -> None:
    logits = torch.tensor([[40.0, 0.0, 0.0], [80.0, 0.0, 0.0], [1e4, 0.0, 0.0]])
    assert logits.softmax(dim=1).amax(dim=1).tolist() == [1, 1, 1]
    h = formulas.uniform_cross_entropy(logits)
    assert h.isfinite().all() and h.dtype == torch.float32
    assert h[0] < h[1] < h[2]


def test_scores_are_the_papers_by_hand_and_higher_is_in(lab) -> None:
    z = lab.all(lab.test)[LOGITS]
    p = z.softmax(dim=1).tolist()
    np.testing.assert_allclose(
        lab.score(UNIFORM, lab.test), [-sum(math.log(q) for q in row) / len(row) for row in p], rtol=1e-9
    )
    top = [max(row) for row in p]
    np.testing.assert_allclose(lab.score(MSP, lab.test), [math.log(q / (1 - q)) for q in top], rtol=1e-9)
    sure = torch.tensor([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    assert formulas.uniform_cross_entropy(sure).argmax() == formulas.msp_key(sure).argmax() == 1


@pytest.mark.parametrize("recipe", RECIPES, ids=["scratch", "finetune"])
def test_the_outliers_end_below_the_inputs_in_both_scores(recipe: Any) -> None:
    net = trained(replace(recipe, training=replace(recipe.training, epochs=12)))
    with torch.no_grad():
        inside, outside = (net(torch.from_numpy(images.batch(slice(None)))) for images in (blobs(90, 7), blends(90, 8)))
    for score in (formulas.uniform_cross_entropy, formulas.msp_key):
        assert score(inside).median() > score(outside).median()


# Training.


def trained(recipe: Any, seed: int = 0, **more: Any) -> nn.Module:
    parts = [plain_of(part, its) for part, its in recipe.parts(seed, (seed,))]
    return train(recipe, IMAGES, IN_SET, seed, device=CPU, outliers=OUTLIERS, parts=parts, **more)


def plain_of(recipe: Any, seed: int) -> nn.Module:
    return train(recipe, IMAGES, IN_SET, seed, device=CPU)


def bits(net: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


def test_fine_tuning_begins_with_the_bits_of_the_plain_classifier_of_its_seed() -> None:
    recipe = RECIPES[1]
    ((part, seed),) = recipe.parts(3, (0, 3))
    assert (part, seed) == (Plain(replace(HOW, lr=0.5)), 3)
    plain = plain_of(part, 3)
    untouched = replace(recipe, training=replace(recipe.training, epochs=0))
    tuned = train(untouched, IMAGES, IN_SET, 3, device=CPU, outliers=OUTLIERS, parts=[plain])
    assert bits(tuned) == bits(plain)
    before = bits(plain)
    assert bits(train(recipe, IMAGES, IN_SET, 3, device=CPU, outliers=OUTLIERS, parts=[plain])) != before
    assert bits(plain) == before, "the part stays as it is"


@pytest.mark.parametrize("recipe", RECIPES, ids=["scratch", "finetune"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path: Path, recipe: Any, optimiser: Any) -> None:
    recipe = replace(recipe, training=replace(recipe.training, optimiser=optimiser, lr=0.005, epochs=3))
    resume = tmp_path / "resume.safetensors"
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, resume_from=resume, report=killer(2))
    assert checkpoint.load(resume)[1]["epoch"] == 1
    assert bits(trained(recipe, resume_from=resume)) == bits(trained(recipe))


def killer(at: int) -> Callable[[str, int, int], None]:
    def report(text: str, done: int, total: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("recipe", RECIPES, ids=["scratch", "finetune"])
def test_divergence_is_told(recipe: Any) -> None:
    wild = replace(recipe, training=replace(recipe.training, lr=1e30, schedule="constant", epochs=20))
    with pytest.raises(
        Diverged, match=r"loss (nan|inf) of the network in epoch \d+, step \d; learning rate 1e\+30 may be too high"
    ):
        trained(wild)


# Sizes.


def test_fine_tuning_at_paper_scale_is_as_printed() -> None:
    matrices = load_matrices()
    cifar, svhn = (OeFineTuned().sized("paper", matrices[name].training) for name in ("cifar10-v1", "svhn-v1"))
    assert (cifar.training.epochs, cifar.training.lr, cifar.training.schedule) == (10, pytest.approx(1e-3), "cosine")
    assert (svhn.training.epochs, svhn.training.lr, svhn.training.schedule) == (5, pytest.approx(1e-4), "cosine")
    for recipe in (cifar, svhn):
        how = recipe.training
        assert (how.batch, how.outlier_ratio, how.optimiser, how.nesterov) == (128, 2, "sgd", True)
        assert (how.weight_decay, recipe.lam) == (5e-4, 0.5)
    assert cifar.training.network == cifar.plain.training.network
    assert OeScratch().sized("paper", HOW).training == HOW


def test_on_two_cores_it_is_short() -> None:
    how = replace(HOW, epochs=8)
    assert OeScratch().sized("cpu", how).training.epochs == 5
    assert OeFineTuned().sized("cpu", how).training.epochs == 2
    assert OeFineTuned().sized("cpu", how).plain == Plain(how)


def test_rows() -> None:
    assert [row.name for row in METHODS] == ["oe-finetune", "oe-finetune-uniform", "oe-scratch", "oe-scratch-uniform"]
    assert METHODS[0].recipe == METHODS[1].recipe and METHODS[2].recipe == METHODS[3].recipe
    assert all(row.materials == {"outliers"} and row.tuning_access == "none" for row in METHODS)
    reported = {number.method for number in load_reported(Path(__file__).parents[2] / "results" / "reported")}
    assert {"oe-finetune", "oe-finetune-uniform", "oe-scratch", "gan-confidence", "gan-confidence-oe"} <= reported
    assert module.OeFineTuned.provides == module.OeScratch.provides == Plain.provides
