"""Monte-Carlo dropout: masks that are the same for all inputs and runs, and ordinary dropout in training."""

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.mc_dropout import METHODS, McDropout
from torch import nn
from torch.nn.functional import conv2d, relu

from oodbench import formulas
from oodbench.check.toy import IN_SET, TRAINING, toy
from oodbench.contract import LOGITS
from oodbench.errors import BadSetting
from oodbench.models.train import start
from oodbench.networks import TRUNKS
from oodbench.networks.members import FixedDropout, Thinned
from oodbench.recipes import Plain
from oodbench.spaces import Images
from oodbench.training import InSet, Training

RECIPE = McDropout().sized("tiny", TRAINING)
X = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def fresh(seed: int = 0) -> nn.Module:
    return start(RECIPE, IN_SET, torch.zeros(0), seed).net.eval()


def test_members_are_the_network_with_channels_taken_out() -> None:
    net = fresh()
    trunk = net.net.trunk
    with torch.no_grad():
        got = net.members(X)
        first = relu(trunk.bn(trunk.conv1(net.net.standardise(X))))
        for m in range(10):
            kept = trunk.dropout.keep[m].flatten().tolist()
            thinned = torch.stack([first[:, c] * kept[c] for c in range(4)], dim=1)
            last = relu(conv2d(thinned, trunk.conv2.weight, trunk.conv2.bias))
            assert torch.allclose(got[:, m], net.net.head(last.mean(dim=(2, 3))), atol=1e-6)
    assert trunk.dropout.keep.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert len({got[:, m].numpy().tobytes() for m in range(10)}) > 3


def test_masks_are_identical_across_inputs_runs_and_seeds() -> None:
    net, again, other = fresh(), fresh(), fresh(seed=1)
    torch.rand(5)
    with torch.no_grad():
        whole = net.members(X)
        assert torch.equal(net.members(X), whole)
        assert torch.equal(again.members(X), whole)
        assert torch.allclose(torch.cat([net.members(x[None]) for x in X]), whole, atol=1e-6)
        assert torch.equal(net.members(X.flip(0)).flip(0), whole)
    assert torch.equal(net.net.trunk.dropout.keep, other.net.trunk.dropout.keep)
    assert not torch.equal(net.net.head.weight, other.net.head.weight)


def test_weights_begin_as_those_of_the_plain_network() -> None:
    plain = start(Plain(RECIPE.training), IN_SET, torch.zeros(0), 0).net
    for name, weight in plain.named_parameters():
        assert torch.equal(fresh().net.get_parameter(name), weight)


def test_in_training_it_drops_channels_afresh_and_keeps_the_mean() -> None:
    layer = FixedDropout(0.3, 50, 10, torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = layer(torch.ones(400, 50, 2, 2))
    assert torch.equal(out, out[:, :, :1, :1].expand_as(out))
    assert float((out == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(out.mean()) == pytest.approx(1, abs=0.02)
    assert not torch.equal(out[0], out[1])
    layer.eval()
    assert torch.equal(layer(torch.ones(3, 50, 2, 2))[2], layer.keep[0].expand(-1, 2, 2))
    assert float((layer.keep == 0).float().mean()) == pytest.approx(0.3, abs=0.06)


def test_training_sees_one_pass_and_evaluation_ten() -> None:
    net = fresh()
    calls: list[int] = []
    net.net.register_forward_hook(lambda module, args, out: calls.append(len(args[0])))
    net.train()
    net(X)
    assert calls == [9]
    net.eval()
    net(X)
    assert calls == [9] * 11
    model = toy(McDropout()).model
    before = model.passes.forward
    model.outputs(X, frozenset({LOGITS.of_members}))
    assert model.passes.forward - before == 90


def test_logits_are_of_the_mean_probabilities_and_the_row_ranks_by_minus_its_entropy() -> None:
    given = toy(McDropout()).examples["test"].outputs
    p = given[LOGITS.of_members].double().softmax(dim=2).mean(dim=1)
    np.testing.assert_allclose(given[LOGITS].double().exp(), p, rtol=1e-5)
    outputs = Given(given)
    (row,) = METHODS
    np.testing.assert_allclose(row.detector.score((), outputs), (p * p.log()).sum(dim=1), rtol=1e-5)


@pytest.mark.parametrize("network", sorted(set(TRUNKS) - {"wrn-28-10", "resnet-34"}))
def test_every_network_of_ours_can_be_thinned(network: str) -> None:
    shape = {"toy-cnn": (1, 8, 8), "oe-convnet": (1, 28, 28)}.get(network, (3, 16, 16))
    recipe = McDropout(M=2, training=Training(network=network, epochs=1))
    statistics = InSet(Images(shape, (0.5,) * shape[0], (0.25,) * shape[0]), 3)
    net = start(recipe, statistics, torch.zeros(0), 0).net.eval()
    assert not [module for module in net.modules() if isinstance(module, nn.Dropout)]
    with torch.no_grad():
        members = net.members(torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)))
    assert members.shape == (2, 2, 3)
    assert not torch.equal(members[:, 0], members[:, 1])
    assert torch.equal(net(torch.zeros(1, *shape)), formulas.log_mean_softmax(net.members(torch.zeros(1, *shape))))


def test_a_network_without_dropout_is_refused() -> None:
    with pytest.raises(BadSetting, match="Sequential has no dropout to thin it by"):
        Thinned(nn.Sequential(nn.Conv2d(1, 2, 3)), (1, 8, 8), 2)
