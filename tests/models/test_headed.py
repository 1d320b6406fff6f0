"""Any module as a model: which is its head, where its layers have their channels, and what it answers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, log_softmax, softmax

from oodbench.contract import FEATURE_MAP, FEATURES, HEAD, LAYERS, LOGITS
from oodbench.errors import BadMethod, UnknownName
from oodbench.networks import Headed

ALL = frozenset({LOGITS, FEATURES, LAYERS})


class Users(nn.Module):
    """A user's own classifier: two linear layers, the last of which takes no part."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.fc = nn.Linear(16, 5)
        self.aux = nn.Linear(16, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x).relu())  # type: ignore[no-any-return]


@pytest.fixture
def model() -> Users:
    torch.manual_seed(0)
    return Users().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Acting(Users):
    """The same layers, and a forward pass of one's own."""

    def __init__(self, act: Callable[[Users, Tensor], Any]) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.second, self.gate = nn.Linear(16, 5), nn.Linear(16, 5)
        self.act = act

    def forward(self, x: Tensor) -> Any:
        return self.act(self, self.body(x))


def test_features_of_a_users_model_are_those_that_a_hook_sees(model: Users, x: Tensor) -> None:
    seen: list[Tensor] = []
    with model.fc.register_forward_pre_hook(lambda _, args: seen.append(args[0])):
        logits = model(x)
    net = Headed(model, head="fc", layers=("body.0", "body.3"))
    given = {**net.outputs(x, frozenset({LOGITS})), **net.constants}
    assert given[FEATURES].equal(seen[0])
    assert given[LOGITS].equal(logits)
    assert given[HEAD] == (model.fc.weight, model.fc.bias)
    first, second, last = given[LAYERS]
    assert first.equal(model.body[0](x).flatten(2).mean(2))
    assert second.equal(model.body(x))
    assert last.equal(seen[0])


# The head.


def test_a_linear_layer_that_makes_the_logits_is_the_head_wherever_it_is_defined(x: Tensor) -> None:
    model = Acting(lambda net, f: net.fc(f) + 0 * net.gate(f).sum())  # type: ignore[operator]
    net = Headed(model.eval())
    given = net.outputs(x, ALL)
    assert net.head is model.fc
    assert given[FEATURES].equal(model.body(x))
    torch.testing.assert_close(given[FEATURES] @ model.fc.weight.T + model.fc.bias, given[LOGITS])


NOT_ONE_HEAD: dict[str, Callable[[Any, Tensor], Any]] = {
    "the mean of two heads": lambda net, f: (net.fc(f) + net.second(f.square())) / 2,
    "cosines after a layer": lambda net, f: (
        9 * cosine_similarity(net.fc(f)[:, None], net.second.weight[None, :, :5], dim=2)
    ),
    "a head that runs twice": lambda net, f: net.fc(net.fc(f).repeat(1, 4)[:, :16]),
    "a scaled head": lambda net, f: 1.1 * net.fc(f),
    "a rectified head": lambda net, f: net.fc(f).relu() - 1,
}


@pytest.mark.parametrize("name", NOT_ONE_HEAD)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_where_no_layer_makes_the_logits_there_are_no_features_and_no_head(
    name: str, dtype: torch.dtype, x: Tensor
) -> None:
    net = Headed(Acting(NOT_ONE_HEAD[name]).eval().to(dtype), layers=("body.0",))
    assert set(net.outputs(x, frozenset({LOGITS, LAYERS}))) == {LOGITS, LAYERS}
    assert {FEATURES, HEAD} <= net.lacks.keys()
    assert FEATURES not in net.entries
    for ask in (lambda: net.outputs(x, ALL), lambda: net.constants, lambda: net.head):
        with pytest.raises(BadMethod, match=r"no nn.Linear of Acting makes its logits .*ends in one nn\.Linear"):
            ask()
    with pytest.raises(BadMethod, match=r"head 'gate' took no part"):
        Headed(net.model, "gate").outputs(x, frozenset())
    with pytest.raises(BadMethod, match=r"head 'fc' does not make the logits of Acting.*leave `head` out"):
        Headed(net.model, "fc").outputs(x, frozenset())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("width", [16, 2000])
def test_the_head_is_found_in_every_dtype_and_all_outputs_are_float32(dtype: torch.dtype, width: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 1000)).eval().to(dtype)
    net = Headed(model, layers=("1",))
    x = torch.rand(7, 1, 8, 8)
    given = net.outputs(x, ALL)
    assert net.head is model[3]
    assert {one.dtype for one in (given[LOGITS], given[FEATURES], *given[LAYERS], *net.constants[HEAD])} == {
        torch.float32
    }
    assert given[LOGITS].equal(model(x.to(dtype)).float())


def test_a_named_head_that_is_another_is_told_which_it_is(x: Tensor) -> None:
    model = Acting(lambda net, f: net.fc(f) + 0 * net.gate(f)).eval()  # type: ignore[operator]
    with pytest.raises(
        BadMethod, match=r"head 'gate' does not make the logits of Acting: .*; 'fc' does: name that one"
    ):
        Headed(model, "gate").outputs(x, frozenset())


def test_a_head_without_bias_has_a_bias_of_zero(x: Tensor) -> None:
    net = Headed(nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False)))
    assert FEATURES in net.outputs(x, frozenset())
    assert net.constants[HEAD].bias.equal(torch.zeros(3))


def test_one_column_is_two_classes_and_so_is_its_head(x: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    net = Headed(model)
    given = net.outputs(x, ALL)
    W, b = net.constants[HEAD]
    torch.testing.assert_close(given[LOGITS].softmax(1)[:, 1:], model(x).sigmoid())
    torch.testing.assert_close(given[LOGITS], given[FEATURES] @ W.T + b)
    torch.testing.assert_close(given[LOGITS].logsumexp(1), (-given[LOGITS]).logsumexp(1))  # no class is favoured


@pytest.mark.parametrize("after", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()], ids=lambda one: type(one).__name__)
def test_logits_are_what_stands_before_a_softmax_behind_the_head(after: nn.Module, x: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), after)
    net = Headed(model)
    given = net.outputs(x, ALL)
    assert given[LOGITS].equal(model[1](x.flatten(1)))
    assert net(x).equal(given[LOGITS])
    assert not model[1]._forward_hooks


def test_probabilities_of_no_linear_layer_are_refused_and_their_logarithms_doubted(x: Tensor) -> None:
    for answer, last in ((lambda f: softmax(3 * f, dim=1), "softmax"), (lambda f: f[:, :1].sigmoid(), "sigmoid")):
        with pytest.raises(BadMethod, match=rf"answered probabilities .*hand over what stands before its {last}"):
            Headed(Acting(lambda net, f, answer=answer: answer(net.fc(f) * 1.1)).eval()).outputs(x, frozenset())  # type: ignore[misc]
    doubts = {}
    for name, last_ in {"log": lambda z: log_softmax(z, 1), "sigmoid": torch.sigmoid, "none": lambda z: z}.items():
        net = Headed(Acting(lambda net, f, last=last_: last(1.1 * net.fc(f))).eval())  # type: ignore[misc]
        net.outputs(x, frozenset())
        assert net.found is not None
        doubts[name] = net.found.doubt
    assert doubts["log"].startswith("the model answers log-probabilities")
    assert doubts["sigmoid"].startswith("all of the model's answers are in [0, 1]")
    assert doubts["none"] == ""


def test_what_is_named_logits_or_is_the_only_matrix_is_the_answer(x: Tensor) -> None:
    class Answer(tuple[Any, ...]):
        logits: Tensor

    def named(net: Users, f: Tensor) -> Any:
        answer = Answer((f, net.fc(f)))
        answer.logits = net.fc(f)
        return answer

    forms: list[Callable[[Any, Tensor], Any]] = [
        lambda net, f: {"logits": net.fc(f), "features": f},
        lambda net, f: {"out": net.fc(f), "map": f[:, :, None]},
        lambda net, f: (net.fc(f), None),
        named,
    ]
    for form in forms:
        model = Acting(form).eval()
        given = Headed(model, "fc" if form is not named else None).outputs(x, frozenset())
        assert given[LOGITS].equal(model.fc(model.body(x)))


# Layers.


class Tokens(nn.Module):
    """A small vision transformer, with what stands around its tokens [n t d]."""

    def __init__(self, d: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, d, 2, 2)
        self.flat = nn.Flatten(2)
        self.block = nn.TransformerEncoderLayer(d, 2, 2 * d, batch_first=True, dropout=0.0)
        self.act = nn.GELU()
        self.fc = nn.Linear(d, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.flat(self.patches(x)).transpose(1, 2)
        return self.fc(self.act(self.block(tokens))[:, 0])  # type: ignore[no-any-return]


class Permuted(nn.Module):
    """A block as in ConvNeXt: a map, whose channels come last in between; and a map with channels last."""

    def __init__(self, c: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, c, 3)
        self.mixed = Mixed(c)
        self.last = ChannelsLast(c)
        self.fc = nn.Linear(c, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.last(self.mixed(self.stem(x))).mean((1, 2)))  # type: ignore[no-any-return]


class Mixed(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(c, c, 3), nn.LayerNorm(c), nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(self.conv(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class ChannelsLast(Mixed):
    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(self.conv(x).permute(0, 2, 3, 1)))  # type: ignore[no-any-return]


class Dense(nn.Module):
    """A block as in DenseNet: its last layer is as wide as its map is large, by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.Conv2d(1, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x, self.grow(x)], dim=1)


def layer_of(model: nn.Module, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return a layer as `Headed` averages it, and as a hook sees it."""
    seen: list[Tensor] = []
    with model.get_submodule(name).register_forward_hook(lambda _, __, out: seen.append(out.clone())):
        model(x)
    return Headed(model, layers=(name,)).outputs(x, frozenset())[LAYERS][0], seen[0]


@pytest.mark.parametrize(
    ("model", "name", "places"),
    [
        (Tokens(), "patches", (2, 3)),
        (Tokens(), "flat", (2,)),
        (Tokens(), "block", (1,)),
        (Tokens(), "block.norm1", (1,)),
        (Tokens(), "act", (1,)),
        (Tokens(16), "block", (1,)),  # as many tokens as channels
        (Permuted(), "mixed", (2, 3)),
        (Permuted(), "last", (1, 2)),
        (Permuted(), "mixed.norm", (1, 2)),
        (nn.Sequential(Dense(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 3)), "0", (2, 3)),
        (nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 4, 3), nn.Flatten(), nn.Linear(248, 3)), "1", (2,)),
    ],
)
def test_layers_are_averaged_over_places_and_not_over_channels(
    model: nn.Module, name: str, places: tuple[int, ...], x: Tensor
) -> None:
    layer, seen = layer_of(model.eval(), name, x)
    torch.testing.assert_close(layer, seen.mean(places))


def test_what_nothing_tells_is_asked_for(x: Tensor) -> None:
    model = Permuted(4).eval()  # 4 channels of 4x4 places, made by layers of both kinds
    assert model.mixed(model.stem(x)).shape == (7, 4, 4, 4)
    with pytest.raises(
        BadMethod, match=r"layer 'mixed' gives \[7, 4, 4, 4\], and nothing tells .*layers=\{'mixed': 1\}"
    ):
        Headed(model, layers=("mixed",)).outputs(x, frozenset())
    layer = Headed(model, layers={"mixed": 1}).outputs(x, frozenset())[LAYERS][0]
    torch.testing.assert_close(layer, model.mixed(model.stem(x)).mean((2, 3)))


def test_a_layer_whose_rows_are_not_the_images_is_told(x: Tensor) -> None:
    class TimeFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows, self.fc = nn.Linear(8, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.rows(x[:, 0].transpose(0, 1)).mean(0))  # type: ignore[no-any-return]

    with pytest.raises(BadMethod, match=r"layer 'rows' gives \[8, 7, 6\] for 7 images; expected a row an image"):
        Headed(TimeFirst(), layers=("rows",)).outputs(x, frozenset())


def test_what_works_in_place_behind_a_layer_changes_nothing(x: Tensor) -> None:
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(64, 9), nn.ReLU(inplace=True), nn.Linear(9, 3), nn.Hardtanh(-9, 9, inplace=True)]
    model = nn.Sequential(*layers)
    given = Headed(model, layers=("1", "2")).outputs(x, ALL)
    before, after, features = given[LAYERS]
    assert before.equal(model[1](x.flatten(1)))
    assert (before < 0).any()
    assert after.equal(before.relu())
    assert features.equal(after)


# What a model is wrapped in, and what is no module of it.


def test_wrappers_are_taken_off_and_their_prefixes_too(model: Users, x: Tensor) -> None:
    expected = Headed(model, "fc", layers=("body.0",)).outputs(x, ALL)
    compiled: Any = torch.compile(model, backend="eager")
    for wrapped, prefix in (
        (nn.DataParallel(model), "module."),
        (compiled, "_orig_mod."),
        (nn.DataParallel(compiled), "module._orig_mod."),
    ):
        for before in (prefix, ""):
            given = Headed(wrapped, f"{before}fc", layers=(f"{before}body.0",)).outputs(x, ALL)
            assert given[FEATURES].equal(expected[FEATURES])
            assert given[LAYERS][0].equal(expected[LAYERS][0])


def test_a_head_or_layer_that_takes_no_part_is_named(model: Users, x: Tensor) -> None:
    with pytest.raises(BadMethod, match="head 'aux' took no part in the forward pass of Users"):
        Headed(model, "aux").outputs(x, frozenset())
    with pytest.raises(BadMethod, match="layer 'aux' took no part in the forward pass of Users"):
        Headed(model, layers=("aux",)).outputs(x, frozenset())


def test_hooks_are_gone_after_a_pass_and_after_one_that_fails(model: Users) -> None:
    headed = Headed(model, head="fc", layers=("body.0",))
    headed.outputs(torch.rand(1, 1, 8, 8), frozenset())
    with pytest.raises(RuntimeError):
        headed.outputs(torch.rand(1, 2, 8, 8), frozenset())
    with pytest.raises(RuntimeError):
        Headed(model).outputs(torch.rand(1, 2, 8, 8), frozenset())
    for module in model.modules():
        assert not module._forward_pre_hooks
        assert not module._forward_hooks


def test_a_users_model_is_standardised_if_asked(model: Users) -> None:
    x = torch.rand(2, 1, 8, 8)
    assert Headed(model, "fc")(x).equal(model(x))
    assert Headed(model, "fc", mean=(0.5,), std=(0.25,))(x).equal(model((x - 0.5) / 0.25))


def test_which_is_the_head_is_known_after_a_batch(model: Users, x: Tensor) -> None:
    net = Headed(model)
    with pytest.raises(BadMethod, match="known after a batch"):
        net.constants  # noqa: B018
    net.look(x)
    assert net.head is model.fc


def test_a_name_that_is_none_or_no_linear_layer_is_told(model: Users) -> None:
    with pytest.raises(UnknownName, match="unknown module of Users 'fd'; did you mean 'fc'"):
        Headed(model, "fd")
    with pytest.raises(UnknownName, match=r"unknown module of Users 'body.9'; did you mean 'body\.\d'"):
        Headed(model, "fc", layers=("body.9",))
    with pytest.raises(BadMethod, match=r"head 'body.0' is a Conv2d; expected an nn\.Linear"):
        Headed(model, "body.0")


# Feature maps.


def test_the_module_that_makes_the_head_s_input_pools_whatever_pools_after_it(x: Tensor) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gap, self.side, self.fc = (
                nn.Conv2d(1, 4, 3),
                nn.AdaptiveAvgPool2d(1),
                nn.MaxPool2d(6),
                nn.Linear(4, 3),
            )

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x)
            return self.fc(self.gap(h).flatten(1)) + 0 * self.side(h).sum()  # type: ignore[no-any-return]

    model = Twice()
    net = Headed(model)
    given = net.outputs(x, frozenset({FEATURE_MAP}))
    assert given[FEATURE_MAP].equal(model.conv(x))
    changed = net.outputs(x, frozenset({LOGITS}), {FEATURE_MAP: 2 * given[FEATURE_MAP]})
    torch.testing.assert_close(changed[LOGITS], model.fc(2 * model.conv(x).mean((2, 3))))
