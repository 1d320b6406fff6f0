"""A user's classifier as users have them: nothing is silently wrong, what goes wrong costs its own rows only."""

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from columns import NUMBERS
from torch import Tensor, nn

from oodbench import Result, evaluate
from oodbench.contract import FEATURES, HEAD, LOGITS, Citation, Grid, Method, Outputs, Stateless
from oodbench.errors import BadData, BadMethod
from oodbench.networks import Headed
from oodbench.recipes import Plain
from oodbench.run.registry import registry

K, SIDE = 3, 8


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of a bright row, whose place is the class, in noise; and the classes, each as often."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    x = rng.uniform(0, 0.3, (n, 1, SIDE, SIDE)).astype(np.float32)
    x[np.arange(n), 0, 2 * y + 1] += 0.6
    return x, y


TRAIN, TEST = drawn(120, 0), drawn(60, 1)
STRANGE = np.random.default_rng(2).uniform(0, 1, (30, 1, SIDE, SIDE)).astype(np.float32)


class Net(nn.Module):
    """A classifier that is right: the mean of each class's row, sharpened, through an orthogonal change of basis."""

    def __init__(self, out: int = K) -> None:
        super().__init__()
        self.rows = nn.Conv2d(1, K, (SIDE, SIDE))
        self.fc = nn.Linear(K, out)
        with torch.no_grad():
            self.rows.weight.zero_()
            for k in range(K):
                self.rows.weight[k, 0, 2 * k + 1] = 1 / SIDE
            self.rows.bias.fill_(-0.2)  # type: ignore[union-attr]
            self.fc.weight.copy_(20 * torch.eye(K)[:out])
            self.fc.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rows(x).flatten(1))  # type: ignore[no-any-return]


class Wrapped(nn.Module):
    """A model whose answer or input is changed."""

    def __init__(self, after: Callable[[Tensor], Any], before: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        self.net, self.after, self.before = Net(), after, before

    def forward(self, x: Tensor) -> Any:
        return self.after(self.net(self.before(x)))


def result_of(
    model: nn.Module, methods: Any = ("msp", "energy", "odin", "knn", "mahalanobis-a"), **changed: Any
) -> Result:
    given: dict[str, Any] = {"train": TRAIN, "test": TEST, "failures": {"strange": STRANGE}}
    return evaluate(model, methods=list(methods), **given | changed)


def judged(model: nn.Module, *methods: Any, **changed: Any) -> pd.DataFrame:
    return result_of(model, *methods, **changed).table


def auroc(table: pd.DataFrame) -> dict[str, float]:
    """Return the AUROC of each method on the out-set."""
    rows = table[table["failure"] == "ood"]
    return dict(zip(rows["method"], rows["auroc"], strict=True))


def notes(table: pd.DataFrame, method: str, name: str | None = "strange") -> str:
    """Return what stands on a method's row of a set; of None, on the row that it has instead of numbers."""
    (note,) = table[(table["method"] == method) & (table["set"].isna() if name is None else table["set"] == name)][
        "note"
    ]
    return str(note)


EXPECTED = judged(Net())


def test_a_well_formed_model_has_numbers_and_no_notes_and_its_accuracy_on_top() -> None:
    assert (EXPECTED.loc[EXPECTED["failure"] == "ood", "note"] == "").all()
    assert result_of(Net(), []).accuracy == {"train": 1.0, "test": 1.0}
    assert set(EXPECTED["accuracy"]) == {1.0}


def test_accuracy_is_the_share_that_is_right_whatever_methods_read() -> None:
    y = TEST[1].copy()
    y[:15] = (y[:15] + 1) % K
    for methods in ([], ["msp"], ["knn"]):
        result = result_of(Net(), methods, test=(TEST[0], y))
        assert result.accuracy == {"train": 1.0, "test": 0.75}
        assert set(result.table["accuracy"]) <= {0.75}


# Forms of models.


class Flagged(Net):
    """What a model may be in beside float32: autocast, whose outcome is bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x)


def hidden(net: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(net.eval(), torch.rand(2, 1, SIDE, SIDE))  # type: ignore[no-any-return]


def exported(net: nn.Module) -> nn.Module:
    n = torch.export.Dim("n")
    return torch.export.export(net.eval(), (torch.rand(2, 1, SIDE, SIDE),), dynamic_shapes=({0: n},)).module()


class Answer(dict[str, Tensor]):
    """A dict whose entries are attributes, as in other libraries."""

    def __getattr__(self, name: str) -> Tensor:
        return self[name]


WHOLE: dict[str, Callable[[], nn.Module]] = {
    "double": lambda: Net().double(),
    "half": lambda: Net().half(),
    "bfloat16": lambda: Net().bfloat16(),
    "autocast inside": Flagged,
    "torch.compile": lambda: torch.compile(Net(), backend="eager"),  # type: ignore[dict-item, return-value]
    "compiled inside": lambda: nn.Sequential(torch.compile(Net(), backend="eager")),  # type: ignore[arg-type]
    "DataParallel": lambda: nn.DataParallel(Net()),
    "Headed": lambda: Headed(Net()),
    "tuple": lambda: Wrapped(lambda z: (z,)),
    "dict": lambda: Wrapped(lambda z: {"logits": z, "loss": torch.zeros(())}),
    "object": lambda: Wrapped(lambda z: Answer(logits=z)),
    "softmax": lambda: Wrapped(lambda z: z.softmax(1)),
    "log_softmax": lambda: Wrapped(lambda z: z.log_softmax(1)),
    "sigmoid": lambda: Wrapped(torch.sigmoid),
}
"""Each is the same classifier."""

COARSE = {"half": 0.02, "bfloat16": 0.05, "autocast inside": 0.05}


@pytest.mark.parametrize("name", WHOLE)
def test_every_form_of_a_classifier_has_the_same_numbers(name: str) -> None:
    table = judged(WHOLE[name]())
    assert auroc(table) == pytest.approx(auroc(EXPECTED), abs=COARSE.get(name, 1e-6))
    doubtful = {note for note in table.loc[table["failure"] == "ood", "note"] if note}
    assert doubtful == ({notes(table, "odin")} if name == "half" else set())
    if name == "half":
        assert notes(table, "odin") == "derivatives of a model in float16 underflow to 0; model.float() has them whole"


@pytest.mark.parametrize("name", ["1x1 convolution", "TorchScript", "torch.export", "no linear layer"])
def test_methods_that_read_only_logits_need_no_head(name: str) -> None:
    conv = nn.Sequential(Net().rows, nn.Conv2d(K, K, 1, bias=False), nn.Flatten())
    conv[1].weight.data = 20 * torch.eye(K)[:, :, None, None]
    bare = nn.Sequential(Net().rows, nn.Flatten())
    made = {
        "1x1 convolution": conv,
        "TorchScript": hidden(Net()),
        "torch.export": exported(Net()),
        "no linear layer": bare,
    }
    model = made[name].eval() if name != "torch.export" else made[name]
    table = judged(model)
    assert table.loc[table["failure"] == "ood", "method"].tolist() == ["msp", "energy", "odin"]
    assert (table.loc[table["failure"] == "ood", "note"] == "").all()
    for method in ("knn", "mahalanobis-a"):
        note = notes(table, method, None)
        assert note.startswith("reads features: ")
        assert "no features, no head" in note
        assert "hand over a module that ends in one nn.Linear" in note
    if name in ("TorchScript", "torch.export"):
        assert auroc(table) == {m: pytest.approx(a, abs=1e-6) for m, a in auroc(EXPECTED).items() if m in auroc(table)}


def test_a_method_that_reads_the_head_of_a_model_without_one_says_so() -> None:
    def level(outputs: Outputs) -> Tensor:
        W, b = outputs[HEAD]
        return (outputs[FEATURES] @ W.T + b).logsumexp(dim=1)

    paper = Citation(authors="Me", title="Mine", year=2026, url=None)
    mine = Method(
        name="mine", title="", paper=paper, recipe=Plain(), detector=Stateless(frozenset({FEATURES, HEAD}), level)
    )
    assert notes(judged(hidden(Net()), [mine]), "mine", None).startswith("reads features, head: ")
    table = judged(Net(), [mine, "energy"])
    assert auroc(table)["mine"] == auroc(table)["energy"]


def test_one_column_is_the_log_odds_of_two_classes() -> None:
    first = [x[y < 2] for x, y in ((TRAIN[0], TRAIN[1]), (TEST[0], TEST[1]))]
    labels = [y[y < 2] for _, y in (TRAIN, TEST)]
    two, one = nn.Sequential(Net(), nn.Linear(K, 2)), nn.Sequential(Net(), nn.Linear(K, 1))
    with torch.no_grad():
        for module, rows in ((two[1], [[1.0, -1, 0], [-1, 1, 0]]), (one[1], [[-2.0, 2, 0]])):
            module.weight.copy_(torch.tensor(rows))
            module.bias.zero_()
    given = {"train": (first[0], labels[0]), "test": (first[1], labels[1])}
    result = result_of(one, **given)
    assert result.accuracy == {"train": 1.0, "test": 1.0}
    assert auroc(result.table) == pytest.approx(auroc(judged(two, **given)), abs=1e-6)


def test_a_thousand_classes_of_which_few_have_training_images() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1000))
    table = judged(model, ["msp", "mahalanobis-a"])
    assert "997 of 1000 classes have no training image (the first: 3)" in notes(table, "mahalanobis-a")
    assert "no training image" not in notes(table, "msp")


def test_autocast_and_inference_mode_of_the_caller_change_no_number() -> None:
    for surrounding in (torch.autocast("cpu", torch.bfloat16), torch.inference_mode(), torch.no_grad()):
        model = Net()
        with surrounding:
            table = judged(model)
        pd.testing.assert_frame_equal(table, EXPECTED)


# What is refused, in a sentence.


def test_what_is_no_module_is_told() -> None:
    program = torch.export.export(Net(), (torch.rand(2, 1, SIDE, SIDE),))
    with pytest.raises(BadMethod, match=r"got an ExportedProgram; .*hand over model\.module\(\)"):
        judged(program)  # type: ignore[arg-type]
    with pytest.raises(BadMethod, match=r"methods: got 'msp'; expected a list of names: \['msp'\]"):
        evaluate(Net(), train=TRAIN, test=TEST, failures={}, methods="msp")


def test_names_beside_a_model_that_knows_its_own_are_told() -> None:
    with pytest.raises(BadMethod, match="head, layers or pool is given with a Headed, which knows its own"):
        judged(Headed(Net()), layers=["rows"])


def test_a_program_of_one_size_of_batch_is_told() -> None:
    program = torch.export.export(Net(), (torch.rand(5, 1, SIDE, SIDE),)).module()
    with pytest.raises(BadMethod, match=r"cannot read .*in batches of any size"):
        judged(program)


def test_probabilities_of_no_linear_layer_are_refused_and_their_logarithms_noted() -> None:
    with pytest.raises(BadMethod, match="answered probabilities"):
        judged(Wrapped(lambda z: (z / 2).softmax(1)))
    table = judged(Wrapped(lambda z: (z / 2).log_softmax(1)))
    assert notes(table, "energy").startswith("the model answers log-probabilities")


def test_a_model_whose_output_depends_on_its_batch_is_refused() -> None:
    with pytest.raises(BadMethod, match=r"output depends on its batch.*track_running_stats=True"):
        judged(nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), Net()))
    with pytest.raises(BadMethod, match=r"the model is random in evaluation mode.*training=self.training"):
        judged(Wrapped(lambda z: z, lambda x: nn.functional.dropout(x)))
    judged(nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), Net()), ["msp"])


def test_pixels_of_another_range_are_told_the_way_out() -> None:
    x, y = TRAIN
    for pixels, message in (
        (
            (x - 0.5) / 0.25,
            r"from -1\.\d+ to 1\.\d+, expected \[0, 1\]; .*put that inside it: oodbench.networks.Headed",
        ),
        (x * 255, r"from 0.\d+ to 2\d\d.*, expected \[0, 1\]; give x / 255"),
        ((x * 65535).astype(np.uint16), r"got uint16 pixels .*x.astype\('float32'\) / 65535"),
        ((x * 255).astype(np.int32), r"got int32 pixels .*x.astype\('float32'\) / 255"),
        (x > 0.5, r"got bool pixels from 0 to 1.*x.astype\('float32'\) / 1"),
        ((x > 0.5).astype(np.uint8), r"got uint8 pixels 0 and 1, nearly black"),
    ):
        with pytest.raises(BadData, match=message):
            judged(Net(), train=(pixels, y))


# What is noted on the row, its numbers beside it.


def test_a_model_that_is_standardised_outside_is_told_by_what() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    x, test = (np.repeat(part[0], 3, axis=1) for part in (TRAIN, TEST))
    grey, net = nn.Conv2d(3, 1, 1, bias=False), Net()
    with torch.no_grad():
        grey.weight.fill_(1 / 3)
        net.rows.weight[2] *= -0.4  # the last class is that of images that are dark where 0 is the mean
    outside = nn.Sequential(grey, net)
    given: dict[str, Any] = {"train": (x, TRAIN[1]), "test": (test, TEST[1]), "failures": {}}
    assert result_of(Headed(outside, mean=mean, std=std), ["msp"], **given).accuracy["train"] > 0.95
    result = result_of(outside, ["msp"], **given | {"failures": {"strange": np.repeat(STRANGE, 3, axis=1)}})
    assert result.accuracy["train"] < 0.8
    assert "oodbench.networks.Headed(model, mean=(" in notes(result.table, "msp")


def test_a_model_that_is_right_by_chance_is_noted() -> None:
    y = (TRAIN[1] + 1) % K
    assert "are pixels in the range and labels in the order" in notes(
        judged(Net(), ["msp"], train=(TRAIN[0], y)), "msp"
    )


def test_images_that_are_in_two_sets_are_counted() -> None:
    table = judged(Net(), ["msp"], failures={"strange": STRANGE, "same": np.concatenate([STRANGE[:5], TEST[0][:7]])})
    assert notes(table, "msp", "same") == "7 of the 12 images of same are also in test; take them out of one of the two"
    assert notes(table, "msp") == ""
    seen = judged(Net(), ["msp"], test=TRAIN)
    tuned_method = dataclasses.replace(registry()["baseline-t"].method, search=Grid(over=(("T", (1.0, 100.0)),)))
    assert notes(seen, "msp").startswith("120 of the 120 test images are training images")
    tuned = judged(Net(), [tuned_method, "msp"], validation=drawn(30, 3), ood_validation={"held": STRANGE[:9]})
    assert "9 of the 9 images of ood_validation held are also in strange" in notes(tuned, "baseline-t")
    assert notes(tuned, "msp") == ""
    held = judged(Net(), ["temperature", "msp"], validation=(TEST[0][:9], TEST[1][:9]))
    assert notes(held, "temperature") == "9 of the 9 validation images are also in test; hold out others"
    assert notes(held, "msp") == ""


def test_bytes_and_floats_of_one_picture_are_the_same_image() -> None:
    bytes_ = (TEST[0] * 255).round().astype(np.uint8)
    table = judged(
        Net(), ["msp"], test=(bytes_, TEST[1]), failures={"same": bytes_.astype(np.float32) / np.float32(255)}
    )
    assert notes(table, "msp", "same").startswith("60 of the 60 images")


def test_a_class_without_a_training_image_is_noted_where_labels_are_fitted() -> None:
    x, y = TRAIN
    table = judged(Net(), train=(x[y != 1], y[y != 1]))
    assert notes(table, "mahalanobis-a").startswith("1 of 3 classes have no training image (the first: 1)")
    assert notes(table, "knn") == ""


def test_a_covariance_that_has_no_rank_for_want_of_images_is_noted() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, K))
    table = judged(model, ["mahalanobis-a"], train=drawn(30, 4))
    assert "30 training images of 3 classes give 64 features a covariance of rank 27" in notes(table, "mahalanobis-a")
    assert "give at least 67 training images" in notes(table, "mahalanobis-a")
    assert "rank" not in notes(judged(model, ["mahalanobis-a"]), "mahalanobis-a")


# One method that fails costs its own rows only.


class Overflow(Net):
    """A feature of one training image is infinite; logits are finite."""

    def forward(self, x: Tensor) -> Tensor:
        f = self.rows(x).flatten(1)
        f = torch.where((x == torch.from_numpy(TRAIN[0][17])).all(dim=(1, 2, 3))[:, None], torch.inf, f)
        return self.fc(f)  # type: ignore[no-any-return]


def broken(outputs: Outputs) -> Tensor:
    raise ZeroDivisionError("of its own")


def test_a_method_that_fails_costs_its_own_rows_only() -> None:
    paper = Citation(authors="Me", title="Mine", year=2026, url=None)
    mine = Method(name="mine", title="", paper=paper, recipe=Plain(), detector=Stateless(frozenset({LOGITS}), broken))
    table = judged(Net(), ["msp", mine, "knn"])
    assert notes(table, "mine", None).startswith("ZeroDivisionError: of its own (test_judged.py:")
    assert table.loc[table["method"] == "mine", NUMBERS].isna().all().all()
    expected = EXPECTED[EXPECTED["method"].isin(["msp", "knn"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[table["method"] != "mine"].reset_index(drop=True), expected, check_dtype=False)


def test_features_that_overflow_are_the_reason_of_a_fit_that_fails() -> None:
    table = judged(Overflow(), ["msp", "mahalanobis-a", "gmm-100"])
    assert auroc(table)["msp"] == auroc(EXPECTED)["msp"]
    for method in ("mahalanobis-a", "gmm-100"):
        assert notes(table, method, None).startswith(
            "features of 1 of 120 training images are NaN or infinite (the first: image 17)"
        )


@pytest.mark.parametrize(("held", "method"), [(2, "mahalanobis-c"), (1, "odin-tuned"), (1, "temperature")])
def test_too_few_held_out_images_cost_the_method_that_fits_on_them(held: int, method: str) -> None:
    x, y = drawn(held, 3)
    table = judged(Net(), ["msp", method], validation=(x, y), ood_validation={"t": STRANGE[:held] * 0.5})
    assert auroc(table)["msp"] == auroc(EXPECTED)["msp"]
    said = {
        "mahalanobis-c": "got 2 held-out images inside and 2 outside; expected at least 3 of each",
        "odin-tuned": "fits on one half of the held-out images and tunes on the other; t holds one: give more",
    }
    if method in said:
        assert notes(table, method, None).startswith(said[method])
    else:
        assert method in auroc(table)  # one image has the temperature of one image


def test_pictures_stay_where_they_are(tmp_path: Path) -> None:
    """Torch tensors that need a gradient, memory maps and read-only arrays are arrays."""
    np.save(tmp_path / "x.npy", STRANGE)
    for strange in (
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        torch.tensor(STRANGE, requires_grad=True),
        np.broadcast_to(STRANGE, STRANGE.shape),
    ):
        assert auroc(judged(Net(), ["msp"], failures={"strange": strange})) == {"msp": auroc(EXPECTED)["msp"]}
