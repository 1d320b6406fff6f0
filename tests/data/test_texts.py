"""Texts: how they are split into words, by whose words they are read, and what is refused."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oodbench.data.cards import Card, find_card
from oodbench.data.fixed import parse
from oodbench.data.load import load, load_card
from oodbench.data.matrix import Matrix, find_matrix
from oodbench.data.remembered import open_remembered
from oodbench.data.texts import TextInputs, Vocabulary, split, vocabulary_of
from oodbench.errors import BadCard, BadChecksum, BadData, MissingData
from oodbench.spaces import Tokens

TRAIN = "0 Who was Galileo ?\n1 Where is Pisa ?\n0 who was Dante ?\n"
TEST = "1 Where was Dante ?\n"
OTHER = b"a tower in Pisa\r\ncaf\xe9 \x85 ?\n"
FOUR = Tokens(length=4, vocabulary=6)


def source(parts: dict[str, tuple[str, bytes]], encoding: str, labelled: bool) -> dict[str, Any]:
    files = {
        split: {"name": name, "sha256": hashlib.sha256(content).hexdigest()} for split, (name, content) in parts.items()
    }
    return {"kind": "sentences", "folders": ["text"], "encoding": encoding, "labelled": labelled, "parts": files}


def card(name: str, **said: Any) -> Card:
    usual = {"title": "T", "origin": name, "classes": 0, "licence": "-", "citation": "-", "url": "https://example.org"}
    return parse({**usual, "name": name, **said}, Card, f"{name}.toml")


QUESTIONS = {
    "roles": ["in"],
    "classes": 2,
    "tokens": {"length": 4, "vocabulary": 6},
    "splits": {"train": 3, "test": 1, "validation": 1},
    "source": source(
        {"train": ("train", TRAIN.encode()), "test": ("test", TEST.encode()), "validation": ("test", TEST.encode())},
        "ascii",
        labelled=True,
    ),
}
CAPTIONS = {"roles": ["out"], "splits": {"test": 2}, "source": source({"test": ("other", OTHER)}, "latin-1", False)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    for name, content in (("train", TRAIN.encode()), ("test", TEST.encode()), ("other", OTHER)):
        (folder / name).write_bytes(content)
    return tmp_path


def test_words_are_what_stands_between_blanks_in_lower_case() -> None:
    assert split("  Who's\tWHO ?\n") == ["who's", "who", "?"]


def test_a_vocabulary_is_the_commonest_words_and_of_equals_the_first_by_the_alphabet() -> None:
    texts = ["Who was Galileo ?", "Where is Pisa ?", "who was Dante ?"]
    known = vocabulary_of(texts, FOUR, "here")
    assert known.words == ("?", "was", "who", "dante")  # 3, 2, 2, and of six words with one the first
    assert known.ids == {"?": 2, "was": 3, "who": 4, "dante": 5}
    with pytest.raises(BadData, match="here: got 8 different words to train on, expected 9"):
        vocabulary_of(texts, Tokens(length=4, vocabulary=11), "here")


@pytest.mark.parametrize(("pad", "unknown", "first"), [(0, 1, 2), (1, 0, 2), (5, 0, 1)])
def test_padding_and_the_unknown_word_have_ids_of_their_own(pad: int, unknown: int, first: int) -> None:
    known = Vocabulary(Tokens(length=3, vocabulary=6, pad=pad), ("a", "b", "c", "d"))
    assert known.unknown == unknown
    assert known.encode(["a nobody", "", "a a a a"]).tolist() == [[first, unknown, pad], [pad] * 3, [first] * 3]
    assert {pad, unknown, *known.ids.values()} == set(range(6))


def test_an_in_set_is_read_by_its_own_training_part_and_an_out_set_by_the_in_sets(root: Path) -> None:
    inside = load_card(card("questions", **QUESTIONS), "test", root=root)
    assert isinstance(inside, TextInputs)
    assert inside.batch(slice(None)).tolist() == [[1, 3, 5, 2]]  # "where" is unknown
    assert inside.labels is not None and inside.labels.tolist() == [1]
    outside = load_card(card("captions", **CAPTIONS), "test", root=root, like=inside)
    assert outside.batch(slice(None)).tolist() == [
        [1, 1, 1, 1],
        [1, 2, 0, 0],
    ]  # \x85 is a blank, and ends no line
    assert outside.labels is None and outside.shape == inside.shape == (4,)


def test_a_part_is_the_sentences_of_its_places(root: Path) -> None:
    train = load_card(card("questions", **QUESTIONS), "train", root=root)
    assert train.take(np.array([2, 0])).batch(slice(None)).tolist() == [[4, 3, 5, 2], [4, 3, 1, 2]]
    assert train.sha256() != train.take(np.array([2, 0, 1])).sha256()
    assert train.sha256() == open_remembered(card("questions", **QUESTIONS), "train", root=root).sha256()


NAMED = {
    **QUESTIONS,
    "class_names": ["where:place", "who:person"],
    "tokens": {"length": 4, "vocabulary": 7, "pad": 1},
    "source": {
        **source({"train": ("named", b"who:person Who was\xf0it ?\nwhere:place Where\n")}, "latin-1", labelled=True),
        "labelled": "names",
        "blank": "\u00f0",
    },
    "splits": {"train": 2},
}


def test_classes_may_stand_by_their_names_and_a_damaged_character_be_a_blank(tmp_path: Path) -> None:
    (tmp_path / "named").write_bytes(b"who:person Who was\xf0it ?\nwhere:place Where\n")
    read = load_card(card("questions", **NAMED), "train", root=tmp_path)
    assert isinstance(read, TextInputs)
    assert read.labels is not None and read.labels.tolist() == [1, 0]
    assert read.vocabulary is not None and read.vocabulary.words == ("?", "it", "was", "where", "who")
    assert read.ids.tolist() == [[6, 4, 3, 2], [5, 1, 1, 1]]
    one_less = {**NAMED, "class_names": ["where:place"], "classes": 1}
    with pytest.raises(BadData, match="line 1: got the class 'who:person', expected one of where:place"):
        load_card(card("questions", **one_less), "train", root=tmp_path)
    with pytest.raises(BadCard, match="class_names are missing"):
        card("questions", **{**NAMED, "class_names": []})


def test_a_vocabulary_may_be_that_of_several_parts(root: Path) -> None:
    """Of one whose network was trained on the questions held out here, too."""
    content = "".join(f"{i % 2} a w{i}\n" for i in range(5452)).encode()  # the cut of `trec` is of so many
    (root / "text" / "train").write_bytes(content)
    files = source({"train": ("train", content), "test": ("test", TEST.encode())}, "ascii", labelled=True)
    said = {**QUESTIONS, "splits": {"train": 5452, "test": 500}, "tokens": {"length": 4, "vocabulary": 5455}}
    read = load_card(card("trec", **{**said, "source": files | {"words_of": "train+validation"}}), "train", root=root)
    assert isinstance(read, TextInputs) and read.vocabulary is not None
    assert (len(read), len(read.vocabulary.words)) == (4952, 5453)
    with pytest.raises(BadData, match="got 4953 different words to train on, expected 5453"):
        load_card(card("trec", **{**said, "source": files}), "train", root=root)


def test_sentences_without_an_in_set_are_refused(root: Path) -> None:
    with pytest.raises(BadData, match="captions: the set is read by the in-set's words; pass its texts as `like`"):
        load_card(card("captions", **CAPTIONS), "test", root=root)
    drawn = load("toy-words", "test")
    with pytest.raises(BadData, match="`like` was drawn without any"):
        load_card(card("captions", **CAPTIONS), "test", root=root, like=drawn)


def test_images_and_texts_do_not_stand_side_by_side(root: Path) -> None:
    with pytest.raises(BadData, match="captions holds texts, and toy-blobs holds images"):
        load_card(card("captions", **CAPTIONS), "test", root=root, like=load("toy-blobs", "test"))
    with pytest.raises(BadData, match="hflip holds images, and toy-words holds texts"):
        load("hflip", "test", like=load("toy-words", "test"))


@pytest.mark.parametrize(
    ("change", "content", "message"),
    [
        ({"splits": {"test": 3}}, OTHER, "captions/test: got 2 sentences, expected 3"),
        ({}, OTHER + b"more\n", "captions: other has sha256"),
        ({"source": source({"test": ("other", OTHER)}, "utf-8", False)}, OTHER, "not text in utf-8 .* at byte 20"),
        ({"classes": 2, "source": source({"test": ("other", OTHER)}, "latin-1", True)}, OTHER, "line 1: got .* 'a'"),
    ],
)
def test_what_a_file_does_not_hold_is_told(root: Path, change: dict[str, Any], content: bytes, message: str) -> None:
    inside = load_card(card("questions", **QUESTIONS), "test", root=root)
    (root / "text" / "other").write_bytes(content)
    with pytest.raises((BadData, BadChecksum), match=message):
        load_card(card("captions", **{**CAPTIONS, **change}), "test", root=root, like=inside)


def test_a_file_that_is_not_here_is_told_with_the_command_that_gets_it(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="`oodbench data get captions`"):
        load_card(card("captions", **CAPTIONS), "test", root=tmp_path, like=load_words(tmp_path))


def load_words(folder: Path) -> TextInputs:
    words = Vocabulary(FOUR, ("a", "b", "c", "d"))
    return TextInputs(words.encode(["a b"]), None, None, words)


@pytest.mark.parametrize(
    ("ids", "labels", "message"),
    [
        (np.zeros((2, 3), np.int32), None, r"got int32\[2, 3\], expected ids of words, int64 \[n length\]"),
        (np.zeros(3, np.int64), None, "expected ids of words"),
        (np.zeros((0, 3), np.int64), None, "got no texts"),
        (np.zeros((2, 3), np.int64), np.zeros(3, np.int64), "one an input"),
    ],
)
def test_what_is_not_a_set_of_texts(ids: Any, labels: Any, message: str) -> None:
    with pytest.raises(BadData, match=message):
        TextInputs(ids, labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": {"length": 4, "vocabulary": 6}}, "tokens is given exactly for an in-set of texts"),
        ({"shape": [1, 8, 8]}, "say how images are read; the set holds texts"),
        ({"resampling": "pad"}, "say how images are read; the set holds texts"),
        ({"source": {**CAPTIONS["source"], "encoding": "utf8"}}, "encoding"),  # type: ignore[dict-item]
    ],
)
def test_what_a_card_of_texts_may_not_say(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadCard, match=message):
        card("captions", **{**CAPTIONS, **change})


def test_a_card_of_images_has_no_tokens() -> None:
    content = find_card("fashion-mnist").model_dump(mode="json", exclude_none=True)
    with pytest.raises(BadCard, match="tokens is given, and the set holds images"):
        parse(content | {"tokens": {"length": 4, "vocabulary": 6}}, Card, "fashion-mnist.toml")
    with pytest.raises(BadCard, match="vocabulary"):
        card("questions", **{**QUESTIONS, "tokens": {"length": 4, "vocabulary": 2}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": [{"attack": "fgsm-8", "n": 9}]}, r"attacks: got \['fgsm-8'\], which is of pixels"),
        ({"adversarial_validation": {"attack": "fgsm-8", "n": 9}}, "adversarial_validation: got fgsm-8"),
        ({"shape": [1, 8, 8]}, "shape: got"),
        ({"ood": [{"card": "uniform", "n": 9, "group": "far"}]}, "uniform holds images, and toy-words tokens"),
    ],
)
def test_what_a_matrix_of_texts_may_not_say(change: dict[str, Any], message: str) -> None:
    content = find_matrix("toy-words-v1").model_dump(mode="json", exclude_none=True)
    with pytest.raises(BadCard, match=message):
        parse(content | change, Matrix, "toy-words-v1.toml")
    augmented = {**content["training"], "augment": ["flip"]}
    with pytest.raises(BadCard, match=r"training.augment: got \['flip'\]"):
        parse(content | {"training": augmented}, Matrix, "toy-words-v1.toml")


def test_toy_texts_stay_what_they_are() -> None:
    train = load("toy-words", "train")
    ids = train.batch(slice(None))
    assert train.sha256() == "cf9174a2691598aa67127d5b8212b0c0e99fd81bf2a2125d35f88b594e8929af"
    assert ids.min() >= 0 and ids.max() < 24 and (ids[:, :3] > 0).all()
    assert all((row[np.argmin(row > 0) :] == 0).all() for row in ids if (row == 0).any())  # padded behind only
    own = (ids >= 9) & ((ids - 9) // 5 == train.labels[:, None])  # type: ignore[index]
    assert not ((ids >= 9) & ~own).any()
