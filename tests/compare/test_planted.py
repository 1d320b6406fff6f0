"""Regressions that were planted are found, each by its name; what is no regression raises no alarm."""

import json
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from planted import METHODS, RIGHT, SEEDS, lost, run
from sklearn.metrics import roc_auc_score

from oodbench.cli import main
from oodbench.compare.comparison import as_json, as_markdown, compare
from oodbench.compare.findings import Finding, Pair, _data_of, _of_other_inputs
from oodbench.records import (
    Changed,
    DataUsed,
    Scores,
    read_record,
    read_scores,
    record_paths,
    write_record,
    write_scores,
)
from oodbench.report.entries import collect


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("before") / "results")


def found(before: Path, folder: Path, made, **options):
    return compare(str(before), str(run(folder / "after", made, **options)))


PLANTED = {
    "a sign slip": lost(sign=-1),
    "a lost temperature": lost(T=1.0),
    "the wrong layer": lost(layer=2),
    "another preprocessing": lost(preprocessing=1.0),
    "10 % slower": lost(slower=("mahalanobis", 1.1), training=0),
    "one seed diverged": lost(training=1, diverged=(3,)),
    "a sign slip, after another training": lost(training=1, sign=-1),
    "a sign slip, on other threads": lost(sign=-1, threads=4, noise=1e-7),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_regression_is_found(what, before, tmp_path) -> None:
    made = found(before, tmp_path, PLANTED[what])

    assert made.fails(["regression"]), as_markdown(made)
    assert made.of("regression")


def test_the_wrong_layer_is_told_of_the_method_that_has_layers(before, tmp_path) -> None:
    made = found(before, tmp_path, lost(layer=2))

    assert {one.row for one in made.of("regression")} == {"mahalanobis"}


def test_only_the_slow_method_is_called_slow(before, tmp_path) -> None:
    worse = found(before, tmp_path, PLANTED["10 % slower"]).of("regression")

    assert {(one.row, one.kind, one.set) for one in worse} == {("mahalanobis", "cost", "score")}
    assert worse[0].after == pytest.approx(1.1, abs=0.02)


def test_a_seed_that_diverged_is_named(before, tmp_path) -> None:
    worse = found(before, tmp_path, PLANTED["one seed diverged"]).of("regression")

    assert {one.seeds for one in worse} == {(3,)}
    assert {"accuracy", "auroc"} <= {one.metric for one in worse}
    assert all("did its training diverge?" in one.why for one in worse)


def test_a_run_equals_itself(before, tmp_path) -> None:
    made = found(before, tmp_path, RIGHT)

    assert {one.verdict for one in made.findings if one.kind != "cost"} == {"same"}
    assert not made.fails(["regression", "unversioned"])


def test_what_floats_do_on_other_threads_is_noise(before, tmp_path) -> None:
    made = found(before, tmp_path, lost(noise=1e-7, threads=4))

    assert {one.verdict for one in made.findings if one.kind != "cost"} == {"noise", "same"}
    assert not made.fails(["regression", "unversioned"])


def test_the_same_on_one_class_of_machine_moved_without_a_version(before, tmp_path) -> None:
    made = found(before, tmp_path, lost(noise=1e-2))

    assert made.fails(["unversioned"])
    assert not made.fails(["regression"])
    assert "moved though no version did" in as_markdown(made)


def test_an_honest_improvement_is_one(before, tmp_path) -> None:
    worse = run(tmp_path / "worse", lost(T=1.0))
    made = compare(str(worse), str(run(tmp_path / "better", lost(version=2))))

    better = made.of("improvement")
    assert {one.row for one in better} == {"msp-t"}
    assert not any(one.unversioned for one in better)
    assert not made.fails(["regression", "unversioned"])


@pytest.mark.parametrize("training", range(1, 4))
def test_another_training_raises_no_alarm(training, before, tmp_path) -> None:
    made = found(before, tmp_path, lost(training=training))

    assert not made.of("regression", "improvement"), as_markdown(made)


@pytest.mark.slow
def test_twenty_other_trainings_raise_no_alarm(before, tmp_path) -> None:
    alarms = [
        one.of("regression")
        for training in range(1, 21)
        for one in [found(before, tmp_path / str(training), lost(training=training))]
    ]
    assert sum(map(bool, alarms)) == 0


def test_costs_of_runs_that_were_made_unalike_are_told_and_not_judged(before, tmp_path) -> None:
    made = found(before, tmp_path, lost(slower=("mahalanobis", 2.0), workers=3))

    assert not made.fails(["regression"])
    ratios = {(one.row, one.set): one for one in made.findings if one.kind == "cost"}
    assert ratios["mahalanobis", "score"].after == pytest.approx(2.0, abs=0.05)
    assert "not judged" in ratios["mahalanobis", "score"].why


def test_seeds_that_are_gone_are_a_regression_with_their_reason(before, tmp_path) -> None:
    after = run(tmp_path / "after", seeds=SEEDS[:4])
    path = record_paths(after, "made-v1", "msp-t", 3).record
    failed = read_record(path).model_copy(
        update={"status": "failed", "reason": "Diverged: loss is nan", "scores_sha256": None}
    )
    write_record(path, failed)

    made = compare(str(before), str(after))

    gone = {one.row: one for one in made.of("lost")}
    assert gone["msp-t"].seeds == (3, 4)
    assert gone["msp-t"].why == "failed: Diverged: loss is nan; no record"
    assert made.fails(["regression"])
    assert {(one.row, one.seeds) for one in compare(str(after), str(before)).of("new")} == {
        ("msp-t", (3, 4)),
        ("mahalanobis", (4,)),
    }


def test_other_images_are_not_compared(before, tmp_path) -> None:
    made = found(before, tmp_path, RIGHT, data="e")
    assert {one.verdict for one in made.findings if one.kind == "ood"} <= {"same"}  # the scores are the same

    other = found(before, tmp_path / "b", lost(sign=-1), data="e")
    unlike = other.of("unlike")
    assert {one.kind for one in unlike} == {"ood", "misclassification", "model"}
    assert any("mnist-5k/test has other data" in one.why for one in unlike)
    assert not other.of("regression")


def test_two_methods_of_a_matrix(before, capsys) -> None:
    words = ["compare", *(f"made-v1/{method}" for method in METHODS), "--results", str(before)]
    code = main([*words, "--fail-on", "regression"])

    page = capsys.readouterr().out
    better = compare(*METHODS, before, "made-v1")
    assert as_markdown(better).split("\n", 1)[1] == page.split("\n", 1)[1].removesuffix("\n")
    assert code == better.fails(["regression"])
    assert better.of("improvement", "regression")
    assert not any(one.unversioned for one in better.findings)


def test_the_sides_swapped_swap_the_verdicts(before) -> None:
    one, other = (compare(*names, before, "made-v1") for names in (METHODS, METHODS[::-1]))

    def told(found, verdict):
        return {(one.kind, one.set, one.metric) for one in found.of(verdict) if one.kind != "cost"}

    assert told(one, "improvement") == told(other, "regression")
    assert told(one, "regression") == told(other, "improvement")


def test_markdown_and_json_are_written_and_exit_codes_say_what_was_asked(before, tmp_path, capsys) -> None:
    after = run(tmp_path / "after", lost(sign=-1))
    page, numbers = tmp_path / "page.md", tmp_path / "numbers.json"
    words = ["compare", str(before), str(after), "--markdown", str(page), "--json", str(numbers)]

    assert main(words) == 0
    assert capsys.readouterr().out == page.read_text() + "\n"
    said = json.loads(numbers.read_text())
    assert said["counts"]["regression"] == sum(one["verdict"] == "regression" for one in said["findings"])
    assert said["tests"] == sum(one["holm"] is not None for one in said["findings"])
    assert said["findings"][0].keys() == {field.name for field in fields(Finding)}
    assert main([*words, "--fail-on", "regression"]) == 1
    assert main([*words, "--fail-on", "unversioned"]) == 1
    assert main(["compare", str(before), str(before), "--fail-on", "regression", "unversioned"]) == 0


def test_every_test_is_corrected_for_all_others(before, tmp_path) -> None:
    made = found(before, tmp_path, lost(sign=-1))
    tested = sorted((one for one in made.findings if one.holm is not None), key=lambda one: one.p)

    smallest = tested[0]
    assert smallest.holm == pytest.approx(min(1.0, smallest.p * len(tested)))
    assert json.loads(as_json(made))["tests"] == len(tested)


def test_inputs_that_are_made_for_a_detector_are_others_on_both_sides_even_of_one_model() -> None:
    entry = SimpleNamespace(outcomes=SimpleNamespace(sha256="the model's"))

    assert _of_other_inputs(Pair("m", "msp", "msp", {0: (entry, entry)}, {}, ())) == {"adaptive"}


def rescored(results: Path, change, *, method: str = "msp-t", used=None) -> Path:
    """Change the scores of a method at every seed, and what its records say of data."""
    for seed in SEEDS:
        paths = record_paths(results, "made-v1", method, seed)
        record = read_record(paths.record)
        sha256 = write_scores(paths.scores, change(read_scores(paths.scores), np.random.default_rng(seed)))
        more = {"data": {**record.data, **used}} if used else {}
        write_record(paths.record, record.model_copy(update={"scores_sha256": sha256, **more}))
    return results


def with_three_sets(scores: Scores, rng) -> Scores:
    ood = {name: rng.normal(size=200) - at for at, name in enumerate(("glyphs", "hflip", "uniform"))}
    return Scores(scores.test, ood)


def lowered(scores: Scores, rng) -> Scores:
    """One of the three is told better, by noise of another seed."""
    return Scores(scores.test, scores.ood | {"glyphs": scores.ood["glyphs"] - rng.exponential(size=200)})


def of_auroc(results: Path) -> float:
    """Return the mean AUROC over three sets and all seeds, in numbers of another library."""
    found = []
    for seed in SEEDS:
        scores = read_scores(record_paths(results, "made-v1", "msp-t", seed).scores)
        for bad in scores.ood.values():
            good = np.r_[np.ones(len(scores.test)), np.zeros(len(bad))]
            found.append(roc_auc_score(good, np.r_[scores.test, bad]))
    return float(np.mean(found))


def test_a_mean_is_over_all_sets_also_those_that_are_as_they_were(tmp_path) -> None:
    before = rescored(run(tmp_path / "before"), with_three_sets)
    after = rescored(rescored(run(tmp_path / "after"), with_three_sets), lowered)
    made = compare(str(before), str(after))
    (mean,) = [one for one in made.findings if (one.kind, one.set, one.metric) == ("ood", "mean", "auroc")]
    assert (mean.before, mean.after) == (pytest.approx(of_auroc(before)), pytest.approx(of_auroc(after)))
    assert mean.verdict == "improvement"
    assert [one.set for one in made.findings if one.kind == "ood" and one.verdict == "same"] == ["hflip", "uniform"]


def test_there_is_no_mean_where_a_set_is_lost(tmp_path) -> None:
    before = rescored(run(tmp_path / "before"), with_three_sets)
    after = rescored(rescored(run(tmp_path / "after"), with_three_sets), lowered)
    rescored(after, lambda scores, rng: Scores(scores.test, {k: v for k, v in scores.ood.items() if k != "hflip"}))
    made = compare(str(before), str(after))
    (mean,) = [one for one in made.findings if (one.kind, one.set) == ("ood", "mean")]
    assert (mean.verdict, mean.metric, mean.before) == ("unlike", "", None)
    assert mean.why == "no mean over all sets: hflip cannot be compared"
    assert {one.set for one in made.of("lost")} == {"hflip"}


def test_corrupted_images_of_other_data_are_not_compared(tmp_path) -> None:
    """A record has one fingerprint for all of them; and the full spectrum has them among its good inputs."""

    def with_corrupted(scores: Scores, rng) -> Scores:
        fog = {f"fog-{s}": Changed(rng.normal(size=300) - s, np.arange(300, dtype=np.int32)) for s in (1, 2)}
        return Scores(scores.test, scores.ood, corruption=fog)

    def fingerprint(letter: str) -> dict[str, DataUsed]:
        return {"mnist-5k/corrupted": DataUsed(card_sha256=None, data_sha256=letter * 64, split="corruption", n=600)}

    before = rescored(run(tmp_path / "before"), with_corrupted, used=fingerprint("a"))
    after = rescored(run(tmp_path / "after", lost(noise=1e-2)), with_corrupted, used=fingerprint("b"))
    told = {one.set: one for one in compare(str(before), str(after)).findings if one.kind == "corruption"}
    assert {name: one.verdict for name, one in told.items()} == {"fog-1": "unlike", "fog-2": "unlike"}
    assert told["fog-1"].why.startswith("mnist-5k/corrupted has other data: sha256 aaaaaaaaaa, bbbbbbbbbb")
    (entry, *_) = [one for one in collect(before) if one.record.method == "msp-t"]
    assert "mnist-5k/corrupted" in _data_of(entry, "full-spectrum", "glyphs")
    assert "mnist-5k/corrupted" not in _data_of(entry, "ood", "glyphs")


def test_where_nothing_could_be_compared_nothing_is_said_to_be_no_regression(before, tmp_path) -> None:
    other = found(before, tmp_path, lost(sign=-1), data="e")
    assert {one.verdict for one in other.findings if one.kind != "cost"} <= {"unlike"}
    assert "**Nothing could be compared**: " in as_markdown(other)
    assert other.fails(["regression"]) and other.fails(["unversioned"])
    empty = run(tmp_path / "empty")
    for path in empty.glob("made-v1/*/*.json"):
        if path.parent.name in METHODS and not path.name.endswith(".cost.json"):
            unmade = {"status": "skipped", "reason": "no such output", "scores_sha256": None}
            write_record(path, read_record(path).model_copy(update=unmade))
    made = compare(str(empty), str(empty))
    assert "**Nothing could be compared**: no row has scores on both" in as_markdown(made)
    assert made.fails(["regression"])
