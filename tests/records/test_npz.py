"""Scores files of oodbench 0.1: read strictly, to be migrated."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from oodbench.errors import BadData, BadRecord
from oodbench.npz import read_npz

OLD = Path(__file__).parents[1] / "fixtures" / "records" / "schema-1.npz"


def npz(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, array in members.items():
            stream = io.BytesIO()
            np.save(stream, array, allow_pickle=True)
            file.writestr(f"{name}.npy", stream.getvalue())
    return path


def test_an_old_file_holds_scores_and_outcomes():
    scores, outcomes = read_npz(OLD)
    assert (len(scores.test), set(scores.ood), set(scores.corruption)) == (20, {"blobs", "mnist"}, {"fog-3"})
    assert len(outcomes.correct) == 20
    np.testing.assert_array_equal(outcomes.attacks["fgsm-8"].index, scores.adversarial["fgsm-8"].index)


def test_without_a_classifier_there_are_no_outcomes(tmp_path):
    assert read_npz(npz(tmp_path / "0.npz", test=np.zeros(3)))[1] is None


def test_broken_scores_are_refused(tmp_path):
    with pytest.raises(BadData, match=r"test: 1 of 3 .* index 1"):
        read_npz(npz(tmp_path / "0.npz", test=np.array([0, np.nan, 1])))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"good": np.zeros(2)}, r"not a scores file: it has no member 'test' \(it has \['good'\]\)"),
        ({"test": np.zeros(2), "odd/a": np.zeros(2)}, r"unknown member 'odd/a' \(expected test, test\.correct, ood/"),
        ({"test": np.zeros(2), "adversarial/a": np.zeros(2)}, r"together.*adversarial/a\.fooled, adversarial/a\.index"),
        ({"test": np.zeros(2), "adversarial/a.index": np.zeros(2, np.int32)}, r"together.*adversarial/a\.index"),
        ({"test": np.array([object()])}, r"truncated or no scores file"),
    ],
)
def test_foreign_archives_are_named(tmp_path, members, message):
    with pytest.raises(BadRecord, match=message):
        read_npz(npz(tmp_path / "0.npz", **members))


def test_truncated_empty_and_absent_files_are_named(tmp_path):
    whole = OLD.read_bytes()
    for length in (1, 30, len(whole) // 2, len(whole) - 1):
        (tmp_path / "0.npz").write_bytes(whole[:length])
        with pytest.raises(BadRecord, match=r"0\.npz: is truncated or no scores file"):
            read_npz(tmp_path / "0.npz")
    (tmp_path / "0.npz").write_bytes(b"")
    with pytest.raises(BadRecord, match=r"0\.npz: is empty"):
        read_npz(tmp_path / "0.npz")
    with pytest.raises(BadRecord, match="no such scores file"):
        read_npz(tmp_path / "none.npz")
