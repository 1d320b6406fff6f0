"""Corruptions in a matrix: from its file to the scores, to the record of the model, and to the pages."""

import numpy as np
import pytest
from pydantic import ValidationError
from small import at, here

from oodbench.contract import LOGITS
from oodbench.corruptions.registry import FIFTEEN, corrupt
from oodbench.data.cards import find_card
from oodbench.data.corrupted import CorruptedImages
from oodbench.data.images import ArrayImages, quantised
from oodbench.data.matrix import Corrupted, Matrix, find_matrix
from oodbench.measure.corruption import delta_entropy
from oodbench.measure.kinds import KINDS
from oodbench.recipes import Plain
from oodbench.records import read_model, read_record, read_scores, record_paths
from oodbench.run.context import ANSWER
from oodbench.run.execute import execute
from oodbench.run.keys import content, record_key
from oodbench.run.plan import plan, sized
from oodbench.run.registry import find
from oodbench.run.sets import open_sets
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace

SETS = {"gaussian-noise-1", "gaussian-noise-5", "fog-1", "fog-5", "contrast-3"}


def changed(corruptions, **more):
    toy = find_matrix("toy-v1").model_dump(mode="json", exclude_defaults=True)
    return Matrix.model_validate({**toy, "name": "toy-corrupted-v1", "corruptions": corruptions, **more})


@pytest.fixture(scope="module")
def matrix():
    return changed(
        [
            {"types": ["gaussian-noise", "fog"], "severities": [1, 5], "n": 40},
            {"types": ["contrast"], "severities": [3], "n": 40, "seed": 2},
        ]
    )


@pytest.fixture(scope="module")
def ran(matrix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corrupted")
    context = guarded(matrix, Workspace(results=folder / "results", cache=folder / "cache"))
    assert not execute(context, plan(matrix, find(["msp", "knn"]), [0]), here(context)).failed
    return context


def test_fifteen_stands_for_the_fifteen():
    one = Corrupted(types=["fifteen"], n=10)
    assert one.types == FIFTEEN
    assert one == Corrupted(types=FIFTEEN, n=10)
    assert len(changed([{"types": ["fifteen"], "n": 10}]).corrupted) == 75


@pytest.mark.parametrize(
    ("corruptions", "message"),
    [
        ([{"types": ["fogg"], "n": 10}], "did you mean 'fog'"),
        ([{"types": ["fog"], "n": 91}], "n is 91, expected at most n_test = 90"),
        ([{"types": ["fog"], "severities": [6], "n": 9}], "less than or equal to 5"),
        ([{"types": ["fog"], "n": 9}, {"types": ["fog"], "severities": [2], "n": 8}], "names something twice"),
        ([{"types": ["saturate"], "n": 9}], "changes colours, and grey pictures have none"),
        ([{"types": [], "n": 9}], "at least 1 item"),
    ],
)
def test_what_a_matrix_may_not_say(corruptions, message):
    with pytest.raises(ValidationError, match=message):
        changed(corruptions)


def test_corruptions_are_of_pictures():
    words = find_matrix("toy-words-v1").model_dump(mode="json", exclude_defaults=True)
    with pytest.raises(ValidationError, match=r"corruptions: got .*fog-1.*, which is of pixels"):
        Matrix.model_validate({**words, "corruptions": [{"types": ["fog"], "n": 9}]})


def test_a_matrix_without_corruptions_has_the_address_it_had():
    assert "corruptions" not in content(find_matrix("toy-v1"))["matrix"]


def test_seeds_types_and_sizes_move_the_address(matrix, tmp_path):
    context = guarded(matrix, Workspace(results=tmp_path / "results", cache=tmp_path / "cache"))
    job = plan(matrix, find(["msp"]), [0])[0]
    keys = {record_key(context, job)}
    for entry in (
        {"types": ["contrast"], "severities": [3], "n": 40},
        {"types": ["contrast"], "severities": [3], "n": 41},
        {"types": ["contrast"], "severities": [3], "n": 40, "seed": 1},
        {"types": ["fog"], "severities": [3], "n": 40},
    ):
        keys.add(record_key(guarded(changed([entry]), context.workspace), job))
    assert len(keys) == 5


def test_the_same_test_images_are_corrupted_by_all_types(matrix):
    sets = open_sets(matrix, None)
    assert set(sets.corrupted) == SETS
    first, *others = sets.corrupted.values()
    assert len(first.index) == 40
    assert (np.diff(first.index) > 0).all()
    assert first.index[-1] > 45  # drawn from all test images, not the first ones
    for one in others:
        assert (one.index == first.index).all()
    assert (first.labels == sets.test.labels[first.index]).all()
    noisy = sets.corrupted["gaussian-noise-5"]
    clean = quantised(sets.test.batch(noisy.index))
    assert (quantised(noisy.batch(slice(None))) == corrupt(clean, "gaussian-noise", 5, index=noisy.index)).all()


def test_corrupted_images_are_alike_however_they_are_read(pictures_28):
    index = np.array([9, 2, 5], np.int32)
    images = CorruptedImages(ArrayImages(pictures_28, np.arange(3)), index, "shot-noise", 2, 4)
    whole = images.batch(slice(None))
    assert (whole.dtype, whole.shape) == (np.float32, (3, 1, 28, 28))
    assert (images.batch(np.array([2])) == whole[2:]).all()
    taken = images.take(np.array([2, 0]))
    assert (taken.batch(slice(None)) == whole[[2, 0]]).all()
    assert taken.labels.tolist() == [2, 0]


@pytest.mark.parametrize("change", [{"severity": 3}, {"seed": 5}, {"corruption": "fog"}, {"index": np.arange(3)}])
def test_what_the_pixels_follow_from_is_in_the_hash(pictures_28, change):
    clean = ArrayImages(pictures_28)
    given = {"index": np.array([9, 2, 5], np.int32), "corruption": "shot-noise", "severity": 2, "seed": 4}
    images = CorruptedImages(clean, **given)
    assert images.sha256() == CorruptedImages(ArrayImages(pictures_28), **given).sha256()
    assert images.sha256() != CorruptedImages(clean, **(given | change)).sha256()
    assert images.sha256() != CorruptedImages(ArrayImages(255 - pictures_28), **given).sha256()


@pytest.fixture(scope="module")
def pictures_28():
    return np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), np.uint8)


def test_scores_know_which_test_image_each_is_of(ran):
    sets = ran.sets
    paths = record_paths(ran.workspace.results, ran.matrix.name, "msp", 0)
    scores = read_scores(paths.scores)
    assert set(scores.corruption) == SETS
    logits = {
        name: ran.outputs(sized(Plain(), ran.matrix), 0, ANSWER, images)[LOGITS].numpy()
        for name, images in sets.corrupted.items()
    }
    for name, corrupted in scores.corruption.items():
        z = logits[name].astype(float)
        z = z - z.max(axis=1, keepdims=True)
        confidence = np.exp(z).max(axis=1) / np.exp(z).sum(axis=1)
        assert (corrupted.index == sets.corrupted[name].index).all()
        assert (np.argsort(corrupted.scores, kind="stable") == np.argsort(confidence, kind="stable")).mean() > 0.9
        assert np.corrcoef(np.argsort(np.argsort(corrupted.scores)), np.argsort(np.argsort(confidence)))[0, 1] > 0.99


def test_what_corruption_does_to_the_model_is_stored_once_a_model(ran):
    (path,) = (ran.workspace.results / ran.matrix.name / "models" / "plain").glob("*.json")
    model = read_model(path)
    sets, recipe = ran.sets, sized(Plain(), ran.matrix)
    clean = ran.outputs(recipe, 0, ANSWER, sets.test)[LOGITS].numpy()
    assert model.corruptions is not None
    assert set(model.corruptions) == SETS
    for name, images in sets.corrupted.items():
        logits = ran.outputs(recipe, 0, ANSWER, images)[LOGITS].numpy()
        found = model.corruptions[name]
        assert found.n == 40
        assert found.error == pytest.approx(np.mean(logits.argmax(1) != images.labels))
        of_clean = clean[images.index]
        assert found.clean_error == pytest.approx(np.mean(of_clean.argmax(1) != images.labels))
        assert found.delta_entropy == pytest.approx(delta_entropy(of_clean, logits))
    assert len({one.error for one in model.corruptions.values()}) > 1


def test_a_record_names_the_corrupted_images_once(ran):
    record = read_record(record_paths(ran.workspace.results, ran.matrix.name, "knn", 0).record)
    (used,) = (one for one in record.data.values() if one.split == "corruption")
    assert (used.n, len(used.data_sha256)) == (5 * 40, 64)


def test_the_kind_of_failure_knows_types_and_severities(matrix):
    columns = KINDS["corruption"].planned(matrix)
    assert [(one.name, one.group) for one in columns][:2] == [
        ("gaussian-noise-1", "gaussian-noise"),
        ("gaussian-noise-5", "gaussian-noise"),
    ]
    assert KINDS["corruption"].planned(find_matrix("toy-v1")) == ()
    assert find_card("toy-blobs").shape == (1, 8, 8)


def test_running_again_computes_nothing(ran, matrix):
    done = execute(at(ran), plan(matrix, find(["msp", "knn"]), [0]), here(ran))
    assert not done.failed
    assert len(done.kept) == 2
