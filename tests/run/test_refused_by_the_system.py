"""What the system refuses: a file in a folder's place, a folder that is full, letters that are no ASCII."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oodbench.cli import main


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    return said


def test_a_file_where_a_folder_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    run = ("run", "toy-v1", "--methods", "msp", "--workers", 1)
    assert str(file) in refused(capsys, *run, "--results", file, "--cache", tmp_path / "c")
    assert str(file) in refused(capsys, *run, "--results", file / "below", "--cache", tmp_path / "c")


def test_a_cache_that_cannot_be_written_fails_the_records_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    words = ["run", "toy-v1", "--methods", "msp", "--workers", "1", "--results", str(tmp_path / "r")]
    assert main([*words, "--cache", str(file)]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "Not a directory" in said


def test_a_folder_where_a_file_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "r"
    run = ("run", "toy-v1", "--methods", "msp", "--workers", "1", "--cache", str(tmp_path / "c"))
    assert main([*run, "--results", str(results)]) == 0
    capsys.readouterr()
    folder = tmp_path / "page.md"
    folder.mkdir()
    (folder / "full").write_text("")
    assert str(folder) in refused(capsys, "table", "--results", results, "--leaderboard", folder)


def test_a_record_that_is_nested_too_deeply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r" / "toy-v1" / "msp" / "0.json"
    path.parent.mkdir(parents=True)
    path.write_text("[" * 100_000 + "]" * 100_000)
    refused(capsys, "table", "--results", tmp_path / "r", "--leaderboard", tmp_path / "page.md")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes wherever it likes")
def test_a_folder_that_may_not_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "r"
    folder.mkdir(mode=0o500)
    assert str(folder) in refused(capsys, "run", "toy-v1", "--methods", "msp", "--results", folder)


@pytest.mark.processes
def test_pages_are_written_where_letters_are_ascii(tmp_path: Path) -> None:
    words = ["run", "toy-v1", "--methods", "msp", "--workers", "1", "--leaderboard", str(tmp_path / "page.md")]
    places = ["--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c")]
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", "oodbench.cli", *words, *places],
        env={**bare, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "↓" in (tmp_path / "page.md").read_text(encoding="utf-8")
