"""Corruptions in a matrix: from its file to the scores, to the record of the model, and to the pages."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from small import at, bytes_of, here

from oodbench.contract import LOGITS
from oodbench.corruptions.registry import FIFTEEN, corrupt
from oodbench.data.cards import find_card
from oodbench.data.corrupted import CorruptedImages
from oodbench.data.images import ArrayImages, quantised
from oodbench.data.load import chosen
from oodbench.data.matrix import Corrupted, Matrix, find_matrix
from oodbench.errors import BadData, BadRecord
from oodbench.measure.cells import Cell
from oodbench.measure.corruption import delta_entropy
from oodbench.measure.kinds import KINDS, dealt
from oodbench.measure.resamples import drawn_mean
from oodbench.recipes import Plain
from oodbench.records import (
    CellRecord,
    Changed,
    ModelRecord,
    Scores,
    read_model,
    read_record,
    read_scores,
    record_paths,
)
from oodbench.records import Corrupted as Corruption
from oodbench.report import entries, numbers, robustness, standings
from oodbench.report.models import Judged, classifiers
from oodbench.report.pages import pages
from oodbench.report.robustness import error_table, ratios_of, robustness_said, robustness_table
from oodbench.report.site import Site
from oodbench.report.tables import heat_map
from oodbench.run import sets
from oodbench.run.context import ANSWER
from oodbench.run.execute import execute
from oodbench.run.keys import content, record_key
from oodbench.run.plan import plan, sized
from oodbench.run.registry import find
from oodbench.run.sets import open_sets
from oodbench.run.standing import standing
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace

SETS = {"gaussian-noise-1", "gaussian-noise-5", "fog-1", "fog-5", "contrast-3"}


def changed(corruptions, **more):
    toy = find_matrix("toy-v1").model_dump(mode="json", exclude_defaults=True)
    return Matrix.model_validate({**toy, "name": "toy-corrupted-v1", "corruptions": corruptions, **more})


@pytest.fixture(scope="module")
def matrix():
    """Fewer sets than a table has columns for."""
    return changed(
        [
            {"types": ["gaussian-noise", "fog"], "severities": [1, 5], "n": 40},
            {"types": ["contrast"], "severities": [3], "n": 40, "seed": 2},
        ],
        ood=[
            {"card": "toy-noise", "n": 60, "group": "far"},
            {"card": "hflip", "n": 60, "group": "covariate"},
        ],
    )


MANY = ("gaussian-noise", "shot-noise", "fog", "contrast", "snow", "brightness", "defocus-blur")


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
    published = Corrupted(types=["fifteen"], n=10, card="cifar-10-c").types
    assert set(published) ^ set(FIFTEEN) == {"frost", "drawn-frost"}


@pytest.mark.parametrize(
    ("corruptions", "message"),
    [
        ([{"types": ["fogg"], "n": 10}], "did you mean 'fog'"),
        ([{"types": ["fog"], "n": 9}, {"types": ["snow"], "n": 8}], "n is 8, 9, expected one n"),
        ([{"types": ["fog"], "n": 91}], "n is 91, expected at most n_test = 90"),
        ([{"types": ["fog"], "severities": [6], "n": 9}], "less than or equal to 5"),
        ([{"types": ["fog"], "n": 9}, {"types": ["fog"], "severities": [2], "n": 9}], "names something twice"),
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
    opened = open_sets(matrix, None)
    assert set(opened.corrupted) == SETS
    first, *others = opened.corrupted.values()
    assert len(first.index) == 40
    assert (np.diff(first.index) > 0).all()
    assert first.index[-1] > 45  # drawn from all test images, not the first ones
    for one in others:
        assert (one.index == first.index).all()
    assert (first.images.labels == opened.test.labels[first.index]).all()
    noisy = opened.corrupted["gaussian-noise-5"].images
    clean = quantised(opened.test.batch(noisy.index))
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
    opened = ran.sets
    paths = record_paths(ran.workspace.results, ran.matrix.name, "msp", 0)
    scores = read_scores(paths.scores)
    assert set(scores.corruption) == SETS
    logits = {
        name: ran.outputs(sized(Plain(), ran.matrix), 0, ANSWER, one.images)[LOGITS].numpy()
        for name, one in opened.corrupted.items()
    }
    for name, corrupted in scores.corruption.items():
        z = logits[name].astype(float)
        z = z - z.max(axis=1, keepdims=True)
        confidence = np.exp(z).max(axis=1) / np.exp(z).sum(axis=1)
        assert (corrupted.index == opened.corrupted[name].index).all()
        assert (np.argsort(corrupted.scores, kind="stable") == np.argsort(confidence, kind="stable")).mean() > 0.9
        assert np.corrcoef(np.argsort(np.argsort(corrupted.scores)), np.argsort(np.argsort(confidence)))[0, 1] > 0.99


def test_what_corruption_does_to_the_model_is_stored_once_a_model(ran):
    (path,) = (ran.workspace.results / ran.matrix.name / "models" / "plain").glob("*.json")
    model = read_model(path)
    opened, recipe = ran.sets, sized(Plain(), ran.matrix)
    clean = ran.outputs(recipe, 0, ANSWER, opened.test)[LOGITS].numpy()
    assert model.corruptions is not None
    assert set(model.corruptions) == SETS
    for name, one in opened.corrupted.items():
        images, index = one.images, one.index
        logits = ran.outputs(recipe, 0, ANSWER, images)[LOGITS].numpy()
        found = model.corruptions[name]
        assert found.n == 40
        assert found.error == pytest.approx(np.mean(logits.argmax(1) != images.labels))
        of_clean = clean[index]
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
    jobs = plan(matrix, find(["msp", "knn"]), [0])
    before = bytes_of(ran.workspace.results)
    assert all(standing(ran, job).record is not None for job in jobs)
    assert not execute(at(ran), jobs, here(ran)).failed
    assert bytes_of(ran.workspace.results) == before


def told(context, monkeypatch):
    """Return the matrix of a results folder as pages see it, where its name is known."""

    def known(name):
        return context.matrix if name == context.matrix.name else None

    for module in (entries, numbers, standings):
        monkeypatch.setattr(module, "known_matrix", known)
    (found,) = standings.read_matrices(context.workspace.results)
    return found


def test_full_spectrum_counts_shifted_images_as_good(ran, monkeypatch):
    found = {one.kind.name: one for one in told(ran, monkeypatch).kinds}
    spectrum = found["full-spectrum"]
    assert [one.name for one in spectrum.columns] == ["toy-noise"]
    scores = read_scores(record_paths(ran.workspace.results, ran.matrix.name, "msp", 0).scores)
    n_good, n_bad = spectrum.sizes["msp", 0]["toy-noise"]
    assert (n_good, n_bad) == (90 + 60 + 40, 60)
    corrupted = naively_dealt({name: one.scores for name, one in sorted(scores.corruption.items())})
    good = np.concatenate([scores.test, scores.ood["hflip"], corrupted]).astype(float)
    bad = scores.ood["toy-noise"].astype(float)
    auroc = (good[:, None] > bad).mean() + (good[:, None] == bad).mean() / 2
    assert spectrum.values["auroc", "msp", 0]["toy-noise"] == pytest.approx(auroc)
    assert found["ood"].sizes["msp", 0]["toy-noise"] == (90, 60)


def naively_dealt(sets):
    types = sorted({name.rpartition("-")[0] for name in sets})
    chosen = []
    for i in range(len(next(iter(sets.values())))):
        t = i % len(types)
        of_type = [name for name in sets if name.rpartition("-")[0] == types[t]]
        chosen.append(sets[of_type[(i // len(types) + t) % len(of_type)]][i])
    return np.array(chosen)


@pytest.mark.parametrize("n", [60, 75, 150, 300])
def test_however_few_images_every_type_and_severity_is_among_them(n):
    """Of 60 images 75 sets gave none from the 61st set on: no shot noise, no snow, no zoom blur."""
    sets = {f"{name}-{s}": np.full(n, 10 * t + s) for t, name in enumerate(sorted(FIFTEEN)) for s in range(1, 6)}
    found = np.concatenate(dealt(sets))
    assert sorted(found) == sorted(naively_dealt(sets))
    assert len(found) == n
    types, severities = (np.unique(part, return_counts=True) for part in (found // 10, found % 10))
    assert types[1].tolist() == [n // 15] * 15
    assert severities[1].tolist() == [n // 5] * 5


def test_each_image_is_dealt_once():
    sets = {f"{name}-{s}": np.arange(40) for name in ("contrast", "fog", "gaussian-noise") for s in (1, 5)}
    assert sorted(np.concatenate(dealt(sets))) == list(range(40))


def test_full_spectrum_needs_every_shifted_set():
    scores = Scores(np.zeros(4), {"a": np.ones(3), "b": np.ones(2)}, {}, {"fog-1": Changed(np.ones(4), np.arange(4))})
    of = KINDS["full-spectrum"].groups
    assert [(one.name, len(one.good)) for one in of(scores, None, {"a", "fog-1"})] == [("b", 4 + 3 + 4)]
    assert [one.name for one in of(scores, None, {"fog-1"})] == ["a", "b"]
    assert not [*of(scores, None, {"a", "fog-1", "fog-2"})]
    assert not [*of(scores, None, set())]


def test_a_set_that_lacks_excuses_the_full_spectrum(ran, monkeypatch):
    found = told(ran, monkeypatch)
    entry = found.entries[0]
    kind = KINDS["full-spectrum"]
    columns = kind.planned(ran.matrix)
    with pytest.raises(BadRecord, match="lacks toy-noise without a reason"):
        standings._check_sets(entry, kind, columns, ())
    cell = CellRecord(status="failed", failure="corruption", name="fog-1", reason="NaN")
    lacking = replace(entry, record=entry.record.model_copy(update={"cells": (cell,)}))
    standings._check_sets(lacking, kind, columns, ())


def test_corrupted_versions_of_one_image_are_drawn_together():
    rng = np.random.default_rng(0)
    good, bad = rng.normal(1, 1, 300), rng.normal(0, 1, 200)
    one, two = (Cell("corruption", name, good, bad) for name in ("fog-1", "fog-2"))
    assert np.allclose(drawn_mean([one], "auroc"), drawn_mean([one, two], "auroc"))
    apart = [Cell("ood", name, good, bad) for name in ("a", "b")]
    assert drawn_mean(apart, "auroc").std() < drawn_mean([one, two], "auroc").std()


def test_robustness_on_the_page_of_the_matrix(ran, monkeypatch):
    found = told(ran, monkeypatch)
    table = robustness_table(found)
    assert table is not None
    (row,) = table.splitlines()[2:]
    known = classifiers(found)[0].by_seed[0]
    error = np.mean([one.error for one in known.corruptions.values()])
    assert f"| {100 * error:.2f} |" in row
    assert "| `plain` |" in row
    assert "3 of the 15 types (gaussian-noise, fog, contrast)" in robustness_said(found)
    assert error_table(found).startswith("| Classifier | contrast | fog | gaussian-noise |")
    text = "".join(pages(Site(ran.workspace.results, "leaderboard.md"), [found], []).values())
    assert "### Robustness to corruptions" in text
    assert "Gaussian noise, severity 5" in text


def model(name, errors, clean, recipe="plain", seed=0):
    corruptions = {
        f"fog-{severity}": Corruption(n=10, error=error, clean_error=clean, delta_entropy=0.5)
        for severity, error in enumerate(errors, 1)
    }
    return ModelRecord(matrix="m", name=name, seed=seed, recipe={"name": recipe}, corruptions=corruptions)


def test_where_corruption_costs_the_baseline_nothing_there_is_mce_and_no_relative_one():
    harmed, unharmed = model("inn", (0.2, 0.4), 0.1), model("plain", (0.1, 0.1), 0.1)
    assert ratios_of(harmed, unharmed) == (pytest.approx(3.0), None)
    assert ratios_of(harmed, model("plain", (0.0, 0.0), 0.0)) == (None, None)
    assert ratios_of(harmed, None) == (None, None)


def test_mce_is_against_the_plain_classifier_of_the_same_seed(monkeypatch):
    judged = [
        Judged("vib", {0: model("vib", [0.4, 0.6], 0.1, "vib"), 1: model("vib", [0.2, 0.2], 0.1, "vib", 1)}, []),
        Judged("plain", {0: model("plain", [0.2, 0.3], 0.1), 1: model("plain", [0.4, 0.4], 0.2, seed=1)}, []),
    ]
    monkeypatch.setattr(robustness, "classifiers", lambda matrix: judged)
    vib, plain = robustness_table(None).splitlines()[2:]
    # seed 0: 1.0 / 0.5 = 2, 0.8 / 0.3; seed 1: 0.4 / 0.8 = 0.5, 0.2 / 0.4
    mean, rel = np.array([200, 50]), np.array([80 / 0.3, 50])
    assert f"{mean.mean():.2f} ± {mean.std(ddof=1):.2f}" in vib
    assert f"{rel.mean():.2f} ± {rel.std(ddof=1):.2f}" in vib
    assert plain.count("100.00 ± 0.00") == 2
    assert plain.startswith("| `plain` | 15.00 ± 7.07 |")


def test_many_sets_are_a_map_of_types(tmp_path, monkeypatch):
    matrix = changed([{"types": list(MANY), "n": 30}])
    context = guarded(matrix, Workspace(results=tmp_path / "results", cache=tmp_path / "cache"))
    assert not execute(context, plan(matrix, find(["msp"]), [0]), here(context)).failed
    found = told(context, monkeypatch)
    (board,) = (one for one in found.kinds if one.kind.name == "corruption")
    assert len(board.columns) == 35
    head, _, row = heat_map(board, lambda method: method).splitlines()
    assert head == f"| Method | {' | '.join(MANY)} |"
    values = board.values["auroc", "msp", 0]
    for cell, name in zip(row.strip("| ").split(" | ")[1:], MANY, strict=True):
        auroc = np.mean([values[f"{name}-{severity}"] for severity in range(1, 6)])
        assert cell.endswith(f"{100 * auroc:.1f}")
        assert (cell[0] in "░▒▓█") == (auroc >= 0.55)
    made = pages(Site(context.workspace.results, "leaderboard.md"), [found], [])
    by_set = made["docs/leaderboard/toy-corrupted-v1/corruption-auroc.md"]
    assert by_set.count("<details>") == 7
    assert f"{100 * values['fog-4']:.1f}" in by_set
    assert "fog-4" not in made["docs/leaderboard/methods/msp.md"]
    assert "mean (fog)" in made["docs/leaderboard/methods/msp.md"]
    assert heat_map(found.kinds[0], lambda method: method) is None


def test_published_files_are_read_by_the_place_of_the_test_image(monkeypatch):
    matrix = changed([{"types": ["frost"], "severities": [3], "n": 30, "card": "cifar-10-c"}], n_test=80)
    whole = open_sets(find_matrix("toy-v1"), None).test
    places = chosen(find_card("toy-blobs"), "test", 80).indices
    test = whole.take(places)
    published = ArrayImages(255 - quantised(whole.batch(slice(None))), whole.labels)
    asked = []

    def load(name, split, *, root, like):
        asked.append((name, split))
        return published

    monkeypatch.setattr(sets, "load", load)
    (one,) = sets._corrupted(matrix, test, None).values()
    assert asked == [("cifar-10-c", "frost-3")]
    assert len(one.index) == 30
    assert (one.images.labels == test.labels[one.index]).all()
    assert (one.images.batch(slice(None)) == published.batch(places[one.index])).all()
    monkeypatch.setattr(sets, "load", lambda *a, **k: ArrayImages(published.pixels, np.roll(whole.labels, 1)))
    with pytest.raises(BadData, match="its classes are not those of toy-blobs's test images"):
        sets._corrupted(matrix, test, None)


def test_published_files_have_their_own_names():
    with pytest.raises(ValidationError, match="did you mean"):
        changed([{"types": ["drawn-frost"], "n": 30, "card": "cifar-10-c"}])
    with pytest.raises(ValidationError, match="frost"):
        changed([{"types": ["frost"], "n": 30}])
