"""The recurrent classifier against a loop over Cho's equations, and what goes on from a changed activation."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oodbench.contract import EMBEDDINGS, FEATURES, INPUTS, LAYERS, LOGITS, NETWORK, TOKENS, Output
from oodbench.errors import BadMethod
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.weights import fit_weights
from oodbench.networks import classifier
from oodbench.networks.gru import GruClassifier
from oodbench.networks.public_names import public_names
from oodbench.spaces import Images, Tokens
from oodbench.training import InSet

SPACE = Tokens(length=6, vocabulary=9)
IDS = torch.tensor([[2, 3, 4, 0, 0, 0], [5, 6, 7, 8, 2, 3], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
ALL: frozenset[Output] = frozenset({EMBEDDINGS, FEATURES, LAYERS, LOGITS})


@pytest.fixture
def net() -> GruClassifier:
    torch.manual_seed(0)
    return GruClassifier(SPACE, classes=3, width=5, dropout=0.5).double().eval().requires_grad_(False)


def opened(net: GruClassifier, *more: Output) -> ModelOutputs:
    return ModelOutputs(Trained(net, torch.device("cpu")), IDS, Access(ALL | {TOKENS, NETWORK, *more}))


def by_hand(net: GruClassifier, words: list[int]) -> np.ndarray[Any, Any]:
    """r = s(W_r e + U_r h), z = s(W_z e + U_z h), n = tanh(W_n e + r U_n h), h' = (1 - z) n + z h; with biases."""
    w = {name: value.numpy() for name, value in net.gru.state_dict().items()}
    h = np.zeros(5)
    for word in words:
        e = net.embedding.weight[word].numpy()
        of_e = w["weight_ih_l0"] @ e + w["bias_ih_l0"]
        of_h = w["weight_hh_l0"] @ h + w["bias_hh_l0"]
        r, z = (1 / (1 + np.exp(-(of_e[i : i + 5] + of_h[i : i + 5]))) for i in (0, 5))
        h = (1 - z) * np.tanh(of_e[10:] + r * of_h[10:]) + z * h
    return np.asarray(h)


def test_features_are_the_state_after_the_last_word(net: GruClassifier) -> None:
    given = net.outputs(IDS, ALL)
    for row, words in enumerate(([2, 3, 4], [5, 6, 7, 8, 2, 3], [1])):
        np.testing.assert_allclose(given[FEATURES][row], by_hand(net, words), rtol=1e-12, atol=1e-14)
        mean = np.mean([net.embedding.weight[word].numpy() for word in words], axis=0)
        np.testing.assert_allclose(given[LAYERS][0][row], mean, rtol=1e-12)
    torch.testing.assert_close(given[LOGITS], given[FEATURES] @ net.head.weight.T + net.head.bias)
    assert torch.equal(net(IDS), given[LOGITS])


def test_layers_stand_on_each_other_and_public_names_are_read() -> None:
    """The states of one layer are the embeddings of the next; PyTorch's own two layers are the reference."""
    torch.manual_seed(1)
    net = classifier("gru-oe", InSet(Tokens(length=6, vocabulary=9, pad=1), 4)).eval().requires_grad_(False)
    state = {name.replace("head.", "linear."): value for name, value in net.state_dict().items()}
    assert {name: tuple(value.shape) for name, value in state.items() if "weight_" in name} == {
        "gru.weight_ih_l0": (384, 50),
        **{f"gru.weight_{part}": (384, 128) for part in ("hh_l0", "ih_l1", "hh_l1")},
    }
    again = classifier("gru-oe", InSet(Tokens(length=6, vocabulary=9, pad=1), 4)).eval()
    fit_weights(again, state, public_names("gru-oe"), "drawn")
    ids = torch.tensor([[2, 3, 4, 1, 1, 1]])
    states = net.embedding(ids[:, :3])
    for layer in (0, 1):
        one = nn.GRU(states.shape[2], 128, batch_first=True)
        part = {k.replace(f"_l{layer}", "_l0"): v for k, v in net.gru.state_dict().items() if k.endswith(f"_l{layer}")}
        one.load_state_dict(part)
        states, _ = one(states)
    torch.testing.assert_close(again(ids), net.head(states[:, -1]))


def test_padding_changes_nothing(net: GruClassifier) -> None:
    longer = torch.cat([IDS, torch.zeros(4, 3, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(net(longer), net(IDS), rtol=0, atol=1e-15)
    assert net(IDS).isfinite().all()  # of a text without words, too


def test_the_network_goes_on_from_changed_activations(net: GruClassifier) -> None:
    outputs = opened(net)
    assert torch.equal(outputs.at(replacing={EMBEDDINGS: outputs[EMBEDDINGS]}).logits, outputs.logits)
    assert torch.equal(outputs.at(replacing={FEATURES: 2 * outputs.features}).logits, net.head(2 * outputs.features))
    assert torch.equal(outputs.at(IDS.flip(0)).logits, outputs.logits.flip(0))


def test_a_derivative_is_taken_by_embeddings(net: GruClassifier) -> None:
    outputs = opened(net)
    slope = outputs.grad(lambda batch: batch.logits.logsumexp(1), by=EMBEDDINGS)
    step = torch.zeros_like(slope)
    step[1, 4, 2] = 1e-6
    up, down = (
        outputs.at(replacing={EMBEDDINGS: outputs[EMBEDDINGS] + sign * step}).logits.logsumexp(1)[1] for sign in (1, -1)
    )
    assert float(slope[1, 4, 2]) == pytest.approx(float(up - down) / 2e-6, rel=1e-6)
    assert (slope[0, 3:] == 0).all()  # nothing depends on what is padded


def test_pixels_and_derivatives_by_whole_numbers_are_refused_in_a_sentence(net: GruClassifier) -> None:
    outputs = opened(net, INPUTS)

    def energy(batch: Any) -> Tensor:
        return batch.logits.logsumexp(1)  # type: ignore[no-any-return]

    with pytest.raises(BadMethod, match="inputs were read, and the inputs of this model are tokens"):
        outputs.grad(energy)
    with pytest.raises(BadMethod, match="a derivative by tokens was asked for, which are whole numbers"):
        outputs.grad(energy, by=TOKENS)


def test_a_network_of_the_other_space_is_refused() -> None:
    with pytest.raises(
        BadMethod, match="'resnet-small' does not take tokens; those that do: gru-oe, gru-small, toy-gru"
    ):
        classifier("resnet-small", InSet(SPACE, 3))
    with pytest.raises(BadMethod, match="network 'torchvision:resnet18' does not take tokens"):
        classifier("torchvision:resnet18", InSet(SPACE, 3))
    with pytest.raises(BadMethod, match="network 'gru-small' does not take images"):
        classifier("gru-small", InSet(Images((1, 8, 8), (0.1,), (0.2,)), 3))
    with pytest.raises(BadMethod, match="this network takes images, and these inputs are tokens"):
        InSet(SPACE, 3).images  # noqa: B018
    with pytest.raises(BadMethod, match="this network takes tokens, and these inputs are images"):
        InSet(Images((1, 8, 8), (0.1,), (0.2,)), 3).tokens  # noqa: B018
