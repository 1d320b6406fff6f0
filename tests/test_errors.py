"""What an unknown name is told: the nearest, and all names where they are few."""

from oodbench.errors import MOST_NAMES, UnknownName


def test_few_names_are_all_listed() -> None:
    assert str(UnknownName("fruit", "aple", ["pear", "apple"])) == (
        "unknown fruit 'aple'; did you mean 'apple'? Known: apple, pear."
    )
    assert str(UnknownName("fruit", "x", [])) == "unknown fruit 'x'. Known: none."


def test_of_many_names_the_nearest_are_listed() -> None:
    names = [f"method-{at}" for at in range(MOST_NAMES)] + ["ash-s", "ash-b"]
    assert str(UnknownName("method", "ash", names)) == (
        f"unknown method 'ash'; did you mean 'ash-s'? {MOST_NAMES + 2} are known, near it ash-s, ash-b."
    )
    assert str(UnknownName("method", "?", names)) == f"unknown method '?'. {MOST_NAMES + 2} are known."
