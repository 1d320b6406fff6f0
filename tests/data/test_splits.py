"""Train, validation and test of every in-set."""

import numpy as np
import pytest

from oodbench.data import splits as module
from oodbench.data.cards import Card, find_card, load_cards
from oodbench.data.load import load
from oodbench.data.splits import Part, Split, find_cut, generator, sample, splits
from oodbench.errors import BadCard, UnknownName

IN_SETS = [card for card in load_cards().values() if "in" in card.roles]
STRATIFIED = ("mnist-5k", "fashion-mnist", "toy-blobs", "toy-words")
SIZES = {
    "mnist-5k": (3500, 500, 1000),
    "mnist": (55000, 5000, 10000),
    "fashion-mnist": (55000, 5000, 10000),
    "cifar-10": (45000, 5000, 10000),
    "cifar-10-5k": (3500, 500, 1000),
    "cifar-100": (45000, 5000, 10000),
    "svhn": (68257, 5000, 26032),
    "tiny-imagenet": (95000, 5000, 10000),
    "places365": (1802436, 1024, 36500),
    "imagenet": (1280143, 1024, 50000),
    "toy-blobs": (360, 120, 90),
    "toy-words": (360, 120, 90),
    "trec": (4952, 500, 500),
    "trec-fine": (4952, 500, 500),
    "trec-50": (4952, 500, 500),
    "sst-binary": (6920, 872, 1821),
    "sst-fine": (8544, 1101, 2210),
    "20-newsgroups": (10314, 1000, 7532),
    "openood-cifar-10": (50000, 1000, 9000),
    "openood-cifar-100": (50000, 1000, 9000),
    "openood-imagenet-200": (260000, 1000, 9000),  # at most
    "openood-imagenet-1k": (1281167, 5000, 45000),
}


@pytest.mark.parametrize("card", IN_SETS, ids=lambda card: card.name)
def test_parts_never_overlap(card: Card) -> None:
    seen: dict[str, set[int]] = {}
    for cut in splits(card).values():
        places = set(cut.indices.tolist())
        assert len(places) == len(cut.indices)
        assert not places & seen.setdefault(cut.of, set())
        assert max(places) < card.splits[cut.of]
        seen[cut.of] |= places


@pytest.mark.parametrize("card", IN_SETS, ids=lambda card: card.name)
def test_sizes(card: Card) -> None:
    cuts = splits(card)
    assert tuple(len(cuts[part].indices) for part in ("train", "validation", "test")) == SIZES[card.name]


@pytest.mark.parametrize("card", [card for card in IN_SETS if card.name not in STRATIFIED])
def test_validation_is_the_draw_that_the_file_states(card: Card) -> None:
    cut = splits(card)["validation"]
    drawn = generator("split", card.name).choice(card.splits[cut.of], len(cut.indices), replace=False)
    assert np.array_equal(cut.indices, np.sort(drawn))


@pytest.mark.parametrize(("name", "a_class"), [("mnist-5k", 50), ("fashion-mnist", 500)])
def test_validation_is_stratified(name: str, a_class: int) -> None:
    labels = load(name, "validation").labels
    assert labels is not None
    assert np.bincount(labels).tolist() == [a_class] * 10


def test_no_image_of_one_part_is_in_another() -> None:
    parts = [load("mnist-5k", part) for part in ("train", "validation", "test")]
    images = [{image.tobytes() for image in part.batch(slice(None))} for part in parts]
    assert not images[0] & images[1] and not images[0] & images[2] and not images[1] & images[2]


def test_parts_join() -> None:
    card = find_card("fashion-mnist")
    assert np.array_equal(find_cut(card, "train+validation").indices, np.arange(60000))
    with pytest.raises(BadCard, match="different stored splits"):
        find_cut(card, "train+test")


def test_unknown_part_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'validation'"):
        find_cut(find_card("fashion-mnist"), "valid")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"validation": Part(of="train", indices=(0, 1)), "test": Part(of="train", indices=(1, 2))}, "overlaps"),
        ({"validation": Part(of="train", indices=(59999, 60000))}, "ascending places"),
        ({"validation": Part(of="train", indices=(2, 1))}, "ascending places"),
        ({"validation": Part(of="train", indices=())}, "ascending places"),
        ({"train": Part(of="train"), "validation": Part(of="train")}, "at most one may take what is left"),
        ({"validation": Part(of="all")}, "is cut from 'all'"),
    ],
)
def test_a_bad_split_file(monkeypatch: pytest.MonkeyPatch, parts: dict, message: str) -> None:
    split = Split(card="fashion-mnist", drawn="by hand", parts=parts)
    monkeypatch.setattr(module, "_read", lambda path: split)
    with pytest.raises(BadCard, match=message):
        splits(find_card("fashion-mnist"))


def test_a_sample_is_fixed_by_its_key() -> None:
    first = sample(1000, 100, "digits", "test")
    assert np.array_equal(first, sample(1000, 100, "digits", "test"))
    assert not np.array_equal(first, sample(1000, 100, "glyphs", "test"))
    assert len(set(first.tolist())) == 100 and (np.diff(first) > 0).all() and first.max() < 1000
    assert np.array_equal(sample(5, 5, "any"), np.arange(5))


def test_a_sample_of_a_sorted_set_has_every_class() -> None:
    labels = load("mnist-5k", "test", n=200).labels
    assert labels is not None
    assert set(labels.tolist()) == set(range(10))
