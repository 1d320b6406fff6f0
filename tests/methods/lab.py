"""A fixed small classifier, its data, and hands that give them to a detector as the harness does."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from oodbench.contract import FEATURE_MAP, Detector, Output
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import train
from oodbench.networks import Classifier
from oodbench.run.fit_data import HandOut


class Trunk(nn.Module):
    """Two convolutions with ReLU: feature maps of 4 and 5 channels."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.width = 5
        self.conv1 = convolution(torch.randn(4, 1, 3, 3, generator=generator, dtype=torch.float64))
        self.conv2 = convolution(torch.randn(5, 4, 3, 3, generator=generator, dtype=torch.float64) / 3)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        first = relu(self.conv1(x))
        return first, relu(self.conv2(first))


def convolution(weight: Tensor) -> nn.Conv2d:
    """Return a convolution of these weights, without a bias; nothing is drawn."""
    outputs, inputs, *side = weight.shape
    made = nn.utils.skip_init(nn.Conv2d, inputs, outputs, tuple(side), bias=False)
    made.weight = nn.Parameter(weight)
    return made


@dataclass(frozen=True)
class Lab:
    """A model and images in float64: three classes of noisy patterns, and noise for outliers."""

    net: Classifier
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    outliers: Tensor
    test: Tensor
    classes: int = 3
    seed: int = 7

    @property
    def attacked(self) -> Tensor:
        """Return validation images halfway to outliers, in the place of attacked ones."""
        n = min(len(self.validation[0]), len(self.outliers))
        return 0.5 * (self.validation[0][:n] + self.outliers[:n])

    def outputs(self, detector: Detector[Any], x: Tensor, labels: Tensor | None = None) -> ModelOutputs:
        """Return outputs for x that open what the detector declares."""
        access = Access(detector.reads, "labels" in detector.fits_on)
        return ModelOutputs(Trained(self.net, torch.device("cpu")), x, access, labels=labels)

    def data(self, detector: Detector[Any]) -> HandOut:
        """Return what `fit` sees."""
        return HandOut(
            self.classes,
            self.seed,
            self.outputs(detector, *self.train),
            torch.ones(len(self.train[0]), dtype=torch.bool),
            detector.fits_on,
            {
                "validation": self.outputs(detector, *self.validation),
                "ood_validation": self.outputs(detector, self.outliers),
                "adversarial_validation": self.outputs(detector, self.attacked),
            },
        )

    def fit(self, detector: Detector[Any]) -> Any:
        """Return the fitted state."""
        with torch.no_grad():
            return detector.fit(self.data(detector))

    def score(self, detector: Detector[Any], x: Tensor, state: Any = None) -> np.ndarray:
        """Return the scores of x; fits first unless given a state."""
        state = self.fit(detector) if state is None else state
        with torch.no_grad():
            return detector.score(state, self.outputs(detector, x)).numpy()

    def all(self, x: Tensor) -> dict[Output, Any]:
        """Return the net's own outputs for x, bypassing the harness."""
        with torch.no_grad():
            return dict(self.net.outputs(x, frozenset({FEATURE_MAP})))


def draw(patterns: Tensor, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    labels = torch.arange(n) % len(patterns)
    noise = torch.randn(n, 1, 7, 7, generator=generator, dtype=torch.float64)
    return (patterns[labels] + 0.25 * noise).clamp(0, 1), labels


@pytest.fixture(scope="session")
def lab() -> Lab:
    generator = torch.Generator().manual_seed(0)
    net = Classifier(Trunk(generator), 3, (0.4,), (0.3,)).double().eval()
    patterns = torch.rand(3, 1, 7, 7, generator=generator, dtype=torch.float64)
    train = draw(patterns, 90, generator)
    with torch.no_grad():
        features = net.layers(train[0])[-1]
        means = torch.stack([features[train[1] == c].mean(dim=0) for c in range(3)])
        net.head.weight.data, net.head.bias.data = means, -means.square().sum(dim=1) / 2  # the nearest mean wins
    return Lab(
        net,
        train=train,
        validation=draw(patterns, 60, generator),
        outliers=torch.rand(50, 1, 7, 7, generator=generator, dtype=torch.float64),
        test=torch.cat(
            [draw(patterns, 9, generator)[0], torch.rand(6, 1, 7, 7, generator=generator, dtype=torch.float64)]
        ),
    )


@pytest.fixture(scope="session")
def lab32(lab: Lab) -> Lab:
    """The same in float32, as the harness runs."""
    net = Classifier(Trunk(torch.Generator()), 3, (0.4,), (0.3,)).eval()
    net.load_state_dict(lab.net.state_dict())
    return Lab(
        net.float(),
        (lab.train[0].float(), lab.train[1]),
        (lab.validation[0].float(), lab.validation[1]),
        lab.outliers.float(),
        lab.test.float(),
    )


def pixel_gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the gradient of one image's scalar by its pixels."""
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        return torch.autograd.grad(f(x), x)[0]


@pytest.fixture(scope="session")
def gradient() -> Callable[..., Tensor]:
    return pixel_gradient


@pytest.fixture
def killed_and_resumed(tmp_path: Path) -> Callable[..., tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Train a recipe, killed after two reports and resumed, and again undisturbed; return the weights of both."""

    def killer(text: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    def both(recipe: Any, data: Any, statistics: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        cpu, resume = torch.device("cpu"), tmp_path / "resume.safetensors"
        with pytest.raises(KeyboardInterrupt):
            train(recipe, data, statistics, 0, device=cpu, resume_from=resume, report=killer)
        assert resume.is_file()
        resumed = train(recipe, data, statistics, 0, device=cpu, resume_from=resume).state_dict()
        return resumed, train(recipe, data, statistics, 0, device=cpu).state_dict()

    return both
