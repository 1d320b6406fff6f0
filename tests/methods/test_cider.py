"""cider: prototypes, both losses and neighbours by loops; what moves the network; whose classes they are."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.cider import EMBEDDING, METHODS, Bank, Cider, NearestOn, dispersion, moved
from torch import Tensor, nn
from torch.nn.functional import normalize

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import FEATURES, LOGITS
from oodbench.models.train import start, train
from oodbench.training import TrainBatch

BELOW, ABOVE = METHODS
RECIPE = replace(Cider(), hidden=16, width=6, training=replace(TRAINING, epochs=6))
IMAGES = blobs(60, 0)
X, LABELS = torch.from_numpy(IMAGES.pixels), torch.from_numpy(IMAGES.labels)
BATCH = TrainBatch(X, LABELS, torch.arange(60), 0, 0.0)


def sphere(n: int, width: int = 4, seed: int = 0) -> Tensor:
    drawn = torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normalize(drawn, dim=1)


def model() -> nn.Module:
    net = start(RECIPE, IN_SET, LABELS, 0).net
    net.top.mu.copy_(sphere(3, 6, seed=5))
    return net


def one_by_one(mu: np.ndarray, z: np.ndarray, labels: list[int], alpha: float) -> np.ndarray:
    mu = mu.copy()
    for row, c in zip(z, labels, strict=True):
        new = alpha * mu[c] + (1 - alpha) * row
        mu[c] = new / math.sqrt((new**2).sum())
    return mu


@pytest.mark.parametrize("alpha", [0.95, 0.5])
def test_prototypes_move_by_one_embedding_after_the_other(alpha: float) -> None:
    labels = torch.tensor([0, 2, 0, 0, 2, 0, 4, 2])  # 1 and 3 have none
    mu, z = sphere(5, seed=1), sphere(8, seed=2)
    got = moved(mu, z, labels, alpha)
    np.testing.assert_allclose(got, one_by_one(mu.numpy(), z.numpy(), labels.tolist(), alpha), rtol=1e-12)
    assert torch.equal(got[[1, 3]], mu[[1, 3]])


def test_a_prototype_begins_as_its_first_embedding() -> None:
    z = sphere(1)
    torch.testing.assert_close(moved(torch.zeros(2, 4, dtype=torch.float64), z, torch.tensor([1]), 0.95)[1], z[0])


def test_dispersion_by_loops() -> None:
    mu = sphere(5).tolist()
    total = 0.0
    for i in range(5):
        others = [math.exp(sum(a * b for a, b in zip(mu[i], mu[j], strict=True)) / 0.1) for j in range(5) if j != i]
        total += math.log(sum(others) / 4) / 5
    assert dispersion(torch.tensor(mu, dtype=torch.float64), 0.1).item() == pytest.approx(total, rel=1e-9)
    assert dispersion(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), 0.1).item() == pytest.approx(-10)  # two classes


def test_the_loss_by_loops_and_the_prototypes_it_leaves() -> None:
    net = model().eval()
    before = net.top.mu.double().numpy().copy()
    with torch.no_grad():
        z = net.answers(X)[EMBEDDING].double().numpy()
    loss = RECIPE.loss(net, BATCH)
    mu = one_by_one(before, z, LABELS.tolist(), 0.95)
    compactness = 0.0
    for row, y in zip(z, LABELS.tolist(), strict=True):
        near = [math.exp(float(row @ mu[c]) / 0.1) for c in range(3)]
        compactness -= math.log(near[y] / sum(near)) / 60
    expected = dispersion(torch.from_numpy(mu), 0.1).item() + 2 * compactness
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(net.top.mu, mu, atol=1e-5)
    assert not net.top.mu.requires_grad


def test_dispersion_moves_the_network_and_compactness_no_prototype() -> None:
    """By embeddings of which none is left in a prototype, only compactness has a slope; by the others both."""
    z = sphere(4).requires_grad_()
    mu = moved(torch.zeros(2, 4, dtype=torch.float64), z, torch.tensor([0, 0, 1, 1]), 0.95)
    (slope,) = torch.autograd.grad(dispersion(mu, 0.1), z)
    assert (slope.norm(dim=1) > 0).all()
    net = model()
    alone = replace(RECIPE, lam=0.0).loss(net, BATCH)
    assert any(g.abs().max() > 0 for g in torch.autograd.grad(alone, tuple(net.body.trunk.parameters())))


def test_the_class_is_that_of_the_nearest_prototype_and_they_settle_as_class_means() -> None:
    net = train(RECIPE, IMAGES, IN_SET, 0, device=torch.device("cpu"))
    with torch.no_grad():
        given = net.outputs(X, RECIPE.provides)
    z = given[EMBEDDING].double().numpy()
    np.testing.assert_allclose((z**2).sum(axis=1), 1, rtol=1e-5)
    mu = np.stack([z[c == LABELS].mean(axis=0) for c in range(3)])
    mu /= np.sqrt((mu**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(given[LOGITS], z @ mu.T / 0.1, atol=1e-4)
    assert (given[LOGITS].argmax(dim=1) == LABELS).float().mean() > 0.9


def test_a_class_without_an_image_is_defined() -> None:
    two = blobs(60, 0)
    net = train(
        replace(RECIPE, training=replace(TRAINING, epochs=1)),
        replace(two, labels=np.where(two.labels == 2, 1, two.labels)),
        IN_SET,
        0,
        device=torch.device("cpu"),
    )
    with torch.no_grad():
        z = net(X)
    assert z.isfinite().all()
    assert (z[:, 2] == 0).all()


@pytest.mark.parametrize("k", [1, 4, 99])
def test_neighbours_by_loops(k: int) -> None:
    bank, f = sphere(12, seed=3), 5 * torch.rand(7, 4, generator=torch.Generator().manual_seed(4)).double()
    got = NearestOn(k=k).score(Bank(bank), Given({FEATURES: f}))
    for i, row in enumerate(f.numpy()):
        u = row / math.sqrt((row**2).sum())
        distances = sorted(math.sqrt(((u - other) ** 2).sum()) for other in bank.numpy())
        assert got[i].item() == pytest.approx(-distances[min(k, 12) - 1], rel=1e-9)


def test_the_rows_differ_in_what_stands_for_an_input() -> None:
    assert (BELOW.detector.reads, ABOVE.detector.reads) == ({FEATURES}, {EMBEDDING})
    assert BELOW.recipe == ABOVE.recipe
    f, z = 3 * sphere(9, seed=1), sphere(9, seed=2)
    for detector, u in ((BELOW.detector, f / 3), (ABOVE.detector, z)):
        data = type("Data", (), {"train": Outputs({FEATURES: f, EMBEDDING: z}), "seed": 0})
        torch.testing.assert_close(detector.fit(data).u, u)
        assert len(replace(detector, most=5).fit(data).u) == 5


class Outputs(Given):
    def __len__(self) -> int:
        return len(next(iter(self._outputs.values())))
