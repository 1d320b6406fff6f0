"""What a classifier does: what comes back, and every way in which its file can be broken."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from oodbench.errors import BadRecord
from oodbench.outcomes import Fooled, outcomes_sha256, read_outcomes, write_outcomes
from oodbench.records import write_scores


def test_what_is_written_comes_back(tmp_path, outcomes):
    sha256 = write_outcomes(tmp_path / "0.parquet", outcomes)
    assert sha256 == outcomes_sha256(outcomes)
    read = read_outcomes(tmp_path / "0.parquet", sha256)
    np.testing.assert_array_equal(read.correct, outcomes.correct)
    assert read.attacks.keys() == outcomes.attacks.keys()
    for name, attack in outcomes.attacks.items():
        np.testing.assert_array_equal(read.attacks[name].index, attack.index)
        np.testing.assert_array_equal(read.attacks[name].fooled, attack.fooled)


def test_pandas_reads_what_the_classifier_gets_wrong(tmp_path, outcomes):
    write_outcomes(tmp_path / "0.parquet", outcomes)
    frame = pd.read_parquet(tmp_path / "0.parquet")
    assert list(frame.columns) == ["kind", "set", "index", "wrong"]
    assert (frame.query("kind == 'test'")["wrong"] == ~outcomes.correct).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correct": np.ones(20)}, r"test\.correct is float64\[20\], expected bool\[20\]"),
        ({"attacks": {"x": Fooled(np.array([20], np.int32), np.ones(1, bool))}}, r"x\.index\[0\] is 20, .*0 to 19"),
        ({"attacks": {"x": Fooled(np.array([1, 1], np.int32), np.ones(2, bool))}}, "more than once"),
        ({"attacks": {"x": Fooled(np.array([1], np.int32), np.ones(2, bool))}}, r"x\.fooled has 2 entries, expected 1"),
    ],
)
def test_what_is_no_outcome_is_refused(tmp_path, outcomes, change, message):
    with pytest.raises(BadRecord, match=message):
        write_outcomes(tmp_path / "0.parquet", replace(outcomes, **change))
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_refused(tmp_path, outcomes, scores):
    write_outcomes(tmp_path / "0.parquet", outcomes)
    with pytest.raises(BadRecord, match="does not match the model's record"):
        read_outcomes(tmp_path / "0.parquet", "0" * 64)
    write_scores(tmp_path / "1.parquet", scores)
    with pytest.raises(BadRecord, match="no file of a model's outcomes"):
        read_outcomes(tmp_path / "1.parquet")
    (tmp_path / "2.parquet").write_bytes((tmp_path / "0.parquet").read_bytes()[:-9])
    with pytest.raises(BadRecord, match="truncated"):
        read_outcomes(tmp_path / "2.parquet")
