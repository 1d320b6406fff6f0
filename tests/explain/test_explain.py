"""Explanations: identities of the maps, the plane, the files, and the command line's errors."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.ib_inn import IbInn

from oodbench.check.toy import blobs
from oodbench.cli import main
from oodbench.contract import LOG_DENSITY
from oodbench.explain import explanation
from oodbench.explain.heat import heat_maps
from oodbench.explain.pictures import draw_all
from oodbench.explain.salience import salience_maps
from oodbench.explain.space import codes, decision_plane, mean_distances
from oodbench.networks.inn import GenerativeClassifier, Sizes
from oodbench.training import Training

SIZES = Sizes((1, 1), (4, 6), fc=(8, 8), dropout=(0.0, 0.0), initial=0.75, gain=0.5, clamp=0.7)
PICTURES = ["heat-maps.png", "salience-maps.png", "class-similarity.png", "decision-space.png"]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def net() -> GenerativeClassifier:
    torch.manual_seed(0)
    net = GenerativeClassifier((1, 8, 8), 3, (0.2,), (0.25,), SIZES, m=5.0, pace=3.0, noise=0.01)
    for weight in net.parameters():
        weight.data += 0.3 * torch.randn(weight.shape)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.from_numpy(blobs(6, 3).pixels)


def test_heat_maps_sum_to_the_posterior(net, x):
    heat = heat_maps(net, x)
    assert heat.evidence.shape == heat.energy.shape == (6, 3, 2, 2)
    torch.testing.assert_close(heat.evidence.sum(dim=(2, 3)), net(x).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(heat.evidence.sum(dim=(2, 3)), heat.log_p, atol=1e-9, rtol=0)


def test_energies_sum_to_the_distances(net, x):
    z = net.code(x).z.double()
    for k, mean in enumerate(net.mu.double()):
        half = (z - mean).square().sum(dim=1) / 2
        torch.testing.assert_close(heat_maps(net, x).energy[:, k].sum(dim=(1, 2)), half, rtol=1e-9, atol=0)


def test_salience_is_the_slope(net, x):
    wide = GenerativeClassifier((1, 8, 8), 3, (0.2,), (0.25,), SIZES, m=5.0, pace=3.0, noise=0.01)
    wide.load_state_dict(net.state_dict())
    wide.double().eval().requires_grad_(False)
    x = x.double()
    maps = salience_maps(wide, x)
    step = torch.zeros_like(x)
    step[:, 0, 3, 4] = 1e-6

    def density(x):
        return wide.outputs(x, frozenset())[LOG_DENSITY]

    def posterior(x):
        return wide(x).amax(dim=1)

    for got, f in ((maps.density, density), (maps.posterior, posterior)):
        slope = (f(x + step) - f(x - step)) / 2e-6
        torch.testing.assert_close(got[:, 0, 3, 4], slope, rtol=1e-3, atol=1e-5)
        assert got.abs().sum() > 0
    assert not any(weight.requires_grad for weight in wide.parameters())


def test_distances_of_the_means(net):
    distances = mean_distances(net)
    for i in range(3):
        for k in range(3):
            expected = math.dist(net.mu[i].tolist(), net.mu[k].tolist())
            assert float(distances[i, k]) == pytest.approx(expected, rel=1e-6)


def test_the_plane_divides_two_classes_as_the_posterior_does(net, x):
    z = codes(net, x)
    plane = decision_plane(net, z)
    a, b, mu = plane.a, plane.b, net.mu.double()
    distances = mean_distances(net).fill_diagonal_(torch.inf)
    assert distances[a, b] == distances.min()
    torch.testing.assert_close(plane.means[a], torch.zeros(2, dtype=torch.float64))
    along = torch.tensor([float(distances[a, b]), 0.0], dtype=torch.float64)
    torch.testing.assert_close(plane.means[b], along, atol=1e-9, rtol=0)
    joint = net.w - torch.cdist(z, mu).square() / 2
    assert ((plane.codes[:, 0] < plane.boundary) == (joint[:, a] > joint[:, b])).all()
    even = mu[a] + plane.boundary * (mu[b] - mu[a]) / (mu[b] - mu[a]).norm()
    log_a, log_b = (float(net.w[k] - (even - mu[k]).square().sum() / 2) for k in (a, b))
    assert log_a == pytest.approx(log_b, abs=1e-9)
    # a plane's distances are at most those of the space, along the first axis exactly those of the projection
    assert (plane.codes.norm(dim=1) <= (z - mu[a]).norm(dim=1) + 1e-9).all()


def test_pictures_show_what_lies_beside_them(net, tmp_path):
    arrays = explanation(net, blobs(40, 1), 2, torch.device("cpu"))
    assert arrays["images"].shape == arrays["salience_density"].shape == (2, 1, 8, 8)
    assert arrays["plane_codes"].shape == (40, 2)
    files = draw_all(arrays, tmp_path / "a", "toy")
    assert [file.name for file in files] == PICTURES
    others = draw_all({**arrays, "evidence": arrays["evidence"][:, ::-1]}, tmp_path / "b", "toy")
    same = [first.read_bytes() == second.read_bytes() for first, second in zip(files, others, strict=True)]
    assert same == [False, True, True, True]
    assert all(file.read_bytes().startswith(PNG) for file in files)


def test_the_verb_writes_arrays_and_pictures(capsys, tmp_path, monkeypatch):
    def small(self, scale, training):
        how = Training(network="ib-inn", epochs=1, batch=500, optimiser="adam", lr=1e-3)
        return IbInn(how, self.beta, SIZES)

    monkeypatch.setattr(IbInn, "sized", small)
    words = ["explain", "ib-inn-2", "tiny-v1", "--images", "3", "--out", tmp_path / "o", "--cache", tmp_path / "c"]
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [str(tmp_path / "o" / name) for name in ("explanation.npz", *PICTURES)]
    with np.load(tmp_path / "o" / "explanation.npz", allow_pickle=False) as arrays:
        assert arrays["evidence"].shape == (3, 10, 7, 7)
        np.testing.assert_allclose(arrays["evidence"].sum(axis=(2, 3)), arrays["log_p"], atol=1e-4)


@pytest.mark.parametrize(
    "words, what",
    [
        (("msp", "tiny-v1"), "msp is not an IB-INN, and only these can be explained: ib-inn-0, ib-inn-1, ib-inn-2"),
        (("ib-inn-3", "tiny-v1"), "did you mean 'ib-inn-"),
        (("ib-inn-2", "tinny-v1"), "did you mean 'tiny-v1'?"),
        (("ib-inn-2", "tiny-v1", "--images", "0"), "images"),
        (("ib-inn-2", "tiny-v1", "--device", "cuda:77"), "cuda:77"),
        (("ib-inn-2", "tiny-v1", "--out", "/dev/null/pictures"), "/dev/null/pictures"),
    ],
)
def test_errors_say_what_is_wrong(capsys, tmp_path, words, what):
    try:
        code = main(["explain", *words, "--cache", str(tmp_path / "c")])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert what in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
