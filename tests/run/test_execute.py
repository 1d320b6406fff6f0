"""Running a matrix: what is kept, what is made anew, what fails alone, and what is refused."""

import dataclasses
import json
import os
import shutil
import time

import pytest
import torch
from small import at, bytes_of, context_in, here

from oodbench.contract import LOG_DENSITY, LOGITS, Grid, Stateless
from oodbench.densities.vae import Vae
from oodbench.errors import Busy, Undeclared
from oodbench.recipes import Plain
from oodbench.records import model_paths, read_model, read_record, read_scores, record_paths
from oodbench.run import attack
from oodbench.run.evaluation import wanted_outputs
from oodbench.run.execute import alone, execute, graph
from oodbench.run.forecast import forecast
from oodbench.run.model_records import outcomes_of
from oodbench.run.plan import Job, Skip, plan
from oodbench.run.registry import Registered, find, registry
from oodbench.run.standing import standing
from oodbench.run.tasks import StoreOutputs, TrainModel, guarded
from oodbench.verify.attacks import attack_faults


@pytest.fixture
def context(trained_cache, tmp_path):
    """A fresh results folder over a shared cache."""
    return at(context_in(tmp_path), cache=trained_cache / "cache")


def run(context, *entries):
    return execute(context, plan(context.matrix, entries, [0]), here(context))


def entry(name, formula, reads=frozenset({LOGITS}), **more):
    msp = registry()["msp"].method
    return Registered(dataclasses.replace(msp, name=name, detector=Stateless(reads, formula), **more), __name__)


def max_logit(views):
    return views.logits.max(1).values


def raises(views):
    raise RuntimeError("the detector gave up")


def nan_on_small_sets(views):
    score = views.logits.max(1).values.clone()
    if len(views) == 60:
        score[7] = torch.nan
    return score


def nan_everywhere(views):
    return views.logits.max(1).values * torch.nan


def peeks(views):
    return views.features.sum(1)


def reads_labels(views):
    return views.labels.float()


def test_what_ran_unchecked_is_made_again_once_its_method_is_vouched_for(context):
    (msp,) = find(["msp"])
    unchecked = dataclasses.replace(msp, checked=False)
    (first,) = run(context, unchecked).records
    assert first.checked is False
    (job,) = plan(context.matrix, [unchecked], [0])
    assert standing(context, job).why == "its record is current"
    for vouched in (msp, dataclasses.replace(msp, checked=True)):
        (job,) = plan(context.matrix, [vouched], [0])
        assert standing(context, job).why == "it ran unchecked, and its method has passed the laws since"
    (again,) = run(context, msp).records
    assert again.checked is None
    assert (again.key, again.scores_sha256) == (first.key, first.scores_sha256)


def test_a_second_run_keeps_every_record_and_byte(context):
    first = run(context, *find(["msp", "odin", "temperature"]))
    before = bytes_of(context.workspace.results)
    costs = [p.stat().st_mtime_ns for p in context.workspace.results.rglob("*.cost.json")]
    second = run(context, *find(["msp", "odin", "temperature"]))
    assert second == first
    assert bytes_of(context.workspace.results) == before
    assert [p.stat().st_mtime_ns for p in context.workspace.results.rglob("*.cost.json")] == costs


def test_current_records_need_no_cache(context, tmp_path):
    first = run(context, *find(["msp", "odin"]))
    elsewhere = at(context, cache=tmp_path / "empty")
    assert run(elsewhere, *find(["msp", "odin"])) == first
    assert not (tmp_path / "empty").exists()


def test_a_fresh_cache_gives_the_same_bytes(context, tmp_path):
    run(context, *find(["msp", "mahalanobis-c"]))
    other = context_in(tmp_path / "other")
    run(other, *find(["msp", "mahalanobis-c"]))
    assert bytes_of(other.workspace.results) == bytes_of(context.workspace.results)


def test_a_failing_method_fails_alone_and_is_tried_again(context):
    summary = run(context, *find(["msp"]), entry("broken", raises))
    assert [record.status for record in summary.records] == ["ok", "failed"]
    assert summary.failed[0].reason.startswith("RuntimeError: the detector gave up (test_execute.py:")
    assert run(context, entry("broken", max_logit)).records[0].status == "ok"


@dataclasses.dataclass(frozen=True)
class Exploding(Plain):
    """A recipe whose loss is NaN from the second step on."""

    def loss(self, net, batch):
        return super().loss(net, batch) * (torch.nan if batch.progress else 1)


def test_a_training_that_diverges_is_a_failed_record_and_the_rest_goes_on(context):
    summary = run(context, entry("exploding", max_logit, recipe=Exploding()), *find(["msp"]))
    assert [record.status for record in summary.records] == ["failed", "ok"]
    reason = read_record(record_paths(context.workspace.results, "small-v1", "exploding", 0).record).reason
    assert "training diverged: loss nan of the network in epoch 1, step 2; learning rate" in reason


def test_nan_scores_fail_their_cell_with_count_and_first_index(context):
    record = run(context, entry("sometimes-nan", nan_on_small_sets)).records[0]
    states = {cell.name: cell for cell in record.cells}
    assert record.status == "ok"
    assert set(states) == {"glyphs", "hflip", "uniform"}  # what has scores is no cell of the record
    assert states["glyphs"].status == "failed"
    assert "1 of 60 scores are NaN or infinite, the first at index 7" in states["glyphs"].reason
    paths = record_paths(context.workspace.results, "small-v1", "sometimes-nan", 0)
    assert set(read_scores(paths.scores).ood) == set()


def test_nan_on_the_test_set_fails_the_record(context):
    record = run(context, entry("always-nan", nan_everywhere)).records[0]
    assert record.status == "failed"
    assert "200 of 200 scores are NaN or infinite, the first at index 0" in record.reason


def breaking(monkeypatch, name, error):
    """Make an attack raise."""
    real = attack.craft_first

    def craft_first(card, *rest):
        if card.name == name:
            raise error
        return real(card, *rest)

    monkeypatch.setattr(attack, "craft_first", craft_first)


def test_an_attack_that_fails_costs_its_cells_alone(tmp_path, monkeypatch):
    """The others are made, of every row; what fails stands in the records of rows and models, with its reason."""
    breaking(monkeypatch, "bim-13", RuntimeError("no such kernel"))
    context = context_in(tmp_path)
    summary = run(context, *find(["msp", "energy", "odin"]))
    assert [record.status for record in summary.records] == ["ok"] * 3
    assert summary.failed == summary.records, "the run says that something failed"
    for record in summary.records:
        cells = {cell.name: cell for cell in record.cells}
        assert {name: (cell.failure, cell.status) for name, cell in cells.items()} == dict.fromkeys(
            ("bim-13", "bim-13@uint8"), ("adversarial", "failed")
        )
        assert "RuntimeError: no such kernel (test_execute.py:" in cells["bim-13"].reason
        paths = record_paths(context.workspace.results, "small-v1", record.method, 0)
        assert set(read_scores(paths.scores).adversarial) == {"fgsm-26", "fgsm-26@uint8"}
    used = summary.records[0].model
    model = read_model(model_paths(context.workspace.results, "small-v1", used.name, 0).record)
    assert set(model.attacks) == {"fgsm-26", "fgsm-26@uint8"}
    assert set(model.attacks_failed) == {"bim-13", "bim-13@uint8"}
    assert not list(attack_faults(model, outcomes_of(context.workspace.results, summary.records[0]), context.matrix))
    unsaid = model.model_copy(update={"attacks_failed": None})
    (fault,) = attack_faults(unsaid, outcomes_of(context.workspace.results, summary.records[0]), context.matrix)
    assert fault == "attacks: bim-13, bim-13@uint8 of small-v1 are not there"


def test_a_full_disk_costs_the_rows_and_a_later_run_makes_them(tmp_path, monkeypatch):
    """An error that says nothing of the attack leaves no cell behind that stands."""
    context = context_in(tmp_path)
    with monkeypatch.context() as broken:
        breaking(broken, "bim-13", OSError(28, "No space left on device"))
        (record,) = run(context, *find(["msp"])).records
    assert record.status == "failed" and "No space left on device" in record.reason
    (record,) = run(context, *find(["msp"])).records
    assert record.status == "ok" and not record.cells


def test_a_failed_attack_on_validation_images_costs_those_that_are_tuned_on_it(tmp_path, monkeypatch):
    breaking(monkeypatch, "fgsm-8", ValueError("no pixels"))
    msp, lid = run(context_in(tmp_path), *find(["msp", "lid"])).records
    assert msp.status == "ok" and not msp.cells
    assert lid.status == "failed"
    said = "lid is fitted or tuned on attacked images, and there are none: fgsm-8 on validation images: ValueError: no"
    assert said in lid.reason


@pytest.mark.parametrize("formula, what", [(peeks, "output 'features' was read"), (reads_labels, "labels were read")])
def test_undeclared_reads_fail(context, formula, what):
    record = run(context, entry("liar", formula)).records[0]
    assert record.status == "failed"
    assert Undeclared.__name__ in record.reason
    assert what in record.reason


def test_a_method_that_the_matrix_cannot_feed_is_skipped_with_a_reason(context):
    bare = guarded(context.matrix.model_copy(update={"tuning_ood": ()}), context.workspace)
    planned = plan(bare.matrix, find(["msp", "odin-tuned"]), [0])
    assert [type(item) for item in planned] == [Job, Skip]
    assert planned[1].reason == "needs ood_validation, which is not offered here"
    record = execute(bare, planned, here(bare)).records[1]
    assert (record.status, record.reason) == ("skipped", planned[1].reason)
    assert read_record(record_paths(bare.workspace.results, "small-v1", "odin-tuned", 0).record) == record


def test_a_view_that_no_model_shows_is_a_skip():
    density = entry("density", max_logit, frozenset({LOG_DENSITY}))
    assert plan(context_in(None or __import__("pathlib").Path("unused")).matrix, [density], [0])[0].reason == (
        "reads log_density, which Plain models of images do not have"
    )


def test_a_missing_out_set_is_a_skipped_cell(context, monkeypatch):
    from oodbench.errors import MissingData
    from oodbench.run import sets

    real = sets.load

    def without_glyphs(name, *args, **kwargs):
        if name == "glyphs":
            raise MissingData("glyphs is not here; get it: oodbench data get glyphs")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(sets, "load", without_glyphs)
    sets.open_sets.cache_clear()
    record = run(context, *find(["msp"])).records[0]
    sets.open_sets.cache_clear()
    cell = next(cell for cell in record.cells if cell.name == "glyphs")
    assert (cell.status, cell.reason) == ("skipped", "glyphs is not here; get it: oodbench data get glyphs")


def test_two_runs_into_one_folder_are_refused(context):
    with alone(context.workspace.results), pytest.raises(Busy, match="another run is writing to this folder"):
        run(context, *find(["msp"]))
    assert run(context, *find(["msp"])).records[0].status == "ok"


def test_what_killed_runs_left_is_swept_away_when_it_is_old(context, tmp_path):
    """A young part file may be a live worker's, of another run on the same cache."""
    own = at(context, cache=tmp_path / "cache")
    places = [own.workspace.results / "small-v1" / "msp", own.workspace.results / "small-v1" / "models" / "plain"]
    places += [own.workspace.cache / "models" / "cpu" / "x" / "outputs", own.workspace.cache / "toy" / "x" / "models"]
    for place in places:
        place.mkdir(parents=True)
        for name, hours in ((".old.npy.x1.tmp", 25), (".new.npy.x1.tmp", 23)):
            (place / name).write_bytes(b"half")
            then = time.time() - 3600 * hours
            os.utime(place / name, (then, then))
    run(own, *find(["msp"]))
    for place in places:
        assert not (place / ".old.npy.x1.tmp").exists()
        assert (place / ".new.npy.x1.tmp").exists()


def test_a_lost_scores_file_is_made_again(context):
    run(context, *find(["msp"]))
    before = bytes_of(context.workspace.results)
    record_paths(context.workspace.results, "small-v1", "msp", 0).scores.unlink()
    run(context, *find(["msp"]))
    assert bytes_of(context.workspace.results) == before


def test_a_newer_record_is_never_overwritten(context):
    run(context, *find(["msp"]))
    path = record_paths(context.workspace.results, "small-v1", "msp", 0).record
    newer = json.loads(path.read_text()) | {"schema_version": 99}
    path.write_text(json.dumps(newer))
    record = run(context, *find(["msp"])).records[0]
    assert record.status == "failed"
    assert "newer" in record.reason
    assert json.loads(path.read_text()) == newer


def test_a_full_disk_leaves_no_half_file(context, monkeypatch):
    import oodbench.store

    real = oodbench.store.os.fsync

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(oodbench.store.os, "fsync", full)
    summary = run(context, *find(["msp"]))
    monkeypatch.setattr(oodbench.store.os, "fsync", real)
    assert summary.failed[0].status == "failed"
    assert "No space left on device" in summary.failed[0].reason
    left = [p.name for p in context.workspace.results.rglob("*") if p.is_file()]
    assert set(left) <= {".lock"}
    assert run(context, *find(["msp"])).records[0].status == "ok"


def test_a_broken_weights_file_is_told_and_made_again(context, tmp_path, caplog):
    cache = tmp_path / "copied"
    shutil.copytree(context.workspace.cache, cache)
    weights = next((cache / "models").rglob("weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    whole = run(context, *find(["msp"])).records[0]
    broken = at(context, cache=cache, results=tmp_path / "again")
    record = run(broken, *find(["msp"])).records[0]
    assert record == whole
    assert f"{weights}: not what was written there; it is made again" in caplog.text


def test_the_record_says_where_its_numbers_come_from(context):
    (tuned,) = find(["odin-tuned"])
    few = Grid(over=(("T", (1.0, 1000.0)), ("eps", (0.0, 0.001))))
    one = dataclasses.replace(tuned, method=dataclasses.replace(tuned.method, search=few))
    record = run(context, one).records[0]
    assert record.tuning_access == "ood_val"
    assert set(record.parameters.chosen) == {"T", "eps"}
    assert record.scale == "tiny"
    assert record.recipe["name"] == "plain"
    assert record.recipe["training"]["network"] == "resnet-small"
    assert record.data["glyphs"].n == 60
    assert record.data["mnist-5k/test"].n == 200
    assert record.model == record.reference
    assert record.model.name == "plain"
    assert record.packages["torch"] == torch.__version__.split("+")[0] or record.packages["torch"] == torch.__version__
    scores = read_scores(record_paths(context.workspace.results, "small-v1", "odin-tuned", 0).scores)
    assert set(scores.ood) == {"glyphs", "hflip", "uniform"}
    assert {"fgsm-26", "fgsm-26@uint8"} <= set(scores.adversarial)
    assert record.cells == ()


def test_one_forward_pass_serves_all_methods_that_need_no_gradient(context, tmp_path, monkeypatch):
    """Counted in images of the matrix, over the whole run: each set once, and what crafting takes. No slack."""
    from oodbench.models.outputs import Trained

    def images_forwarded(methods, folder):
        seen = 0
        real = Trained.outputs

        def counting(self, x, *rest):
            nonlocal seen
            seen += len(x) * (x.shape[-1] == 28)  # the toys that code is tried on are smaller
            return real(self, x, *rest)

        monkeypatch.setattr(Trained, "outputs", counting)
        fresh = context_in(folder)
        run(fresh, *find(methods))
        monkeypatch.setattr(Trained, "outputs", real)
        return seen, fresh

    one, fresh = images_forwarded(["msp"], tmp_path / "one")
    matrix, sets = fresh.matrix, fresh.sets
    reference = Plain().sized(matrix.scale, matrix.training)
    fooling = fresh.attacked_validation(reference, 0).fooling
    clean = sum(len(images) for _, _, images in sets)
    steps = {"fgsm-26": 1, "bim-13": 10, "fgsm-8": 1}
    crafted = sum(40 * steps[name] for name in steps)  # the gradient of each step
    assert one == clean + crafted + 3 * 2 * 40 + len(fooling)
    many, _ = images_forwarded(
        ["msp", "max-logit", "energy", "knn", "mahalanobis-a", "zheng", "gmm-100"], tmp_path / "many"
    )
    assert many == one


def test_gradient_methods_count_their_passes(context):
    records = {r.method: r.passes for r in run(context, *find(["msp", "odin", "mahalanobis-a"])).records}
    assert (records["msp"].forward, records["msp"].gradient) == (1, 0)
    assert (records["mahalanobis-a"].forward, records["mahalanobis-a"].gradient) == (1, 0)
    assert (records["odin"].forward, records["odin"].gradient) == (2, 1)  # under the gradient, and perturbed


def test_the_forecast_says_what_is_done_what_runs_and_what_is_skipped(context):
    planned = plan(
        context.matrix, [*find(["msp", "energy"]), entry("density", max_logit, frozenset({LOG_DENSITY}))], [0]
    )
    execute(context, planned[:1], here(context))
    text = forecast(context, planned)
    assert "its record is current" in text
    assert "its model is in the cache" in text
    assert "reads log_density" in text
    assert "1 to run" in text
    assert forecast(context, planned[:1]).rstrip().endswith("nothing to do: every record is current")
    assert forecast(context, [planned[0], planned[2]]).rstrip().endswith("nothing to run: 1 current, 1 skipped")


def test_only_the_outputs_that_are_read_are_stored(context):
    jobs = [job for job in plan(context.matrix, find(["msp"]), [0]) if isinstance(job, Job)]
    assert wanted_outputs(jobs[0]) == {LOGITS}


def test_tuning_takes_the_first_of_equals_and_the_least_fpr95(context):
    def scaled(views):
        return views.logits.max(1).values

    method = dataclasses.replace(registry()["baseline-t"].method, name="tuned", search=Grid((("T", (5.0, 5.0, 1.0)),)))
    record = run(context, Registered(method, "methods.baseline_t")).records[0]
    assert record.parameters.chosen["T"] in (1.0, 5.0)
    assert record.status == "ok"


def test_a_part_of_an_ensemble_needs_no_classifier_of_its_own_seed(context):
    """Members of WAIC are asked for the ensemble's attacked images, not for those of a classifier of their own seed."""
    jobs = [job for job in plan(context.matrix, find(["waic-vae"]), [0]) if isinstance(job, Job)]
    tasks = graph(context, jobs)
    classifiers = [task for task in tasks if isinstance(task, TrainModel) and isinstance(task.recipe, Plain)]
    members = [task for task in tasks if isinstance(task, StoreOutputs) and isinstance(task.recipe, Vae)]
    assert [task.seed for task in classifiers] == [0]
    assert len(members) == 5
    assert all(task.reference is None for task in members)
    alone_too = graph(
        context, [job for job in plan(context.matrix, find(["vae", "waic-vae"]), [0]) if isinstance(job, Job)]
    )
    attacked = [
        task.seed
        for task in alone_too
        if isinstance(task, StoreOutputs) and task.reference and isinstance(task.recipe, Vae)
    ]
    assert attacked == [0]
