"""The picture of a matrix: the same numbers make the same bytes, and the page shows it."""

from itertools import combinations
from pathlib import Path

import pytest
from made import put, scores

from oodbench.measure.kinds import KINDS
from oodbench.report.leaderboard import compare, write
from oodbench.report.standings import read_matrices

pytest.importorskip("matplotlib")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in (0, 1):
        for method, shift in (("msp", 2.0), ("odin", 3.5)):
            put(tmp_path / "results", method, seed, scores(seed, shift))
    return tmp_path / "results"


def test_the_same_numbers_make_the_same_bytes(results: Path, tmp_path: Path) -> None:
    from oodbench.report.pictures import draw

    (matrix,) = read_matrices(results)
    draw(matrix, tmp_path / "one.svg", short=True)
    draw(matrix, tmp_path / "two.svg", short=False)
    picture = (tmp_path / "one.svg").read_bytes()
    assert picture == (tmp_path / "two.svg").read_bytes()
    assert b"odin<" in picture
    assert b"95 % interval of the true rank" in picture
    assert b"Out-of-distribution inputs" in picture
    assert str(tmp_path).encode() not in picture


def test_it_lies_beside_the_records_and_the_page_shows_it(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "leaderboard.md"
    write(results, page)
    assert (tmp_path / "results/made-v1/figures/fpr95.svg").is_file()
    assert "(results/made-v1/figures/fpr95.svg)" in page.read_text(encoding="utf-8")
    assert compare(results, page) == []


def test_it_is_drawn_again_only_where_it_would_show_something_else(results: Path, tmp_path: Path) -> None:
    picture = results / "made-v1" / "figures" / "fpr95.svg"
    write(results, tmp_path / "leaderboard.md")
    before = picture.stat().st_mtime_ns
    write(results, tmp_path / "leaderboard.md")
    assert picture.stat().st_mtime_ns == before
    for seed in (0, 1):
        put(results, "new", seed, scores(seed, 3.0))
    write(results, tmp_path / "leaderboard.md")
    assert b"new<" in picture.read_bytes()


def test_no_title_of_a_sweep_runs_into_another_or_over_the_edge() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from oodbench.report import drawing

    names = ["Bits per dimension", *(f"{kind.title}\nAUROC in percent" for kind in KINDS.values())]
    figure = drawing.curves("beta", "beta", ["0", "1"], {name: [[0.5], [0.7, 0.9]] for name in names})
    FigureCanvasAgg(figure).draw()
    boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    assert len(boxes) == len(names)
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[at + 1 :])


def test_nothing_ranked_makes_no_picture(tmp_path: Path) -> None:
    put(tmp_path / "results", "blind", 0, None, status="skipped", reason="reads latent")
    write(tmp_path / "results", tmp_path / "leaderboard.md")
    assert not (tmp_path / "results/made-v1/figures").exists()


@pytest.mark.parametrize("kinds", [1, 3])
def test_nothing_is_cut_and_no_heading_overlaps(kinds: int) -> None:
    """Neither of one kind of failure, whose picture is narrow, nor of three."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from oodbench.report.drawing import STYLE, ranking
    from oodbench.report.pictures import Bar, Panel

    names = [f"mahalanobis-{at}-fgsm@resnet-mm" for at in range(60)]  # wide letters
    points = [(50.0, at) for at in range(60)]
    bars = [Bar(at + 1, 1, 60, at == 0) for at in range(60)]
    panel = Panel("The model's own misclassifications", 184, names, points, points, bars)
    with mpl.rc_context(STYLE):
        figure = ranking("A matrix with quite a long title (fashion-mnist-v1, scale cpu)", [panel] * kinds)
        FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in figure.texts]
    labels = [text for axes in figure.axes for text in (*axes.texts, axes.xaxis.label, *axes.get_xticklabels())]
    for box in (*boxes, *(text.get_window_extent() for text in labels)):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
    assert len(boxes) == 2 + kinds
    for axes in figure.axes:
        ticks = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert not any(one.overlaps(other) for one, other in combinations(ticks, 2))
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for one in boxes:
        assert not any(one.overlaps(axes.bbox) for axes in figure.axes)


def test_a_bar_is_the_interval_of_a_rank_and_blue_where_it_may_be_the_best() -> None:
    from oodbench.report.drawing import BEST, ranking
    from oodbench.report.pictures import Bar, Panel

    names, points = ["a", "b", "c"], [(10.0, 0), (20.0, 1), (30.0, 2)]
    bars = [Bar(1, 1, 2, True), Bar(2, 1, 3, True), Bar(3, 2, 3, False)]
    figure = ranking("title", [Panel("kind", 3, names, points, points, bars)])
    _, axes = figure.axes
    drawn = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert [tuple(line.get_xdata()) for line in drawn] == [(0.6, 2.4), (0.6, 3.4), (1.6, 3.4)]
    assert [line.get_color() == BEST for line in drawn] == [True, True, False]


def test_a_picture_of_some_rows_has_ranks_among_all(tmp_path: Path) -> None:
    from oodbench import listed
    from oodbench.report.pictures import draw

    names = sorted(line.name for line in listed.rows())[:30]
    for place, name in enumerate(names):
        for seed in (0, 1):
            put(tmp_path / "results", name, seed, scores(seed, place / 20))
    (matrix,) = read_matrices(tmp_path / "results")
    draw(matrix, tmp_path / "some.svg", short=True)
    draw(matrix, tmp_path / "all.svg", short=False)
    some, every = ((tmp_path / f"{one}.svg").read_text("utf-8") for one in ("some", "all"))
    assert "the best of each family" in some
    assert "the best of each family" not in every
    assert all(f">{name}</text>" in every for name in names)
    assert not all(f">{name}</text>" in some for name in names)
    assert some.count(">30</text>") == every.count(">30</text>") == len(matrix.kinds), "the last rank"
