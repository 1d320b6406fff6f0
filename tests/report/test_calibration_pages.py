"""Calibration on the page of a matrix: from stored scores, and from the records of models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import put, scores
from scipy.special import expit

from oodbench.measure.confidence import MIXTURES, Judgements, numbers
from oodbench.measure.summary import spread
from oodbench.records import Calibration, Scaled, model_paths, read_model, write_model
from oodbench.report.calibration import LOG_ODDS, TEMPERED, calibration_parts, confident, mixed_tables
from oodbench.report.entries import collect
from oodbench.report.leaderboard import leaderboard
from oodbench.report.markdown import mean_and_std
from oodbench.report.standings import read_matrices

COMMITTED = Path(__file__).parents[2] / "results"


def tempered(said, temperature: float, classes: int = 10):
    """Return the scores that `temperature` stores of the log odds of `msp`."""
    change = lambda key: temperature * (key / temperature + np.log(classes - 1))  # noqa: E731
    return replace(said, test=change(said.test), ood={name: change(values) for name, values in said.ood.items()})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in (0, 1):
        said = scores(seed, 2.0)
        put(tmp_path, "msp", seed, said)
        put(tmp_path, "temperature", seed, tempered(said, 2.0), facts={"T": 2.0})
        put(tmp_path, "knn", seed, said)
    return tmp_path


def expected(seed: int, mixture: str, temperature: float) -> dict[str, float]:
    said = scores(seed, 2.0)
    inside = Judgements(expit(said.test.astype(float) / temperature), said.correct)
    outside = {name: expit(values.astype(float) / temperature) for name, values in said.ood.items()}
    each = [numbers(MIXTURES[mixture](inside, outside[name])) for name in ("glyphs", "hflip")]
    return {metric: float(np.mean([one[metric] for one in each])) for metric in each[0]}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_confidence_is_read_off_the_scores_at_both_temperatures(results: Path, mixture: str) -> None:
    (matrix,) = read_matrices(results)
    _, _, *lines = mixed_tables(matrix, str)[mixture].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[:2] for row in rows] == [["`plain`", "msp"], ["`plain`", "temperature"]]
    for row, temperature in zip(rows, (1.0, 2.0), strict=True):
        by_seed = [expected(seed, mixture, temperature) for seed in (0, 1)]
        for cell, metric in zip(row[2:], by_seed[0], strict=True):
            assert cell == mean_and_std(spread([one[metric] for one in by_seed])), metric


def test_the_page_says_what_is_mixed(results: Path) -> None:
    text = leaderboard(results)["docs/leaderboard/made-v1/README.md"]
    for part in (
        "### Calibration with out-set inputs mixed in",
        "#### 1:5 (Hendrycks 2019)",
        "#### All out-set inputs",
    ):
        assert part in text
    assert "### Temperature scaling" not in text  # no record of a model knows it


def test_a_missing_out_set_leaves_its_mixtures_out(results: Path) -> None:
    (matrix,) = read_matrices(results)
    lacking = replace(matrix, kinds=[one for one in matrix.kinds if one.kind.name != "ood"])
    assert list(mixed_tables(lacking, str)) == ["in-set alone"]


def test_what_tells_no_confidence_is_left_out(results: Path) -> None:
    found = {entry.record.method: confident(entry) for entry in collect(results) if entry.record.seed == 0}
    assert found["knn"] is None
    put(results, "temperature", 0, scores(0, 2.0), facts={})  # its temperature is not known
    put(results, "te-msp", 0, scores(0, 2.0), density="glow")  # not of the classifier that it is judged on
    again = {entry.record.method: confident(entry) for entry in collect(results) if entry.record.seed == 0}
    assert again["temperature"] is again["te-msp"] is None
    assert again["msp"].classifier == "plain"


def test_records_of_models_say_what_scaling_changes(results: Path) -> None:
    plain = Calibration(**dict.fromkeys(Calibration.model_fields, 0.25))
    after = plain.model_copy(update={"ece_15": 0.125, "nll": 0.5, "ib_inn_mce": None})
    for seed, temperature in ((0, 1.5), (1, 2.5)):
        path = model_paths(results, "made-v1", "plain", seed).record
        found = Scaled(plain=plain, temperature=temperature, scaled=after)
        write_model(path, read_model(path).model_copy(update={"calibration": found}))
    (matrix,) = read_matrices(results)
    parts = list(calibration_parts(matrix, str))
    scaling, own = (
        parts[parts.index(title) + 2] for title in parts if title.startswith("### ") and "mixed" not in title
    )
    assert scaling.splitlines()[2] == (
        "| `plain` | 2.000 ± 0.707 | 25.00 ± 0.00 → 12.50 ± 0.00 | 25.00 ± 0.00 → 25.00 ± 0.00 "
        "| 0.250 ± 0.000 → 0.500 ± 0.000 | 0.250 ± 0.000 → 0.250 ± 0.000 |"
    )
    assert own.splitlines()[2].split("|")[3] == " 25.00 ± 0.00 → – "


def test_stored_scores_make_the_stored_calibration() -> None:
    """The records of models were measured from logits, in a run; the stored scores say the same."""
    seen = 0
    for entry in collect(COMMITTED, "tiny-v1"):
        found = confident(entry) if entry.record.method in LOG_ODDS else None
        if found is not None:
            for name, value in numbers(found.inside).items():
                assert value == pytest.approx(getattr(entry.reference.quality, name), abs=1e-8), entry.record.method
            seen += 1
    assert seen >= 5


def test_the_named_methods_store_log_odds() -> None:
    torch = pytest.importorskip("torch")
    from oodbench.contract import LOGITS, Stateless
    from oodbench.detectors.calibrated import CalibratedSoftmax
    from oodbench.formulas import msp_key
    from oodbench.run.registry import registry

    class Batch:
        logits = torch.linspace(-3, 5, 24).reshape(4, 6).cos() * 5

    known = {name: registered.method.detector for name, registered in registry().items()}
    of_logits = {
        name: detector
        for name, detector in known.items()
        if isinstance(detector, Stateless) and detector.reads == {LOGITS}
    }
    key = msp_key(Batch.logits)
    found = {name for name, one in of_logits.items() if torch.equal(one.score(None, Batch), key)}
    assert found == LOG_ODDS
    assert {name for name, one in known.items() if isinstance(one, CalibratedSoftmax)} == set(TEMPERED)
    assert set(TEMPERED.values()) <= LOG_ODDS
