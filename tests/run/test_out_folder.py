"""What would keep a report from being written is told before any work, and costs no numbers after it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import oodbench
from oodbench.check.toy import blobs, noise, toy
from oodbench.cli import main
from oodbench.errors import BadSetting
from oodbench.recipes import Plain
from oodbench.result import Result
from oodbench.run import judge
from oodbench.sources.named import NamedModel

ASKED = ["evaluate", "--model", "mine:best", "--test", "test.npz", "--failures", "far.npz", "--methods", "msp"]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a working directory with data and a model."""
    import numpy as np

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judge, "load_model", lambda *_, **__: NamedModel("mine", toy(Plain()).model.net))
    test = blobs(30, 1)
    np.savez("test.npz", images=test.pixels, labels=test.labels)
    np.savez("far.npz", images=noise(20, 2).pixels)
    yield tmp_path


def no_work(*_: Any, **__: Any) -> Result:
    raise AssertionError("the model was evaluated")


def test_a_folder_that_cannot_be_written_to_is_told_before_any_work(
    in_a_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(judge, "evaluate", no_work)
    (in_a_folder / "file").touch()
    (in_a_folder / "theirs").mkdir()
    (in_a_folder / "theirs" / "scores.parquet").write_bytes(b"not ours")
    for out, said in (
        ("file", "--out file: File exists; expected a folder to write to"),
        ("file/report", "--out file/report: Not a directory; expected a folder to write to"),
        ("theirs", "theirs/scores.parquet: is truncated or damaged"),
    ):
        assert main([*ASKED, "--out", out]) == 2
        assert said in capsys.readouterr().err
    assert (in_a_folder / "theirs" / "scores.parquet").read_bytes() == b"not ours"


def test_a_report_that_cannot_be_written_after_all_costs_no_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Result, "save", full)
        assert main([*ASKED, "--out", "report"]) == 1
    told = capsys.readouterr().out
    assert "accuracy on 30 test images" in told and "mean of far" in told
    assert "--out report: the report could not be written whole: OSError: [Errno 28] No space left on device" in told
    assert "wrote report" not in told
    assert main([*ASKED, "--out", "report"]) == 0
    assert oodbench.load("report").scores.keys() == {"msp"}


def test_names_that_are_no_text_are_refused() -> None:
    given: dict[str, Any] = {"test": (blobs(30, 1).pixels, blobs(30, 1).labels), "methods": ["msp"]}
    for name in ("failures", "ood_validation"):
        with pytest.raises(BadSetting, match=f"{name}: got the name 3, of type int; expected a text"):
            oodbench.evaluate(toy(Plain()).model.net, **given, **{name: {3: noise(9, 2).pixels}})
