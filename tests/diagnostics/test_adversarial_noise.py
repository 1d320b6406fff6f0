"""Images that climb a density: the ways, who is asked, and what is compared."""

import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch

from oodbench.contract import LOG_DENSITY
from oodbench.data.images import ArrayImages, quantised
from oodbench.data.matrix import find_matrix
from oodbench.densities.glow import Glow
from oodbench.densities.pixelcnn import PixelCnn
from oodbench.densities.vae import Vae
from oodbench.diagnostics import adversarial_noise
from oodbench.diagnostics.adversarial_noise import (
    Climb,
    analyse,
    asks,
    by_logits,
    inner_noise,
    noise,
    slopes,
    stepped,
    table,
    ways,
)
from oodbench.errors import BadSetting
from oodbench.measure.ranking import ranking
from oodbench.models.outputs import Trained
from oodbench.models.train import start
from oodbench.run.context import Context
from oodbench.run.registry import registry
from oodbench.run.workspace import Workspace
from oodbench.spaces import Images
from oodbench.training import InSet, Training

SHAPE = (1, 8, 8)
RECIPES = [Glow(), Vae(), PixelCnn()]


def model(recipe) -> Trained:
    """One that is trained on nothing."""
    sized = recipe.sized("tiny", Training(network="toy-cnn", epochs=1))
    net = start(sized, InSet(Images(SHAPE, (0.5,), (0.25,)), 4), torch.zeros(0), 0).net.eval().requires_grad_(False)
    return Trained(net, torch.device("cpu"))


def log_density(one: Trained, x) -> torch.Tensor:
    with torch.no_grad():
        return one.net.outputs(torch.as_tensor(x), frozenset({LOG_DENSITY}))[LOG_DENSITY]


def test_noise_is_a_clipped_normal_and_its_seed_s() -> None:
    x = noise(500, SHAPE, 3)
    assert x.dtype == np.float32
    assert (x == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert (x == 1).mean() == pytest.approx(0.1587, abs=0.01)
    np.testing.assert_array_equal(x, noise(500, SHAPE, 3))
    assert (x != noise(500, SHAPE, 4)).any()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: type(recipe).__name__)
@pytest.mark.parametrize("way", [stepped, by_logits])
def test_each_way_climbs_from_where_it_begins_and_stays_among_images(way, recipe) -> None:
    one, start = model(recipe), inner_noise(6, SHAPE, 0)
    path = dict(way(one, start, Climb(eps=0.05, kept=(0, 20), logit_kept=(0, 20))))
    assert list(path) == [0, 20]
    np.testing.assert_allclose(path[0], start, atol=1e-6)
    for x in path.values():
        assert x.min() >= 0
        assert x.max() <= 1
    assert (log_density(one, path[0]) < log_density(one, path[20])).all()
    again = dict(way(one, start, Climb(eps=0.05, kept=(0, 20), logit_kept=(0, 20))))
    np.testing.assert_array_equal(path[20], again[20])


def test_inner_noise_is_uniform_and_away_from_both_ends() -> None:
    x = inner_noise(100, SHAPE, 3)
    assert (x.min(), x.max()) == (pytest.approx(0.02, abs=1e-3), pytest.approx(0.98, abs=1e-3))
    assert x.mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(x, inner_noise(100, SHAPE, 3))


def slope_of(one: Trained, x: torch.Tensor) -> torch.Tensor:
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(one.net.outputs(leaf, frozenset({LOG_DENSITY}))[LOG_DENSITY].sum(), leaf)
    return slope


def test_the_steps_by_a_loop() -> None:
    one, start = model(Vae()), noise(5, SHAPE, 0)
    ((_, got),) = stepped(one, start, Climb(eps=0.3, kept=(4,)))
    x = torch.from_numpy(start)
    for t in (1, 2, 3, 4):
        x = torch.clip(x + 0.3 / t * torch.sign(slope_of(one, x)), 0, 1)
    np.testing.assert_allclose(got, x, atol=1e-6)


def test_the_logits_by_a_loop() -> None:
    """Adam by hand: m and v of the gradient by w = logit(x), corrected for their beginning at 0."""
    one, start = model(Vae()), inner_noise(5, SHAPE, 0)
    ((_, got),) = by_logits(one, start, Climb(rate=0.2, logit_kept=(3,)))
    w = torch.from_numpy(start).logit()
    m = v = torch.zeros_like(w)
    for t in (1, 2, 3):
        leaf = w.clone().requires_grad_()
        log_p = one.net.outputs(leaf.sigmoid(), frozenset({LOG_DENSITY}))[LOG_DENSITY].sum()
        (up,) = torch.autograd.grad(log_p, leaf)
        m, v = 0.9 * m + 0.1 * up, 0.999 * v + 0.001 * up**2
        w = w + 0.2 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    np.testing.assert_allclose(got, w.sigmoid(), atol=1e-5)


class Edge(torch.nn.Module):
    """Nothing is as likely as 0, and the slope there points away from it."""

    passes, entries, constants = 1, frozenset(), MappingProxyType({})

    def outputs(self, x, wanted):
        values = torch.where(x == 0, 1.0 + x, -1.0 - (x - 0.5) ** 2)
        return {LOG_DENSITY: values.double().sum(dim=(1, 2, 3))}


def test_a_step_that_loses_is_taken_and_what_is_judged_is_where_it_leads() -> None:
    one, start = Trained(Edge(), torch.device("cpu")), np.zeros((2, *SHAPE), np.float32)
    path = dict(stepped(one, start, Climb(kept=(0, 1))))
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_allclose(path[1], 0.3)


class Dark(torch.nn.Module):
    """The darker, the likelier, and no edge."""

    passes, entries, constants = 1, frozenset(), MappingProxyType({})

    def outputs(self, x, wanted):
        return {LOG_DENSITY: -x.double().sum(dim=(1, 2, 3))}


def test_logits_find_black_where_black_is_likeliest() -> None:
    ((_, x),) = by_logits(Trained(Dark(), torch.device("cpu")), inner_noise(3, SHAPE, 0), Climb(logit_kept=(150,)))
    assert not quantised(x.numpy()).any()


def test_the_ways_are_named_on_8_bits_and_end_in_one_black_image() -> None:
    test = ArrayImages(np.full((9, *SHAPE), 200, np.uint8))
    climb = Climb(kept=(0, 1), logit_kept=(0, 2), faded=(0.5, 0.25))
    found = dict(ways(Trained(Dark(), torch.device("cpu")), test, 4, 0, climb))
    assert list(found) == ["step 0", "step 1", "logit 0", "logit 2", "fade 0.5", "fade 0.25", "black"]
    assert [len(images) for images in found.values()] == [4, 4, 4, 4, 4, 4, 1]
    assert all(images.pixels.dtype == np.uint8 for images in found.values())
    assert {int(found[name].pixels.max()) for name in ("fade 0.5", "fade 0.25", "black")} == {100, 50, 0}
    np.testing.assert_array_equal(found["step 0"].pixels, quantised(noise(4, SHAPE, 0)))


def test_the_slope_of_an_image_is_its_own(monkeypatch) -> None:
    one, x = model(Glow()), torch.from_numpy(noise(7, SHAPE, 0))
    log_p, slope = slopes(one, x)
    torch.testing.assert_close(log_p, log_density(one, x))
    monkeypatch.setattr(adversarial_noise, "ROWS", 2)
    torch.testing.assert_close(slopes(one, x)[1], slope, rtol=1e-4, atol=1e-4)


def test_every_score_of_the_model_and_of_its_ensemble_is_asked() -> None:
    context = Context(find_matrix("tiny-v1"), Workspace())
    training = context.matrix.training

    def asked(recipe) -> set[str]:
        return {name for name, one in registry().items() if asks(one.method, recipe.sized("tiny", training), context)}

    assert asked(Vae()) == {"vae", "vae-rate", "waic-vae"}
    assert {"glow", "latent-shell", "latent-norm", "typicality", "waic-glow"} <= asked(Glow())
    assert "pixelcnn++" in asked(PixelCnn())
    assert not asked(Glow()) & (asked(Vae()) | asked(PixelCnn()) | {"glow-cv", "msp"})


@pytest.mark.parametrize("method", ["msp", "vib", "waic-glow"])
def test_a_method_without_a_density_of_its_own_is_refused(tmp_path, method: str) -> None:
    with pytest.raises(BadSetting, match=rf"{method} has no log density to climb; expected one of .*glow.*vae"):
        analyse(method, "tiny-v1", Workspace(cache=tmp_path), 0, 5, tmp_path / "out")


@pytest.fixture
def few(monkeypatch) -> None:
    """tiny-v1 with fewer images and nothing trained."""
    tiny = find_matrix("tiny-v1")
    untrained = replace(tiny.training, epochs=0)
    small = tiny.model_copy(update={"training": untrained, "n_test": 60, "ood": tiny.ood[:1], "seeds": (0, 1)})
    monkeypatch.setattr(adversarial_noise, "find_matrix", lambda name: small)


SHORT = Climb(kept=(0, 2), logit_kept=(0, 1), faded=(0.5,))


def test_a_study(few, tmp_path) -> None:
    study, again = (
        analyse("vae", "tiny-v1", Workspace(cache=tmp_path / "c"), 1, 6, tmp_path / out, climb=SHORT)
        for out in ("first", "second")
    )
    assert [file.name for file in study.files] == [
        "adversarial-noise.json",
        "adversarial-noise.png",
        "adversarial-noise-images.png",
    ]
    for one, other in zip(study.files, again.files, strict=True):
        assert one.read_bytes() == other.read_bytes()
    found = json.loads(study.files[0].read_text())
    assert (found["eps"], found["rate"], found["n"], found["seed"]) == (0.3, 1.0, 6, 1)
    assert found["auroc"].keys() == {"vae", "vae-rate", "waic-vae"}
    sets = ["step 0", "step 2", "logit 0", "logit 1", "fade 0.5", "black"]
    assert list(found["bits_per_dimension"]) == ["test", *sets]
    for by_set in found["auroc"].values():
        assert list(by_set) == sets
        for value, low, high in by_set.values():
            assert 0 <= low <= value <= high <= 1
    assert table(found) == study.table


def test_auroc_is_that_of_test_images_against_the_path(few, tmp_path) -> None:
    study = analyse("vae", "tiny-v1", Workspace(cache=tmp_path / "c"), 0, 6, tmp_path, climb=SHORT)
    context = Context(adversarial_noise.find_matrix("tiny-v1"), Workspace(cache=tmp_path / "c"))
    one, _ = context.model(Vae().sized("tiny", context.matrix.training), 0, lambda *_: None)
    *_, (_, pushed) = stepped(one, noise(6, (1, 28, 28), 0), SHORT)
    inside = log_density(one, context.sets.test.batch(slice(0, 60)))
    judged = quantised(pushed.numpy()).astype(np.float32) / 255
    expected = ranking(inside.numpy(), log_density(one, judged).numpy())["auroc"]
    found = json.loads(study.files[0].read_text())["auroc"]["vae"]["step 2"]
    assert found[0] == pytest.approx(expected)


def test_scores_that_are_not_finite_are_named_in_the_table() -> None:
    study = {"bits_per_dimension": {"test": 2.0, "step 0": 9.0, "black": 8.0}, "auroc": {"vae": {"step 0": [1, 1, 1]}}}
    lines = [line.split() for line in table(study).splitlines()]
    assert lines[2:] == [["in-set", "2.000"], ["step", "0", "9.000", "100.00"], ["black", "8.000", "not", "finite"]]
