"""Explanations: identities of the maps, the plane, the files, and the command line's errors."""

import copy
import math

import numpy as np
import pytest
import torch
from oodbench.methods.ib_inn import IbInn
from scipy.special import expit

from oodbench.check.toy import blobs
from oodbench.cli import main
from oodbench.contract import LOG_DENSITY
from oodbench.explain import explanation
from oodbench.explain.heat import heat_maps
from oodbench.explain.pictures import draw_all, radius
from oodbench.explain.salience import gradient_maps, salience_maps
from oodbench.explain.space import codes, decision_space, mean_distances, pairwise_posteriors
from oodbench.networks.inn import GenerativeClassifier, Sizes
from oodbench.networks.inn_means import squared_distances
from oodbench.networks.inn_resnet import ResNetSizes
from oodbench.training import Training

SIZES = Sizes((1, 1), (4, 6), fc=(8, 8), dropout=(0.0, 0.0), initial=0.75, gain=0.5, clamp=0.7)
PICTURES = ["heat-maps.png", "salience-maps.png", "gradient-maps.png", "class-similarity.png", "decision-space.png"]
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


@pytest.fixture(scope="module")
def wide(net) -> GenerativeClassifier:
    """The same in float64."""
    wide = GenerativeClassifier((1, 8, 8), 3, (0.2,), (0.25,), SIZES, m=5.0, pace=3.0, noise=0.01)
    wide.load_state_dict(net.state_dict())
    return wide.double().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def like_imagenet() -> GenerativeClassifier:
    torch.manual_seed(0)
    sizes = ResNetSizes(blocks=(2, 1), planes=(3, 4), entry=4, full=80, rank=3)
    net = GenerativeClassifier((3, 16, 16), 3, (0.2,) * 3, (0.25,) * 3, sizes, m=5.0, pace=1.0, noise=0.0)
    for weight in net.parameters():
        weight.data += 0.1 * torch.randn(weight.shape)
    return net.double().eval().requires_grad_(False)


def density(net, x):
    return net.outputs(x, frozenset())[LOG_DENSITY]


def test_salience_sums_to_the_log_density(wide, x):
    x = x.double()
    salience = salience_maps(wide, x, heat_maps(wide, x))
    assert salience.shape == (6, 2, 2)
    torch.testing.assert_close(salience.sum(dim=(1, 2)), density(wide, x), atol=1e-9, rtol=1e-12)
    assert salience.std(dim=(1, 2)).min() > 0.1


def test_maps_of_the_imagenet_network_sum_likewise(like_imagenet):
    net, x = like_imagenet, torch.rand(2, 3, 16, 16, dtype=torch.float64)
    heat = heat_maps(net, x)
    assert heat.energy.shape == (2, 3, 2, 2)
    torch.testing.assert_close(heat.evidence.sum(dim=(2, 3)), heat.log_p, atol=1e-9, rtol=0)
    torch.testing.assert_close(salience_maps(net, x, heat).sum(dim=(1, 2)), density(net, x), atol=1e-8, rtol=1e-12)


def test_a_place_has_the_log_determinants_of_its_own_pixels(x):
    """Where neither network nor means see anything but a pixel's own square, so does the map of the density."""
    sizes = Sizes((1,), (4,), fc=(), dropout=(0.0, 0.0), initial=1.0, gain=1.0, clamp=2.0)
    torch.manual_seed(0)
    net = GenerativeClassifier((1, 8, 8), 3, (0.2,), (0.25,), sizes, m=5.0, pace=3.0, noise=0.0)
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            centre = torch.zeros(layer.kernel_size)
            centre[layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1
            layer.weight.data = torch.randn(layer.weight.shape) * centre
    net.paced_means.data.zero_()
    net.double().eval().requires_grad_(False)
    x = x.double()
    changed = x.clone()
    changed[:, :, 2:4, 4:6] = 1 - changed[:, :, 2:4, 4:6]
    before, after = (salience_maps(net, each, heat_maps(net, each)) for each in (x, changed))
    moved = (after - before).abs() > 1e-3
    assert moved[:, 1, 2].all() and moved.sum() == len(x)


def test_gradients_are_slopes(wide, x):
    x = x.double()
    maps = gradient_maps(wide, x)
    step = torch.zeros_like(x)
    step[:, 0, 3, 4] = 1e-6

    cases = (maps.density, lambda x: density(wide, x)), (maps.posterior, lambda x: wide(x).amax(dim=1))
    for got, f in cases:
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


def test_pairwise_posteriors_are_those_of_codes(wide):
    """Against Monte Carlo: codes of class a, drawn; the share of b between a and b alone."""
    wide = copy.deepcopy(wide)
    wide.paced_means.data = torch.zeros(3, 64).double()
    wide.paced_means.data[1, 0], wide.paced_means.data[2, 5] = 0.5, 1.2
    wide.phi.data = torch.tensor([0.0, 0.7, -0.4]).double()
    found = pairwise_posteriors(wide)
    draws = torch.randn(100_000, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for a in range(3):
        z = wide.mu[a] + draws
        joint = wide.w - squared_distances(z, wide.mu) / 2
        for b in set(range(3)) - {a}:
            share = (joint[:, b] - joint[:, a]).sigmoid()
            error = float(share.std()) / math.sqrt(len(share))
            assert abs(float(share.mean() - found[a, b])) < 5 * error + 1e-12
    torch.testing.assert_close(found.diagonal(), torch.full((3,), 0.5).double())


@pytest.mark.parametrize("d", [0.3, 2.0, 5.0, 10.0])
def test_pairwise_posteriors_of_far_classes(wide, d):
    """Against an integral on a grid, where sampling would see nothing: at d = 10 it is a millionth."""
    wide = copy.deepcopy(wide)
    wide.paced_means.data = torch.zeros(3, 64).double()
    wide.paced_means.data[1, 0] = d / 3
    wide.phi.data = torch.tensor([0.0, 0.7, 0.0]).double()
    e = np.linspace(-12, 25, 400_001)
    integrand = expit(0.7 - d**2 / 2 + d * e) * np.exp(-(e**2) / 2) / math.sqrt(2 * math.pi)
    assert float(pairwise_posteriors(wide)[0, 1]) == pytest.approx(np.trapezoid(integrand, e), rel=0.01)


def test_a_decision_space_divides_two_classes_as_the_posterior_does(wide, x):
    x = x.double()
    z, log_p = codes(wide, x), wide.code(x).log_joint.log_softmax(dim=1)
    mu = wide.mu
    joint = wide.w - squared_distances(z, mu) / 2
    for at in range(len(x)):
        space = decision_space(wide, z[at], log_p[at], z)
        a, b, third = space.classes.tolist()
        assert log_p[at].argsort(descending=True).tolist() == [a, b, third]
        assert space.rank == 2
        gap = float((mu[b] - mu[a]).norm())
        torch.testing.assert_close(
            space.means[:2], torch.tensor([[0.0, 0.0], [gap, 0.0]], dtype=torch.float64), atol=1e-9, rtol=0
        )
        # the means span a plane: distances between them are kept
        assert math.dist(space.means[2], space.means[0]) == pytest.approx(float((mu[third] - mu[a]).norm()))
        assert math.dist(space.means[2], space.means[1]) == pytest.approx(float((mu[third] - mu[b]).norm()))
        assert ((space.others[:, 0] < space.boundary) == (joint[:, a] > joint[:, b])).all()
        torch.testing.assert_close(space.code, space.others[at])
        assert space.code[0] < space.boundary
        assert (space.others[:, 1] >= 0).all()
        assert (space.others.norm(dim=1) <= (z - mu[a]).norm(dim=1) + 1e-9).all()


def test_a_circle_holds_its_share_of_a_class(wide, x):
    x = x[:1].double()
    draws = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    space = decision_space(wide, codes(wide, x)[0], wide(x)[0], wide.mu[wide(x)[0].argmax()] + draws)
    inside = space.others.norm(dim=1) <= radius(space.rank)
    assert float(inside.double().mean()) == pytest.approx(0.9, abs=0.01)


def test_pictures_show_what_lies_beside_them(net, tmp_path):
    arrays = explanation(net, blobs(40, 1), 2, torch.device("cpu"))
    arrays["class_names"] = np.array(["left", "right", "below"])
    assert arrays["images"].shape == arrays["gradient_density"].shape == (2, 1, 8, 8)
    assert arrays["decision_others"].shape == (2, 40, 2)
    files = draw_all(arrays, tmp_path / "a", "toy")
    assert [file.name for file in files] == PICTURES
    others = draw_all({**arrays, "evidence": arrays["evidence"][:, ::-1]}, tmp_path / "b", "toy")
    same = [first.read_bytes() == second.read_bytes() for first, second in zip(files, others, strict=True)]
    assert same == [False, True, True, True, True]
    other = draw_all({**arrays, "class_names": np.array(["a", "b", "c"])}, tmp_path / "c", "toy")
    assert not any(first.read_bytes() == second.read_bytes() for first, second in zip(files, other, strict=True))
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
    assert main(["explain", *words, "--cache", str(tmp_path / "c")]) == 2
    assert what in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
