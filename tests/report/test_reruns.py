"""The history of sampled re-runs: what is appended is read again, what is no line is named, pages say the sums."""

from datetime import date

import pytest

from oodbench import reruns
from oodbench.errors import BadRecord
from oodbench.reruns import COLUMNS, Sample, append, history, said


def sample(**changes):
    own = {"date": date(2026, 11, 28), "matrix": "tiny-v1", "commit": "ab" * 20, "draw": "5f0c", "share": 0.02}
    own |= {"records": 3, "same_bytes": 2, "within_tolerance": 1, "drifted": 0, "failed": 0, "auroc": 0.0004}
    return Sample(**(own | {"machine": "cpu AVX512"} | changes))


def test_what_is_appended_is_read_again(tmp_path):
    path = tmp_path / "reruns.csv"
    append(path, sample())
    append(path, sample(date=date(2026, 11, 29), draw="77", records=1, same_bytes=0, within_tolerance=0, drifted=1))
    assert path.read_text().splitlines() == [
        ",".join(COLUMNS),
        f"2026-11-28,tiny-v1,{'ab' * 20},5f0c,0.02,3,2,1,0,0,0.000400,cpu AVX512",
        f"2026-11-29,tiny-v1,{'ab' * 20},77,0.02,1,0,0,1,0,0.000400,cpu AVX512",
    ]
    assert [one.draw for one in reruns.read(tmp_path)] == ["5f0c", "77"]


GOOD = "2026-11-28,tiny-v1,,5f0c,0.02,3,2,1,0,0,0.0004,cpu AVX512"
HEAD = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1 is ''"),
        (f"{HEAD},more\n{GOOD},1\n", "line 1 is"),
        (f"{HEAD}\n{GOOD}\n{GOOD},1\n", "line 3 has 13 fields, expected 12"),
        (f"{HEAD}\n{GOOD.replace(',3,2,', ',4,2,')}\n", "line 2 counts 3 records, and says that 4 were made again"),
        (f"{HEAD}\n{GOOD.replace('0.0004', 'nan')}\n", "line 2: auroc"),
        (f"{HEAD}\n{GOOD.replace('0.0004', '1.5')}\n", "line 2: auroc"),
        (f"{HEAD}\n{GOOD.replace('tiny-v1', '<b>')}\n", "line 2: matrix"),
        (f"{HEAD}\n{GOOD.replace('0.02', '0')}\n", "line 2: share"),
        (f"{HEAD}\n{GOOD.replace('cpu AVX512', '[a](b)|')}\n", "line 2: machine"),
        (f"{HEAD}\n{GOOD.replace('2026-11-28', 'today')}\n", "line 2: date"),
    ],
)
def test_what_is_no_line_is_named(text, says, tmp_path):
    with pytest.raises(BadRecord, match=says):
        history(text)
    path = tmp_path / "reruns.csv"
    path.write_text(text)
    with pytest.raises(BadRecord, match=r"reruns\.csv: line"):
        append(path, sample())
    assert path.read_text() == text


def test_pages_say_what_they_come_to():
    samples = [
        sample(),
        sample(
            date=date(2026, 12, 1), commit="cd" * 20, records=2, same_bytes=0, within_tolerance=0, drifted=1, failed=1
        ),
        sample(date=date(2027, 1, 1), matrix="mnist5k-v1"),
    ]
    assert said(samples, "tiny-v1") == (
        "**Re-runs.** 5 randomly drawn records were made again from nothing, 2 times: 2 with the same bytes, 1 within "
        "tolerance, 1 drifted, 1 failed; the last on 2026-12-01 (cpu AVX512, commit cdcdcdcdcd)."
    )
    assert said([sample(records=1, same_bytes=1, within_tolerance=0, commit="")], "tiny-v1") == (
        "**Re-runs.** 1 randomly drawn record was made again from nothing, once: 1 with the same bytes, 0 within "
        "tolerance, 0 drifted, 0 failed; the last on 2026-11-28 (cpu AVX512)."
    )
    assert said(samples, "trec-v1") == ""
