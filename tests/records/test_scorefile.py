"""The scores file: what comes back, equal content, other readers, and every way in which a file can be broken."""

import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodbench.errors import BadData, BadRecord
from oodbench.outcomes import Outcomes, read_outcomes, write_outcomes
from oodbench.records import Adapted, Changed, Scores, read_scores, write_scores
from oodbench.setfile import Values, content_sha256
from oodbench.store import file_sha256


def arrays(scores):
    found = {"test": scores.test, **scores.ood}
    for name, changed in (scores.adversarial | scores.corruption).items():
        found |= {f"{name}/{part}": getattr(changed, part) for part in ("scores", "index")}
    return found


def same(a, b):
    assert arrays(a).keys() == arrays(b).keys()
    for name, array in arrays(a).items():
        np.testing.assert_array_equal(arrays(b)[name], array)


def test_what_is_written_comes_back(tmp_path, scores):
    sha256 = write_scores(tmp_path / "deep" / "0.parquet", scores)
    read = read_scores(tmp_path / "deep" / "0.parquet", sha256)
    same(scores, read)
    assert {array.dtype for name, array in arrays(read).items() if "index" not in name} == {np.dtype(np.float32)}


def test_one_array_of_float64_makes_all_of_them_float64_and_loses_nothing(tmp_path, scores):
    mixed = replace(scores, ood={"blobs": np.array([1 / 3, -1e300])})
    write_scores(tmp_path / "0.parquet", mixed)
    read = read_scores(tmp_path / "0.parquet")
    same(mixed, read)
    assert read.test.dtype == np.float64


def test_only_test_scores_are_needed(tmp_path):
    write_scores(tmp_path / "0.parquet", Scores(test=np.zeros(3)))
    read = read_scores(tmp_path / "0.parquet")
    assert (read.ood, read.adversarial, read.corruption) == ({}, {}, {})


def test_attacked_images_are_kept_in_the_order_of_the_test_images(tmp_path, scores):
    attacked = Changed(np.array([1, 2, 3], np.float32), np.array([9, 2, 5], np.int32))
    write_scores(tmp_path / "0.parquet", replace(scores, adversarial={"x": attacked}))
    read = read_scores(tmp_path / "0.parquet").adversarial["x"]
    assert (read.index.tolist(), read.scores.tolist()) == ([2, 5, 9], [2, 3, 1])


def test_corrupted_images_may_be_a_part_of_the_test_images(tmp_path, scores):
    corrupted = Changed(np.array([1, 2], np.float32), np.array([17, 4], np.int32))
    write_scores(tmp_path / "0.parquet", replace(scores, corruption={"fog-2": corrupted}))
    read = read_scores(tmp_path / "0.parquet").corruption["fog-2"]
    assert (read.index.tolist(), read.scores.tolist()) == ([4, 17], [2, 1])


def test_equal_scores_make_equal_bytes_whatever_the_order_and_the_clock(tmp_path, scores, monkeypatch):
    turned = replace(
        scores, ood=dict(reversed(scores.ood.items())), adversarial=dict(reversed(scores.adversarial.items()))
    )
    first = write_scores(tmp_path / "a.parquet", scores)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert write_scores(tmp_path / "b.parquet", turned) == first
    assert file_sha256(tmp_path / "a.parquet") == file_sha256(tmp_path / "b.parquet")


def test_the_sha256_is_of_the_content_and_not_of_the_file(tmp_path, scores):
    """Another release of pyarrow writes other bytes; written by anybody, the same rows are the same scores."""
    path = tmp_path / "0.parquet"
    sha256 = write_scores(path, scores)
    pq.write_table(pq.read_table(path), tmp_path / "other.parquet", compression="snappy", version="1.0")
    pd.read_parquet(path).to_parquet(tmp_path / "pandas.parquet")
    for other in ("other", "pandas"):
        assert file_sha256(tmp_path / f"{other}.parquet") != file_sha256(path)
        same(scores, read_scores(tmp_path / f"{other}.parquet", sha256))


SETS = st.dictionaries(
    st.tuples(st.sampled_from(["ood", "test"]), st.text("ab-", min_size=1, max_size=3)),
    st.lists(st.floats(width=32, allow_nan=False), max_size=3),
    min_size=1,
    max_size=3,
)


def valued(sets):
    return {
        key: Values(np.arange(len(values), dtype=np.int32), np.array(values, np.float32))
        for key, values in sets.items()
    }


@given(SETS, SETS)
def test_other_content_has_another_sha256(a, b):
    bits = [{key: np.array(v, np.float32).tobytes() for key, v in sets.items()} for sets in (a, b)]
    assert (content_sha256(valued(a)) == content_sha256(valued(b))) is (bits[0] == bits[1])


def test_pandas_reads_it_as_it_is(tmp_path, scores):
    write_scores(tmp_path / "0.parquet", scores)
    frame = pd.read_parquet(tmp_path / "0.parquet")
    assert list(frame.columns) == ["kind", "set", "index", "score"]
    pd.testing.assert_frame_equal(frame, frame.sort_values(["kind", "set", "index"]))
    assert set(frame["kind"]) == {"test", "ood", "adversarial", "corruption"}
    mnist = frame.query("kind == 'ood' and set == 'mnist'").set_index("index")["score"]
    np.testing.assert_array_equal(mnist, scores.ood["mnist"])


def test_hugging_face_reads_it_as_it_is(tmp_path, scores):
    """In a process of its own: it loads much, and counts what it does."""
    write_scores(tmp_path / "0.parquet", scores)
    n = len(pd.read_parquet(tmp_path / "0.parquet"))
    program = f"""
        from datasets import load_dataset
        where = dict(data_files={str(tmp_path / "0.parquet")!r}, cache_dir={str(tmp_path / "cache")!r})
        rows = load_dataset("parquet", split="train", **where)
        assert rows.column_names == ["kind", "set", "index", "score"] and len(rows) == {n}
        assert rows[0]["kind"] == "adversarial"
    """
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=offline, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_how_its_columns_are_stored(tmp_path, scores):
    write_scores(tmp_path / "0.parquet", scores)
    group = pq.ParquetFile(tmp_path / "0.parquet").metadata.row_group(0)
    encodings = {group.column(i).path_in_schema: group.column(i).encodings for i in range(4)}
    assert {group.column(i).compression for i in range(4)} == {"ZSTD"}
    assert "BYTE_STREAM_SPLIT" in encodings["score"]
    assert "DELTA_BINARY_PACKED" in encodings["index"]
    assert "RLE_DICTIONARY" in encodings["kind"]
    assert "RLE_DICTIONARY" in encodings["set"]


ATTACKED = Changed(np.zeros(2, np.float32), np.array([0, 1], np.int32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": np.zeros((20, 1))}, r"test is float64\[20, 1\], expected float32\[n\] or float64\[n\]"),
        ({"test": np.zeros(20, np.float16)}, r"test is float16\[20\]"),
        ({"ood": {"a": np.zeros(2, int)}}, r"ood/a is int64\[2\]"),
        (
            {"corruption": {"fog-1": Changed(np.zeros(1), np.array([20], np.int32))}},
            r"corruption/fog-1.index\[0\] is 20",
        ),
        ({"ood": {"a/b": np.zeros(2)}}, r"bad name of a set 'a/b'"),
        ({"ood": {"": np.zeros(2)}}, r"bad name of a set ''"),
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
        ({"adversarial": {"x": replace(ATTACKED, scores=np.zeros(3))}}, r"x\.index has 2 entries, expected 3"),
    ],
)
def test_arrays_that_are_not_scores_are_refused_and_nothing_is_written(tmp_path, scores, change, message):
    with pytest.raises(BadRecord, match=message):
        write_scores(tmp_path / "0.parquet", replace(scores, **change))
    assert list(tmp_path.iterdir()) == []


def test_broken_scores_are_refused_with_their_count_and_place(tmp_path, scores):
    broken = scores.ood["mnist"].copy()
    broken[[2, 5]] = np.nan, np.inf
    with pytest.raises(BadData, match=r"ood/mnist: 2 of 9 scores are NaN or infinite, the first at index 2 \(nan\)"):
        write_scores(tmp_path / "0.parquet", replace(scores, ood={"mnist": broken}))
    bad = replace(ATTACKED, scores=np.array([0, -np.inf], np.float32))
    with pytest.raises(BadData, match=r"adversarial/x: 1 of 2 .* index 1 \(-inf\)"):
        write_scores(tmp_path / "0.parquet", replace(scores, adversarial={"x": bad}))


def rows(path, *said, index=None, **more):
    """Write a file of rows (kind, set, score), by hand."""
    kinds, sets, scores = zip(*said, strict=True)
    index = np.arange(len(said), dtype=np.int32) if index is None else index
    table = pa.table({"kind": kinds, "set": sets, "index": index, "score": np.array(scores)} | more)
    pq.write_table(table, path)
    return path


def test_broken_scores_are_refused_on_read(tmp_path):
    with pytest.raises(BadData, match=r"test: 1 of 3 .* index 1"):
        read_scores(rows(tmp_path / "0.parquet", *(("test", "test", score) for score in (0, np.nan, 1))))


ONE = ("test", "test", 1.0)


@pytest.mark.parametrize(
    ("said", "more", "message"),
    [
        ([("ood", "a", 1.0)], {}, r"not a scores file: it has no set 'test'"),
        ([("odd", "a", 1.0), ONE], {"index": [0, 0]}, r"unknown kind 'odd' of set 'a' \(expected test, ood, "),
        ([ONE, ONE], {"index": [0, 0]}, "not sorted by kind, set and index, or one stands there twice"),
        ([ONE, ONE], {"index": [1, 0]}, "not sorted by kind"),
        ([ONE, ("ood", "a", 1.0)], {"index": [0, 0]}, "not sorted by kind"),
        ([("ood", "a", 1.0), ("ood", "b", 1.0), ("ood", "a", 1.0), ONE], {"index": [0, 0, 1, 0]}, "not sorted by kind"),
        ([ONE, ONE], {"index": [0, 2]}, r"test has 2 scores, the last of them of input 2"),
        (
            [("adversarial", "x", 1.0), ONE],
            {"index": [1, 0]},
            r"x\.index\[0\] is 1, expected a place in 'test', 0 to 0",
        ),
        ([ONE], {"score": ["high"]}, r"no scores file: its columns are"),
        ([ONE], {"score": [1]}, r"no scores file: its columns are"),
        ([ONE], {"index": np.array([0])}, r"no scores file: its columns are"),
        ([ONE], {"more": [1]}, r"no scores file: its columns are"),
        ([ONE, ONE], {"kind": ["test", None]}, "empty cells"),
    ],
)
def test_foreign_tables_are_named(tmp_path, said, more, message):
    if isinstance(more.get("index"), list):
        more = {"index": np.array(more["index"], np.int32)}
    with pytest.raises(BadRecord, match=message):
        read_scores(rows(tmp_path / "0.parquet", *said, **more))


def test_truncated_empty_foreign_and_absent_files_are_named(tmp_path, scores):
    path = tmp_path / "0.parquet"
    write_scores(path, scores)
    whole = path.read_bytes()
    for length in (1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(BadRecord, match=r"0\.parquet: is truncated, damaged or no scores file"):
            read_scores(path)
    path.write_bytes(b"")
    with pytest.raises(BadRecord, match=r"0\.parquet: is empty"):
        read_scores(path)
    np.save(tmp_path / "array.npy", scores.test)
    with pytest.raises(BadRecord, match="no scores file"):
        read_scores(tmp_path / "array.npy")
    with pytest.raises(BadRecord, match="no such scores file"):
        read_scores(tmp_path / "none.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(BadRecord, match="no scores file"):
        read_scores(tmp_path / "folder.parquet")


def test_no_flipped_bit_changes_a_score(tmp_path, scores):
    """A flip is noticed, by the record's sha256 or before, or it changes nothing that is read."""
    path = tmp_path / "0.parquet"
    sha256 = write_scores(path, scores)
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            same(scores, read_scores(path, sha256))
        except (BadRecord, BadData):
            noticed += 1
    assert noticed > len(whole) / 7 / 2


def test_flipped_bits_of_scores_are_noticed_without_a_record(tmp_path, scores):
    path = tmp_path / "0.parquet"
    write_scores(path, scores)
    data = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(3)
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(BadRecord, match="damaged"):
        read_scores(path)


def changed(path, column, table_of=lambda table: table):
    """Change the first value of a file with pyarrow, as any program may; its metadata go with the table."""
    table = pq.read_table(path)
    values = table.column(column).to_numpy().copy()
    values[0] = not values[0] if values.dtype == bool else values[0] + 1
    table = table.set_column(3, column, pa.array(values))
    pq.write_table(table_of(table), path)


def test_a_changed_value_of_a_sealed_file_is_refused_without_a_record(tmp_path, scores):
    path = tmp_path / "0.parquet"
    sha256 = write_scores(path, scores)
    assert pq.ParquetFile(path).metadata.metadata[b"oodbench.sha256"] == sha256.encode()
    changed(path, "score")
    with pytest.raises(BadRecord, match=f"was changed: its content has sha256 .*, it says {sha256}"):
        read_scores(path)
    wrong = tmp_path / "wrong.parquet"
    write_outcomes(wrong, Outcomes(scores.test > 0))
    changed(wrong, "wrong")
    with pytest.raises(BadRecord, match="was changed"):
        read_outcomes(wrong)


def test_a_file_without_a_seal_is_read_and_its_record_still_refuses_a_change(tmp_path, scores):
    path = tmp_path / "0.parquet"
    sha256 = write_scores(path, scores)
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    same(scores, read_scores(path, sha256))
    changed(path, "score", lambda table: table.replace_schema_metadata(None))
    read_scores(path)
    with pytest.raises(BadRecord, match="does not match its record"):
        read_scores(path, sha256)


def test_a_full_disk_keeps_the_old_file(tmp_path, scores):
    resource = pytest.importorskip("resource")
    path = tmp_path / "0.parquet"
    write_scores(path, scores)
    before = file_sha256(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError):
            write_scores(path, replace(scores, ood={"large": np.random.default_rng(0).normal(size=9999)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file_sha256(path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["0.parquet"]


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
    path = tmp_path / "0.parquet"
    write_scores(path, Scores(test=np.zeros(10)))
    writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE)
    with writer:
        writer.stdout.readline()
        time.sleep(milliseconds / 1000)
        writer.kill()
    assert read_scores(path).test[0] in (0.0, 1.0, 2.0)


def adapted(fooled: list[bool], index: list[int] | None = None) -> Adapted:
    places = np.array(index or range(len(fooled)), np.int32)
    return Adapted(np.arange(len(fooled), dtype=np.float32) / 4, places, np.array(fooled, dtype=bool))


@pytest.mark.parametrize("fooled", [[True, False, True], [True, True, True], [False, False, False]])
def test_scores_of_an_adaptive_attack_come_back(tmp_path: Path, fooled: list[bool]) -> None:
    """In the order of the images; those that fooled the model are rows of a kind of their own."""
    path, own = tmp_path / "0.parquet", adapted(fooled, [4, 0, 2])
    scores = Scores(np.zeros(6, np.float32), adaptive={"pgd-8@score-1": own})
    sha256 = write_scores(path, scores)
    back = read_scores(path, sha256).adaptive["pgd-8@score-1"]
    order = [1, 2, 0]
    assert back.index.tolist() == [0, 2, 4]
    assert back.scores.tolist() == own.scores[order].tolist()
    assert back.fooled.tolist() == own.fooled[order].tolist()
    table = pq.read_table(path).to_pandas()
    rows = table[table["kind"] == "adaptive"]
    assert rows["index"].tolist() == sorted(place for place, does in zip([4, 0, 2], fooled, strict=True) if does)
    assert (table["kind"] == "adaptive_failed").sum() == fooled.count(False)


def test_scores_without_one_have_the_bytes_that_they_had(tmp_path: Path) -> None:
    test = np.arange(4, dtype=np.float32)
    one, other = Scores(test), Scores(test, adaptive={})
    assert write_scores(tmp_path / "a.parquet", one) == write_scores(tmp_path / "b.parquet", other)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (adapted([]), "has no score, and a file keeps no set without any"),
        (adapted([True, True], [1, 1]), "names an image of 'test' more than once"),
        (adapted([True], [6]), r"adaptive/pgd-8@score-1.index\[0\] is 6, expected a place in 'test', 0 to 5"),
        (Adapted(np.zeros(2, np.float32), np.arange(2, dtype=np.int32), np.ones(3, bool)), "fooled has 3 entries"),
    ],
)
def test_scores_of_an_adaptive_attack_that_cannot_be(tmp_path: Path, own: Adapted, message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        write_scores(tmp_path / "0.parquet", Scores(np.zeros(6, np.float32), adaptive={"pgd-8@score-1": own}))
