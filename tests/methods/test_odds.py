"""odds against loops over draws, images and classes."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.odds import METHODS, OddsAreOdd
from torch import Tensor

from oodbench import banks
from oodbench.contract import LOGITS

QUICK = OddsAreOdd(sigma=0.05, draws=3, images=40, a_class=1, least=4)


def noises(draws: int, sigma: float, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [sigma * torch.randn(1, 7, 7, generator=generator, dtype=torch.float64) for _ in range(draws)]


def changes_by_loops(net, x: Tensor, draws: int, sigma: float, seed: int) -> list[tuple[int, list[float]]]:
    """Return for each image its predicted class y, and g_yz for every z."""
    found = []
    for image in x:
        with torch.no_grad():
            z = net(image[None])[0].tolist()
            y = z.index(max(z))
            g = [0.0] * len(z)
            for eta in noises(draws, sigma, seed):
                moved = net((image + eta)[None])[0].tolist()
                g = [v + ((moved[c] - moved[y]) - (z[c] - z[y])) / draws for c, v in enumerate(g)]
        found.append((y, g))
    return found


def moments(pairs: list[float]) -> tuple[float, float]:
    mean = sum(pairs) / len(pairs)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in pairs) / len(pairs))


def scores_by_loops(lab, detector: OddsAreOdd, classes: int = 3) -> list[float]:
    rows = banks.drawn(len(lab.train[0]), detector.images, lab.seed)
    noise = (detector.draws, detector.sigma, lab.seed)
    train = changes_by_loops(lab.net, lab.train[0][rows], *noise)
    by_class = {y: [g for c, g in train if c == y] for y in range(classes)}
    everything = moments([v for y, g in train for z, v in enumerate(g) if z != y])
    scores = []
    for y, g in changes_by_loops(lab.net, lab.test, *noise):
        odd = []
        for z in range(classes):
            if z == y:
                continue
            mu, sigma = everything
            if len(by_class[y]) >= detector.least:
                mu, sigma = moments([one[z] for one in by_class[y]])
            odd.append((g[z] - mu) / sigma)
        scores.append(-max(odd))
    return scores


@pytest.mark.parametrize("least", [4, 15, 1000])
def test_score_by_loops(lab, least: int) -> None:
    detector = OddsAreOdd(sigma=0.05, draws=3, images=40, a_class=1, least=least)
    np.testing.assert_allclose(lab.score(detector, lab.test), scores_by_loops(lab, detector), rtol=1e-5, atol=1e-6)


def test_an_image_that_noise_leads_to_another_class_has_a_low_score(lab) -> None:
    """A class boundary whose odds only fall under noise: logits that are largest at the image itself."""

    def spike(x: Tensor) -> Tensor:
        near = -(x - lab.test[0]).square().sum(dim=(1, 2, 3))
        return torch.stack([near, torch.full_like(near, -0.01), torch.full_like(near, -9.0)], dim=1)

    class Spiked(torch.nn.Module):
        passes, entries, constants = 1, frozenset(), {}

        def outputs(self, x: Tensor, wanted, replacing=None):
            return {LOGITS: spike(x)}

    calm = lab.fit(QUICK)
    spiked = type(lab)(Spiked(), lab.train, lab.validation, lab.outliers, lab.test)
    assert spiked.score(QUICK, lab.test[:1], calm)[0] < lab.score(QUICK, lab.test[:1], calm)[0]


def test_a_network_that_nothing_moves_has_a_score(lab) -> None:
    import copy

    still = copy.deepcopy(lab.net)
    still.head.weight.data.zero_()
    flat = type(lab)(still, lab.train, lab.validation, lab.outliers, lab.test)
    np.testing.assert_array_equal(flat.score(QUICK, lab.test), 0.0)


def test_many_classes_draw_more_images(lab) -> None:
    outputs = lab.data(OddsAreOdd(images=2, a_class=10, draws=1))
    with torch.no_grad():
        OddsAreOdd(images=2, a_class=10, draws=1).fit(outputs)
    assert outputs.train._model.passes.forward >= 2 * 30


def test_rows() -> None:
    assert METHODS[0].detector == OddsAreOdd(sigma=0.005, draws=16)
    assert [row.tuning_access for row in METHODS] == ["none", "adversarial_val"]


def test_drawn_batches_are_the_rows_that_are_drawn(lab) -> None:
    outputs = lab.outputs(QUICK, lab.train[0])
    object.__setattr__(outputs._model, "gradient_batch", 13)
    parts = [(len(batch), batch.inputs[rows]) for batch, rows in banks.drawn_batches(outputs, 20, seed=3)]
    assert max(n for n, _ in parts) == 13
    assert torch.equal(torch.cat([x for _, x in parts]), lab.train[0][banks.drawn(90, 20, 3)])
    assert sum(len(rows) for _, rows in banks.drawn_batches(outputs, 1000, seed=3)) == 90
