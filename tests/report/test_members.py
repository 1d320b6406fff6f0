"""Rows whose seeds are ensembles of the same members."""

import pytest
from made import record as made

from oodbench.records import Record
from oodbench.report.members import shares_members


def record(seed: int, **said: object) -> Record:
    return made("one", seed, scores_sha256="0" * 64, **said)


PLAIN = {"training": {"epochs": 1}}


@pytest.mark.parametrize(
    ("members", "shared"),
    [
        ([(0, 1, 2), (1, 2, 3)], True),
        ([(0, 1, 2), (3, 4, 5)], False),
        ([(0,), (1,)], False),
        ([(), ()], False),
        ([(0, 1, 2)], False),
        ([(1, 1, 2)], False),
    ],
)
def test_members_in_common_are_shared(members: list[tuple[int, ...]], shared: bool) -> None:
    assert shares_members([record(seed, members=own) for seed, own in enumerate(members)]) is shared


def test_what_older_records_say_is_their_recipe() -> None:
    """M members of a recipe, with several seeds: bootstraps of the same; M masks of one network are no members."""
    ensemble = {"name": "a", "M": 5, "plain": PLAIN}
    assert shares_members([record(seed, recipe=ensemble) for seed in range(2)])
    assert not shares_members([record(0, recipe=ensemble)])
    for other in ({"name": "a", "M": 5, **PLAIN}, {"name": "a", "plain": PLAIN}):
        assert not shares_members([record(seed, recipe=other) for seed in range(2)])
