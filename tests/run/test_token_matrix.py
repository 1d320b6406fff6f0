"""A matrix of texts from end to end: the same methods, unchanged; those that need pixels say so."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch.nn.functional import cross_entropy

from oodbench.check.conformance import checks_of
from oodbench.cli import main
from oodbench.contract import (
    EMBEDDINGS,
    LOGITS,
    NETWORK,
    TOKENS,
    Citation,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.data.fixed import parse
from oodbench.data.load import load
from oodbench.data.matrix import Matrix, find_matrix
from oodbench.errors import BadCard
from oodbench.networks import classifier
from oodbench.networks.gru import GruClassifier
from oodbench.recipes import Given, Plain
from oodbench.records import read_record, record_paths
from oodbench.run.context import Context
from oodbench.run.engines import InProcess
from oodbench.run.execute import execute
from oodbench.run.plan import Job, Skip, plan
from oodbench.run.registry import find, registry
from oodbench.run.workspace import Workspace
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone

PAPER = Citation(authors="Nobody", title="Nothing", year=2000, url="https://example.org")
ROWS = ("msp", "temperature", "energy", "knn", "oe-scratch", "oe-finetune", "odin")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    assert run(folder) == 0
    return folder / "r"


def run(folder: Path, *more: str) -> int:
    places = ("--results", folder / "r", "--cache", folder / "c", "--leaderboard", folder / "page.md")
    return main([str(word) for word in ("run", "toy-words-v1", "--methods", *ROWS, "--workers", "1", *places, *more)])


def test_what_needs_pixels_is_skipped_with_the_reason() -> None:
    planned = {item.method.name: item for item in plan(find_matrix("toy-words-v1"), registry().values(), (0,))}
    assert {name for name, item in planned.items() if isinstance(item, Job)} >= {*ROWS} - {"odin"}
    reasons = {name: item.reason for name, item in planned.items() if isinstance(item, Skip)}
    assert reasons["odin"] == "reads inputs, which Plain models of tokens do not have"
    assert reasons["glow"] == "Glow models take images, and these inputs are tokens"


def test_methods_score_texts_as_they_score_images(results: Path) -> None:
    for name in ROWS:
        record = read_record(record_paths(results, "toy-words-v1", name, 0).record)
        assert record.status == ("skipped" if name == "odin" else "ok"), record.reason
    assert "reads inputs, which Plain models of tokens do not have" in (record.reason or "")


def test_a_second_run_makes_nothing_again(results: Path) -> None:
    made = [*results.rglob("*.parquet"), *(results.parent / "c" / "models").rglob("*.safetensors")]
    before = {path: path.stat().st_mtime_ns for path in made}
    assert len(before) > len(ROWS)
    assert run(results.parent) == 0
    assert {path: path.stat().st_mtime_ns for path in made} == before


def test_outlier_exposure_teaches_the_network_what_is_no_class(results: Path) -> None:
    """On texts of the outliers' own kind, drawn apart: AUROC of the maximum softmax probability."""
    from oodbench.measure.ranking import ranking
    from oodbench.models.train import train
    from oodbench.run.sets import in_set, open_sets

    matrix = find_matrix("toy-words-v1")
    sets = open_sets(matrix, None)
    outside = torch.from_numpy(sets.tuning["toy-word-mixes"].batch(slice(None)))
    auroc = {}
    for name in ("msp", "oe-scratch"):
        recipe = find([name])[0].method.recipe.sized(matrix.scale, matrix.training)
        cpu = torch.device("cpu")
        net: Any = train(recipe, sets.train, in_set(matrix), 0, device=cpu, outliers=sets.outliers)
        with torch.no_grad():
            good, bad = (
                net(x).softmax(1).amax(1).double().numpy()
                for x in (torch.from_numpy(sets.test.batch(slice(None))), outside)
            )
        auroc[name] = ranking(good, bad)["auroc"]
    assert auroc["oe-scratch"] > 0.95 > auroc["msp"] + 0.1


def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    from oodbench.models.train import train
    from oodbench.run.sets import in_set, open_sets

    matrix = find_matrix("toy-words-v1")
    sets, recipe = open_sets(matrix, None), Plain().sized(matrix.scale, matrix.training)

    class Killed(BaseException):
        pass

    def kill(text: str, done: int, total: int) -> None:
        if done == 5:
            raise Killed

    def weights(**more: Any) -> dict[str, torch.Tensor]:
        cpu = torch.device("cpu")
        return train(recipe, sets.train, in_set(matrix), 0, device=cpu, **more).state_dict()

    with pytest.raises(Killed):
        weights(resume_from=tmp_path / "resume", report=kill)
    resumed, whole = weights(resume_from=tmp_path / "resume"), weights()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


@dataclass(frozen=True)
class OfWords(Defaults):
    """A recipe that takes texts alone."""

    training: Training = Training(network="none", epochs=3)

    version: ClassVar[int] = 1
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"tokens"})
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, EMBEDDINGS})

    def sized(self, scale: Scale, training: Training) -> "OfWords":
        return OfWords(training)

    def start(self, in_set: InSet, parts: Parts, labels: torch.Tensor, seed: int) -> Fit:
        net = GruClassifier(in_set.tokens, in_set.classes, width=8)
        return Fit(net, alone(net, lambda batch: self.loss(net, batch)))

    def loss(self, net: GruClassifier, batch: TrainBatch) -> torch.Tensor:
        return cross_entropy(net(batch.inputs), batch.labels)


def slope(batch: Outputs) -> torch.Tensor:
    """Minus the length of the derivative of the energy by the embeddings: flat where the network is sure."""
    return -batch.grad(lambda o: o.logits.logsumexp(1) - o.logits.amax(1), by=EMBEDDINGS).flatten(1).norm(dim=1)


def words(batch: Outputs) -> torch.Tensor:
    """How many words a text has that are known."""
    return (batch[TOKENS] > 1).float().mean(1)


@pytest.mark.parametrize(
    ("recipe", "reads", "score"),
    [
        (OfWords(), frozenset({LOGITS, EMBEDDINGS, NETWORK}), slope),
        (Plain(), frozenset({LOGITS, EMBEDDINGS, NETWORK}), slope),
        (Plain(), frozenset({TOKENS}), words),
    ],
)
def test_a_method_of_texts_is_checked_on_texts(recipe: Any, reads: frozenset[Output], score: Any) -> None:
    row = Method(name="of-words", title="T", paper=PAPER, recipe=recipe, detector=Stateless(reads, score))
    verdicts = {check.law.name: check.run() for check in checks_of(row)}
    assert {law: v.why for law, v in verdicts.items() if v.status == "FAILED"} == {}
    assert [v.status for v in verdicts.values()].count("ok") > 10


def test_the_recipe_of_another_space_cannot_be_declared() -> None:
    class Odd(OfWords):
        spaces = frozenset({"sounds"})  # type: ignore[assignment]

    row = Method(name="odd", title="T", paper=PAPER, recipe=Odd(), detector=Stateless(frozenset({LOGITS}), slope))
    (verdict,) = [check.run() for check in checks_of(row) if check.law.name == "well-formed"]
    assert "unknown space 'sounds'" in verdict.why


def given(folder: Path) -> Matrix:
    """Return the toy of texts, given a network of random weights that is called as Outlier Exposure's are."""
    torch.manual_seed(0)
    whole = find_matrix("toy-words-v1")
    net = classifier("toy-gru", InSet(whole.space, 3))
    path = folder / "words.dict"
    torch.save(net.state_dict(), path)
    weights = {"seed": 0, "name": path.name, "size": path.stat().st_size}
    weights["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    model = {"name": "given", "network": "toy-gru", "licence": "-", "citation": "-", "weights": [weights]}
    content = whole.model_dump(mode="json", exclude_none=True, exclude={"training"})
    return parse({**content, "model": [model]}, Matrix, "toy-words-v1.toml")


def test_a_matrix_of_texts_may_be_given_its_classifier(tmp_path: Path) -> None:
    matrix = given(tmp_path)
    context = Context(matrix, Workspace(tmp_path / "r", tmp_path, tmp_path / "c", "cpu"))
    planned = plan(matrix, find(["msp", "knn", "odin", "oe-scratch"]), (0,))
    made = execute(context, planned, InProcess([context.workspace]))
    assert {record.method: record.status for record in made.records} == {
        "msp": "ok",
        "knn": "ok",
        "odin": "skipped",
        "oe-scratch": "skipped",
    }
    model, _ = context.model(Given(matrix.model[0]), 0)
    torch.manual_seed(0)
    net = classifier("toy-gru", InSet(matrix.space, 3)).eval()
    ids = torch.from_numpy(context.sets.test.batch(slice(0, 5)))
    torch.testing.assert_close(model.net(ids), net(ids))


def test_a_given_network_of_texts_standardises_nothing(tmp_path: Path) -> None:
    content = given(tmp_path).model_dump(mode="json", exclude_none=True)
    content["model"][0] |= {"mean": [0.5], "std": [0.2]}
    with pytest.raises(BadCard, match="mean and std have 1 and 1 numbers, expected one for each of 0 channels"):
        parse(content, Matrix, "toy-words-v1.toml")


def test_the_real_matrix_is_of_questions() -> None:
    matrix = find_matrix("trec-v1")
    assert matrix.space.name == "tokens"
    assert {one.card for one in matrix.ood} == {"customer-reviews", "multi30k", "sst-2", "subj"}
    assert load("toy-words", "test").shape == (8,)
