"""Noise that climbs a density: the path, who is asked, and what is compared."""

import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch

from oodbench.contract import LOG_DENSITY
from oodbench.data.matrix import find_matrix
from oodbench.densities.glow import Glow
from oodbench.densities.pixelcnn import PixelCnn
from oodbench.densities.vae import Vae
from oodbench.diagnostics import adversarial_noise
from oodbench.diagnostics.adversarial_noise import Climb, analyse, asks, climbed, noise, slopes, table
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
def test_the_path_climbs_and_stays_among_images(recipe) -> None:
    one, start = model(recipe), 0.3 + 0.4 * np.random.default_rng(0).random((12, *SHAPE), dtype=np.float32)
    path = dict(climbed(one, start, Climb(eps=0.3, kept=(0, 1, 20))))
    assert list(path) == [0, 1, 20]
    np.testing.assert_array_equal(path[0].pixels, start)
    for images in path.values():
        assert images.pixels.min() >= 0
        assert images.pixels.max() <= 1
    begun, once, end = (log_density(one, images.pixels) for images in path.values())
    assert (begun <= once).all()
    assert (once <= end).all()
    assert (begun < end).all()
    again = dict(climbed(one, start, Climb(eps=0.3, kept=(0, 1, 20))))
    np.testing.assert_array_equal(path[20].pixels, again[20].pixels)


def test_the_steps_by_a_loop() -> None:
    one, start = model(Vae()), noise(5, SHAPE, 0)
    ((_, got),) = climbed(one, start, Climb(eps=0.3, kept=(4,)))
    x = torch.from_numpy(start)
    visited = [x]
    for t in (1, 2, 3, 4):
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(one.net.outputs(leaf, frozenset({LOG_DENSITY}))[LOG_DENSITY].sum(), leaf)
        x = torch.clip(x + 0.3 / t * torch.sign(slope), 0, 1)
        visited.append(x)
    log_p = torch.stack([log_density(one, x) for x in visited])
    expected = [visited[k][i] for i, k in enumerate(log_p.argmax(dim=0))]
    np.testing.assert_allclose(got.pixels, torch.stack(expected), atol=1e-6)


def test_no_step_is_the_noise_itself() -> None:
    start = noise(5, SHAPE, 0)
    ((step, images),) = climbed(model(Vae()), start, Climb(kept=(0,)))
    assert step == 0
    np.testing.assert_array_equal(images.pixels, start)


def test_a_step_that_loses_is_not_taken() -> None:
    """The slope at 0 points away from the one grey level that is likely."""

    class Edge(torch.nn.Module):
        passes, entries, constants = 1, frozenset(), MappingProxyType({})

        def outputs(self, x, wanted):
            values = torch.where(x == 0, 1.0 + x, -1.0 - (x - 0.5) ** 2)
            return {LOG_DENSITY: values.double().sum(dim=(1, 2, 3))}

    one, start = Trained(Edge(), torch.device("cpu")), np.zeros((2, *SHAPE), np.float32)
    path = dict(climbed(one, start, Climb(kept=(0, 1, 50))))
    np.testing.assert_array_equal(path[50].pixels, start)


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


def test_a_study(few, tmp_path) -> None:
    climb = Climb(kept=(0, 2))
    study, again = (
        analyse("vae", "tiny-v1", Workspace(cache=tmp_path / "c"), 1, 6, tmp_path / out, climb=climb)
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
    assert (found["eps"], found["kept"], found["n"], found["seed"]) == (0.3, [0, 2], 6, 1)
    assert found["auroc"].keys() == {"vae", "vae-rate", "waic-vae"}
    for steps in found["auroc"].values():
        for value, low, high in steps.values():
            assert 0 <= low <= value <= high <= 1
    bits = found["bits_per_dimension"]
    assert bits["2"] <= bits["0"]
    assert table(found) == study.table


def test_auroc_is_that_of_test_images_against_the_path(few, tmp_path) -> None:
    study = analyse("vae", "tiny-v1", Workspace(cache=tmp_path / "c"), 0, 6, tmp_path, climb=Climb(kept=(1,)))
    context = Context(adversarial_noise.find_matrix("tiny-v1"), Workspace(cache=tmp_path / "c"))
    one, _ = context.model(Vae().sized("tiny", context.matrix.training), 0, lambda *_: None)
    ((_, pushed),) = climbed(one, noise(6, (1, 28, 28), 0), Climb(kept=(1,)))
    inside = log_density(one, context.sets.test.batch(slice(0, 60)))
    expected = ranking(inside.numpy(), log_density(one, pushed.pixels).numpy())["auroc"]
    found = json.loads(study.files[0].read_text())["auroc"]["vae"]["1"]
    assert found[0] == pytest.approx(expected)


def test_scores_that_are_not_finite_are_named_in_the_table() -> None:
    study = {
        "kept": [0, 1],
        "bits_per_dimension": {"test": 2.0, "0": 9.0, "1": 8.0},
        "auroc": {"vae": {"0": [1, 1, 1]}},
    }
    assert table(study).splitlines()[-1].split() == ["vae", "100.00", "not", "finite"]
