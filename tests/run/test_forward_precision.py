"""Forward passes in bfloat16: another matrix by name and address, on the same weights; no row of two precisions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small import bytes_of, here, small_matrix, toy_context_in

from oodbench.cli import main
from oodbench.contract import LOGITS, Output
from oodbench.data.images import ArrayImages
from oodbench.data.matrix import Matrix, find_matrix, known_matrix, load_matrices
from oodbench.data.published import PUBLISHED, matrix_sha256
from oodbench.errors import UnknownName
from oodbench.forward_precision import LOWER, PRECISIONS, WHOLE, named, told
from oodbench.models.outputs import Trained
from oodbench.records import read_record, read_scores, record_paths
from oodbench.run.context import Context
from oodbench.run.execute import execute
from oodbench.run.keys import content, model_record_key, record_key
from oodbench.run.models import WEIGHTS
from oodbench.run.outputs import outputs_of
from oodbench.run.plan import Job, Skip, plan
from oodbench.run.registry import find
from oodbench.run.rows import rows

LOW = "bfloat16"


def lower(matrix: Matrix) -> Matrix:
    return matrix.model_copy(update={"name": named(matrix.name, LOW), "forward_precision": LOW})


def test_every_matrix_has_a_name_in_each_precision_and_it_is_read_back() -> None:
    for matrix in load_matrices():
        assert told(matrix) == (matrix, WHOLE), "a matrix's own name must not tell a precision"
        for precision in PRECISIONS:
            assert told(named(matrix, precision)) == (matrix, precision)
            assert named(named(matrix, precision), precision) == named(matrix, precision)


def test_a_matrix_in_bfloat16_differs_in_name_title_precision_and_what_it_reproduces_alone() -> None:
    whole, low = find_matrix("openood-cifar10-v1"), find_matrix("openood-cifar10-bfloat16-v1")
    assert low == known_matrix("openood-cifar10-bfloat16-v1")
    own = {"name", "title", "forward_precision", "reproduces"}
    assert whole.model_dump(exclude=own) == low.model_dump(exclude=own)
    assert (whole.forward_precision, low.forward_precision, low.reproduces) == (WHOLE, LOW, None)
    assert whole.reproduces
    assert low.title == f"{whole.title}; forward passes in bfloat16"


@pytest.mark.parametrize(
    "name", ["tiny-float32-v1", "tiny-float16-v1", "none-bfloat16-v1", "tiny-bfloat16", "bfloat16-v1"]
)
def test_there_is_no_other_precision(name: str) -> None:
    with pytest.raises(UnknownName):
        find_matrix(name)
    assert known_matrix(name) is None


@pytest.mark.parametrize("matrix", load_matrices().values(), ids=lambda matrix: matrix.name)
def test_the_address_of_a_float32_matrix_says_nothing_of_precision(matrix: Matrix) -> None:
    """Else every published record would be of another address."""
    assert "forward_precision" not in content(matrix)["matrix"]
    assert content(find_matrix(named(matrix.name, LOW)))["matrix"]["forward_precision"] == LOW


class Doubling(torch.nn.Module):
    """A linear layer of one weight."""

    entries: frozenset[Output] = frozenset()
    passes = 1

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(self.linear.weight, weight)

    def outputs(self, x: torch.Tensor, wanted: frozenset[Output]) -> dict[Output, torch.Tensor]:
        return {LOGITS: self.linear(x.flatten(1))}


@pytest.mark.parametrize(("precision", "expected"), [(WHOLE, 1 + 2**-10), (LOW, 1.0)])
def test_a_product_is_rounded_to_eight_bits_and_stored_as_float32(
    tmp_path: Path, precision: str, expected: float
) -> None:
    """1 + 2^-10 needs 11 bits: bfloat16 has 8."""
    images = ArrayImages(np.ones((3, 1, 1, 1), np.float32))
    model = Trained(Doubling(1 + 2**-10).requires_grad_(False), torch.device("cpu"))
    found = outputs_of(lambda: model, images, frozenset({LOGITS}), tmp_path, precision=precision)[LOGITS]
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == [expected] * 3


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Context, Context]:
    """The toy matrix, run in bfloat16 first and then in float32, on one cache."""
    folder = tmp_path_factory.mktemp("precision")
    whole = toy_context_in(folder)
    low = Context(lower(whole.matrix), whole.workspace, whole.guard)
    for context in (low, whole):
        jobs = plan(context.matrix, find(["msp", "knn"]), [0])
        assert not execute(context, jobs, here(context)).failed
    return low, whole


def test_both_stand_on_the_same_weights_and_keep_their_outputs_apart(both: tuple[Context, Context]) -> None:
    low, whole = both
    (job,) = plan(whole.matrix, find(["msp"]), [0])
    folder = whole.folder(job.recipe, 0)
    assert folder == low.folder(job.recipe, 0)
    assert len(list(whole.workspace.cache.rglob(WEIGHTS))) == 2  # the matrix's, and the toy's
    assert low.kept(job.recipe, 0) == folder / LOW
    mine, theirs = (sorted(p.name for p in (one / "outputs").iterdir()) for one in (folder, folder / LOW))
    assert len(set(mine) & set(theirs)) >= 6  # train, validation, test and the out-sets: the same images
    assert (folder / "attacks").is_dir() and (folder / LOW / "attacks").is_dir()


def test_records_name_their_precision_and_have_addresses_of_their_own(both: tuple[Context, Context]) -> None:
    said = {}
    for context in both:
        (job,) = plan(context.matrix, find(["msp"]), [0])
        record = read_record(record_paths(context.workspace.results, context.matrix.name, "msp", 0).record)
        assert record.environment.dtype == context.matrix.forward_precision
        assert record.key == record_key(context, job)
        assert record.model is not None
        said[context.matrix.name] = (record.key, model_record_key(context, job.recipe, 0), record.scores_sha256)
    assert list(said) == ["toy-bfloat16-v1", "toy-v1"]
    assert all(one != other for one, other in zip(*said.values(), strict=True))


def test_scores_are_float32_or_float64_and_differ_by_little(both: tuple[Context, Context]) -> None:
    low, whole = both
    for method in ("msp", "knn"):
        found = []
        for context in (low, whole):
            paths = record_paths(context.workspace.results, context.matrix.name, method, 0)
            found.append(read_scores(paths.scores, read_record(paths.record).scores_sha256))
        coarse, fine = found
        assert coarse.test.dtype == fine.test.dtype
        assert len(coarse.test) == len(fine.test)
        assert 0 < np.abs(coarse.test - fine.test).max() < 0.1 * np.ptp(fine.test)
        for name in fine.ood:
            area = [(one.test[:, None] > one.ood[name]).mean() for one in found]
            assert area[0] == pytest.approx(area[1], abs=0.02)


def test_what_ran_in_bfloat16_before_changes_no_byte_of_float32(both: tuple[Context, Context], tmp_path: Path) -> None:
    alone = toy_context_in(tmp_path)
    assert not execute(alone, plan(alone.matrix, find(["msp", "knn"]), [0]), here(alone)).failed
    made = bytes_of(both[1].workspace.results)
    for name, content_ in bytes_of(alone.workspace.results).items():
        assert made[name] == content_, name


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("odin", "reads network, by float32 passes of its own"),
        ("react", None),
        ("glow", "its model is a density, whose log p bfloat16 rounds away; it runs on small-v1"),
        ("msp", None),
    ],
)
def test_no_row_is_of_two_precisions(method: str, why: str | None) -> None:
    """What asks the network itself computes in float32, and a density's bits are more than bfloat16 has."""
    (item,) = plan(lower(small_matrix()), find([method]), [0])
    (whole,) = plan(small_matrix(), find([method]), [0])
    assert isinstance(whole, Job)
    if why is None:
        assert isinstance(item, Job)
    else:
        assert isinstance(item, Skip)
        assert why in item.reason


def test_skipped_are_those_that_ask_the_network_read_what_is_not_stored_or_score_a_density() -> None:
    matrix = small_matrix()
    whole = {item.method.name: item for item in plan(matrix, rows(matrix, ()), [0])}
    coarse = {item.method.name: item for item in plan(lower(matrix), rows(matrix, ()), [0])}
    more = {name for name, item in coarse.items() if isinstance(item, Skip) and isinstance(whole[name], Job)}
    asking = {name for name, item in whole.items() if "network" in {str(one) for one in item.method.detector.reads}}
    maps = {"feature_map", "first_map", "maps", "embeddings"}
    large = {name for name, item in whole.items() if maps & {str(one) for one in item.method.detector.reads}}
    densities = {name for name, item in whole.items() if "log_density" in {str(one) for one in item.recipe.provides}}
    jobs = {name for name, item in whole.items() if isinstance(item, Job)}
    assert more == jobs & (asking | large | densities)
    assert {"odin", "glow", "vae"} <= more
    assert {"msp", "knn", "energy", "deep-ensemble"} <= jobs - more


def test_the_option_names_the_matrix(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["run", "toy-v1", "--methods", "glow", "--seeds", "0", "--engine", "process"]
    assert main([*words, "--results", str(tmp_path), "--cache", str(tmp_path), "--forward-precision", LOW]) == 0
    record = read_record(record_paths(tmp_path, "toy-bfloat16-v1", "glow", 0).record)
    assert record.status == "skipped" and record.environment.dtype == LOW
    assert not (tmp_path / "toy-v1").exists()


def test_the_file_of_a_matrix_in_bfloat16_is_the_published_one() -> None:
    assert LOWER == (LOW,)
    assert all(matrix_sha256(told(named(one, LOW))[0]) == PUBLISHED[one] for one in load_matrices())
