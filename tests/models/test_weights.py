"""Public weights: read without running code, and exact in networks that are written anew."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, linear, max_pool2d

from oodbench.errors import BadCheckpoint
from oodbench.models.weights import fit_weights, read_weights
from oodbench.networks import classifier
from oodbench.networks.public_names import public_names
from oodbench.spaces import Images
from oodbench.training import InSet

State = dict[str, Tensor]


def network(name: str, size: int = 8, classes: int = 10) -> nn.Module:
    return classifier(name, InSet(Images((3, size, size), (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)), classes)).eval()


def standardised(x: Tensor) -> Tensor:
    return (x - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / torch.tensor([0.2, 0.3, 0.25]).view(3, 1, 1)


def normalised(state: State, name: str, x: Tensor) -> Tensor:
    mean, var, weight, bias = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return batch_norm(x, mean, var, weight, bias)


def by_formula(state: State, x: Tensor, blocks: tuple[int, ...], shortcut: str, stem: str = "small") -> Tensor:
    """Return the logits of a residual network from its public state dict alone: He 2016, equations 1 and 2."""
    out = conv2d(standardised(x), state["conv1.weight"], None, *((2, 3) if stem == "large" else (1, 1)))
    out = normalised(state, "bn1", out).relu()
    if stem == "large":
        out = max_pool2d(out, 3, 2, 1)
    for stage, count in enumerate(blocks, 1):
        for number in range(count):
            name, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            inner = normalised(state, f"{name}.bn1", conv2d(out, state[f"{name}.conv1.weight"], None, stride, 1))
            inner = normalised(state, f"{name}.bn2", conv2d(inner.relu(), state[f"{name}.conv2.weight"], None, 1, 1))
            if stride == 2 and shortcut == "zeros":
                n, c, h, w = inner.shape
                identity = torch.zeros(n, c, h, w)
                identity[:, c // 4 : c // 4 + c // 2] = out[:, :, ::2, ::2]
            elif stride == 2:
                identity = conv2d(out, state[f"{name}.{shortcut}.0.weight"], None, 2)
                identity = normalised(state, f"{name}.{shortcut}.1", identity)
            else:
                identity = out
            out = (inner + identity).relu()
    head = "linear" if "linear.weight" in state else "fc"
    return linear(out.mean(dim=(2, 3)), state[f"{head}.weight"], state[f"{head}.bias"])


def drawn(blocks: tuple[int, ...], widths: tuple[int, ...], shortcut: str, head: str, stem: int = 3) -> State:
    """Return random weights by public names."""
    chance = torch.Generator().manual_seed(0)
    state: State = {}

    def conv(name: str, narrow: int, wide: int, size: int) -> None:
        scale = (2 / (narrow * size * size)) ** 0.5
        state[f"{name}.weight"] = scale * torch.randn(wide, narrow, size, size, generator=chance)

    def bn(name: str, wide: int) -> None:
        for part, base in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"{name}.{part}"] = base + 0.3 * torch.rand(wide, generator=chance)

    conv("conv1", 3, widths[0], stem)
    bn("bn1", widths[0])
    narrow = widths[0]
    for stage, (count, wide) in enumerate(zip(blocks, widths, strict=True), 1):
        for number in range(count):
            name = f"layer{stage}.{number}"
            conv(f"{name}.conv1", narrow, wide, 3)
            bn(f"{name}.bn1", wide)
            conv(f"{name}.conv2", wide, wide, 3)
            bn(f"{name}.bn2", wide)
            if narrow != wide and shortcut != "zeros":
                conv(f"{name}.{shortcut}.0", narrow, wide, 1)
                bn(f"{name}.{shortcut}.1", wide)
            narrow = wide
    state[f"{head}.weight"] = 0.1 * torch.randn(10, narrow, generator=chance)
    state[f"{head}.bias"] = torch.randn(10, generator=chance)
    return state


HE = (16, 32, 64)
FOUR = (64, 128, 256, 512)
TWOS = (2, 2, 2, 2)


@pytest.mark.parametrize(
    ("name", "state", "formula", "size"),
    [
        ("he-resnet-20", drawn((3, 3, 3), HE, "zeros", "linear"), ((3, 3, 3), "zeros", "small"), 8),
        ("he-resnet-32", drawn((5, 5, 5), HE, "zeros", "linear"), ((5, 5, 5), "zeros", "small"), 8),
        ("resnet-18", drawn(TWOS, FOUR, "shortcut", "fc"), (TWOS, "shortcut", "small"), 8),
        ("resnet-18-224", drawn(TWOS, FOUR, "downsample", "fc", 7), (TWOS, "downsample", "large"), 32),
    ],
)
def test_public_weights_give_the_logits_of_the_formula(
    name: str, state: State, formula: tuple[tuple[int, ...], str, str], size: int
) -> None:
    net = network(name, size)
    fit_weights(net, state, public_names(name), name)
    x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(net(x), by_formula(state, x, *formula), rtol=1e-4, atol=1e-4)


def test_the_network_of_outlier_exposure_is_its_formula() -> None:
    chance = torch.Generator().manual_seed(0)
    sizes = {"conv1": (10, 1, 5, 5), "conv2": (20, 10, 5, 5), "fc1": (50, 320), "fc2": (10, 50)}
    state = {f"{name}.weight": 0.2 * torch.randn(size, generator=chance) for name, size in sizes.items()}
    state |= {f"{name}.bias": torch.randn(size[0], generator=chance) for name, size in sizes.items()}
    net = classifier("oe-convnet", InSet(Images((1, 28, 28), (0.0,), (1.0,)), 10)).eval()
    fit_weights(net, state, public_names("oe-convnet"), "oe.pt")
    x = torch.rand(3, 1, 28, 28, generator=chance)
    z = x
    for name in ("conv1", "conv2"):
        z = max_pool2d(conv2d(z, state[f"{name}.weight"], state[f"{name}.bias"]), 2)
        z = z / (1 + torch.exp(-1.702 * z))
    z = z.flatten(1) @ state["fc1.weight"].T + state["fc1.bias"]
    z = z / (1 + torch.exp(-1.702 * z))
    with torch.no_grad():
        torch.testing.assert_close(net(x), z @ state["fc2.weight"].T + state["fc2.bias"], rtol=1e-4, atol=1e-4)


def test_the_residual_network_for_224_is_torchvisions() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs, ours = resnet18(num_classes=10).eval(), network("resnet-18-224", 32)
    fit_weights(ours, theirs.state_dict(), public_names("resnet-18-224"), "resnet18")
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(standardised(x)))


def test_weights_of_a_librarys_network_load_by_its_own_names() -> None:
    from torchvision.models import resnet18

    theirs, ours = resnet18(num_classes=10).eval(), network("torchvision:resnet18", 32)
    fit_weights(ours, theirs.state_dict(), public_names("torchvision:resnet18"), "resnet18")
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(standardised(x)))


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}, "best_prec1": 91.7},
        lambda state: {"epoch": 3, "model": state},
        lambda state: {f"_orig_mod.module.{name}": value for name, value in state.items()},
    ],
)
def test_wrappers_and_prefixes_are_taken_off(wrapped: Callable[[State], object], tmp_path: Path) -> None:
    state = {"conv1.weight": torch.ones(2), "linear.bias": torch.zeros(3)}
    torch.save(wrapped(state), tmp_path / "a.th")
    found = read_weights(tmp_path / "a.th")
    assert found.keys() == state.keys()
    assert all(found[name].equal(state[name]) for name in state)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file({"module.a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert read_weights(tmp_path / "a.safetensors")["a"].equal(torch.ones(2))


class Trap:
    """Runs code where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}, "more": Trap(tmp_path / "ran")}, tmp_path / "a.th")
    (tmp_path / "b.th").write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    for name in ("a.th", "b.th"):
        with pytest.raises(BadCheckpoint, match="nothing is read that could run code"):
            read_weights(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["a.th", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04"])
def test_what_is_no_checkpoint_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadCheckpoint, match=f"{name}: "):
        read_weights(tmp_path / name)


def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "a.th")
    with pytest.raises(BadCheckpoint, match=r"expected tensors by name.*'epoch', 'optimizer'"):
        read_weights(tmp_path / "a.th")
    torch.save([torch.ones(1)], tmp_path / "b.th")
    with pytest.raises(BadCheckpoint, match="got a list"):
        read_weights(tmp_path / "b.th")


def test_weights_that_do_not_fit_are_named_with_the_nearest(tmp_path: Path) -> None:
    state = drawn((3, 3, 3), HE, "zeros", "linear")
    state["layer1.0.conv1x.weight"] = state.pop("layer1.0.conv1.weight")
    state["linear.bias"] = torch.zeros(100)
    with pytest.raises(BadCheckpoint) as error:
        fit_weights(network("he-resnet-20"), state, public_names("he-resnet-20"), "mine.th")
    said = str(error.value)
    assert said.startswith("mine.th: ")
    assert "1 missing: 'trunk.layer1.0.conv1.weight' (nearest: 'layer1.0.conv1x.weight')" in said
    assert "1 unexpected: 'layer1.0.conv1x.weight'" in said
    assert "'head.bias' is 100, expected 10" in said


def test_a_deeper_networks_weights_are_refused() -> None:
    state = drawn((5, 5, 5), HE, "zeros", "linear")
    with pytest.raises(BadCheckpoint, match=r"60 unexpected: .* and 55 more"):
        fit_weights(network("he-resnet-20"), state, public_names("he-resnet-20"), "resnet32")
