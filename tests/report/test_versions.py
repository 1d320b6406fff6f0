"""The last version of a matrix stands on the front; the ones before are a link away, both ways."""

from pathlib import Path

import pytest
from made import put, scores

from oodbench.report.leaderboard import leaderboard
from oodbench.report.versions import earlier, later, latest

NAMES = ["one-v10", "one-v9", "one-v1", "one-more-v1", "v2", "odd-vx", "two-v2"]


def test_versions_are_numbers_and_what_has_none_is_a_matrix_of_its_own() -> None:
    assert latest(NAMES) == {"one-v10", "one-more-v1", "v2", "odd-vx", "two-v2"}
    assert earlier("one-v10", NAMES) == ["one-v9", "one-v1"]
    assert earlier("one-v2", NAMES) == ["one-v1"]
    assert (later("one-v1", NAMES), later("one-v2", NAMES), later("one-v10", NAMES)) == ("one-v10", "one-v10", None)
    assert all(later(name, NAMES) is None and not earlier(name, NAMES) for name in NAMES[3:])


@pytest.mark.parametrize("others", [[], ["two-v1"]])
def test_the_front_has_a_board_of_the_last_version_and_links_to_the_ones_before(
    tmp_path: Path, others: list[str]
) -> None:
    for matrix in ("one-v1", "one-v2", "one-v3", *others):
        for method in ("msp", "odin") if matrix == "one-v1" else ("msp",):
            put(tmp_path / "results", method, 0, scores(0, 2.0), matrix=matrix)
    pages = leaderboard(tmp_path / "results")
    front = pages["leaderboard.md"]
    assert [line for line in front.splitlines() if line.startswith("## ")][1:] == [
        f"## `{name}`" for name in ["one-v3", *others]
    ]
    told = [line for line in front.splitlines() if line.startswith("Earlier versions")]
    v1, v2, v3 = (f"docs/leaderboard/one-v{k}/README.md" for k in (1, 2, 3))
    assert told == [f"Earlier versions, whose numbers stand: [one-v2]({v2}) (1 row), [one-v1]({v1}) (2 rows)."]
    forward = "The last version of this matrix is [one-v3](../one-v3/README.md)."
    assert forward in pages[v1] and forward in pages[v2] and "The last version of this matrix" not in pages[v3]
