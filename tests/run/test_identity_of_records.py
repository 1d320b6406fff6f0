"""What a record says of its method before any number is known: members, versions, what tuning did not decide."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small import context_in

from oodbench.contract import FEATURES, LOGITS, Output
from oodbench.identity import address, declared
from oodbench.records import Parameters
from oodbench.run.plan import Job, plan
from oodbench.run.records import declared_versions, identity, parameters
from oodbench.run.registry import registry
from oodbench.run.tune import Tuned


def job(method: str, seed: int = 0) -> Job:
    entry = registry()[method]
    return Job(entry, entry.method.recipe, seed, "tiny")


@pytest.mark.parametrize(
    ("method", "members"),
    [("msp", ()), ("oe-finetune", (2,)), ("deep-ensemble", (2, 3, 4, 5, 6)), ("waic-vae", (2, 3, 4, 5, 6))],
)
def test_members_are_the_seeds_of_what_a_model_is_made_from(
    tmp_path: Path, method: str, members: tuple[int, ...]
) -> None:
    context = context_in(tmp_path)
    several = type(context)(context.matrix.model_copy(update={"seeds": (0, 1, 2)}), context.workspace)
    assert identity(several, job(method, 2))["members"] == members


def test_what_was_chosen_and_not_decided_stands_in_the_parameters(tmp_path: Path) -> None:
    row = job("mahalanobis-b")
    said = identity(context_in(tmp_path), row, "0" * 64, Tuned(row.method.detector, (), {"eps": 0.0}, undecided=True))
    assert (said["parameters"].chosen, said["parameters"].undecided) == ({"eps": 0.0}, True)
    assert not identity(context_in(tmp_path), row)["parameters"].undecided


def test_a_job_has_the_detector_of_its_scale(tmp_path: Path) -> None:
    matrix = context_in(tmp_path).matrix
    entries = [registry()[name] for name in ("feature-vae", "msp")]
    found = {}
    for scale in ("tiny", "cpu", "paper"):
        for item in plan(matrix.model_copy(update={"scale": scale}), entries, [0]):
            assert isinstance(item, Job)
            found[scale, item.method.name] = item.method.detector
    for name in ("feature-vae", "msp"):
        assert found["tiny", name] == found["cpu", name] == registry()[name].method.detector
    assert found["paper", "msp"] == found["tiny", "msp"]
    assert found["paper", "feature-vae"].steps is None
    assert address(found["paper", "feature-vae"]) != address(found["cpu", "feature-vae"])


def test_the_choice_among_candidates_has_a_version_where_there_is_one() -> None:
    assert "search" not in declared_versions(registry()["mahalanobis-c"].method)
    tuned = {name for name, entry in registry().items() if "search" in declared_versions(entry.method)}
    assert tuned >= {"baseline-t", "odin-tuned", "odin-fgsm", "mahalanobis-b", "mahalanobis-d", "mahalanobis-d-fgsm"}


def test_only_ensembles_share_members_between_seeds() -> None:
    """No row is known by its name: what its model is made from says it."""
    seeds = (0, 1, 2)
    shared = {
        name
        for name, entry in registry().items()
        if len({part for seed in seeds for part in entry.method.recipe.parts(seed, seeds)})
        < sum(len(entry.method.recipe.parts(seed, seeds)) for seed in seeds)
    }
    assert shared == {"deep-ensemble", "deep-ensemble-mi", "waic-glow", "waic-vae", "waic-pixelcnn++"}


@dataclass(frozen=True)
class Reader:
    """A detector one of whose fields is an output."""

    of: Output[Any] = FEATURES
    power: tuple[int, ...] = (1, 2)


def test_a_field_that_is_an_output_stands_in_the_record_as_it_is_declared() -> None:
    job: Any = SimpleNamespace(method=SimpleNamespace(detector=Reader(of=LOGITS)))
    made = parameters(job, None)
    assert made.given["of"] == declared(LOGITS)
    assert Parameters.model_validate_json(made.model_dump_json()) == made
    assert made.default["power"] == [1, 2]
