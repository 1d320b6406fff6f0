"""Outputs: opened only where declared, paid for once, and differentiable down to the pixels."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oodbench import formulas
from oodbench.check.toy import IN_SET, Toy, toy
from oodbench.contract import FEATURE_MAP, FEATURES, HEAD, INPUTS, LAYERS, LOG_DENSITY, LOGITS, NETWORK, Output, Outputs
from oodbench.data.images import ArrayImages
from oodbench.errors import BadMethod, Undeclared
from oodbench.models.outputs import Access, ModelOutputs, Passes, Trained, to_store
from oodbench.networks import classifier
from oodbench.recipes import Plain
from oodbench.run.fit_data import HandOut
from oodbench.spaces import Images
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
    net = classifier("toy-cnn", InSet(Images((1, 8, 8), IN_SET.images.mean, IN_SET.images.std), 3)).double().eval()
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
    z = ((x - IN_SET.images.mean[0]) / IN_SET.images.std[0]).requires_grad_()
    logits = net.head(net.trunk(z)[-1].mean((2, 3)))
    (by_z,) = torch.autograd.grad(formulas.energy(logits).sum(), z)
    torch.testing.assert_close(gradient, by_z / IN_SET.images.std[0])


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


# Going on from what is changed.


ENTRIES = frozenset({LOGITS, FEATURES, FEATURE_MAP, NETWORK})


@pytest.mark.parametrize("output", [FEATURES, FEATURE_MAP, INPUTS], ids=str)
def test_what_is_replaced_by_itself_changes_nothing(model: Trained, x: Tensor, output: Output) -> None:
    outputs = ModelOutputs(model, x, Access(ENTRIES | {INPUTS}))
    again = outputs.at(replacing={output: outputs[output]})
    for one in (LOGITS, FEATURES, FEATURE_MAP, INPUTS):
        assert again[one].equal(outputs[one])


def test_the_network_goes_on_from_features_and_from_the_map(model: Trained, x: Tensor) -> None:
    net: Any = model.net
    outputs = ModelOutputs(model, x, Access(ENTRIES))
    f = outputs.features.clamp(max=0.5)
    assert outputs.at(replacing={FEATURES: f}).logits.equal(net.head(f))
    doubled = 2 * outputs[FEATURE_MAP]
    changed = outputs.at(replacing={FEATURE_MAP: doubled})
    torch.testing.assert_close(changed.features, 2 * outputs.features)
    assert changed.logits.equal(net.head(doubled.mean(dim=(2, 3))))
    both = changed.at(replacing={FEATURES: f})
    assert both[FEATURE_MAP].equal(doubled)
    assert both.logits.equal(net.head(f))


def test_what_goes_on_is_not_taken_from_what_is_stored_and_costs_one_pass(model: Trained, x: Tensor) -> None:
    stored = toy(Plain()).examples["test"].outputs
    outputs = ModelOutputs(model, x, Access(ENTRIES), lambda: stored)
    changed = outputs.at(replacing={FEATURES: torch.zeros_like(outputs.features)})
    assert (changed.logits == model.net.head.bias).all()  # type: ignore[union-attr]
    assert changed.features.equal(torch.zeros_like(outputs.features))
    assert model.passes == Passes(len(x), 0)
    for part in changed.batches(40):
        assert part.logits.equal(changed.logits[: len(part)])
    assert model.passes == Passes(2 * len(x), 0)


def test_a_map_is_not_stored_and_costs_a_pass(model: Trained, x: Tensor) -> None:
    stored = toy(Plain()).examples["test"].outputs
    assert FEATURE_MAP not in stored
    outputs = ModelOutputs(model, x, Access(ENTRIES), lambda: stored)
    torch.testing.assert_close(outputs[FEATURE_MAP].mean(dim=(2, 3)), outputs.features)
    assert model.passes == Passes(len(x), 0)


@pytest.mark.parametrize("by", [FEATURES, FEATURE_MAP], ids=str)
def test_a_derivative_by_an_activation_is_that_of_the_rest_of_the_network(
    model: Trained, x: Tensor, by: Output[Tensor]
) -> None:
    net: Any = model.net
    outputs = ModelOutputs(model, x, Access(ENTRIES), lambda: toy(Plain()).examples["test"].outputs)
    slope = outputs.grad(lambda o: formulas.energy(o.logits), by=by)
    expected = outputs.logits.softmax(dim=1) @ net.head.weight.detach()  # d logsumexp / df = W^T p
    if by == FEATURE_MAP:
        h, w = slope.shape[2:]
        expected = expected[:, :, None, None].expand(-1, -1, h, w) / (h * w)
    torch.testing.assert_close(slope, expected, rtol=1e-4, atol=1e-6)
    assert model.passes.gradient == len(x)


def test_a_derivative_from_changed_features_is_taken_there(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, Access(ENTRIES))
    changed = outputs.at(replacing={FEATURES: outputs.features + 1})
    slope = changed.grad(lambda o: formulas.energy(o.logits), by=FEATURES)
    net: Any = model.net
    torch.testing.assert_close(slope, changed.logits.softmax(dim=1) @ net.head.weight.detach(), rtol=1e-4, atol=1e-6)


def test_what_is_replaced_or_derived_by_must_be_declared(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, declared(LOGITS, NETWORK))
    with pytest.raises(Undeclared, match="'features' was read but not declared"):
        outputs.at(replacing={FEATURES: torch.zeros(len(x), 8)})
    with pytest.raises(Undeclared, match="'features' was read but not declared"):
        outputs.grad(lambda o: o.logits.sum(1), by=FEATURES)


def test_a_derivative_of_what_does_not_depend_on_it_is_refused(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, Access(ENTRIES | {INPUTS}))
    with pytest.raises(BadMethod, match="a derivative by features was asked for, of a function that does not depend"):
        outputs.grad(lambda o: o[FEATURE_MAP].flatten(1).sum(1), by=FEATURES)
    with pytest.raises(BadMethod, match="a derivative by inputs"):
        outputs.grad(lambda o: torch.ones(len(o)))


def test_what_the_network_cannot_go_on_from_is_refused_with_what_it_can(model: Trained, x: Tensor) -> None:
    outputs = ModelOutputs(model, x, Access(ENTRIES))
    with pytest.raises(
        BadMethod, match="a Classifier cannot go on from logits; it can from feature_map, features, inp"
    ):
        outputs.at(replacing={LOGITS: torch.zeros(len(x), 3)}).features  # noqa: B018
    with pytest.raises(BadMethod, match=f"features of {len(x)} inputs was replaced by 3 entries"):
        outputs.at(replacing={FEATURES: torch.zeros(3, 8)})


def test_more_inputs_than_a_pass_takes_are_those_of_aligned_passes(model: Trained) -> None:
    x = torch.rand(1100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = ModelOutputs(model, x, Access(ENTRIES))[FEATURE_MAP]
    parts = ModelOutputs(model, x, Access(ENTRIES)).batches()
    assert whole.equal(torch.cat([part[FEATURE_MAP] for part in parts]))


def test_outputs_are_named_as_files_are() -> None:
    for name in ("Logits", "a/b", "", "a b", "../up"):
        with pytest.raises(BadMethod, match="expected small letters, digits and underscores"):
            Output(name, "n")
    assert LOGITS.of_members == Output("member_logits", "n M C")
    assert LOG_DENSITY.of_members == Output("member_log_density", "n M")
