"""A site is made of escaped text, asks for nothing outside its folder, is small, and is not made twice."""

import json
import re
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from board import HOSTILE, SEEDS, Made
from hypothesis import given
from hypothesis import strategies as st
from read import Page, data, table

from oodbench import reruns
from oodbench.cli import main
from oodbench.errors import BadSetting
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranking import count, ranking
from oodbench.report.cite import cite
from oodbench.report.entries import collect
from oodbench.report.numbers import RANKINGS
from oodbench.report.standings import read_matrices
from oodbench.site import build as building
from oodbench.site import news
from oodbench.site.addresses import file_name
from oodbench.site.build import build
from oodbench.site.costs import front
from oodbench.site.curves import POINTS, curves, receiver, thinned
from oodbench.site.news import Night
from oodbench.site.pairs import paired
from oodbench.site.render import prose, weblink
from oodbench.site.script import shown

URL_OF_A_PAGE = re.compile(r"(?:\.\./)*[A-Za-z0-9~._/-]+(?:#[^\"]*)?|#[A-Za-z0-9-]+")


def pages(site: Path) -> list[tuple[Path, Page]]:
    return [(path, Page(path.read_text("utf-8"))) for path in sorted(site.rglob("*.html"))]


def test_words_of_records_are_text_and_nothing_else(made: Made) -> None:
    row = made.site / "made-v1" / "rows" / "vae.html"
    assert HOSTILE in Page(row.read_text("utf-8")).text
    for path, page in pages(made.site):
        assert "<script>alert" not in path.read_text("utf-8")
        for tag, attributes in page.tags:
            assert tag != "img" and tag != "iframe", path
            assert not {name for name in attributes if name.startswith("on")} - {"onsubmit"}, path
            assert not (attributes.get("href") or "").startswith("javascript:"), path
            assert tag != "script" or attributes.get("src"), path


def test_no_page_asks_for_a_file_of_another_place(made: Made) -> None:
    for path, page in pages(made.site):
        for tag, attributes in page.tags:
            loaded = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
            assert loaded is None or URL_OF_A_PAGE.fullmatch(loaded) or loaded == "data:,", (path, loaded)
            href = attributes.get("href") if tag == "a" else None
            assert href is None or URL_OF_A_PAGE.fullmatch(href) or attributes.get("rel") == "external", (path, href)
    for path in made.site.glob("assets/*"):
        if path.suffix in (".css", ".js") and path.name != "plot.js":
            assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp", path.read_text("utf-8")), path


def test_every_link_inside_leads_to_a_page(made: Made) -> None:
    for path, page in pages(made.site):
        for tag, attributes in page.tags:
            href = attributes.get("href") or ""
            if tag == "a" and attributes.get("rel") != "external" and not href.startswith("#"):
                assert (path.parent / href.partition("#")[0]).resolve().is_file(), (path, href)


def test_a_board_of_110_rows_and_the_first_page_of_8_matrices_load_less_than_a_megabyte(made: Made) -> None:
    assets = {path.name: path.stat().st_size for path in made.site.glob("assets/*") if path.suffix in (".js", ".css")}
    charts = assets.pop("plot.js", 275_000)
    whole = (made.site / "made-v1" / "ood.html").read_text("utf-8")
    lines = re.findall(r"<tr data-row=.*?</tr>", whole, re.DOTALL)
    board = len(whole.encode()) + (110 - len(lines)) * max(len(line.encode()) for line in lines)
    first = 8 * len((made.site / "index.html").read_bytes())
    assert sum(assets.values()) + charts + max(board, first) < 1_000_000
    assert sum(assets.values()) < 60_000


def test_what_has_not_changed_is_not_made_again(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made.site, tmp_path / "site")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "site").rglob("*")}

    def drawn_again(*_: object) -> None:
        raise AssertionError("curves are drawn again")

    monkeypatch.setattr(building, "curves", drawn_again)
    assert build(made.results, tmp_path / "site").startswith("wrote 0 of ")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "site").rglob("*")} == before


def test_pages_of_rows_that_are_gone_go_and_no_folder_of_something_else_is_touched(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.results, tmp_path / "results")
    shutil.copytree(made.site, tmp_path / "site")
    shutil.rmtree(tmp_path / "results" / "made-v1" / "odin")
    build(tmp_path / "results", tmp_path / "site")
    assert not list((tmp_path / "site").rglob("odin.*"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("kept")
    with pytest.raises(BadSetting, match="is no site"):
        build(tmp_path / "results", tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "kept"
    with pytest.raises(BadSetting, match="no records"):
        build(tmp_path / "mine", tmp_path / "other")


def test_the_verb_says_what_it_wrote(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "--results", str(made.results), "--out", str(tmp_path / "site")]) == 0
    assert f"open {tmp_path / 'site' / 'index.html'}" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "site" / "made-v1").glob("*.html")} == {
        f"{kind}.html" for kind in ("ood", "adversarial", "misclassification")
    }


def test_a_row_has_its_id_command_bibtex_and_provenance(made: Made) -> None:
    page = Page((made.site / "made-v1" / "rows" / "odin.html").read_text("utf-8"))
    seeds = " ".join(map(str, SEEDS))
    for said in ("made-v1/odin@1", f"oodbench run made-v1 --methods odin --seeds {seeds}", "@misc{one2020", "abababab"):
        assert said in page.text
    assert "no rank, 1 of 3 seeds" in Page((made.site / "made-v1" / "rows" / "gram.html").read_text("utf-8")).text


def test_bars_are_the_interval_that_is_cited(made: Made) -> None:
    """The bar of the mean that ranks is the interval that `oodbench cite` prints."""
    board = (made.site / "made-v1" / "ood.html").read_text("utf-8")
    line = next(line for line in re.findall(r"<tr data-row=.*?</tr>", board, re.DOTALL) if 'data-row="odin"' in line)
    low, high, mean = (
        float(number)
        for number in re.findall(r'class="err".*?--l:([\d.]+);--h:([\d.]+);--m:([\d.]+)', line, re.DOTALL)[0]
    )
    sentence = cite("made-v1/odin@1#ood/mean/fpr95", made.results).sentence
    cited = re.search(r"95 % interval ([\d.]+) to ([\d.]+)", sentence)
    assert cited and (abs(100 * low - float(cited[1])) < 0.01 and abs(100 * high - float(cited[2])) < 0.01)
    assert low < mean < high


@pytest.mark.parametrize("metric", RANKINGS)
def test_differences_are_those_that_the_ranks_are_made_of(made: Made, metric: str) -> None:
    (matrix,) = read_matrices(made.results, "made-v1")
    standings = matrix.kinds[0]
    found = paired(standings, metric)
    sign = -1 if METRICS[metric].higher_is_better else 1
    for one in standings.ranked_by[metric]:
        of = found[one.method]
        assert one.low == 1 + sum(sign * pair.difference > 0 and pair.holm <= 0.05 for pair in of.values())
        assert one.high == len(found) - sum(sign * pair.difference < 0 and pair.holm <= 0.05 for pair in of.values())
        for other in standings.ranked_by[metric]:
            if other.method != one.method:
                pair, back = of[other.method], found[other.method][one.method]
                assert pair.difference == pytest.approx(one.mean - other.mean, abs=1e-8)
                assert (back.difference, back.p) == (-pair.difference, pair.p)
                assert pair.low is not None and pair.high is not None
                assert pair.low + pair.high == pytest.approx(2 * pair.difference)
                assert (pair.low > 0 or pair.high < 0) == (pair.p < 0.05)
                assert pair.p <= pair.holm
    _, said = data(made.site / "made-v1" / "data" / "pairs" / "ood" / "odin.js")
    for other, pair in found["odin"].items():
        assert said[metric][other][0] == round(pair.difference, 4)


@given(st.floats(-1, 1))
def test_what_a_page_rounds_again_is_shown_as_it_is(share: float) -> None:
    """In the browser too, which rounds the nearest double of what it reads: 0.117049 is 11.70, not 11.71."""
    read = float(f"{100 * shown(share):.2f}")
    assert read == pytest.approx(100 * shown(share), abs=1e-9)  # it has two digits: nothing is rounded again
    assert abs(read - 100 * share) <= 0.005 + 1e-9
    assert f"{100 * shown(0.117049):.2f}" == "11.70"


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40), st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_a_roc_curve_is_the_one_of_the_definition(good: list[int], bad: list[int]) -> None:
    x, y = receiver(count(np.array(good, dtype=float), np.array(bad, dtype=float)))
    thresholds = sorted({*good, *bad}, reverse=True)
    expected = [(0.0, 0.0)] + [
        (sum(one >= at for one in bad) / len(bad), sum(one >= at for one in good) / len(good)) for at in thresholds
    ]
    assert list(zip(x, y, strict=True)) == [(round(a, 4), round(b, 4)) for a, b in expected]


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(1, 1, 4000), rng.normal(0, 1, 3000)
    x, y = receiver(count(good, bad))
    assert len(x) <= POINTS + 2 and (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(ranking(good, bad)["auroc"], abs=2e-3)
    same = np.arange(5.0), np.arange(5.0) ** 2
    assert thinned(*same)[1] is same[1]


def test_histograms_and_the_risk_curve_are_of_all_inputs(made: Made) -> None:
    entry = next(one for one in collect(made.results) if one.record.method == "odin" and one.record.seed == 0)
    found = curves(entry)
    assert {row["label"] for row in found["histogram"]["rows"]} >= {"right", "wrong"}
    for row in found["histogram"]["rows"]:
        assert sum(row["shares"]) / 100 + sum(row["beyond"]) == pytest.approx(1, abs=0.01)
    _, outcomes = entry.read()
    assert outcomes is not None
    assert found["risk"][1][-1] == pytest.approx(1 - outcomes.correct.mean(), abs=1e-4)
    assert found["risk"][0][-1] == 1


@given(st.dictionaries(st.text("abcdef", min_size=1), st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_nothing_beats_the_front_and_all_else_is_beaten(points: dict[str, tuple[float, float]]) -> None:
    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] <= b[1] and a != b

    unbeaten = {name for name, point in points.items() if not any(beats(one, point) for one in points.values())}
    assert set(front(points)) == unbeaten


@given(st.text(), st.text())
def test_different_names_have_different_files(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._~-]*", file_name(one))
    assert (file_name(one) == file_name(other)) == (one == other)


def test_prose_and_links_let_nothing_through() -> None:
    assert str(prose("<b> `a<b` **c**")) == "&lt;b&gt; <code>a&lt;b</code> <strong>c</strong>"
    assert [weblink(url) for url in ("https://a.org/", "javascript:x", "data:x", " https://a", None)] == [
        "https://a.org/",
        "",
        "",
        "",
        "",
    ]


def test_nights_are_shown_and_where_there_is_none_that_is_said(made: Made, tmp_path: Path) -> None:
    assert "None is recorded" in Page((made.site / "changes.html").read_text("utf-8")).text
    finding = {"matrix": "made-v1", "row": HOSTILE, "kind": "ood", "set": "glyphs", "metric": "auroc"}
    said = {
        "before": "committed",
        "after": "night",
        "tests": 7,
        "counts": {"noise": 5, "regression": 2, "gone": 0},
        "findings": [{**finding, "verdict": "regression"}, {**finding, "verdict": "noise"}],
    }
    night = tmp_path / "comparison.json"
    night.write_text(json.dumps(said))
    build(made.results, tmp_path / "site", nights=[night])
    text = Page((tmp_path / "site" / "changes.html").read_text("utf-8")).text
    assert "5 noise, 2 regression" in text and f"regression: made-v1 {HOSTILE} ood glyphs auroc" in text
    for verdicts, told in (
        (("noise", "same"), "as committed"),
        (("noise", "improvement", "unclear"), "not worse"),
        (("unlike",), "nothing compared"),
        (("lost", "same"), "differs"),
        ((), "nothing compared"),
    ):
        said["findings"] = [{**finding, "verdict": one} for one in verdicts]
        night.write_text(json.dumps(said))
        assert Night.read(night).verdict == told
    said["findings"] = [{**finding, "verdict": "unclear", "unversioned": True}]
    night.write_text(json.dumps(said))
    read = Night.read(night)
    assert (read.verdict, read.good) == ("differs", False)
    assert read.worse == [f"unclear without a version: made-v1 {HOSTILE} ood glyphs auroc"]
    night.write_text("{}")
    with pytest.raises(BadSetting, match="not what oodbench compare"):
        build(made.results, tmp_path / "site", nights=[night])


def test_samples_of_records_that_were_made_again_are_shown_newest_first(made: Made, tmp_path: Path) -> None:
    assert "No sample is on record" in Page((made.site / "changes.html").read_text("utf-8")).text
    said = {"matrix": "made-v1", "commit": "0" * 40, "draw": "9f0c", "share": 0.02, "records": 3, "failed": 0}
    counts = {"same_bytes": 2, "within_tolerance": 0, "drifted": 1, "auroc": 0.0123, "machine": "cpu AVX512"}
    path = made.results / reruns.FILE
    try:
        for day in ("2026-01-02", "2026-03-04"):
            reruns.append(path, reruns.Sample(date=date.fromisoformat(day), **said, **counts))
        build(made.results, tmp_path / "site")
    finally:
        path.unlink(missing_ok=True)
    text = Page((tmp_path / "site" / "changes.html").read_text("utf-8")).text
    assert text.index("2026-03-04") < text.index("2026-01-02")
    assert "1.23" in text and "0000000000, 9f0c" in text


def test_a_matrix_without_a_score_has_a_page_for_its_row(made: Made) -> None:
    text = Page((made.site / "failed-v1" / "rows" / "msp.html").read_text("utf-8")).text
    assert "failed" in text and HOSTILE in text
    assert "failed-v1" in Page((made.site / "index.html").read_text("utf-8")).text


def test_a_last_tag_that_has_no_results_is_told_and_one_that_was_asked_for_is_refused(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "_last_tag", lambda results: "v9.9.9")
    said = news.since(made.results, None)
    assert isinstance(said, str) and "v9.9.9, has no results" in said
    with pytest.raises(BadSetting):
        news.since(made.results, "v9.9.9")


def test_changes_are_told_since_a_release(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "_last_tag", lambda results: None)
    assert isinstance(news.since(made.results, None), str)
    shutil.copytree(made.results, tmp_path / "old")
    shutil.rmtree(tmp_path / "old" / "made-v1" / "odin")
    build(made.results, tmp_path / "site", str(tmp_path / "old"))
    changes = table(Page((tmp_path / "site" / "changes.html").read_text("utf-8")), "Matrix", "Row", "Why")
    assert [(one["Row"], one["What"]) for one in changes] == [("odin", "added")]
