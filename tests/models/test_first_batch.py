"""What starts from the first training batch starts once, also in a run that was resumed."""

import torch

from oodbench.networks.flow import ActNorm
from oodbench.networks.pixelcnn import PixelCnnPlusPlus


def test_the_tensor_is_asked_until_it_says_yes_and_never_again():
    layer = ActNorm(3)
    assert layer.due
    assert not layer.eval().due
    layer.train()(torch.randn(8, 3, 4, 4))
    assert not layer.due
    layer.initialised = torch.tensor(False)  # would be seen by whoever asked
    assert not layer.due


def test_loaded_weights_bring_their_own_answer():
    fresh, seen = ActNorm(3), ActNorm(3)
    seen(torch.randn(8, 3, 4, 4))
    assert not seen.due
    begun, started = fresh.state_dict(), seen.state_dict()
    begun = {name: tensor.clone() for name, tensor in begun.items()}
    fresh.load_state_dict(started)
    assert not fresh.due
    seen.load_state_dict(begun)
    assert seen.due


def test_a_network_is_such_a_module_as_well():
    net = PixelCnnPlusPlus((1, 4, 4), stages=1, blocks=1, filters=4, mixtures=2)
    assert net.due
    net(torch.rand(2, 1, 4, 4))
    assert not net.due
    assert net.state_dict()["initialised"]
