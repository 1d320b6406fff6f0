"""Pictures show what the result says."""

from pathlib import Path

import numpy as np
import pytest
from small_result import result

from oodbench.errors import BadData, BadSetting, UnknownName
from oodbench.records import Outcomes, Scores
from oodbench.result import pictures
from oodbench.result.rows import Judged

pytest.importorskip("matplotlib")

FOUND = result()


def test_a_curve_ends_in_the_corners_and_has_the_area_of_its_auroc() -> None:
    figure = FOUND.plot.roc(methods=["knn"])
    axes = {one.get_title(): one for one in figure.axes}
    assert list(axes)[:4] == ["far", "my own set", "fgsm-8", "misclassified"]
    for name in ("far", "fgsm-8", "misclassified"):
        x, y = axes[name].lines[0].get_data()
        assert (min(x), max(x), min(y), max(y)) == (0, 100, 0, 100)
        expected = FOUND.table.set_index(["method", "set"]).loc[("knn", name), "auroc"]
        assert abs(np.trapezoid(y, x)) / 1e4 == pytest.approx(expected)
        assert axes[name].get_legend().get_texts()[0].get_text() == f"knn {100 * expected:.1f}"


def test_histograms_have_a_row_a_method_and_a_column_a_set() -> None:
    figure = FOUND.plot.histograms(sets=["far", "misclassified"])
    assert len(figure.axes) == 4
    assert [one.get_title() for one in figure.axes[:2]] == ["far", "misclassified"]
    for axes in figure.axes:
        for patch in axes.patches:
            assert patch.get_data().values.sum() == pytest.approx(1)


def test_no_picture_is_wider_than_a_page_however_many_sets_there_are() -> None:
    rng = np.random.default_rng(0)
    far = {f"set-{number}": rng.normal(size=20) for number in range(2 * pictures.SETS + 1)}
    scores = Scores(FOUND.scores["msp"]["test"], far)
    many = result(judged=[Judged("msp", scores), Judged("odin", scores)])
    for figure in (many.plot.roc(), many.plot.histograms()):
        assert figure.get_size_inches()[0] < 9.5  # at 100 pixels an inch
        assert [title for one in figure.axes if (title := one.get_title())] == [*far, "misclassified"]
    assert sum(bool(axes.patches) for axes in figure.axes) == 2 * len([*far, "misclassified"])


def test_no_legend_hides_a_curve() -> None:
    for figure in (FOUND.plot.roc(), FOUND.plot.risk_coverage()):
        figure.draw_without_rendering()
        for axes in figure.axes:
            if (legend := axes.get_legend()) is not None:
                assert not legend.get_window_extent().overlaps(axes.get_window_extent())


def test_risk_at_full_coverage_is_the_error_and_no_method_beats_the_perfect_one() -> None:
    figure = FOUND.plot.risk_coverage()
    (axes,) = figure.axes
    *methods, perfect = axes.lines
    error = 100 * (1 - FOUND.accuracy["test"])
    least = dict(zip(*(np.round(part, 6) for part in perfect.get_data()), strict=True))
    for line in methods:
        coverage, risk = line.get_data()
        assert coverage[-1] == pytest.approx(100)
        assert risk[-1] == pytest.approx(error)
        assert all(risk >= [least[round(at, 6)] - 1e-5 for at in coverage])


def test_a_model_without_misclassifications_has_no_risk_to_draw() -> None:
    right = result(outcomes=Outcomes(np.ones(120, bool), FOUND.outcomes.attacks))
    with pytest.raises(BadData, match="the risk is the same at every coverage"):
        right.plot.risk_coverage()


def test_the_same_result_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        FOUND.save(tmp_path / name)
    for path in (tmp_path / "a" / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "figures" / path.name).read_bytes()


def test_what_cannot_be_drawn_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="unknown failure set in this result 'fra'; did you mean 'far'"):
        FOUND.plot.roc(sets=["fra"])
    with pytest.raises(UnknownName, match="method with scores in this result 'temperature'"):
        FOUND.plot.risk_coverage(methods=["temperature"])
    with pytest.raises(BadData, match="nothing to draw"):
        result(judged=[]).plot.histograms()
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(BadSetting, match=r"pip install 'oodbench\[data\]'"):
        _ = FOUND.plot
