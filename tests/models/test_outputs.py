"""Outputs: opened only where declared, paid for once, and differentiable down to the pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from oodbench import formulas
from oodbench.check.toy import IN_SET, Toy, toy
from oodbench.contract import LOGITS, Output, Outputs
from oodbench.data.images import ArrayImages
from oodbench.errors import Undeclared
from oodbench.models.outputs import NET_VIEWS, Access, ModelOutputs, Passes, Trained
from oodbench.networks import classifier
from oodbench.recipes import Plain
from oodbench.run.fit_data import HandOut

SHOWN: tuple[Output, ...] = ("logits", "features", "layers")


@pytest.fixture
def model() -> Trained:
    """Return the toy's model with a count of its own."""
    return replace(toy(Plain()).model, passes=Passes())


@pytest.fixture
def x() -> Tensor:
    return toy(Plain()).examples["test"].x.clone()


def declared(*reads: Output, labels: bool = False) -> Access:
    return Access(frozenset(reads), labels)


@pytest.mark.parametrize("view", ["inputs", "logits", "features", "layers", "head"])
def test_an_undeclared_view_does_not_open(model: Trained, x: Tensor, view: Output) -> None:
    others = frozenset({"inputs", "logits", "features", "layers", "head"} - {view})
    access = Access(others)  # type: ignore[arg-type]
    with pytest.raises(Undeclared, match=f"view '{view}' was read but not declared; declared: features|head"):
        getattr(ModelOutputs(model, x, access), view)
    assert access.touched == set()
    allowed = declared(view)
    getattr(ModelOutputs(model, x, allowed), view)
    assert allowed.touched == {view}


def test_other_inputs_and_derivatives_need_the_gradient(model: Trained, x: Tensor) -> None:
    views = ModelOutputs(model, x, declared("logits", "inputs"))
    for open_it in (lambda: views.at(x), lambda: views.grad(lambda v: v.logits.sum(1))):
        with pytest.raises(Undeclared, match="'gradient' was read but not declared"):
            open_it()


def test_what_is_undeclared_stays_closed_inside_a_gradient_and_in_batches(model: Trained, x: Tensor) -> None:
    views = ModelOutputs(model, x, declared("logits", "gradient"))
    with pytest.raises(Undeclared, match="'features'"):
        views.grad(lambda v: v.features.sum(1))
    with pytest.raises(Undeclared, match="'features'"):
        views.at(x).features  # noqa: B018
    with pytest.raises(Undeclared, match="'features'"):
        next(views.batches(7)).features  # noqa: B018


def test_labels_are_sealed_where_they_are_not_declared_or_not_there(model: Trained, x: Tensor) -> None:
    y = torch.arange(len(x)) % 3
    with pytest.raises(Undeclared, match="`labels` is not in the detector's `fits_on`"):
        ModelOutputs(model, x, declared("logits"), labels=y).labels  # noqa: B018
    with pytest.raises(Undeclared, match="these views carry none"):
        ModelOutputs(model, x, declared("logits", labels=True)).labels  # noqa: B018
    assert ModelOutputs(model, x, declared(labels=True), labels=y).labels.equal(y)


def test_a_material_that_is_not_declared_does_not_open(model: Trained, x: Tensor) -> None:
    views = ModelOutputs(model, x, declared("logits"))
    data = HandOut(
        3,
        0,
        views,
        torch.ones(len(views), dtype=torch.bool),
        frozenset({"labels", "validation"}),
        {"validation": views, "ood_validation": views},
    )
    assert data.validation is views
    assert data.touched == {"validation"}
    with pytest.raises(Undeclared, match="'ood_validation' was opened but not declared; declared: labels, validation"):
        data.ood_validation  # noqa: B018


def test_one_forward_pass_shows_all_views(model: Trained, x: Tensor) -> None:
    views = ModelOutputs(model, x, declared("inputs", "head", *SHOWN))
    for view in ("inputs", "head"):
        getattr(views, view)
    assert model.passes == Passes(0, 0)
    for view in SHOWN:
        getattr(views, view)
    assert model.passes == Passes(len(x), 0)


def test_stored_views_cost_no_pass(model: Trained, x: Tensor) -> None:
    shown = toy(Plain()).examples["test"].shown
    views = ModelOutputs(model, x, declared("inputs", *SHOWN), lambda: shown)
    for batch in (views, *views.batches(20)):
        for view in SHOWN:
            getattr(batch, view)
    assert model.passes == Passes(0, 0)


def test_a_gradient_costs_a_pass_each_way_and_a_step_one_more(model: Trained, x: Tensor) -> None:
    views = ModelOutputs(model, x, declared("logits", "gradient"), lambda: toy(Plain()).examples["test"].shown)
    views.logits  # noqa: B018
    step = views.grad(lambda v: v.logits.sum(1))
    assert model.passes == Passes(len(x), len(x))
    views.at(x + 0.01 * step).logits  # noqa: B018
    assert model.passes == Passes(2 * len(x), len(x))


@pytest.mark.parametrize("size", [1, 7, 45, 90, 512])
@pytest.mark.parametrize("stored", [False, True])
def test_batches_are_the_whole_in_order(model: Trained, x: Tensor, size: int, stored: bool) -> None:
    examples = toy(Plain()).examples["test"]
    shown = (lambda: examples.outputs) if stored else None
    whole = ModelOutputs(model, x, declared("inputs", *SHOWN, labels=True), shown, examples.y)
    parts = list(whole.batches(size))
    assert [len(part) for part in parts] == [min(size, 90 - start) for start in range(0, 90, size)]
    assert torch.cat([part.inputs for part in parts]).equal(x)
    assert torch.cat([part.labels for part in parts]).equal(examples.y)
    torch.testing.assert_close(torch.cat([part.features for part in parts]), whole.features)
    for i, layer in enumerate(whole.layers):
        torch.testing.assert_close(torch.cat([part.layers[i] for part in parts]), layer)


def test_batches_of_batches_are_the_right_rows(model: Trained) -> None:
    pixels = np.linspace(0, 1, 20, dtype=np.float32)[:, None, None, None].repeat(8, 2).repeat(8, 3)
    views = ModelOutputs(model, ArrayImages(pixels), declared("inputs"))
    inner = [part for batch in views.batches(8) for part in batch.batches(3)]
    assert [len(part) for part in inner] == [3, 3, 2, 3, 3, 2, 3, 1]
    assert torch.cat([part.inputs for part in inner]).numpy().tobytes() == pixels.tobytes()


def test_the_gradient_is_that_of_the_pixels_through_standardisation() -> None:
    torch.manual_seed(0)
    net = classifier("toy-cnn", (1, 8, 8), 3, IN_SET.mean, IN_SET.std).double().eval()
    x = toy(Plain()).examples["test"].x[:2].double()
    views = ModelOutputs(Trained(net, torch.device("cpu")), x, declared("logits", "gradient"))

    def f(v: Outputs) -> Tensor:
        return formulas.energy(v.logits)

    def at(pixels: Tensor) -> Tensor:
        with torch.no_grad():
            return f(views.at(pixels)).sum()

    h = 1e-6
    differences = torch.zeros_like(x)
    for place in np.ndindex(*x.shape):
        step = torch.zeros_like(x)
        step[place] = h
        differences[place] = (at(x + step) - at(x - step)) / (2 * h)
    gradient = views.grad(f)
    torch.testing.assert_close(gradient, differences, rtol=1e-5, atol=1e-8)
    # Chain rule: without the standardisation inside, the derivative would be std times this.
    z = ((x - IN_SET.mean[0]) / IN_SET.std[0]).requires_grad_()
    logits = net.head(net.trunk(z)[-1].mean((2, 3)))
    (by_z,) = torch.autograd.grad(formulas.energy(logits).sum(), z)
    torch.testing.assert_close(gradient, by_z / IN_SET.std[0])


def test_a_gradient_may_hold_something_of_each_of_many_inputs(model: Trained) -> None:
    x = torch.rand(1100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    views = ModelOutputs(model, x, declared("logits", "gradient"))
    y = views.logits.argmax(1)

    def f(v: Outputs, labels: Tensor) -> Tensor:
        return v.logits.gather(1, labels[:, None])[:, 0]

    whole = views.grad(lambda v: f(v, y))
    parts = zip(views.batches(100), y.split(100), strict=True)
    torch.testing.assert_close(whole, torch.cat([b.grad(lambda v, own=own: f(v, own)) for b, own in parts]))


def test_a_gradient_leaves_no_trace(model: Trained, x: Tensor) -> None:
    before = x.clone()
    views = ModelOutputs(model, x, declared("logits", "gradient"))
    with torch.no_grad():
        gradient = views.grad(lambda v: v.logits.sum(1))
    assert not gradient.requires_grad
    assert x.equal(before)
    assert not x.requires_grad
    assert all(weight.grad is None for weight in model.net.parameters())


def test_the_head_is_what_multiplies_the_features(model: Trained, x: Tensor) -> None:
    views = ModelOutputs(model, x, declared("head", *SHOWN))
    torch.testing.assert_close(views.features @ views.head.weight.T + views.head.bias, views.logits)
    assert not views.head.weight.requires_grad


def test_shown_views_are_those_of_one_pass() -> None:
    made: Toy = toy(Plain())
    examples = made.examples["test"]
    with torch.no_grad():
        again = made.model.net.outputs(examples.x, Plain.provides & NET_VIEWS)  # type: ignore[operator]
    assert again[LOGITS].equal(examples.outputs[LOGITS])
