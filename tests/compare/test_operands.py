"""What a word stands for: a row, a folder, or a commit, which is read without touching the user's tree."""

import shutil
import subprocess
from pathlib import Path

import pytest
from planted import lost, run

from oodbench.compare.comparison import compare
from oodbench.compare.operands import at_commit, opened
from oodbench.errors import BadSetting, UnknownName

FEW = {"methods": ("msp-t",), "seeds": (0,)}


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """Two commits: "right", and one with a slipped sign; then the tree is changed and not committed."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q", "-b", "trunk")
    run(folder / "deep" / "results", **FEW)
    (folder / "deep" / "results" / "notes.txt").write_text("no result")
    (folder / "deep" / "results" / "link.json").symlink_to("/etc/passwd")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "right")
    git(folder, "tag", "right")
    shutil.rmtree(folder / "deep" / "results" / "made-v1")
    run(folder / "deep" / "results", lost(sign=-1), **FEW)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "slipped")
    (folder / "deep" / "results" / "made-v1" / "msp-t" / "0.json").write_text("{}")
    return folder


def test_two_commits_are_compared_and_the_tree_stays_as_it_is(repository) -> None:
    before = git(repository, "status", "--porcelain"), git(repository, "worktree", "list")

    found = compare("right", "HEAD", Path("deep/results"), folder=repository)

    assert found.fails(["regression"])
    assert (git(repository, "status", "--porcelain"), git(repository, "worktree", "list")) == before
    assert not compare("right", "right", Path("deep/results"), folder=repository).fails(["regression", "unversioned"])


def test_a_commit_is_read_byte_for_byte_and_its_links_are_not_followed(repository) -> None:
    with at_commit("right", Path("deep/results"), repository) as place:
        held = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
        names = {"made-v1/msp-t/0.json", "made-v1/msp-t/0.parquet", "made-v1/msp-t/0.cost.json"}
        names |= {"made-v1/models/plain/0.json", "made-v1/models/plain/0.parquet"}
        assert set(held) == names
        for name in names:
            git_has = subprocess.run(
                ["git", "cat-file", "blob", f"right:deep/results/{name}"],
                cwd=repository,
                check=True,
                capture_output=True,
            )
            assert held[name].read_bytes() == git_has.stdout
    assert not place.exists()


def test_results_are_found_from_a_folder_below_the_top(repository) -> None:
    with at_commit("HEAD", Path("results"), repository / "deep") as place:
        assert (place / "made-v1" / "msp-t" / "0.json").is_file()


@pytest.mark.parametrize(
    ("commit", "results", "said"),
    [
        ("nowhere", "deep/results", "no row (MATRIX/METHOD, as tiny-v1/msp), no folder, and no commit"),
        ("HEAD", "elsewhere", "has no results in elsewhere; name their folder there by --results"),
        ("HEAD", "../outside", "lies outside the repository"),
        ("--all", "deep/results", "no commit"),
    ],
)
def test_what_is_no_commit_says_so(repository, commit, results, said) -> None:
    with pytest.raises(BadSetting) as error, at_commit(commit, Path(results), repository):
        pass
    assert said in str(error.value)


def test_outside_a_repository_a_word_is_no_commit(tmp_path) -> None:
    with pytest.raises(BadSetting, match="no commit of a repository"), opened("HEAD", tmp_path, folder=tmp_path):
        pass


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("rows") / "results", lost(version=2), seeds=(0,))


def test_a_row_may_name_its_version(results) -> None:
    with opened("made-v1/msp-t@2", results) as side:
        assert side.what == "row"
        assert [*side.rows] == [("made-v1", "msp-t")]
    with (
        pytest.raises(BadSetting, match="holds version 2 of it; compare the commits instead"),
        opened("made-v1/msp-t@1", results),
    ):
        pass


def test_an_unknown_row_offers_the_nearest(results) -> None:
    with pytest.raises(UnknownName, match="did you mean 'mahalanobis'"), opened("mahalanobi", results, "made-v1"):
        pass


def test_a_matrix_restricts_a_folder_and_a_commit_to_it(results, repository, tmp_path) -> None:
    both = tmp_path / "both"
    shutil.copytree(results / "made-v1", both / "made-v1")
    with opened(str(both), results) as whole, opened(str(both), results, "made-v2") as none:
        assert (whole.what, {matrix for matrix, _ in whole.rows}) == ("folder", {"made-v1"})
        assert (none.what, none.rows) == ("folder", {})
    with (
        opened("right", Path("deep/results"), "made-v1", repository) as one,
        opened("right", Path("deep/results"), "made-v2", repository) as other,
    ):
        assert (one.what, [*one.rows], other.rows) == ("commit", [("made-v1", "msp-t")], {})


def test_a_row_is_not_compared_with_a_folder_nor_with_another_matrix(results, tmp_path) -> None:
    with pytest.raises(BadSetting, match="compare two of a kind"):
        compare("made-v1/msp-t", str(results), results)
    other = tmp_path / "results"
    shutil.copytree(results, other)
    with pytest.raises(UnknownName):
        compare("made-v1/msp-t", "made-v2/msp-t", other)


def test_an_unknown_metric_offers_the_nearest(results) -> None:
    with pytest.raises(UnknownName, match="did you mean 'auroc'"):
        compare(str(results), str(results), metrics=("aurok",))


def test_folders_without_a_row_in_common_cannot_be_compared(results, tmp_path) -> None:
    one, other = (run(tmp_path / method, methods=(method,), seeds=(0,)) for method in ("msp-t", "mahalanobis"))
    with pytest.raises(BadSetting, match="have no row in common"):
        compare(str(one), str(other))
