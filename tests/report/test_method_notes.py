"""What papers and boards print of a method, or of another row of its file."""

from pathlib import Path

from oodbench.report.method_notes import PRINTED, printed
from oodbench.report.reported import papers

NUMBERS = papers(Path(__file__).parents[2] / "results")
NONE = "None of the papers and boards whose numbers are kept in `results/reported` has one of it"


def test_a_board_has_numbers_of_the_row_itself() -> None:
    heading, said, table = printed("react-tuned", NUMBERS, ["react", "react-tuned"])
    assert (heading, said) == (PRINTED, "Reported, not measured here; each as its source prints it.")
    assert "| openood-imagenet-1k | far | auroc | 93.67 | ResNet50 | ood_val_same |" in table


def test_sources_of_a_long_table_are_named_once() -> None:
    many = [one for one in NUMBERS if one.method == "react-tuned"] * 60
    *_, table, addresses = printed("react-tuned", many, [])
    assert table.count("][1] |") > 50
    assert many[0].paper.url not in table
    assert f"[1]: {many[0].paper.url}" in addresses.splitlines()


def test_where_it_has_none_the_row_of_its_file_that_has_some_is_linked() -> None:
    beside = "[`react-tuned`](react-tuned.md#in-papers-and-on-boards)"
    assert printed("react", NUMBERS, ["react", "react-tuned"])[1:] == [
        f"{NONE}; they have some of {beside}, of the same file."
    ]
    assert printed("react", NUMBERS, ["react"])[1:] == [f"{NONE}."]
    assert printed("mine", NUMBERS, ["mine", "react-tuned"])[1:] == [f"{NONE}."]
