"""The matrix-free way in: a user's own model and arrays."""

import copy
import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from brief import small, unlike
from columns import NUMBERS
from torch import Tensor, nn

import oodbench
from oodbench.check.conformance import excuses
from oodbench.check.toy import blends, blobs, noise, toy
from oodbench.contract import FEATURE_MAP, INPUTS, LOGITS, NETWORK, Citation, Grid, Method, Outputs, Stateless
from oodbench.data.images import ArrayImages
from oodbench.errors import BadData, BadMethod, BadSetting, UnknownName
from oodbench.measure.ranking import ranking
from oodbench.recipes import Plain
from oodbench.result.report import summary
from oodbench.run.attack import predict
from oodbench.run.registry import registry

COLUMNS = ["method", "failure", "set", "n_good", "n_bad", *NUMBERS, "forward", "gradient", "accuracy", "note"]

PAPER = Citation(authors="Me", title="Mine", year=2026, url="https://example.org")


class Mine(nn.Module):
    """A user's classifier: the toy's weights under names of the user's own, and a linear layer that is not the head."""

    def __init__(self) -> None:
        super().__init__()
        net: Any = copy.deepcopy(toy(Plain()).model.net)
        self.normalise, self.body, self.fc = net.standardise, net.trunk, net.head
        self.dropout = nn.Dropout(0.9)
        self.unused = nn.Linear(2, 2)
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return self.fc(self.dropout(self.body(self.normalise(x))[-1].mean((2, 3))))  # type: ignore[no-any-return]


def table_of(model: Any, **given: Any) -> pd.DataFrame:
    return oodbench.evaluate(model, **given).table


@pytest.fixture
def model() -> Mine:
    return Mine().eval()


def pair(images: ArrayImages) -> tuple[Any, Any]:
    return images.pixels, images.labels


def arrays(**changed: Any) -> dict[str, Any]:
    x = blobs(300, 11).pixels
    y = predict(toy(Plain()).model, torch.from_numpy(x)).numpy()
    y[:30] = (y[:30] + 1) % 3  # so that there are thirty misclassifications
    given: dict[str, Any] = {
        "train": pair(blobs(360, 0)),
        "test": (x, y),
        "failures": {"noise": noise(90, 12).pixels, "blends": blends(60, 13).pixels},
        "methods": ["msp"],
        "head": "fc",
    }
    return given | changed


HELD_OUT: dict[str, Any] = {
    "validation": pair(blobs(120, 14)),
    "ood_validation": {"blends": blends(60, 15).pixels, "noise": noise(60, 16).pixels},
}


def test_a_row_for_each_method_and_failure_set(model: Mine) -> None:
    table = table_of(model, **arrays(methods=["msp", "mahalanobis-a", "odin"]))
    assert list(table.columns) == COLUMNS
    rows = list(zip(table["method"], table["failure"], table["set"], table["n_good"], table["n_bad"], strict=True))
    sets = [("misclassification", "misclassified", 270, 30), ("ood", "blends", 300, 60), ("ood", "noise", 300, 90)]
    assert rows == [(method, *one) for method in ("msp", "mahalanobis-a", "odin") for one in sets]
    assert (table["note"] == "").all()
    numbers = table[NUMBERS].to_numpy(dtype=float)
    assert ((numbers >= 0) & (numbers <= 1)).all()
    assert (table["auroc_low"] <= table["auroc"]).all()
    assert (table["auroc"] <= table["auroc_high"]).all()
    assert table.loc[table["set"] == "noise", "auroc"].min() > 0.9


def test_the_numbers_are_those_of_the_scores(model: Mine) -> None:
    given = arrays(methods=["max-logit"], failures={"noise": noise(90, 12).pixels})
    row = table_of(model, **given).set_index("set").loc["noise"]
    with torch.no_grad():
        good, bad = (
            model(torch.from_numpy(x)).amax(1).double().numpy() for x in (given["test"][0], noise(90, 12).pixels)
        )
    expected = ranking(good, bad)
    for name in ("fpr95", "detection_error", "auroc", "aupr_in", "aupr_out"):
        assert row[name] == pytest.approx(expected[name], abs=1e-6)


@pytest.mark.parametrize("names", [pytest.param(list(registry()), id="all", marks=pytest.mark.slow), unlike()])
def test_every_method_runs_or_says_why_not(model: Mine, names: list[str]) -> None:
    methods = [small(registry()[name].method) for name in names]
    table = table_of(model, **arrays(methods=methods, layers=["body.bn"]), **HELD_OUT)
    assert list(dict.fromkeys(table["method"])) == names
    own = {name for name in names if not isinstance(registry()[name].method.recipe, Plain)}
    attacked = {name for name in names if "adversarial_validation" in registry()[name].method.materials}
    maps = {name for name in names if FEATURE_MAP in registry()[name].method.detector.reads} - own
    judging = ~table["method"].isin(own | attacked | maps)
    assert (table.loc[judging, "note"] == "").all()
    blind = {name for name in names if "direction" in excuses(registry()[name])} | {"viyog"}  # made for attacks
    noise = judging & (table["set"] == "noise")
    assert (table.loc[noise & ~table["method"].isin(blind), "auroc"] > 0.6).all()
    assert table.loc[table["method"].isin(maps), "note"].str.startswith("reads feature_map").all()
    assert table.loc[table["method"].isin(own), "note"].str.startswith("trains a classifier of its own").all()
    assert attacked >= {"mahalanobis-d-fgsm", "odin-fgsm", "lid"} & set(names)
    assert table.loc[table["method"].isin(attacked), "note"].str.contains("adversarial_validation").all()


def test_what_a_method_lacks_is_its_note(model: Mine) -> None:
    table = table_of(model, **arrays(methods=["msp", "temperature", "odin-tuned", "mahalanobis-c"]))
    notes = table[table["note"] != ""].set_index("method")["note"]
    assert dict(notes) == {
        "temperature": "needs validation, which is not offered here",
        "odin-tuned": "needs ood_validation, validation, which is not offered here",
        "mahalanobis-c": "needs ood_validation, validation, which is not offered here",
    }
    without = table[table["method"] != "msp"]
    assert without[["failure", "set", *NUMBERS]].isna().all().all()
    assert (table["method"] == "msp").sum() == 3


def test_the_model_is_left_as_it_was(model: Mine) -> None:
    model.train()
    model.body.bn.eval()
    model.fc.bias.requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = {name: module.training for name, module in model.named_modules()}
    wants = {name: weight.requires_grad for name, weight in model.named_parameters()}
    assert set(modes.values()) == set(wants.values()) == {True, False}

    def unchanged() -> None:
        assert all(before[name].equal(tensor) for name, tensor in model.state_dict().items())
        assert {name: module.training for name, module in model.named_modules()} == modes
        assert {name: weight.requires_grad for name, weight in model.named_parameters()} == wants
        assert all(weight.grad is None for weight in model.parameters())
        assert not model.fc._forward_pre_hooks

    first = table_of(model, **arrays(methods=["msp", "odin"]))
    unchanged()
    with pytest.raises(BadData):  # also when it ends in an error
        table_of(model, **arrays(failures={"noise": np.full((3, 1, 8, 8), 7.0)}))
    unchanged()
    # It is examined in evaluation mode whatever its own: dropout would change the numbers.
    pd.testing.assert_frame_equal(first, table_of(model.eval(), **arrays(methods=["msp", "odin"])))


def test_one_forward_pass_a_set_whatever_the_number_of_methods(model: Mine) -> None:
    names = ["msp", "max-logit", "energy", "knn", "mahalanobis-a", "temperature", "baseline-t", "mahalanobis-c"]
    table = table_of(model, **arrays(methods=names), **HELD_OUT)
    images = 360 + 300 + 60 + 90 + 120 + 2 * 60
    # Some more to look at the model; and no image of the held-out sets, cut in halves or whole, goes through thrice.
    assert images + 1 <= model.seen <= images + 1 + 120 + 2 * 60
    assert set(table["forward"]) == {1.0}
    assert set(table["gradient"]) == {0.0}
    step = Stateless(frozenset({LOGITS, INPUTS, NETWORK}), after_a_step)
    own = table_of(model, **arrays(methods=[mine(detector=step)]))
    assert set(own["forward"]) == {3.0}  # the stored one, the gradient's, and that of the other inputs
    assert set(own["gradient"]) == {1.0}


def after_a_step(batch: Outputs) -> Tensor:
    step = batch.grad(lambda views: views.logits.amax(dim=1)).sign()
    return batch.at(batch.inputs + 0.001 * step).logits.amax(dim=1) - batch.logits.amax(dim=1)


def largest(batch: Outputs) -> Tensor:
    return batch.logits.amax(dim=1)


def mine(name: str = "mine", rule: Callable[[Outputs], Tensor] = largest, **more: Any) -> Method:
    detector = Stateless(frozenset({LOGITS}), rule)
    return Method(name=name, title=name, paper=PAPER, **{"recipe": Plain(), "detector": detector} | more)


def test_a_method_of_ones_own(model: Mine) -> None:
    table = table_of(model, **arrays(methods=[mine(), "max-logit"]))
    own, theirs = (table[table["method"] == name].drop(columns="method") for name in ("mine", "max-logit"))
    pd.testing.assert_frame_equal(own.reset_index(drop=True), theirs.reset_index(drop=True))


def test_a_method_that_reads_what_it_did_not_declare_has_no_numbers_and_is_told(model: Mine) -> None:
    table = table_of(model, **arrays(methods=[mine(rule=lambda batch: batch.features.sum(1)), "msp"]))
    own = table[table["method"] == "mine"]
    assert own["note"].iloc[0].startswith("Undeclared: output 'features' was read but not declared")
    assert own[NUMBERS].isna().all().all()
    assert (table["method"] == "msp").sum() == 3


def nan_for_a_few(batch: Outputs) -> Tensor:
    score = largest(batch)
    return torch.where(score > 12, torch.nan, score)


def nan_on_noise(batch: Outputs) -> Tensor:
    return largest(batch) / (0 if len(batch) == 90 else 1)


def test_scores_that_are_not_finite_are_a_note_and_the_rest_goes_on(model: Mine) -> None:
    table = table_of(model, **arrays(methods=[mine("a", nan_for_a_few), mine("b", nan_on_noise), "msp"]))
    notes = table[table["note"] != ""][["method", "set", "note"]]
    assert list(notes["method"]) == ["a", "b"]
    assert notes["note"].iloc[0].startswith("in-set test images: ")
    assert notes["set"].iloc[1] == "noise"
    assert "scores are NaN or infinite" in notes["note"].iloc[1]
    assert (table["method"] == "msp").sum() == 3


def test_a_classifier_without_mistakes_has_a_note_in_their_place(model: Mine) -> None:
    x = blobs(120, 5).pixels
    with torch.no_grad():
        y = model(torch.from_numpy(x)).argmax(1)
    table = table_of(model, **arrays(test=(x, y)))
    row = table.set_index("failure").loc["misclassification"]
    assert np.isnan(row["auroc"])
    assert row["note"].startswith("misclassification/misclassified: ")
    assert (table.loc[table["failure"] == "ood", "note"] == "").all()


class OfItsOwn:
    """A recipe other than the plain one."""

    provides = Plain.provides
    wants = Plain.wants


def test_a_method_that_trains_its_own_classifier_does_not_judge_another(model: Mine) -> None:
    table = table_of(model, **arrays(methods=[mine(recipe=OfItsOwn())]))
    assert list(table["note"]) == ["trains a classifier of its own (OfItsOwn), and would not judge yours"]


def test_tuning_happens_on_the_held_out_sets_only(model: Mine) -> None:
    tuned = dataclasses.replace(registry()["baseline-t"].method, search=Grid(over=(("T", (1.0, 100.0)),)))
    table = table_of(model, **arrays(methods=[tuned]), **HELD_OUT)
    assert (table["note"] == "").all()


def test_tensors_and_bytes_are_arrays_too(model: Mine) -> None:
    given = arrays()
    bytes_ = {
        "train": tuple(map(torch.from_numpy, given["train"])),
        "test": ((given["test"][0] * 255).round().astype(np.uint8), given["test"][1].astype(np.uint8)),
        "failures": {"noise": noise(90, 12).pixels.astype(np.float64), "half": torch.rand(9, 1, 8, 8).bfloat16()},
    }
    table = table_of(model, **given | bytes_)
    assert (table["note"] == "").all()


def test_no_methods_give_an_empty_table_with_its_columns(model: Mine) -> None:
    table = table_of(model, **arrays(methods=[]))
    assert list(table.columns) == COLUMNS
    assert len(table) == 0


# Bad input.

X, Y = pair(blobs(30, 0))


def spoilt(value: float) -> np.ndarray:
    x = X.copy()
    x[3, 0, 2, 2] = value
    return x


BAD: list[tuple[dict[str, Any], str]] = [
    ({"train": (X[:, 0], Y)}, r"train: got an array of shape \(30, 8, 8\), expected \[n c h w\]"),
    ({"train": X}, r"train: got a ndarray; expected a pair \(images, labels\)"),
    ({"train": (X, None)}, r"train: got labels of dtype object; expected integers"),
    ({"train": (X, Y[:-1])}, r"train: got labels of shape \(29,\), expected \(30,\), one an image"),
    ({"train": (X, Y[:, None])}, r"train: got labels of shape \(30, 1\), expected \(30,\)"),
    ({"train": (X, Y.astype(np.float32))}, r"train: got labels of dtype float32; expected integers"),
    ({"train": (X, Y - 1)}, r"train: got label -1; expected classes from 0 to 2, the model's 3 outputs"),
    ({"train": (X, Y + 1)}, r"train: got label 3; expected classes from 0 to 2, the model's 3 outputs"),
    ({"test": (X, Y + 1)}, r"test: got label 3; expected classes from 0 to 2"),
    ({"validation": (X, Y + 1)}, r"validation: got label 3; expected classes from 0 to 2"),
    ({"test": (X[:0], Y[:0])}, r"test: got no images, expected at least one"),
    ({"test": (spoilt(np.nan), Y)}, r"test: got float32 pixels from nan to nan, expected \[0, 1\]"),
    ({"test": (spoilt(1.5), Y)}, r"test: got float32 pixels from 0 to 1.5, expected \[0, 1\]"),
    ({"test": (X[:, :, :7], Y)}, r"test: got images of shape 1x7x8; expected 1x8x8, as in the first set given"),
    ({"failures": {"far": spoilt(-0.1)}}, r"far: got float32 pixels from -0.1 to"),
    ({"failures": {"far": X * 255}}, r"far: got float32 pixels from 0 to 25\d.*, expected \[0, 1\]"),
    (
        {"failures": {"far": (X * 255).astype(np.int64)}},
        r"far: got int64 pixels from 0 to 25\d, expected uint8 or float32.*astype\(.float32.\) / 255",
    ),
    ({"failures": {"far": X[:0]}}, r"far: got no images"),
    (
        {"failures": {"far": X.repeat(3, 1)}},
        r"far: got images of shape 3x8x8; expected 1x8x8, as in the first set given",
    ),
    ({"ood_validation": {"held": spoilt(np.inf)}}, r"held: got float32 pixels from 0 to inf"),
    ({"validation": (X.repeat(2, 2), Y)}, r"validation: got images of shape 1x16x8; expected 1x8x8"),
    ({"failures": {"far": [X[0], X[1][:, :4]]}}, r"far, item 1: an image of 1x4x8; expected 1x8x8"),
    ({"failures": X}, r"failures: got a value of type ndarray; expected images by name"),
    ({"ood_validation": X}, r"ood_validation: got a value of type ndarray; expected images by name"),
]


@pytest.mark.parametrize(("changed", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_arrays_are_told(model: Mine, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=message):
        table_of(model, **arrays(**changed))


def test_a_device_that_is_not_here_is_told(model: Mine) -> None:
    for device in ("cudda", "cuda:99", "meta"):
        with pytest.raises(BadSetting, match=f"device {device}: not here .*expected one of cpu"):
            table_of(model, **arrays(device=device))


def test_what_is_no_model_is_told() -> None:
    with pytest.raises(BadMethod, match=r"model: got the class Mine; expected an nn.Module"):
        table_of(Mine, **arrays())  # type: ignore[arg-type]


def test_a_model_that_cannot_read_the_images_is_told(model: Mine) -> None:
    cut = dict.fromkeys(("train", "test"), (X[:, :, :7], Y))
    with pytest.raises(BadMethod, match=r"cannot read .* float32 \[15, 1, 7, 8\] .*expected images \[n c h w\]"):
        table_of(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3)), **arrays(**cut, head="2", failures={})
        )


def test_unknown_names_are_told_the_nearest(model: Mine) -> None:
    with pytest.raises(UnknownName, match="unknown method 'odni'; did you mean 'odin'"):
        table_of(model, **arrays(methods=["odni"]))
    with pytest.raises(UnknownName, match="unknown module of Mine 'fcc'; did you mean 'fc'"):
        table_of(model, **arrays(head="fcc"))


def test_a_head_that_is_not_used_is_told_and_another_is_found(model: Mine) -> None:
    with pytest.raises(BadMethod, match="head 'unused' took no part in the forward pass of Mine"):
        table_of(model, **arrays(head="unused"))
    found, named = (table_of(model, **arrays(methods=["knn"], head=head)) for head in (None, "fc"))
    pd.testing.assert_frame_equal(found, named)


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda logits: logits.softmax(1).amax(1), r"shape \[16\]"),
        (lambda logits: logits.argmax(1, keepdim=True), r"shape \[16, 1\] of torch.int64"),
        (lambda logits: (logits, logits), r"tuple \(0: \[16, 3\], 1: \[16, 3\]\)"),
        (lambda logits: {"a": logits, "b": logits}, r"dict \(a: \[16, 3\], b: \[16, 3\]\)"),
        (lambda logits: None, "NoneType"),
    ],
)
def test_a_model_that_answers_otherwise_is_told(answer: Any, got: str) -> None:
    class Odd(Mine):
        def forward(self, x: Tensor) -> Tensor:
            return answer(super().forward(x))  # type: ignore[no-any-return]

    with pytest.raises(BadMethod, match=rf"answered with {got}; expected logits \[n C\]"):
        table_of(Odd().eval(), **arrays())


# Feature maps.


class Pooling(Mine):
    """The same classifier, its map pooled by a module."""

    def __init__(self) -> None:
        super().__init__()
        self.gap = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.gap(self.body(self.normalise(x))[-1]).flatten(1))  # type: ignore[no-any-return]


def map_energy(batch: Outputs) -> Tensor:
    return batch.at(replacing={FEATURE_MAP: batch[FEATURE_MAP].clamp(min=0.1)}).logits.logsumexp(dim=1)


MAPPED = Method(
    name="mapped",
    title="",
    paper=PAPER,
    recipe=Plain(),
    detector=Stateless(frozenset({FEATURE_MAP, LOGITS, NETWORK}), map_energy),
)


def test_a_map_that_no_module_pools_is_noted_with_the_way_out(model: Mine) -> None:
    table = table_of(model, **arrays(methods=[MAPPED, "msp"]))
    assert "no pooling module, and so no feature_map; name it: Headed(model, pool='...')" in table["note"][0]
    assert set(table["method"][1:]) == {"msp"}


def test_a_map_that_a_module_pools_can_be_replaced() -> None:
    model = Pooling().eval()
    table = table_of(model, **arrays(methods=[MAPPED], pool="gap"))
    assert (table["note"] == "").all()
    net: Any = toy(Plain()).model.net
    good, bad = torch.from_numpy(arrays()["test"][0]), torch.from_numpy(arrays()["failures"]["noise"])
    with torch.no_grad():
        scores = [
            net.head(net.trunk(net.standardise(x))[-1].clamp(min=0.1).mean((2, 3))).logsumexp(1).numpy()
            for x in (good, bad)
        ]
    row = table[table["set"] == "noise"].iloc[0]
    assert row["auroc"] == pytest.approx(ranking(*scores)["auroc"], abs=1e-6)
    assert row["forward"] == 2


# Attacks.


def test_an_attack_is_scored_as_it_is_and_rounded_and_moves_pixels_by_no_more_than_its_radius(model: Mine) -> None:
    result = oodbench.evaluate(model, **arrays(methods=["msp", "mahalanobis-a"], attacks=["fgsm-26"]))
    right = np.flatnonzero(result.correct)
    for name in ("fgsm-26", "fgsm-26@uint8"):
        rows = result.table[(result.table["failure"] == "adversarial") & (result.table["set"] == name)]
        assert rows["method"].tolist() == ["msp", "mahalanobis-a"]
        attack = result.attacks[name]
        np.testing.assert_array_equal(attack.index, right)
        assert set(rows["n_good"]) == {len(right)}
        assert set(rows["n_bad"]) == {attack.fooled.sum()}
        assert len(result.scores["msp"][name]) == len(right)
    assert result.attacks["fgsm-26"].fooled.any()
    assert (result.table["note"] == "").all()


def test_the_mean_of_attacks_is_over_the_exact_images_and_the_summary_names_them(model: Mine) -> None:
    """Their rounded twins are scored beside them, and are part of no mean, as the page says."""
    result = oodbench.evaluate(model, **arrays(methods=["msp", "lid"], attacks=["fgsm-26", "bim-13"]))
    table = result.table.query("failure == 'adversarial' and method == 'msp'").set_index("set")["auroc"]
    assert set(table.index) == {"fgsm-26", "fgsm-26@uint8", "bim-13", "bim-13@uint8"}
    ranks = result.ranks("auroc").query("failure == 'adversarial'").set_index("method")["mean"]
    assert ranks["msp"] == pytest.approx((table["fgsm-26"] + table["bim-13"]) / 2, abs=1e-6)
    told = str(summary(result))
    assert ": mean of bim-13, fgsm-26\n" in told
    assert "no number: lid: " in told


def test_an_attack_that_fails_costs_its_own_rows_only() -> None:
    class Cut(Mine):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.detach())

    table = table_of(Cut().eval(), **arrays(methods=["msp"], attacks=["fgsm-8"]))
    rows = table.set_index("failure")
    assert rows.loc["adversarial", "note"]
    assert np.isnan(rows.loc["adversarial", "auroc"])
    assert (rows.loc["ood", "note"] == "").all()


def test_names_of_sets_and_attacks_are_told(model: Mine) -> None:
    with pytest.raises(UnknownName, match="unknown attack 'fgsm-9'; did you mean 'fgsm-8'"):
        table_of(model, **arrays(attacks=["fgsm-9"]))
    with pytest.raises(BadSetting, match=r"attacks: got 'fgsm-8'; expected a list of names: \['fgsm-8'\]"):
        table_of(model, **arrays(attacks="fgsm-8"))
    for name in ("test", "misclassified", "fgsm-8@uint8"):
        with pytest.raises(BadSetting, match=f"a set is named '{name}', which is the name of another set"):
            table_of(model, **arrays(attacks=["fgsm-8"], failures={name: noise(9, 1).pixels}))
    with pytest.raises(BadMethod, match="two are named 'msp'"):
        table_of(model, **arrays(methods=["msp", mine("msp")]))
    assert len(table_of(model, **arrays(methods=["msp", "msp"]))) == 3


class Saturated(nn.Module):
    """Answers as another does, so surely that no derivative is left."""

    def __init__(self, sure: nn.Module) -> None:
        super().__init__()
        self.sure = sure

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1e4 * self.sure(x)


def test_an_attack_that_moved_nothing_says_so(model: Mine) -> None:
    """A row that looks robust is none."""
    given = arrays(methods=["max-logit"], attacks=["fgsm-26"], failures={}, head=None)
    table = table_of(Saturated(model).eval(), **given)
    (note,) = table.loc[table["set"] == "fgsm-26", "note"]
    assert re.search(r"the attack left \d+ of \d+ images as they were: it found no derivative to follow", note)
    other = table_of(model, **arrays(methods=["max-logit"], attacks=["fgsm-26"], failures={}))
    assert "as they were" not in "".join(other["note"])
