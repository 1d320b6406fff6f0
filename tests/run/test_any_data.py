"""Judging a classifier on data in any form, streamed, kept, and without the network itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

import oodbench
from oodbench.check.toy import blends, blobs, noise, toy
from oodbench.cli import main
from oodbench.contract import LOGITS
from oodbench.errors import BadData, BadMethod, BadSetting
from oodbench.models.outputs import Trained
from oodbench.networks import Headed
from oodbench.recipes import Plain
from oodbench.run import own
from oodbench.run.attack import predict
from oodbench.run.batch_size import suited
from oodbench.run.judge import _transform
from oodbench.run.memory_format import channels_last
from oodbench.sources.named import NamedModel
from oodbench.sources.preprocess import preprocess

METHODS = ["msp", "energy", "knn", "mahalanobis-a", "odin"]


class Counted(nn.Module):
    """The toy's classifier, which counts the images that it has seen."""

    def __init__(self) -> None:
        super().__init__()
        net: Any = toy(Plain()).model.net
        self.standardise, self.trunk, self.fc = net.standardise, net.trunk, nn.Linear(net.head.in_features, 3)
        self.fc.load_state_dict(net.head.state_dict())
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return self.fc(self.trunk(self.standardise(x))[-1].mean((2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def model() -> Counted:
    return Counted().eval()


X, FAR = (blobs(120, 11).pixels * 255).round().astype(np.uint8), {"noise": noise(60, 12).pixels}
TRAIN = (blobs(150, 0).pixels, blobs(150, 0).labels)
Y = predict(toy(Plain()).model, torch.from_numpy(X.astype(np.float32) / 255)).numpy()
Y[:20] = (Y[:20] + 1) % 3
GIVEN: dict[str, Any] = {"train": TRAIN, "test": (X, Y), "failures": FAR}


def same(a: oodbench.Result, b: oodbench.Result, **near: float) -> None:
    assert a.accuracy == b.accuracy and a.scores.keys() == b.scores.keys()
    for method, sets in a.scores.items():
        for name, scores in sets.items():
            np.testing.assert_allclose(scores, b.scores[method][name], **(near or {"rtol": 0, "atol": 0}))


def pictures(place: Path) -> Path:
    """Write the test images into a folder a class."""
    for row, (x, label) in enumerate(zip(X, Y, strict=True)):
        (place / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[0]).save(place / str(label) / f"{row:03d}.png")
    return place


class Items(Dataset[Any]):
    """The test images, as items."""

    def __init__(self, until: int = len(X)) -> None:
        self.until = until

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, row: int) -> Any:
        if row >= self.until:
            raise RuntimeError("the machine went down")
        return torch.from_numpy(X[row].astype(np.float32) / np.float32(255)), int(Y[row])


def test_a_folder_a_data_set_and_an_iterator_give_the_scores_of_the_arrays(model: Counted, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"methods": METHODS, "attacks": ["fgsm-8"]}
    from_arrays = oodbench.evaluate(model, **GIVEN, **asked)
    same(from_arrays, oodbench.evaluate(model, **{**GIVEN, "test": Items()}, **asked))
    parts = ((X[i : i + 50], Y[i : i + 50]) for i in range(0, len(X), 50))
    same(from_arrays, oodbench.evaluate(model, **{**GIVEN, "test": parts}, **asked))
    by_class = np.argsort(Y, kind="stable")
    in_folders = oodbench.evaluate(model, **{**GIVEN, "test": pictures(tmp_path)}, methods=["msp", "knn"])
    np.testing.assert_allclose(in_folders.scores["knn"]["test"], from_arrays.scores["knn"]["test"][by_class], rtol=1e-5)
    np.testing.assert_array_equal(in_folders.correct, from_arrays.correct[by_class])


def test_all_methods_cost_one_pass_of_each_set(model: Counted) -> None:
    model.seen = 0
    oodbench.evaluate(model, **GIVEN, methods=["msp", "energy", "knn", "mahalanobis-a"])
    looks = 16 + 1 + 16 + 8  # the head is looked for, an image alone is compared, batch sizes are chosen
    assert model.seen <= len(TRAIN[0]) + len(X) + len(FAR["noise"]) + 3 * looks


def test_batch_sizes_are_the_users(model: Counted) -> None:
    sizes: list[int] = []
    hook = model.register_forward_hook(lambda _, args, __: sizes.append(len(args[0])))
    try:
        whole = oodbench.evaluate(model, **GIVEN, methods=["odin"], batch=30, gradient_batch=7)
    finally:
        hook.remove()
    assert {30, 7} <= set(sizes) and max(sizes) == 30
    same(whole, oodbench.evaluate(model, **GIVEN, methods=["odin"]), rtol=1e-4, atol=1e-6)
    with pytest.raises(BadSetting, match="batch: got 0; expected a whole number from 1"):
        oodbench.evaluate(model, **GIVEN, methods=["msp"], batch=0)


def test_a_larger_activation_makes_smaller_batches() -> None:
    wide = nn.Sequential(nn.Conv2d(3, 256, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 2))
    assert suited(wide, torch.zeros(2, 3, 64, 64)) == 16 < suited(nn.Flatten(), torch.zeros(2, 3, 8, 8)) == 512


def test_without_training_images_what_needs_none_runs(model: Counted) -> None:
    result = oodbench.evaluate(model, test=(X, Y), failures=FAR, methods=METHODS)
    assert set(result.scores) == {"msp", "energy", "odin"} and set(result.accuracy) == {"test"}
    notes = result.table.set_index("method")["note"]
    for method in ("knn", "mahalanobis-a"):
        assert "none were given: give train=" in notes[method]
    assert "no training images were given" in repr_of(result)


def repr_of(result: oodbench.Result) -> str:
    from oodbench.result.report import report

    return report(result, [])


def test_what_passed_through_the_model_outlives_a_stop(
    model: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "SEGMENT", 32)
    asked: dict[str, Any] = {"methods": ["msp", "knn"], "cache": tmp_path, "batch": 16, "attacks": ["fgsm-8"]}
    whole = oodbench.evaluate(model, **GIVEN, methods=["msp", "knn"], batch=16, attacks=["fgsm-8"])

    stopped = 0
    while True:
        passes = iter(range(14))  # the looks take about eight

        def stop(*_: Any, passes: Iterator[int] = passes) -> None:
            if next(passes, None) is None:
                raise KeyboardInterrupt

        hook = model.register_forward_pre_hook(stop)
        try:
            oodbench.evaluate(model, **GIVEN, **asked)
            break
        except KeyboardInterrupt:
            stopped += 1
            assert stopped < 20, "it does not get on"
        finally:
            hook.remove()
    assert stopped >= 2
    model.seen = 0
    same(whole, oodbench.evaluate(model, **GIVEN, **asked))
    assert model.seen < 60  # the looks alone
    with torch.no_grad():
        model.fc.bias[0] += 1
    try:
        assert oodbench.evaluate(model, **GIVEN, **asked).scores["msp"]["test"][0] != whole.scores["msp"]["test"][0]
    finally:
        with torch.no_grad():
            model.fc.bias[0] -= 1


class Clipped(nn.Module):
    """A classifier that clips strange features alone, as ReAct does: by a setting, or in its code."""

    def __init__(self, inner: Counted, at: float) -> None:
        super().__init__()
        self.inner, self.at = inner, at

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).clamp(max=self.at)  # type: ignore[no-any-return]


class Unclipped(Clipped):
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + 0.0  # type: ignore[no-any-return]


Unclipped.__qualname__ = "Clipped"  # as if its file had been edited


def test_what_passed_through_another_model_is_not_found(model: Counted, tmp_path: Path) -> None:
    """Equal weights, and equal logits of what the model is looked at with, are not enough."""
    largest = outputs_of(model, X)["logits"].max(axis=1)
    faint, bright = np.argsort(largest)[:20], np.argsort(largest)[-60:]
    at = float(largest[faint].max()) + 0.1
    asked: dict[str, Any] = {"test": (X[faint], Y[faint]), "failures": {"bright": X[bright]}, "methods": ["energy"]}
    scores = [
        oodbench.evaluate(one, **asked, batch=40, cache=tmp_path).scores["energy"]["bright"]
        for one in (Clipped(model, 1e3), Clipped(model, at), Unclipped(model, at), Clipped(model, 1e3))
    ]
    np.testing.assert_array_equal(scores[0], scores[3])
    np.testing.assert_array_equal(scores[0], scores[2])
    assert (scores[0] != scores[1]).any()
    assert len(list(tmp_path.glob("model-*"))) == 3


def test_failures_that_are_damaged_cost_their_own_rows_only(model: Counted, tmp_path: Path) -> None:
    place = pictures(tmp_path)
    damaged = sorted(place.rglob("*.png"))[40]
    damaged.write_bytes(damaged.read_bytes()[:60])
    asked: dict[str, Any] = {"train": TRAIN, "test": (X, Y), "methods": ["msp", "knn"]}
    table = oodbench.evaluate(model, **asked, failures={**FAR, "damaged": place, "broken": Items(until=30)}).table
    rows = table.set_index(["method", "set"])
    for method in asked["methods"]:
        assert f"{damaged.name}: not a readable image" in rows.loc[(method, "damaged"), "note"]
        assert "the machine went down" in rows.loc[(method, "broken"), "note"]
        assert rows.loc[(method, "noise"), "note"] == "" and rows.loc[(method, "noise"), "auroc"] > 0.5
    with pytest.raises(BadData, match="not a readable image"):
        oodbench.evaluate(model, **{**asked, "test": place})


def test_pictures_of_other_channels_than_the_models_are_told(tmp_path: Path) -> None:
    from torchvision.transforms import ToTensor

    place = pictures(tmp_path)
    asked: dict[str, Any] = {"test": place, "failures": {"same": place}, "methods": ["msp"]}
    nets = [nn.Sequential(nn.Conv2d(c, 3, 8), nn.Flatten(), nn.Linear(3, 3)) for c in (1, 3)]
    with pytest.raises(
        BadMethod, match=r"the first of the test images, .*for a model of one channel begin it with Gray"
    ):
        oodbench.evaluate(nets[0], **asked, transform=ToTensor())
    with pytest.raises(BadMethod, match=r"the first picture is grey, and so are all: transform=torchvision"):
        oodbench.evaluate(nets[1], **asked)


def test_a_cache_that_is_a_file_is_told(model: Counted, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(BadSetting, match="expected a folder to write to"):
        oodbench.evaluate(model, **GIVEN, methods=["msp"], cache=tmp_path / "x")


def test_what_was_noted_is_noted_when_outputs_are_found_again(
    model: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "SEGMENT", 32)
    place = pictures(tmp_path / "pictures")
    asked: dict[str, Any] = {"test": place, "failures": {"same": place}, "methods": ["msp"], "cache": tmp_path / "c"}
    tables = [oodbench.evaluate(model, **asked).table for _ in range(2)]
    for table in tables:
        assert "120 of the 120 images of same are also in test" in table[table["set"] == "same"]["note"].item()


def outputs_of(model: Counted, x: np.ndarray) -> dict[str, np.ndarray]:
    with torch.no_grad():
        pixels = torch.from_numpy(x if x.dtype == np.float32 else x.astype(np.float32) / np.float32(255))
        features = model.trunk(model.standardise(pixels))[-1].mean((2, 3))
        return {"logits": model.fc(features).numpy(), "features": features.numpy()}


def test_stored_outputs_and_a_head_are_enough_for_what_reads_no_more(model: Counted, tmp_path: Path) -> None:
    for name, (x, y) in {"train": TRAIN, "test": (X, Y), "noise": (FAR["noise"], None)}.items():
        np.savez(tmp_path / f"{name}.npz", **outputs_of(model, x), **({} if y is None else {"labels": y}))
    head = (model.fc.weight.detach().numpy(), model.fc.bias.detach().numpy())
    sets: dict[str, Any] = {
        "train": tmp_path / "train.npz",
        "test": tmp_path / "test.npz",
        "failures": {"noise": tmp_path / "noise.npz"},
    }
    stored = oodbench.evaluate(oodbench.StoredModel(head=head), **sets, methods=METHODS, attacks=["fgsm-8"])
    whole = oodbench.evaluate(model, **GIVEN, methods=["msp", "energy", "knn", "mahalanobis-a"])
    same(stored, whole, rtol=1e-3, atol=1e-5)
    notes = stored.table.set_index("method")["note"]
    assert "stored outputs hold no pixels and no network" in notes["odin"]
    arrays = oodbench.StoredOutputs(**outputs_of(model, X), labels=Y)
    assert oodbench.evaluate(oodbench.StoredModel(), test=arrays, methods=["msp"]).accuracy == {"test": 100 / 120}
    with pytest.raises(BadData, match=r"features @ W.T \+ b of train differ from its logits"):
        oodbench.evaluate(oodbench.StoredModel(head=(head[0] * 2, head[1])), **sets, methods=["msp"])
    with pytest.raises(BadData, match=r"head: got weights \[3, 4\]; train has 3 logits and \d+ features"):
        oodbench.evaluate(oodbench.StoredModel(head=(head[0][:, :4], head[1])), **sets, methods=["msp"])
    with pytest.raises(BadData, match="noise: got images, and the model is one of stored outputs"):
        oodbench.evaluate(oodbench.StoredModel(), **{**sets, "failures": FAR}, methods=["msp"])


class Binary(nn.Module):
    """A classifier of two classes that answers with one logit."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.fc = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU()), nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x))  # type: ignore[no-any-return]


def test_one_stored_logit_and_its_head_give_the_scores_of_the_network() -> None:
    net = Binary().eval()
    with torch.no_grad():
        net.fc.weight.mul_(20)
        net.fc.bias.sub_(net(torch.from_numpy(TRAIN[0])).median())
    methods = ["msp", "react", "pnml", "scale", "ash-s", "vra", "mcm", "nci", "nac", "fdbd", "vim"]

    @torch.no_grad()
    def stored(x: np.ndarray, y: np.ndarray | None = None) -> oodbench.StoredOutputs:
        features = net.body(torch.from_numpy(x))
        return oodbench.StoredOutputs(logits=net.fc(features), features=features, labels=y)

    train, test = (TRAIN[0], np.arange(150) % 2), (X.astype(np.float32) / 255, np.arange(120) % 2)
    whole = oodbench.evaluate(net, train=train, test=test, failures=FAR, methods=methods)
    model = oodbench.StoredModel(head=(net.fc.weight.detach(), net.fc.bias.detach()))
    far = {name: stored(x) for name, x in FAR.items()}
    found = oodbench.evaluate(model, train=stored(*train), test=stored(*test), failures=far, methods=methods)
    assert set(whole.scores) == set(methods), whole.table["note"].unique()
    same(found, whole, rtol=1e-3, atol=1e-5)


def test_stored_outputs_that_cannot_be_judged_are_told(model: Counted) -> None:
    outputs = oodbench.StoredOutputs(**outputs_of(model, X), labels=Y)  # type: ignore[arg-type]
    far = oodbench.StoredOutputs(**outputs_of(model, FAR["noise"]))  # type: ignore[arg-type]
    asked: dict[str, Any] = {"failures": {"far": far}, "methods": ["msp"]}
    with pytest.raises(BadData, match="test: got stored outputs, which no network reads"):
        oodbench.evaluate(model, test=outputs, **asked)
    beyond = oodbench.StoredOutputs(logits=outputs.logits, features=outputs.features, labels=Y + 1)
    with pytest.raises(BadData, match="test: got label 3; expected classes from 0 to 2"):
        oodbench.evaluate(oodbench.StoredModel(), test=beyond, **asked)
    softmax = [
        oodbench.StoredOutputs(logits=torch.as_tensor(one.logits).softmax(1), labels=one.labels)
        for one in (outputs, far)
    ]
    with pytest.raises(BadMethod, match="answered probabilities"):
        oodbench.evaluate(oodbench.StoredModel(), test=softmax[0], failures={"far": softmax[1]}, methods=["msp"])


def test_a_stop_says_what_is_kept(
    in_a_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from oodbench.run import judge

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "evaluate", stopped)
    words = ["evaluate", "--model", "stored", "--test", "x", "--methods", "msp"]
    assert main(words) == 130
    assert "nothing is kept: with --cache FOLDER the same command goes on" in capsys.readouterr().err
    assert main([*words, "--cache", "c"]) == 130
    assert "what is done is kept: the same command goes on from there" in capsys.readouterr().err


def test_a_normalize_at_the_end_of_a_transform_is_put_in_front_of_the_model(model: Counted, tmp_path: Path) -> None:
    from torchvision import transforms

    net: Any = model
    mean, std = net.standardise.mean.flatten().tolist(), net.standardise.std.flatten().tolist()
    bare = nn.Sequential()
    bare.trunk, bare.fc = net.trunk, net.fc
    bare.forward = lambda x: net.fc(net.trunk(x)[-1].mean((2, 3)))  # type: ignore[method-assign]
    ready = transforms.Compose([transforms.Grayscale(), transforms.ToTensor(), transforms.Normalize(mean, std)])
    given: dict[str, Any] = {"test": pictures(tmp_path / "test"), "methods": ["msp", "odin"], "attacks": ["fgsm-8"]}
    same(
        oodbench.evaluate(bare, **given, transform=ready),
        oodbench.evaluate(model, **given),
        rtol=1e-4,
        atol=1e-5,
    )
    standardised = (((X / 255 - mean[0]) / std[0]).astype(np.float32), Y)
    same(
        oodbench.evaluate(bare, test=standardised, methods=["msp"], mean=mean, std=std),
        oodbench.evaluate(model, test=(X, Y), methods=["msp"]),
        rtol=1e-4,
        atol=1e-5,
    )
    with pytest.raises(BadMethod, match="which standardises already"):
        oodbench.evaluate(toy(Plain()).model.net, test=(X, Y), methods=["msp"], mean=mean, std=std)
    with pytest.raises(BadSetting, match="one without the other"):
        oodbench.evaluate(bare, test=(X, Y), methods=["msp"], mean=mean)


def test_what_a_model_is_standardised_by_is_what_its_user_said(model: Counted) -> None:
    """The constants of a library's own weights come last: a network of one's own training has others."""
    of_library = preprocess({"input_size": (1, 8, 8), "mean": (0.9,), "std": (0.05,)})
    asked: dict[str, Any] = {"test": (X, Y), "failures": FAR, "methods": ["msp"]}
    whole = oodbench.evaluate(model, **asked)
    plain = NamedModel("x", model, of_library, ((0.0,), (1.0,)))
    same(whole, oodbench.evaluate(plain, **asked))
    library = NamedModel("x", model, of_library, of_library.standard)
    same(whole, oodbench.evaluate(library, **asked, mean=[0], std=[1]))
    doubted = oodbench.evaluate(library, **asked)
    assert doubted.accuracy["test"] < whole.accuracy["test"] - 0.1
    assert "of plain pixels in [0, 1]: it expects those; say so: mean=(0,), std=(1,)" in doubted.table["note"][0]
    with pytest.raises(BadSetting, match="and the transform standardises by"):
        oodbench.evaluate(plain, **asked, transform={"input_size": (1, 8, 8), "mean": (0.9,), "std": (0.05,)})


def test_folders_that_are_not_the_models_classes_are_refused(model: Counted, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(X[0, 0]).save(tmp_path / name / "0.png")
    with pytest.raises(
        BadData, match=r"folders of 2 classes \(cat, dog ...\), and the model has 3 outputs; .*classes="
    ):
        oodbench.evaluate(model, test=tmp_path, methods=["msp"])
    named = oodbench.evaluate(model, test=tmp_path, methods=["msp"], classes=["bird", "cat", "dog"])
    assert len(named.correct) == 2


def test_sets_that_share_images_are_noted_however_they_are_read(model: Counted, tmp_path: Path) -> None:
    result = oodbench.evaluate(
        model,
        **{**GIVEN, "test": Items(), "failures": {"same": pictures(tmp_path), "noise": FAR["noise"]}},
        methods=["msp"],
    )
    notes = result.table.set_index("set")["note"]
    assert "120 of the 120 images of same are also in test" in notes["same"] and not notes["noise"]


@pytest.fixture
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a working directory with a user's module and pictures."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "test")
    (tmp_path / "far").mkdir()
    for row, x in enumerate((blends(40, 13).pixels * 255).round().astype(np.uint8)):
        Image.fromarray(x[0]).save(tmp_path / "far" / f"{row}.png")
    (tmp_path / "users_models.py").write_text(
        "from oodbench.check.toy import toy\nfrom oodbench.recipes import Plain\n\ndef best():\n"
        "    return toy(Plain()).model.net\n"
    )
    yield tmp_path


def test_one_command_judges_a_classifier_on_folders(in_a_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "evaluate",
        "--model",
        "users_models:best",
        "--test",
        "test",
        "--failures",
        "far",
        "--methods",
        "msp",
        "energy",
    ]
    assert main([*asked, "--attacks", "fgsm-8", "--out", "report"]) == 0
    told = capsys.readouterr().out
    assert "accuracy on 120 test images: 83.33%" in told and "mean of far" in told and "wrote report/report.md" in told
    assert set(oodbench.load(in_a_folder / "report").scores) == {"msp", "energy"}
    assert main(["evaluate", "--model", "users_models:best", "--test", "test"]) == 0
    assert "max-logit" in capsys.readouterr().out  # all that can run without training images
    assert main(["evaluate", "--model", "users_models:best", "--test", "test", "--methods", "knn", "vim"]) == 1
    assert "a folder of pictures a class (--train)" in capsys.readouterr().out  # and none of them gave a number


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--model", "users_models:bset"], "did you mean 'best'"),
        (["--model", "resnet"], "model: got 'resnet'; expected timm:NAME"),
        (["--model", "torchvision:resnet17"], "did you mean"),
        (["--model", "nowhere.th", "--network", "he-resnet-20"], "nowhere.th is not there"),
        (["--test", "elsewhere"], "test: 'elsewhere' is not there; expected an array"),
        (["--matrix", "tiny-v1"], "got --matrix and --test"),
        (["--transform", "users_models"], "expected MODULE:NAME"),
        (["--methods", "mps"], "did you mean 'msp'"),
    ],
)
def test_a_command_that_cannot_work_says_why(
    in_a_folder: Path, changed: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"--model": "users_models:best", "--test": "test"} | {changed[0]: changed[1]}
    assert main(["evaluate", *(part for pair in asked.items() for part in pair), *changed[2:]]) == 2
    assert message in capsys.readouterr().err


def test_the_number_of_classes_of_a_checkpoint_is_that_of_its_last_matrix(tmp_path: Path) -> None:
    """Its last tensor may count the batches of a batch norm."""
    pytest.importorskip("timm")
    from oodbench.networks.libraries import from_timm

    held = from_timm("resnet10t", 7).state_dict()
    held = {**{name: value for name, value in held.items() if name != "bn1.num_batches_tracked"}} | {
        "bn1.num_batches_tracked": held["bn1.num_batches_tracked"]
    }
    torch.save(held, tmp_path / "net.pth")
    loaded = oodbench.load_model(tmp_path / "net.pth", network="timm:resnet10t")
    torch.testing.assert_close(loaded.model.state_dict(), dict(held), check_dtype=False)


def test_a_checkpoint_is_read_into_its_network(tmp_path: Path) -> None:
    from oodbench.networks import Classifier, trunk

    torch.manual_seed(0)
    net = Classifier(trunk("he-resnet-20", 3), 10, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).eval()
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in net.state_dict().items()}}, tmp_path / "net.th"
    )
    loaded = oodbench.load_model(tmp_path / "net.th", network="he-resnet-20", mean=(0.5,) * 3, std=(0.25,) * 3)
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(loaded.model.eval()(x), net(x))
    assert isinstance(Trained(loaded.model, torch.device("cpu")).batch, int)
    with pytest.raises(BadSetting, match="is a checkpoint; say its network, too"):
        oodbench.load_model(tmp_path / "net.th")


class Viewing(nn.Module):
    """A network that looks at its feature map by `view`, which channels last do not bear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv2(self.conv1(x)).view(len(x), -1))  # type: ignore[no-any-return]


def test_channels_last_computes_the_same_and_leaves_the_model_as_it_was(model: Counted) -> None:
    x = torch.from_numpy(X[:4].astype(np.float32) / 255)
    for net, done in ((Headed(model), True), (Headed(Viewing().eval()), False)):
        before = {name: (value.clone(), value.stride()) for name, value in net.state_dict().items()}
        trained = Trained(net, torch.device("cpu"))
        plain = trained.outputs(x, frozenset({LOGITS}))[LOGITS]
        with channels_last(trained, x) as changed:
            assert changed == done
            torch.testing.assert_close(trained.outputs(x, frozenset({LOGITS}))[LOGITS], plain)
        after = net.state_dict()
        assert all(after[name].equal(value) and after[name].stride() == lies for name, (value, lies) in before.items())


def test_a_transform_is_found_in_the_working_directory(in_a_folder: Path) -> None:
    (in_a_folder / "users_transform.py").write_text("def fit(picture):\n    return picture\n")
    assert _transform("users_transform:fit")("x") == "x"
