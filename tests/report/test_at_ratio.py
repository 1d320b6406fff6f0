"""Areas under the precision-recall curve at a paper's own ratio of set sizes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import put, scores

from oodbench.measure.ranking import ranking
from oodbench.report.at_ratio import at_ratio
from oodbench.report.entries import Entry, collect
from oodbench.report.reported import Citation, Reported

PRINTED = Reported(
    paper=Citation(authors="A. One", title="T"),
    file="one",
    source="Table 1",
    failure="ood",
    method="msp",
    label="MSP",
    in_set="mnist-5k",
    out_set="glyphs",
    network="CNN",
    metric="aupr_out",
    value=0.9,
    n_good=10000,
    n_bad=2000,
    n_runs=10,
    tuning="none",
    convention="1:5",
)


def entry(tmp_path: Path, constant: bool = False) -> Entry:
    said = scores(0, 2.0)
    if constant:
        said = replace(said, test=np.zeros_like(said.test), ood={name: bad * 0 for name, bad in said.ood.items()})
    put(tmp_path, "msp", 0, said)
    (one,) = collect(tmp_path)
    return one


def test_scores_that_all_tie_have_the_share_of_bad_inputs_at_the_papers_ratio(tmp_path: Path) -> None:
    """200 good and 60 bad inputs would have 60 / 260; at one to five it is 1/6, in every draw."""
    drawn = at_ratio(entry(tmp_path, constant=True), "glyphs", PRINTED)
    assert drawn is not None
    assert drawn == (pytest.approx(1 / 6), pytest.approx(0, abs=1e-12), 10)


def test_a_draw_of_all_is_the_number_itself(tmp_path: Path) -> None:
    own = entry(tmp_path)
    (cell,) = [one for one in own.cells if one.name == "glyphs"]
    all_of_them = PRINTED.model_copy(update={"n_bad": 3000, "n_runs": 3})
    drawn = at_ratio(own, "glyphs", all_of_them)
    assert drawn is not None
    assert drawn == (pytest.approx(ranking(cell.good, cell.bad)["aupr_out"]), pytest.approx(0, abs=1e-12), 3)


def test_draws_differ_and_are_the_same_every_time(tmp_path: Path) -> None:
    own = entry(tmp_path)
    drawn = at_ratio(own, "glyphs", PRINTED)
    assert drawn is not None and drawn.std is not None and drawn.std > 0
    assert at_ratio(own, "glyphs", PRINTED) == drawn


@pytest.mark.parametrize(
    "change",
    [{"metric": "auroc"}, {"n_bad": None}, {"n_good": None}, {"n_bad": 3100}, {"failure": "corruption"}],
    ids=["does not depend on sizes", "unknown bad", "unknown good", "too few here", "not scored"],
)
def test_what_cannot_be_drawn_is_left_as_it_is(tmp_path: Path, change: dict) -> None:
    assert at_ratio(entry(tmp_path), "glyphs", PRINTED.model_copy(update=change)) is None
