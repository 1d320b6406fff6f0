"""Outputs: opened only where declared, paid for once, and differentiable down to the pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from oodbench import formulas
from oodbench.check.toy import IN_SET, Toy, toy
from oodbench.contract import FEATURES, HEAD, INPUTS, LAYERS, LOGITS, NETWORK, Output, Outputs
from oodbench.data.images import ArrayImages
from oodbench.errors import Undeclared
from oodbench.models.outputs import Access, ModelOutputs, Passes, Trained, to_store
from oodbench.networks import classifier
from oodbench.recipes import Plain
from oodbench.run.fit_data import HandOut
from oodbench.training import InSet

GIVEN: tuple[Output, ...] = (LOGITS, FEATURES, LAYERS)


@pytest.fixture
def model() -> Trained:
    """Return the toy's model with a count of its own."""
    return replace(toy(Plain()).model, passes=Passes())


@pytest.fixture
def x() -> Tensor:
    return toy(Plain()).examples["test"].x.clone()


def declared(*reads: Output, labels: bool = False) -> Access:
    return Access(frozenset(reads), labels)


@pytest.mark.parametrize("output", [INPUTS, LOGITS, FEATURES, LAYERS, HEAD], ids=str)
def test_an_undeclared_output_does_not_open(model: Trained, x: Tensor, output: Output) -> None:
    others = frozenset({INPUTS, LOGITS, FEATURES, LAYERS, HEAD} - {output})
    access = Access(others)
    with pytest.raises(Undeclared, match=f"output '{output}' was read but not declared; declared: features|head"):
        ModelOutputs(model, x, access)[output]
    assert access.touched == set()
    allowed = declared(output)
    getattr(ModelOutputs(model, x, allowed), output.name)
    assert allowed.touched == {output.name}


def test_other_inputs_and_derivatives_need_the_network(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, declared(LOGITS, INPUTS))
    for open_it in (lambda: outputs.at(x), lambda: outputs.grad(lambda v: v.logits.sum(1))):
        with pytest.raises(Undeclared, match="'network' was read but not declared"):
            open_it()


def test_what_is_undeclared_stays_closed_inside_a_gradient_and_in_batches(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, declared(LOGITS, INPUTS, NETWORK))
    with pytest.raises(Undeclared, match="'features'"):
        outputs.grad(lambda v: v.features.sum(1))
    with pytest.raises(Undeclared, match="'features'"):
        outputs.at(x).features  # noqa: B018
    with pytest.raises(Undeclared, match="'features'"):
        next(outputs.batches(7)).features  # noqa: B018


def test_labels_are_sealed_where_they_are_not_declared_or_not_there(model: Trained, x: Tensor) -> None:
    y = torch.arange(len(x)) % 3
    with pytest.raises(Undeclared, match="`labels` is not in the detector's `fits_on`"):
        ModelOutputs(model, x, declared(LOGITS), labels=y).labels  # noqa: B018
    with pytest.raises(Undeclared, match="these outputs carry none"):
        ModelOutputs(model, x, declared(LOGITS, labels=True)).labels  # noqa: B018
    assert ModelOutputs(model, x, declared(labels=True), labels=y).labels.equal(y)


def test_a_material_that_is_not_declared_does_not_open(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, declared(LOGITS))
    data = HandOut(
        3,
        0,
        outputs,
        torch.ones(len(outputs), dtype=torch.bool),
        frozenset({"labels", "validation"}),
        {"validation": outputs, "ood_validation": outputs},
    )
    assert data.validation is outputs
    assert data.touched == {"validation"}
    with pytest.raises(Undeclared, match="'ood_validation' was opened but not declared; declared: labels, validation"):
        data.ood_validation  # noqa: B018


def test_one_forward_pass_gives_all_outputs(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, declared(INPUTS, HEAD, *GIVEN))
    for output in (INPUTS, HEAD):
        outputs[output]
    assert model.passes == Passes(0, 0)
    for output in GIVEN:
        outputs[output]
    assert model.passes == Passes(len(x), 0)


def test_stored_outputs_cost_no_pass(model: Trained, x: Tensor) -> None:
    given = toy(Plain()).examples["test"].outputs
    outputs = ModelOutputs(model, x, declared(INPUTS, *GIVEN), lambda: given)
    for batch in (outputs, *outputs.batches(20)):
        for output in GIVEN:
            batch[output]
    assert model.passes == Passes(0, 0)


def test_a_gradient_costs_a_pass_each_way_and_a_step_one_more(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, declared(LOGITS, INPUTS, NETWORK), lambda: toy(Plain()).examples["test"].outputs)
    outputs.logits  # noqa: B018
    step = outputs.grad(lambda v: v.logits.sum(1))
    assert model.passes == Passes(len(x), len(x))
    outputs.at(x + 0.01 * step).logits  # noqa: B018
    assert model.passes == Passes(2 * len(x), len(x))


@pytest.mark.parametrize("size", [1, 7, 45, 90, 512])
@pytest.mark.parametrize("stored", [False, True])
def test_batches_are_the_whole_in_order(model: Trained, x: Tensor, size: int, stored: bool) -> None:
    examples = toy(Plain()).examples["test"]
    given = (lambda: examples.outputs) if stored else None
    whole = ModelOutputs(model, x, declared(INPUTS, *GIVEN, labels=True), given, examples.y)
    parts = list(whole.batches(size))
    assert [len(part) for part in parts] == [min(size, 90 - start) for start in range(0, 90, size)]
    assert torch.cat([part.inputs for part in parts]).equal(x)
    assert torch.cat([part.labels for part in parts]).equal(examples.y)
    torch.testing.assert_close(torch.cat([part.features for part in parts]), whole.features)
    for i, layer in enumerate(whole.layers):
        torch.testing.assert_close(torch.cat([part.layers[i] for part in parts]), layer)


def test_batches_of_batches_are_the_right_rows(model: Trained) -> None:
    pixels = np.linspace(0, 1, 20, dtype=np.float32)[:, None, None, None].repeat(8, 2).repeat(8, 3)
    outputs = ModelOutputs(model, ArrayImages(pixels), declared(INPUTS))
    inner = [part for batch in outputs.batches(8) for part in batch.batches(3)]
    assert [len(part) for part in inner] == [3, 3, 2, 3, 3, 2, 3, 1]
    assert torch.cat([part.inputs for part in inner]).numpy().tobytes() == pixels.tobytes()


def test_the_gradient_is_that_of_the_pixels_through_standardisation() -> None:
    torch.manual_seed(0)
    net = classifier("toy-cnn", InSet((1, 8, 8), 3, IN_SET.mean, IN_SET.std)).double().eval()
    x = toy(Plain()).examples["test"].x[:2].double()
    outputs = ModelOutputs(Trained(net, torch.device("cpu")), x, declared(LOGITS, INPUTS, NETWORK))

    def f(v: Outputs) -> Tensor:
        return formulas.energy(v.logits)

    def at(pixels: Tensor) -> Tensor:
        with torch.no_grad():
            return f(outputs.at(pixels)).sum()

    h = 1e-6
    differences = torch.zeros_like(x)
    for place in np.ndindex(*x.shape):
        step = torch.zeros_like(x)
        step[place] = h
        differences[place] = (at(x + step) - at(x - step)) / (2 * h)
    gradient = outputs.grad(f)
    torch.testing.assert_close(gradient, differences, rtol=1e-5, atol=1e-8)
    # Chain rule: without the standardisation inside, the derivative would be std times this.
    z = ((x - IN_SET.mean[0]) / IN_SET.std[0]).requires_grad_()
    logits = net.head(net.trunk(z)[-1].mean((2, 3)))
    (by_z,) = torch.autograd.grad(formulas.energy(logits).sum(), z)
    torch.testing.assert_close(gradient, by_z / IN_SET.std[0])


def test_a_gradient_may_hold_something_of_each_of_many_inputs(model: Trained) -> None:
    x = torch.rand(1100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = ModelOutputs(model, x, declared(LOGITS, INPUTS, NETWORK))
    y = outputs.logits.argmax(1)

    def f(v: Outputs, labels: Tensor) -> Tensor:
        return v.logits.gather(1, labels[:, None])[:, 0]

    whole = outputs.grad(lambda v: f(v, y))
    parts = zip(outputs.batches(100), y.split(100), strict=True)
    torch.testing.assert_close(whole, torch.cat([b.grad(lambda v, own=own: f(v, own)) for b, own in parts]))


def test_a_gradient_leaves_no_trace(model: Trained, x: Tensor) -> None:
    before = x.clone()
    outputs = ModelOutputs(model, x, declared(LOGITS, INPUTS, NETWORK))
    with torch.no_grad():
        gradient = outputs.grad(lambda v: v.logits.sum(1))
    assert not gradient.requires_grad
    assert x.equal(before)
    assert not x.requires_grad
    assert all(weight.grad is None for weight in model.net.parameters())


def test_the_head_is_what_multiplies_the_features(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, declared(HEAD, *GIVEN))
    torch.testing.assert_close(outputs.features @ outputs.head.weight.T + outputs.head.bias, outputs.logits)
    assert not outputs.head.weight.requires_grad


def test_stored_outputs_are_those_of_one_pass() -> None:
    made: Toy = toy(Plain())
    examples = made.examples["test"]
    with torch.no_grad():
        again = made.model.net.outputs(examples.x, Plain.provides & to_store(Plain.provides))  # type: ignore[operator]
    assert again[LOGITS].equal(examples.outputs[LOGITS])
