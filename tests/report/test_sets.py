"""Failure sets on pages: said what they are, and never more beside each other than a page holds."""

from oodbench.measure.kinds import Column
from oodbench.report.sets import described, set_table, split


def test_sets_and_attacks_are_described_by_their_cards():
    assert described("hflip") == "The in-set's test images, mirrored left to right"
    assert described("fgsm-8@uint8") == f"{described('fgsm-8')}, rounded to 256 grey levels"
    assert described("misclassified") == ""


def test_a_set_without_a_card_stands_among_the_others():
    said = set_table([Column("hflip", "near"), Column("own", "far")], {"hflip": "1,000"})
    assert said is not None
    assert said.splitlines()[2:] == [
        "| `hflip` | near | The in-set's test images, mirrored left to right | 1,000 |",
        "| `own` | far |  | none |",
    ]
    assert set_table([Column("misclassified", "")], {"misclassified": "9"}) is None


def test_many_sets_are_split_by_group_and_few_are_not():
    many = [Column(f"s{at}", "near" if at < 2 else "far") for at in range(7)]
    assert {group: len(sets) for group, sets in split(many).items()} == {"near": 2, "far": 5}
    assert split(many[:6]) == {"": many[:6]}
    alike = [Column(f"s{at}", "") for at in range(9)]
    assert split(alike) == {"": alike}
