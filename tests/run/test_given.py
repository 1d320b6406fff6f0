"""Given models: loaded, never trained, and otherwise rows as any others are."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from small import small_matrix

from oodbench.data.fixed import parse
from oodbench.data.matrix import Matrix
from oodbench.errors import BadCard, BadCheckpoint, BadChecksum, BadSetting, MissingData, UnknownName
from oodbench.given import GivenModel, Weights
from oodbench.identity import address
from oodbench.models.train import train
from oodbench.networks import classifier
from oodbench.recipes import Given
from oodbench.records import read_model, read_record, record_paths
from oodbench.run.context import Context
from oodbench.run.engines import InProcess
from oodbench.run.execute import execute
from oodbench.run.forecast import forecast
from oodbench.run.plan import Skip, plan
from oodbench.run.rows import rows
from oodbench.run.verify import rerun
from oodbench.run.workspace import Workspace
from oodbench.spaces import Images
from oodbench.training import InSet

SPACE = Images((1, 28, 28), (0.1,), (0.3,))


def given(folder: Path, name: str, draw: int) -> GivenModel:
    """Return a model whose random weights are written into a folder."""
    torch.manual_seed(draw)
    net = classifier("toy-cnn", InSet(SPACE, 10))
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.th"
    torch.save({"state_dict": {f"module.{key}": value for key, value in net.state_dict().items()}}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    weights = Weights(seed=0, name=path.name, sha256=sha256, size=path.stat().st_size, url=f"https://x.org/{name}.th")
    how = {"network": "toy-cnn", "mean": SPACE.mean, "std": SPACE.std, "licence": "MIT", "citation": "nobody"}
    return GivenModel(name=name, weights=(weights,), **how)


def matrix_of(*models: GivenModel) -> Matrix:
    return small_matrix().model_copy(update={"training": None, "model": models, "attacks": (), "seeds": (0,)})


def context_of(folder: Path, *models: GivenModel) -> Context:
    return Context(matrix_of(*models), Workspace(folder / "results", folder / "data", folder / "cache", "cpu"))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    data = tmp_path / "data"
    return context_of(tmp_path, given(data, "one", 0), given(data, "two", 1))


def run(context: Context, names: list[str]) -> tuple[str, ...]:
    planned = plan(context.matrix, rows(context.matrix, names), (0,))
    made = execute(context, planned, InProcess([context.workspace]))
    return tuple(f"{record.method} {record.status}" for record in made.records)


def test_a_method_is_a_row_on_each_model_and_its_record_says_whence(context: Context) -> None:
    assert run(context, ["msp"]) == ("msp@one ok", "msp@two ok")
    results = context.workspace.results
    record = read_record(record_paths(results, "small-v1", "msp@one", 0).record)
    said = record.recipe["model"]["weights"][0]
    assert said["url"] == "https://x.org/one.th"
    assert said["sha256"] == context.matrix.model[0].weights[0].sha256
    assert record.model == record.reference
    assert record.model is not None
    assert record.model.name == "one"
    accuracies = [read_model(results / "small-v1" / "models" / n / "0.json").quality.accuracy for n in ("one", "two")]
    assert accuracies[0] != accuracies[1]


def test_what_trains_a_network_of_its_own_is_skipped_once_with_the_reason(context: Context) -> None:
    (skipped,) = plan(context.matrix, rows(context.matrix, ["oe-finetune"]), (0,))
    assert isinstance(skipped, Skip)
    assert (
        "trains a network of its own (OeFineTuned), and small-v1 judges classifiers that it is given: one, two"
        in skipped.reason
    )


def test_the_loaded_model_is_the_file(context: Context) -> None:
    model, _ = context.model(Given(context.matrix.model[1]), 0)
    torch.manual_seed(1)
    net = classifier("toy-cnn", InSet(SPACE, 10)).eval()
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(model.net(x), net(x))  # channels last: other rounding


def test_a_broken_cache_is_loaded_anew_and_never_trained(context: Context) -> None:
    recipe = Given(context.matrix.model[0])
    first, folder = context.model(recipe, 0)
    (folder / "weights.safetensors").write_bytes(b"")
    again, _ = context.model(recipe, 0)
    for name, value in first.net.state_dict().items():
        assert again.net.state_dict()[name].equal(value)
    with pytest.raises(BadSetting, match="one is a given model"):
        train(recipe, context.sets.train, InSet(SPACE, 10), 0, device=torch.device("cpu"))


def test_a_rerun_from_nothing_gives_the_same_bytes(context: Context) -> None:
    run(context, ["msp@two"])
    planned = plan(context.matrix, rows(context.matrix, ["msp"]), (0,))
    (one,) = rerun(context, planned, 1.0, "0", lambda place: InProcess([place]))
    assert (one.method, one.verdict) == ("msp@two", "same bytes")


def test_absent_weights_stop_a_run_with_the_command_that_gets_them(context: Context) -> None:
    assert context.workspace.data is not None
    (context.workspace.data / "two.th").unlink()
    with pytest.raises(MissingData, match=r"two\.th, the weights of two, is not here .*oodbench data get small-v1"):
        run(context, ["msp"])
    text = forecast(context, plan(context.matrix, rows(context.matrix, ["msp"]), (0,)))
    line = next(line for line in text.splitlines() if line.startswith("two "))
    assert "absent" in line
    assert "oodbench data get small-v1" in line
    assert run(context, ["msp@one"]) == ("msp@one ok",)  # whose weights are here


def test_other_bytes_are_refused(context: Context) -> None:
    assert context.workspace.data is not None
    path = context.workspace.data / "one.th"
    content = bytearray(path.read_bytes())
    path.write_bytes(content + b"x")
    with pytest.raises(BadChecksum, match=f"has {len(content) + 1} bytes, expected {len(content)}"):
        context.model(Given(context.matrix.model[0]), 0)
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadChecksum, match="sha256"):
        context.model(Given(context.matrix.model[0]), 0)


def test_weights_of_another_network_are_refused(context: Context) -> None:
    other = replace(context.matrix.model[0], network="resnet-small")
    with pytest.raises(BadCheckpoint, match=r"one\.th \(one: resnet-small\): weights of another architecture"):
        context_of(context.workspace.cache.parent, other).model(Given(other), 0)


def test_what_weights_are_is_their_sha256_not_where_they_are(context: Context) -> None:
    model = context.matrix.model[0]
    moved = replace(model.weights[0], url="https://y.org/a.th", name="a.th")
    assert address(Given(model)) == address(Given(replace(model, weights=(moved,), folders=("elsewhere",))))
    assert address(Given(model)) != address(Given(replace(model, mean=(0.2,))))
    assert address(Given(model)) != address(Given(replace(model, weights=(replace(moved, sha256="0" * 64),))))


def test_one_model_keeps_the_names_of_methods(context: Context) -> None:
    matrix = matrix_of(context.matrix.model[0])
    planned = plan(matrix, rows(matrix, ["msp", "glow"]), (0,))
    assert [item.method.name for item in planned] == ["msp", "glow"]
    assert isinstance(planned[1], Skip)
    with pytest.raises(UnknownName, match="did you mean 'msp@one'"):
        rows(context.matrix, ["msp@onee"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"training": {"network": "toy-cnn", "epochs": 1}}, "got both"),
        ({"model": []}, "got neither"),
        ({"seeds": [0, 1]}, r"has weights of the seeds \[0\], expected a file for each of \(0, 1\)"),
    ],
)
def test_a_matrix_trains_its_classifier_or_is_given_some(change: dict, said: str, context: Context) -> None:
    content = matrix_of(context.matrix.model[0]).model_dump(mode="json", exclude_none=True)
    parse(content, Matrix, "small-v1.toml")
    with pytest.raises(BadCard, match=said):
        parse({**content, **change}, Matrix, "small-v1.toml")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("mean", [0.1, 0.2], "expected one for each of 1 channels"),
        ("nettwork", "x", "unknown key; did you mean 'network'"),
        ("weights", [], "weights"),
    ],
)
def test_a_model_that_is_not_whole_is_refused(field: str, value: object, said: str, context: Context) -> None:
    content = matrix_of(context.matrix.model[0]).model_dump(mode="json", exclude_none=True)
    content["model"] = [{**asdict(context.matrix.model[0]), field: value}]
    with pytest.raises(BadCard, match=said):
        parse(content, Matrix, "small-v1.toml")
