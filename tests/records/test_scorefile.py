"""The scores file: what comes back, equal bytes, and every way in which a file can be broken."""

import io
import subprocess
import sys
import textwrap
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from oodbench.errors import BadData, BadRecord
from oodbench.records import Attacked, Scores, read_scores, write_scores
from oodbench.store import file_sha256


def arrays(scores):
    found = {"test": scores.test, "correct": scores.correct, **scores.ood, **scores.corruption}
    for name, attacked in scores.adversarial.items():
        found |= {f"{name}/{part}": getattr(attacked, part) for part in ("scores", "index", "fooled")}
    return found


def test_what_is_written_comes_back(tmp_path, scores):
    sha256 = write_scores(tmp_path / "deep" / "0.npz", scores)
    assert sha256 == file_sha256(tmp_path / "deep" / "0.npz")
    written, read = arrays(scores), arrays(read_scores(tmp_path / "deep" / "0.npz"))
    assert written.keys() == read.keys()
    for name, array in written.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_only_test_scores_are_needed(tmp_path):
    write_scores(tmp_path / "0.npz", Scores(test=np.zeros(3)))
    read = read_scores(tmp_path / "0.npz")
    assert read.correct is None
    assert (read.ood, read.adversarial, read.corruption) == ({}, {}, {})


def test_equal_scores_make_equal_bytes_whatever_the_order_and_the_clock(tmp_path, scores, monkeypatch):
    turned = replace(
        scores, ood=dict(reversed(scores.ood.items())), adversarial=dict(reversed(scores.adversarial.items()))
    )
    first = write_scores(tmp_path / "a.npz", scores)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert write_scores(tmp_path / "b.npz", turned) == first


def test_numpy_alone_can_read_it(tmp_path, scores):
    write_scores(tmp_path / "0.npz", scores)
    with np.load(tmp_path / "0.npz", allow_pickle=False) as file:
        assert sorted(file.files) == [
            "adversarial/fgsm-8",
            "adversarial/fgsm-8.fooled",
            "adversarial/fgsm-8.index",
            "adversarial/fgsm-8@uint8",
            "adversarial/fgsm-8@uint8.fooled",
            "adversarial/fgsm-8@uint8.index",
            "corruption/fog-3",
            "ood/blobs",
            "ood/mnist",
            "test",
            "test.correct",
        ]
        np.testing.assert_array_equal(file["ood/mnist"], scores.ood["mnist"])


ATTACKED = Attacked(np.zeros(2, np.float32), np.array([0, 1], np.int32), np.ones(2, bool))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": np.zeros((20, 1))}, r"test is float64\[20, 1\], expected float32\[n\] or float64\[n\]"),
        ({"test": np.zeros(20, np.float16)}, r"test is float16\[20\]"),
        ({"ood": {"a": np.zeros(2, int)}}, r"ood/a is int64\[2\]"),
        ({"correct": np.ones(19, bool)}, r"test\.correct has 19 entries, expected 20"),
        ({"correct": np.ones(20)}, r"test\.correct is float64\[20\], expected bool\[20\]"),
        ({"corruption": {"fog-1": np.zeros(19)}}, r"corruption/fog-1 has 19 scores, expected 20"),
        ({"ood": {"a/b": np.zeros(2)}}, r"bad name of a set 'a/b'"),
        ({"ood": {"": np.zeros(2)}}, r"bad name of a set ''"),
        ({"adversarial": {"x.index": ATTACKED}}, r"bad name of a set 'x\.index'"),
        (
            {"adversarial": {"x": replace(ATTACKED, index=np.array([0, 20], np.int32))}},
            r"x\.index\[1\] is 20, expected.*0 to 19",
        ),
        ({"adversarial": {"x": replace(ATTACKED, index=np.array([-1, 0], np.int32))}}, r"x\.index\[0\] is -1"),
        (
            {"adversarial": {"x": replace(ATTACKED, index=np.array([1, 1], np.int32))}},
            r"x\.index names .*more than once",
        ),
        (
            {"adversarial": {"x": replace(ATTACKED, index=np.array([0, 1]))}},
            r"x\.index is int64\[2\], expected int32\[2\]",
        ),
        ({"adversarial": {"x": replace(ATTACKED, fooled=np.ones(3, bool))}}, r"x\.fooled has 3 entries, expected 2"),
    ],
)
def test_arrays_that_are_not_scores_are_refused_and_nothing_is_written(tmp_path, scores, change, message):
    with pytest.raises(BadRecord, match=message):
        write_scores(tmp_path / "0.npz", replace(scores, **change))
    assert list(tmp_path.iterdir()) == []


def test_broken_scores_are_refused_with_their_count_and_place(tmp_path, scores):
    broken = scores.ood["mnist"].copy()
    broken[[2, 5]] = np.nan, np.inf
    with pytest.raises(BadData, match=r"ood/mnist: 2 of 9 scores are NaN or infinite, the first at index 2 \(nan\)"):
        write_scores(tmp_path / "0.npz", replace(scores, ood={"mnist": broken}))
    bad = replace(ATTACKED, scores=np.array([0, -np.inf], np.float32))
    with pytest.raises(BadData, match=r"adversarial/x: 1 of 2 .* index 1 \(-inf\)"):
        write_scores(tmp_path / "0.npz", replace(scores, adversarial={"x": bad}))


def npz(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, array in members.items():
            stream = io.BytesIO()
            np.save(stream, array, allow_pickle=True)
            file.writestr(f"{name}.npy", stream.getvalue())
    return path


def test_broken_scores_are_refused_on_read(tmp_path):
    with pytest.raises(BadData, match=r"test: 1 of 3 .* index 1"):
        read_scores(npz(tmp_path / "0.npz", test=np.array([0, np.nan, 1])))
    with pytest.raises(BadRecord, match=r"test\.correct has 2 entries, expected 3"):
        read_scores(npz(tmp_path / "0.npz", **{"test": np.zeros(3), "test.correct": np.ones(2, bool)}))


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
        read_scores(npz(tmp_path / "0.npz", **members))


def test_truncated_empty_foreign_and_absent_files_are_named(tmp_path, scores):
    path = tmp_path / "0.npz"
    write_scores(path, scores)
    whole = path.read_bytes()
    for length in (1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(BadRecord, match=r"0\.npz: is truncated or no scores file"):
            read_scores(path)
    path.write_bytes(b"")
    with pytest.raises(BadRecord, match=r"0\.npz: is empty"):
        read_scores(path)
    np.save(tmp_path / "array.npy", scores.test)
    with pytest.raises(BadRecord, match="no scores file"):
        read_scores(tmp_path / "array.npy")
    with pytest.raises(BadRecord, match="no such scores file"):
        read_scores(tmp_path / "none.npz")


def test_flipped_bits_are_noticed(tmp_path, scores):
    path = tmp_path / "0.npz"
    write_scores(path, scores)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo("test.npy")
    data[entry.header_offset + 30 + len("test.npy") + entry.compress_size // 2] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(BadRecord, match="truncated or no scores file"):
        read_scores(path)


def test_a_full_disk_keeps_the_old_file(tmp_path, scores):
    resource = pytest.importorskip("resource")
    path = tmp_path / "0.npz"
    before = write_scores(path, scores)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError):
            write_scores(path, replace(scores, ood={"large": np.random.default_rng(0).normal(size=9999)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file_sha256(path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["0.npz"]


WRITER = """
    import sys
    from pathlib import Path
    import numpy as np
    from oodbench.records import Scores, write_scores
    print("ready", flush=True)
    while True:
        for value in (1.0, 2.0):
            noise = np.random.default_rng(0).normal(size=50_000)
            write_scores(Path(sys.argv[1]), Scores(test=np.full(10, value), ood={"large": noise}))
"""


@pytest.mark.parametrize("milliseconds", [3, 17, 40])
def test_a_kill_in_mid_write_leaves_a_whole_file(tmp_path, milliseconds):
    path = tmp_path / "0.npz"
    write_scores(path, Scores(test=np.zeros(10)))
    writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE)
    with writer:
        writer.stdout.readline()
        time.sleep(milliseconds / 1000)
        writer.kill()
    assert read_scores(path).test[0] in (0.0, 1.0, 2.0)
