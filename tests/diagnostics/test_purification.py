"""Purification: the gradient, the steps, and what is counted."""

import json
from math import log

import numpy as np
import pytest
import torch

from oodbench.contract import Head
from oodbench.diagnostics.purification import Setting, analyse, bits_gradient, effect, purified
from oodbench.errors import BadSetting
from oodbench.estimators import Mixture
from oodbench.run.workspace import Workspace


def mixture(components: int = 4, features: int = 3) -> Mixture:
    chance = torch.Generator().manual_seed(0)
    pi = torch.rand(components, generator=chance, dtype=torch.float64)
    mu = torch.randn(components, features, generator=chance, dtype=torch.float64)
    sigma2 = 0.2 + torch.rand(components, features, generator=chance, dtype=torch.float64)
    return Mixture((pi / pi.sum()).log(), mu, sigma2, 1, 0.0, 0.0)


F = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_gradient_is_autograd_s_in_bits_per_dimension() -> None:
    f = F.clone().requires_grad_()
    bits = -mixture().log_density(f) / (3 * log(2))
    (expected,) = torch.autograd.grad(bits.sum(), f)
    np.testing.assert_allclose(bits_gradient(mixture(), F), expected, rtol=1e-10)


def test_the_steps_by_a_loop() -> None:
    p, setting = mixture(), Setting(eps=0.3, nu=0.2)
    got = purified(p, F, setting, steps=5)
    for i in range(len(F)):
        start = F[i].numpy()
        f = start.copy()
        for _ in range(5):
            joint = [
                float(p.log_pi[k])
                + sum(
                    -0.5 * log(2 * np.pi * float(v)) - (x - float(m)) ** 2 / (2 * float(v))
                    for x, m, v in zip(f, p.mu[k], p.sigma2[k], strict=True)
                )
                for k in range(4)
            ]
            r = np.exp(np.array(joint) - np.logaddexp.reduce(joint))
            pull = sum(r[k] * (f - p.mu[k].numpy()) / p.sigma2[k].numpy() for k in range(4))
            f = f - 0.3 * (pull / (3 * log(2)) + 2 * 0.2 * (f - start))
        np.testing.assert_allclose(got[i], f, rtol=1e-9)


def test_density_rises_and_a_large_nu_keeps_features_near() -> None:
    p = mixture()
    free, held = (purified(p, F, Setting(0.1, nu)) for nu in (0.0, 1.0))
    assert (p.log_density(free) > p.log_density(F)).all()
    assert (held - F).norm() < (free - F).norm()


def test_flips_are_counted_both_ways() -> None:
    head = Head(torch.eye(2), torch.zeros(2))
    before = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    after = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    counted = effect(head, before, after, torch.tensor([1, 0, 1, 1]))
    assert counted == {
        "n": 4,
        "accuracy_before": 0.75,
        "accuracy_after": 0.5,
        "mended": 1,
        "broken": 2,
        "changed": 3,
    }


def test_a_method_without_a_mixture_is_refused(tmp_path) -> None:
    with pytest.raises(BadSetting, match="msp has no mixture over features"):
        analyse("msp", "tiny-v1", Workspace(cache=tmp_path), 0, 10, tmp_path / "out")


@pytest.mark.slow
def test_on_real_images(tmp_path) -> None:
    (path,), text = analyse("gmm-100", "tiny-v1", Workspace(cache=tmp_path), 0, 100, tmp_path / "out")
    rows = json.loads(path.read_text())["rows"]
    assert len(rows) == 16
    assert {row["part"] for row in rows} == {"validation", "test"}
    for row in rows:
        assert row["n"] == 100
        change = row["mended"] - row["broken"]
        assert round(100 * (row["accuracy_after"] - row["accuracy_before"])) == change
    assert len(text.splitlines()) == 18
    assert text.splitlines()[2].split()[:3] == ["validation", "0.1", "0.0"]
