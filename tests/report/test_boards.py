"""OpenOOD's boards as data against its own CSV files: every row is there, but for CombOOD's of another version."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from oodbench.data.places import roots
from oodbench.report.reported import read_reported

NUMBERS = read_reported(Path(__file__).parents[2] / "results" / "reported" / "openood2023.toml")

BOARDS = {
    "cifar10": "openood-cifar-10",
    "cifar100": "openood-cifar-100",
    "imagenet200_ood": "openood-imagenet-200",
    "imagenet1k_ood": "openood-imagenet-1k",
    "imagenet200_fsood": "openood-imagenet-200-full-spectrum",
    "imagenet1k_fsood": "openood-imagenet-1k-full-spectrum",
}


def rows(board: str) -> list[list[str]]:
    """Return the rows of a board: `results/<board>.csv` of OpenOOD at 7820d2cc, below $OODBENCH_DATA/openood."""
    for root in roots(None):
        if (path := root / "openood" / f"{board}.csv").is_file():
            with path.open(encoding="utf-8", newline="") as file:
                return [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)][1:]
    pytest.skip(f"openood/{board}.csv is not here")


def printed(cell: str) -> tuple[float, float | None]:
    """Return mean and deviation of a cell, in our unit; a deviation of zero is one run."""
    mean, _, std = cell.partition("±")
    return round(float(mean) / 100, 6), round(float(std) / 100, 6) or None if std else None


@pytest.mark.parametrize("board", BOARDS)
def test_every_row_that_is_to_be_taken_is_there_and_no_other(board: str) -> None:
    expected: Counter[tuple[object, ...]] = Counter()
    for row in rows(board):
        if len(row) == 7:
            assert row[1] in ("MDS", "RMDS", "MDS++", "RMDS++"), "the field of outliers is missing"
            row.insert(5, "No")
        if not (row[1] == "CombOOD" and "imagenet" in board):
            near, far, network, setting = row[2], row[3], row[6], row[7]
            expected.update((out, network, setting, *printed(cell)) for out, cell in (("near", near), ("far", far)))
    own = [one for one in NUMBERS if one.in_set == BOARDS[board] and one.failure == "ood"]
    assert Counter((one.out_set, one.network, one.setting, one.value, one.std) for one in own) == expected


@pytest.mark.parametrize("board", [name for name in BOARDS if not name.endswith("fsood")])
def test_accuracy_is_that_beside_the_maximum_softmax_probability(board: str) -> None:
    expected = {(row[6], *printed(row[4])) for row in rows(board) if row[:2] == ["CrossEntropy", "MSP"]}
    own = [one for one in NUMBERS if one.in_set == BOARDS[board] and one.metric == "accuracy"]
    assert {(one.network, one.value, one.std) for one in own} == expected
