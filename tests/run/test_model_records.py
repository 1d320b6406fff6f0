"""What results hold of a model: once, whichever methods run; checked, and mended where it is broken."""

import dataclasses
import json

import pytest
from small import at, bytes_of, context_in, here

from oodbench.data.matrix import find_matrix, load_matrices
from oodbench.recipes import Plain
from oodbench.records import (
    ModelUsed,
    Quality,
    model_paths,
    model_sha256,
    read_model,
    read_outcomes,
    read_scores,
    record_paths,
    write_model,
    write_record,
)
from oodbench.run.execute import execute
from oodbench.run.models import model_name
from oodbench.run.plan import plan, sized
from oodbench.run.registry import find, registry
from oodbench.run.rows import on_models


@pytest.fixture
def context(trained_cache, tmp_path):
    """A fresh results folder over a shared cache."""
    return at(context_in(tmp_path), cache=trained_cache / "cache")


def run(context, *methods):
    records = execute(context, plan(context.matrix, find(methods), [0]), here(context)).records
    return {record.method: record for record in records}


def model_of(context, record):
    return read_model(model_paths(context.workspace.results, "small-v1", record.reference.name, 0).record)


def outcomes_of(context, record):
    path = model_paths(context.workspace.results, "small-v1", record.reference.name, 0).outcomes
    return read_outcomes(path, model_of(context, record).outcomes_sha256)


def test_accuracy_agrees_with_what_is_stored_of_the_model(context):
    record = run(context, "msp")["msp"]
    model = model_of(context, record)
    assert model.quality.accuracy == outcomes_of(context, record).correct.mean()
    assert model.quality.parameters == 77_562  # WRN-10-1 on one channel, ten classes
    assert model_sha256(model) == record.reference.sha256


def test_calibration_stands_before_and_after_the_temperature_of_the_method(context):
    records = run(context, "msp", "temperature")
    model = model_of(context, records["msp"])
    found = model.calibration
    assert found.temperature == pytest.approx(records["temperature"].facts["T"], rel=1e-9)
    shared = set(type(found.plain).model_fields) & set(type(model.quality).model_fields)
    assert {"ece_15", "nll", "brier", "soft_f1"} < shared
    assert all(getattr(found.plain, name) == getattr(model.quality, name) for name in shared)
    assert found.scaled != found.plain
    assert found.scaled.nll > 0


def test_a_record_from_before_calibration_was_measured_gets_it_and_nothing_becomes_another(context):
    first = run(context, "msp")["msp"]
    path = model_paths(context.workspace.results, "small-v1", "plain", 0).record
    model = read_model(path)
    old = json.loads(path.read_text())
    del old["calibration"], old["seal"]
    path.write_text(json.dumps(old))
    assert read_model(path) == model.model_copy(update={"calibration": None})
    records = run(context, "msp", "energy")
    assert records["msp"] == first
    assert records["energy"].status == "ok"
    assert read_model(path) == model


def test_attacked_images_stay_in_their_ball_and_only_right_ones_are_attacked(context):
    record = run(context, "msp")["msp"]
    scores = read_scores(record_paths(context.workspace.results, "small-v1", "msp", 0).scores)
    outcomes, attacks = outcomes_of(context, record), model_of(context, record).attacks
    for name, attacked in scores.adversarial.items():
        assert outcomes.correct[attacked.index].all()
        assert (outcomes.attacks[name].index == attacked.index).all()
        assert attacks[name].fooled == outcomes.attacks[name].fooled.sum()
    assert attacks["fgsm-26"].mean_linf <= 0.1 + 1e-6


def test_methods_on_one_model_share_its_record_and_a_density_has_its_own(context):
    records = run(context, "msp", "energy", "vae")
    folder = context.workspace.results / "small-v1" / "models"
    assert {path.name for path in folder.iterdir()} == {"plain", "vae"}
    assert records["msp"].model == records["energy"].model == records["vae"].reference
    assert records["vae"].model.name == "vae"
    vae = read_model(folder / "vae" / "0.json")
    assert set(vae.bits_per_dimension) >= {"test", "glyphs"}
    assert (vae.outcomes_sha256, vae.attacks, vae.quality) == (None, {}, Quality())


def test_a_model_that_came_out_otherwise_is_an_error_that_says_so(context):
    """The same key, another content: two machines, say. Nothing is overwritten, and no mixture is made."""
    first = run(context, "msp")["msp"]
    path = model_paths(context.workspace.results, "small-v1", "plain", 0).record
    other = read_model(path).model_copy(update={"bits_per_dimension": {"test": 1.0}})
    write_model(path, other)
    record = run(context, "energy")["energy"]
    assert record.status == "failed"
    assert "came out otherwise" in record.reason
    assert read_model(path) == other
    write_model(path, other.model_copy(update={"key": "0" * 64}))  # of other versions: replaced
    records = run(context, "msp", "energy")
    assert {record.status for record in records.values()} == {"ok"}
    assert records["msp"] == first


def test_what_is_made_again_on_purpose_takes_its_model_with_it(context):
    first = run(context, "msp", "energy")
    path = model_paths(context.workspace.results, "small-v1", "plain", 0).record
    model = read_model(path)
    other = model.model_copy(update={"bits_per_dimension": {"test": 1.0}})
    write_model(path, other)  # as if another machine had made it
    for method in ("msp", "energy"):
        paths = record_paths(context.workspace.results, "small-v1", method, 0)
        used = ModelUsed(name="plain", sha256=model_sha256(other))
        write_record(paths.record, first[method].model_copy(update={"model": used, "reference": used}))
    jobs = plan(context.matrix, find(["msp"]), [0])
    (one,) = execute(context, jobs, here(context), remake=True).records
    assert "came out otherwise" in one.reason, "energy stands on it, and is not made again"
    assert read_model(path) == other
    jobs = plan(context.matrix, find(["msp", "energy"]), [0])
    records = execute(context, jobs, here(context), remake=True).records
    assert {record.method: record for record in records} == first
    assert read_model(path) == model


@pytest.mark.parametrize("name", ["0.json", "0.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"{"])
def test_a_broken_record_of_a_model_is_made_again(context, name, content):
    run(context, "msp")
    before = bytes_of(context.workspace.results)
    path = context.workspace.results / "small-v1" / "models" / "plain" / name
    path.write_bytes(content) if content is not None else path.unlink()
    assert run(context, "msp")["msp"].status == "ok"
    assert bytes_of(context.workspace.results) == before


@pytest.mark.parametrize("matrix", load_matrices().values(), ids=lambda matrix: matrix.name)
def test_every_recipe_has_a_name_of_its_own(matrix, tmp_path):
    """Two recipes never share a folder; one recipe never has two."""

    entries = on_models(matrix, registry().values())
    recipes = dict.fromkeys(
        sized(entry.method.recipe, matrix) for entry in entries if matrix.training or entry.method.recipe.given()
    )
    names = [model_name(recipe, lambda one: sized(one, matrix)) for recipe in recipes]
    assert len(set(names)) == len(recipes)
    for name in names:
        model_paths(tmp_path, matrix.name, name, 0)


class Foreign(Plain):
    """A recipe from outside."""


def test_names_of_models_say_what_differs():
    matrix = find_matrix("tiny-v1")

    def sized(recipe):
        return recipe.sized(matrix.scale, matrix.training)

    def named(method):
        return model_name(sized(registry()[method].method.recipe), sized)

    assert named("msp") == named("odin") == "plain"
    assert named("glow-cv") == "glow-volume-constant"
    assert named("ib-inn-inf") == "ibinn-beta-inf"
    assert named("waic-vae") == "densityensemble-vae"
    longer = Plain(dataclasses.replace(matrix.training, epochs=3))
    assert model_name(longer, sized) == "plain-training-epochs-3"
    assert model_name(Foreign(), sized).split("-")[0] == __name__  # its package comes before its name
