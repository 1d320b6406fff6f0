"""What only a re-run finds: it passes all else, and the re-run names it. The page of the catalogue is up to date."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.verify.made import setting
from tests.verify.page import PAGE, page
from tests.verify.rerun_only import RERUN_ONLY, TOY, Unseen

from oodbench.data.matrix import find_matrix
from oodbench.records import read_record
from oodbench.run.context import Context
from oodbench.run.engines import InProcess
from oodbench.run.execute import execute
from oodbench.run.plan import Job, plan
from oodbench.run.registry import find
from oodbench.run.tasks import guarded
from oodbench.run.verify import AUROC, alike, compared, submitted_sha256
from oodbench.run.workspace import Workspace
from oodbench.verify.verified import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Context, Job]:
    folder = tmp_path_factory.mktemp("made")
    context = guarded(find_matrix(TOY), Workspace(results=folder / "results", cache=folder / "cache"))
    jobs = [job for job in plan(context.matrix, find(["msp"]), (0,)) if isinstance(job, Job)]
    assert not execute(context, jobs, InProcess([context.workspace])).failed
    setting(context.workspace.results / TOY / "msp" / "0.json", "git|dirty", False)  # of a checkout at work
    return context, jobs[0]


@pytest.mark.parametrize("one", RERUN_ONLY, ids=lambda one: f"{one.kind}: {one.what}"[:60])
def test_a_re_run_finds_it_and_nothing_else_does(one: Unseen, made: tuple[Context, Job], tmp_path: Path) -> None:
    context, job = made
    root = tmp_path / "results"
    shutil.copytree(context.workspace.results, root)
    one.forge(root)
    faults = [str(fault) for fault in verify(root).faults]
    assert faults == [], "it is found without a re-run: it belongs into the catalogue"
    found = compared(
        replace(context, workspace=replace(context.workspace, results=root)), job, standing(context), context.workspace
    )
    assert found.verdict == "drifted"
    assert one.says in found.why


def standing(context: Context):
    return read_record(context.workspace.results / TOY / "msp" / "0.json")


def test_what_was_not_forged_has_the_same_bytes(made: tuple[Context, Job]) -> None:
    context, job = made
    assert compared(context, job, standing(context), context.workspace).verdict == "same bytes"


def test_the_draw_follows_from_what_was_handed_in_and_from_the_nonce(made: tuple[Context, Job], tmp_path: Path) -> None:
    context, _ = made
    before = submitted_sha256(context)
    root = tmp_path / "results"
    shutil.copytree(context.workspace.results, root)
    moved = replace(context, workspace=replace(context.workspace, results=root))
    assert submitted_sha256(moved) == before, "wherever it lies"
    (root / TOY / "msp" / "0.parquet").write_bytes(b"other")
    assert submitted_sha256(moved) != before


def test_tolerances_are_by_class_of_machine() -> None:
    assert alike("cpu AVX512", "cpu AVX512") == "same class"
    assert alike("cpu AVX512", "cpu AVX2") == "same kind"
    assert alike("cuda NVIDIA H200", "cpu AVX2") == "another kind"
    assert alike(None, "cpu AVX2") == "another kind"
    assert AUROC["same class"] < AUROC["same kind"] < AUROC["another kind"]


def test_the_page_of_the_catalogue_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "docs/verify.md is not what the catalogue makes: make catalogue"
