"""What the tests marked `gpu` do, on the CPU in the GPU's place."""

from pathlib import Path

import on_device
import pytest
from on_device import OnDevice, Speed, decoded, multiplications, on_same_weights, speed, table, write

from oodbench.data.matrix import find_matrix
from oodbench.run.registry import find
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace


@pytest.mark.slow
def test_the_same_device_says_the_same_bytes(tmp_path: Path) -> None:
    context = guarded(
        find_matrix("toy-v1"), Workspace(results=tmp_path / "a" / "results", cache=tmp_path / "a" / "cache")
    )
    found = on_same_weights(context, find(["msp", "odin"]), "cpu", tmp_path / "b")
    assert [(one.method, one.verdict, one.auroc) for one in found] == [
        ("msp", "same bytes", 0.0),
        ("odin", "same bytes", 0.0),
    ]
    assert all(one.seconds > 0 for one in found)
    assert not list((tmp_path / "b" / "cache" / "models").rglob("train.cost.json"))  # nothing was trained there


def test_speeds_are_shares_of_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_device, "SECONDS", 0.05)
    one = speed("resnet-small", (1, 28, 28), 10, 8, "cpu", multiplications("cpu", 256))
    assert one.images > 1
    assert 0 < one.share < 50
    assert one.coarse > 1
    assert decoded(64) > 10


def test_the_table_goes_between_its_marks_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- gpu table -->\nold\n<!-- end of gpu table -->\nafter\n")
    text = table(
        [OnDevice("msp", "same bytes", 0.001, 12.3, 0.5)], [Speed("net", 1000.0, 0.5, 2500.0)], 2e12, 300.0, "cpu"
    )
    for _ in range(2):
        write(page, text)
    said = page.read_text()
    assert said.startswith("before\n<!-- gpu table -->")
    assert said.endswith("<!-- end of gpu table -->\nafter\n")
    assert "old" not in said
    assert said.count("| `msp` | same bytes | 0.100 | 12 | 0.50 |") == 1
    assert "| `net` | 1,000 | 50 % | 2,500 |" in said
    assert "2.0 TFLOP/s" in said


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(AssertionError, match="expected the marks"):
        write(page, "x")
    assert page.read_text() == "nothing here"
