"""Checkpoints: whole or refused, with the first thing that does not fit."""

from pathlib import Path

import pytest
import torch
from torch import nn

from oodbench.errors import BadCheckpoint
from oodbench.models.checkpoint import load, restore, save
from oodbench.networks import classifier
from oodbench.spaces import Images
from oodbench.training import InSet


def net(name: str = "toy-cnn", classes: int = 3) -> nn.Module:
    return classifier(name, InSet(Images((1, 8, 8), (0.0,), (1.0,)), classes))


def test_weights_and_facts_come_back(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "weights.safetensors"
    before = net()
    save(path, before.state_dict(), {"seed": 3, "recipe": {"name": "plain"}})
    tensors, facts = load(path)
    assert facts == {"seed": 3, "recipe": {"name": "plain"}}
    after = net()
    restore(after, tensors, str(path))
    assert all(a.equal(b) for a, b in zip(after.state_dict().values(), before.state_dict().values(), strict=True))
    assert [p.name for p in path.parent.iterdir()] == ["weights.safetensors"]


def test_equal_weights_are_equal_bytes(tmp_path: Path) -> None:
    state = net().state_dict()
    for name in ("a", "b"):
        save(tmp_path / name, state, {"z": 1, "a": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "w"
    save(path, net().state_dict())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadCheckpoint, match=r"w: not a whole safetensors file .*; delete it and run again"):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="absent"):
        load(tmp_path / "absent")


def test_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(net().state_dict(), path)
    with pytest.raises(BadCheckpoint, match="not a whole safetensors file"):
        load(path)


def refused(tensors: dict[str, torch.Tensor]) -> str:
    target = net()
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(BadCheckpoint) as caught:
        restore(target, tensors, "w.safetensors")
    assert all(before[name].equal(tensor) for name, tensor in target.state_dict().items())
    return str(caught.value)


def test_a_missing_weight_is_named() -> None:
    state = net().state_dict()
    del state["head.bias"]
    assert refused(state) == ("w.safetensors: weights of another architecture: Classifier has 'head.bias', they do not")


def test_a_weight_too_many_is_named() -> None:
    assert refused({**net().state_dict(), "head.scale": torch.ones(1)}) == (
        "w.safetensors: weights of another architecture: Classifier has no 'head.scale'"
    )


def test_a_weight_of_another_shape_is_named() -> None:
    assert refused(net(classes=4).state_dict()) == (
        "w.safetensors: weights of another architecture: 'head.weight' is (4, 8), expected (3, 8)"
    )


def test_the_first_difference_to_another_network_is_named() -> None:
    assert refused(net("resnet-small").state_dict()) == (
        "w.safetensors: weights of another architecture: Classifier has 'trunk.conv1.weight', they do not"
    )
