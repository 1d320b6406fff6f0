"""Real images and a trained network for every benchmark of a session; one thread, so that ratios hold anywhere."""

import os
from dataclasses import dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch

from oodbench.data.inputs import Inputs
from oodbench.data.load import load
from oodbench.data.matrix import find_matrix
from oodbench.errors import MissingData
from oodbench.models.train import train
from oodbench.recipes import Plain
from oodbench.spaces import Images
from oodbench.training import InSet, Training

torch.set_num_threads(1)


@dataclass(frozen=True)
class Bench:
    """A classifier, what it was trained on, and what it is asked about."""

    net: torch.nn.Module
    train: Inputs
    test: Inputs
    ood: dict[str, Inputs]


@pytest.fixture(scope="session")
def real() -> Bench:
    """Fashion-MNIST where it is here, else MNIST-5k; a small residual network after one epoch."""
    try:
        training = load("fashion-mnist", "train").take(slice(0, 20_000))
        test = load("fashion-mnist", "test", n=5000)
    except MissingData:
        training, test = load("mnist-5k", "train"), load("mnist-5k", "test")
    ood = {one.card: load(one.card, one.split, like=test, n=one.n) for one in find_matrix("tiny-v1").ood}
    pixels = training.batch(slice(0, 1000))
    in_set = InSet(Images(training.shape, (float(pixels.mean()),), (float(pixels.std()),)), 10)
    recipe = Plain(Training(network="resnet-small", epochs=1, batch=256))
    net = train(recipe, training, in_set, 0, device=torch.device("cpu"))
    return Bench(net.requires_grad_(False), training, test, ood)


def pixels(images: Inputs) -> np.ndarray:
    """Return all pixels of a set, float32."""
    return images.batch(slice(0, len(images)))
