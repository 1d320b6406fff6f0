"""What git says of a folder."""

import subprocess
from pathlib import Path

import pytest

import oodbench
from oodbench import checkout


def test_it_is_asked_and_answers_without_the_last_line_end(tmp_path: Path) -> None:
    assert checkout.ask(tmp_path, "rev-parse", "HEAD") is None
    (tmp_path / " odd").write_text("1")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert checkout.ask(tmp_path, "status", "--porcelain") == '?? " odd"'
    assert checkout.ask(tmp_path, "rev-parse", "HEAD") is None


def test_without_git_there_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout.ask(tmp_path, "status") is None


def test_what_is_installed_has_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository above it is somebody else's."""
    for home, expected in (("bench", tmp_path), ("lib/site-packages", None)):
        monkeypatch.setattr(oodbench, "__file__", str(tmp_path / home / "oodbench" / "__init__.py"))
        assert checkout.folder() == expected
