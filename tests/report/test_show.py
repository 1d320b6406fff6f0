"""`oodbench show`: pictures and a table of a method on a matrix, from the stored scores."""

from pathlib import Path

import pytest
from made import put, scores

from oodbench.cli import main
from oodbench.errors import BadData, UnknownName
from oodbench.report.show import groups, show

pytest.importorskip("matplotlib")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in (2, 5):
        put(tmp_path / "results", "msp", seed, scores(seed, 2.0))
    put(tmp_path / "results", "blind", 2, None, status="skipped", reason="reads latent")
    return tmp_path / "results"


def test_a_light_and_a_dark_picture_and_their_table(results, tmp_path, capsys) -> None:
    words = ["show", "made-v1", "msp", "--results", str(results), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    told = capsys.readouterr().out
    said = scores(2, 2.0)
    table = {line[:16].strip(): line[16:].split() for line in told.splitlines() if "," in line or "right" in line}
    assert table["right"][0] == str(said.correct.sum())
    light, dark = (tmp_path / "out" / name for name in ("histograms.svg", "histograms-dark.svg"))
    assert f"\n\n{light}\n{dark}\n" in told
    assert "#0d1117" in dark.read_text()
    assert "#0d1117" not in light.read_text()
    before = light.read_bytes()
    assert "msp on made-v1, seed 2" in before.decode()
    main(words)
    assert light.read_bytes() == before


def test_a_seed_of_its_own(results, tmp_path) -> None:
    show(results, "made-v1", "msp", 5, tmp_path / "out")
    assert "msp on made-v1, seed 5" in (tmp_path / "out" / "histograms.svg").read_text()


def test_what_is_not_there_is_told(results, tmp_path) -> None:
    for matrix, method, seed, error, what in (
        ("maid-v1", "msp", None, UnknownName, "matrix with records 'maid-v1'; did you mean 'made-v1'"),
        ("made-v1", "msq", None, UnknownName, "row of made-v1 'msq'; did you mean 'msp'"),
        (
            "made-v1",
            "rotpred",
            None,
            BadData,
            r"no record on made-v1 in .*; make it: oodbench run made-v1 --methods rotpred --results /",
        ),
        ("made-v1", "msp", 1, BadData, "msp on made-v1: no record of seed 1; there are 2, 5"),
        ("made-v1", "blind", None, BadData, "blind on made-v1, seed 2 has no scores: reads latent"),
    ):
        with pytest.raises(error, match=what):
            show(results, matrix, method, seed, tmp_path)
    assert not list(tmp_path.glob("*.svg"))


def test_sets_have_the_groups_of_their_matrix() -> None:
    found = groups("fashion-mnist-v1")
    assert found["ood", "glyphs"] == "far"
    assert found["adversarial", "bim-8@uint8"] == "rounded"
    assert groups("made-v1") == {}


def test_confidence_has_a_reliability_diagram_at_both_temperatures(results, tmp_path) -> None:
    said = scores(2, 2.0)
    put(results, "temperature", 2, said, facts={"T": 2.0})
    for method in ("msp", "temperature"):
        found = show(results, "made-v1", method, 2, tmp_path / method)
        assert [path.stem for path in found.files][2:] == ["reliability", "reliability-dark"]
        text = (tmp_path / method / "reliability.svg").read_text()
        assert text.index("msp: ECE") < text.index("temperature: ECE")
        assert "plain on made-v1, seed 2" in text
    put(results, "knn", 2, said)
    assert len(show(results, "made-v1", "knn", 2, tmp_path / "knn").files) == 2
    show(results, "made-v1", "msp", 5, tmp_path / "5")
    text = (tmp_path / "5" / "reliability.svg").read_text()
    assert "msp: ECE" in text
    assert "temperature" not in text
