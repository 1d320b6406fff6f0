"""Running a matrix: what is kept, what is made anew, what fails alone, and what is refused."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from small import bytes_of, context_in

from oodbench.contract import Grid, Stateless
from oodbench.data.matrix import find_matrix, load_matrices
from oodbench.errors import Busy, Undeclared
from oodbench.recipes import Plain
from oodbench.records import (
    Quality,
    model_paths,
    model_sha256,
    read_model,
    read_outcomes,
    read_record,
    read_scores,
    record_paths,
    write_model,
)
from oodbench.run.context import wanted_views
from oodbench.run.engines import Inline
from oodbench.run.execute import alone, execute
from oodbench.run.forecast import forecast
from oodbench.run.models import model_name
from oodbench.run.plan import Job, Skip, plan
from oodbench.run.registry import Registered, find, registry


@pytest.fixture
def context(trained_cache, tmp_path):
    """A fresh results folder over a shared cache."""
    made = context_in(tmp_path)
    return dataclasses.replace(made, workspace=dataclasses.replace(made.workspace, cache=trained_cache / "cache"))


def run(context, *entries):
    return execute(context, plan(context.matrix, entries, [0]), Inline())


def entry(name, formula, reads=frozenset({"logits"}), **more):
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
    elsewhere = dataclasses.replace(context, workspace=dataclasses.replace(context.workspace, cache=tmp_path / "empty"))
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


@pytest.mark.parametrize("formula, what", [(peeks, "view 'features' was read"), (reads_labels, "labels were read")])
def test_undeclared_reads_fail(context, formula, what):
    record = run(context, entry("liar", formula)).records[0]
    assert record.status == "failed"
    assert Undeclared.__name__ in record.reason
    assert what in record.reason


def test_a_method_that_the_matrix_cannot_feed_is_skipped_with_a_reason(context):
    bare = dataclasses.replace(context, matrix=context.matrix.model_copy(update={"tuning_ood": ()}))
    planned = plan(bare.matrix, find(["msp", "odin-tuned"]), [0])
    assert [type(item) for item in planned] == [Job, Skip]
    assert planned[1].reason == "needs ood_validation, which is not offered here"
    record = execute(bare, planned, Inline()).records[1]
    assert (record.status, record.reason) == ("skipped", planned[1].reason)
    assert read_record(record_paths(bare.workspace.results, "small-v1", "odin-tuned", 0).record) == record


def test_a_view_that_no_model_shows_is_a_skip():
    density = entry("density", max_logit, frozenset({"log_density"}))
    assert plan(context_in(None or __import__("pathlib").Path("unused")).matrix, [density], [0])[0].reason == (
        "reads log_density, which Plain models do not show"
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


def test_what_a_killed_run_was_writing_is_swept_away(context):
    left = context.workspace.results / "small-v1" / "msp" / ".0.parquet.x1y2.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    run(context, *find(["msp"]))
    assert not left.exists()


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


def test_a_broken_weights_file_names_itself(context, tmp_path):
    cache = tmp_path / "copied"
    shutil.copytree(context.workspace.cache, cache)
    weights = next(cache.rglob("weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    broken = dataclasses.replace(context, workspace=dataclasses.replace(context.workspace, cache=cache))
    record = run(broken, *find(["msp"])).records[0]
    assert record.status == "failed"
    assert str(weights) in record.reason
    assert "delete it" in record.reason


def test_the_record_says_where_its_numbers_come_from(context):
    record = run(context, *find(["odin-tuned"])).records[0]
    assert record.tuning_access == "ood_val"
    assert set(record.parameters.chosen) == {"T", "eps"}
    assert record.scale == "tiny"
    assert record.recipe["name"] == "plain"
    assert record.recipe["training"]["network"] == "resnet-small"
    assert record.data["glyphs"].n == 60
    assert record.data["mnist-5k/test"].n == 200
    assert record.model == record.reference
    assert record.model.name == "plain"
    assert model_of(context, record).quality.parameters == 77_562  # WRN-10-1 on one channel, ten classes
    assert record.packages["torch"] == torch.__version__.split("+")[0] or record.packages["torch"] == torch.__version__
    scores = read_scores(record_paths(context.workspace.results, "small-v1", "odin-tuned", 0).scores)
    assert set(scores.ood) == {"glyphs", "hflip", "uniform"}
    assert {"fgsm-26", "fgsm-26@uint8"} <= set(scores.adversarial)
    assert record.cells == ()


def model_of(context, record):
    return read_model(model_paths(context.workspace.results, record.matrix, record.reference.name, record.seed).record)


def outcomes_of(context, record):
    path = model_paths(context.workspace.results, record.matrix, record.reference.name, record.seed).outcomes
    return read_outcomes(path, model_of(context, record).outcomes_sha256)


def test_accuracy_agrees_with_what_is_stored_of_the_model(context):
    record = run(context, *find(["msp"])).records[0]
    outcomes = outcomes_of(context, record)
    assert model_of(context, record).quality.accuracy == outcomes.correct.mean()
    assert model_sha256(model_of(context, record)) == record.reference.sha256


def test_attacked_images_stay_in_their_ball_and_only_right_ones_are_attacked(context):
    record = run(context, *find(["msp"])).records[0]
    scores = read_scores(record_paths(context.workspace.results, "small-v1", "msp", 0).scores)
    outcomes, attacks = outcomes_of(context, record), model_of(context, record).attacks
    for name, attacked in scores.adversarial.items():
        assert outcomes.correct[attacked.index].all()
        assert (outcomes.attacks[name].index == attacked.index).all()
        assert attacks[name].fooled == outcomes.attacks[name].fooled.sum()
    assert attacks["fgsm-26"].mean_linf <= 0.1 + 1e-6


def test_methods_on_one_model_share_its_record_and_a_density_has_its_own(context):
    records = {r.method: r for r in run(context, *find(["msp", "energy", "vae"])).records}
    folder = context.workspace.results / "small-v1" / "models"
    assert {path.name for path in folder.iterdir()} == {"plain", "vae"}
    assert records["msp"].model == records["energy"].model == records["vae"].reference
    assert records["vae"].model.name == "vae"
    vae = read_model(folder / "vae" / "0.json")
    assert set(vae.bits_per_dimension) >= {"test", "glyphs"}
    assert (vae.outcomes_sha256, vae.attacks, vae.quality) == (None, {}, Quality())


def test_a_model_that_came_out_otherwise_is_an_error_that_says_so(context):
    """The same key, another content: two machines, say. Nothing is overwritten, and no mixture is made."""
    first = run(context, *find(["msp"])).records[0]
    path = model_paths(context.workspace.results, "small-v1", "plain", 0).record
    other = read_model(path).model_copy(update={"bits_per_dimension": {"test": 1.0}})
    write_model(path, other)
    record = run(context, *find(["energy"])).records[0]
    assert record.status == "failed"
    assert "came out otherwise" in record.reason
    assert read_model(path) == other
    write_model(path, other.model_copy(update={"key": "0" * 64}))  # of other code: replaced
    records = {r.method: r for r in run(context, *find(["msp", "energy"])).records}
    assert {r.status for r in records.values()} == {"ok"}
    assert records["msp"] == first


@pytest.mark.parametrize("name", ["0.json", "0.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"{"])
def test_a_broken_record_of_a_model_is_made_again(context, name, content):
    run(context, *find(["msp"]))
    before = bytes_of(context.workspace.results)
    path = context.workspace.results / "small-v1" / "models" / "plain" / name
    path.write_bytes(content) if content is not None else path.unlink()
    record = run(context, *find(["msp"])).records[0]
    assert record.status == "ok"
    assert bytes_of(context.workspace.results) == before


@pytest.mark.parametrize("matrix", load_matrices().values(), ids=lambda matrix: matrix.name)
def test_every_recipe_has_a_name_of_its_own(matrix):
    """Two recipes never share a folder; one recipe never has two."""

    def sized(recipe):
        return recipe.at(matrix.scale, matrix.training.training())

    recipes = dict.fromkeys(sized(entry.method.recipe) for entry in registry().values())
    names = [model_name(recipe, sized) for recipe in recipes]
    assert len(set(names)) == len(recipes)
    for name in names:
        model_paths(Path("results"), matrix.name, name, 0)


def test_names_of_models_say_what_differs():
    def sized(recipe):
        return recipe.at("tiny", find_matrix("tiny-v1").training.training())

    methods = {name: model_name(sized(entry.method.recipe), sized) for name, entry in registry().items()}
    assert methods["msp"] == methods["odin"] == "plain"
    assert methods["glow-cv"] == "glow-volume-constant"
    assert methods["ib-inn-inf"] == "ibinn-beta-inf"
    assert methods["waic-vae"] == "densityensemble-vae"
    own = Plain(find_matrix("tiny-v1").training.training().__class__(network="mlp", epochs=3))
    assert model_name(own, sized).startswith("plain-training-network-mlp-epochs-3")
    assert model_name(Exploding(), sized).split("-")[0] == "test_execute"  # a recipe from outside


def test_one_forward_pass_serves_all_methods_that_need_no_gradient(context, tmp_path, monkeypatch):
    """Counted in images, over the whole run: the sets once, plus what crafting attacks takes; whatever the methods."""
    from oodbench.models import views

    def images_forwarded(methods, folder):
        seen = 0
        real = views.Trained.show

        def counting(self, x, wanted):
            nonlocal seen
            seen += len(x)
            return real(self, x, wanted)

        monkeypatch.setattr(views.Trained, "show", counting)
        fresh = context_in(folder)
        run(fresh, *find(methods))
        monkeypatch.setattr(views.Trained, "show", real)
        return seen

    one = images_forwarded(["msp"], tmp_path / "one")
    many = images_forwarded(
        ["msp", "max-logit", "energy", "knn", "mahalanobis-a", "zheng", "gmm-100"], tmp_path / "many"
    )
    examined_again = 6 * 2 * 2 * 40 + 6 * 2 * 40  # each job looks once at the attacks' images, to know which fooled
    assert many - one <= examined_again


def test_gradient_methods_count_their_passes(context):
    records = {r.method: r.passes for r in run(context, *find(["msp", "odin", "mahalanobis-a"])).records}
    assert (records["msp"].forward, records["msp"].gradient) == (1, 0)
    assert (records["mahalanobis-a"].forward, records["mahalanobis-a"].gradient) == (1, 0)
    assert (records["odin"].forward, records["odin"].gradient) == (2, 1)  # under the gradient, and perturbed


def test_the_forecast_says_what_is_done_what_runs_and_what_is_skipped(context):
    planned = plan(
        context.matrix, [*find(["msp", "energy"]), entry("density", max_logit, frozenset({"log_density"}))], [0]
    )
    execute(context, planned[:1], Inline())
    text = forecast(context, planned)
    assert "its record is current" in text
    assert "its model is in the cache" in text
    assert "reads log_density" in text
    assert "1 to run" in text


def test_only_the_views_that_are_read_are_stored(context):
    jobs = [job for job in plan(context.matrix, find(["msp"]), [0]) if isinstance(job, Job)]
    assert wanted_views(jobs, jobs[0].recipe) == {"logits"}


def test_tuning_takes_the_first_of_equals_and_the_least_fpr95(context):
    def scaled(views):
        return views.logits.max(1).values

    method = dataclasses.replace(registry()["baseline-t"].method, name="tuned", search=Grid((("T", (5.0, 5.0, 1.0)),)))
    record = run(context, Registered(method, "methods.baseline_t")).records[0]
    assert record.parameters.chosen["T"] in (1.0, 5.0)
    assert record.status == "ok"
