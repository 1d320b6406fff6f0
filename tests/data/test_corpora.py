"""Corpora in the formats of their publishers, small and written here, and those that are on this machine."""

import codecs
import hashlib
import io
import pickle
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import fetch_20newsgroups, load_files

from oodbench.data.cards import Card, find_card
from oodbench.data.corpora import articles, newsgroups, treebank
from oodbench.data.fixed import parse
from oodbench.data.load import check, load, load_card, status
from oodbench.data.splits import find_cut
from oodbench.data.texts import TextInputs, Vocabulary
from oodbench.errors import BadCard, BadData, MissingData
from oodbench.spaces import Tokens

CONLLU = """\
# newdoc id = email-a
# sent_id = email-a-0001
# text = I don't.
1\tI\tI\tPRON
2-3\tdon't\t_\t_
2\tdo\tdo\tAUX
3\tn't\tnot\tPART
3.1\tsay\tsay\tVERB
4\t.\t.\tPUNCT

# sent_id = answers-a-0001
# text = Why ?
1\tWhy\twhy\tADV
2\t?\t?\tPUNCT

# sent_id = email-b-0001
# text = answers-
1\tanswers-\t_\tX

"""


def test_a_treebank_gives_the_words_of_its_sentences_by_the_beginning_of_their_ids() -> None:
    assert list(treebank(CONLLU, "email-")) == ["I do n't .", "answers-"]
    assert list(treebank(CONLLU.replace("\n", "\r\n").rstrip(), "answers-")) == ["Why ?"]
    assert list(treebank(CONLLU, "weblog-")) == []
    assert list(treebank(CONLLU, "e.ail-")) == []  # no pattern


def test_articles_are_cut_at_the_ends_of_sentences_and_paragraphs() -> None:
    text = (
        " \n = Lobsters = \n \n It is blue . Is it H. gammarus ? Yes it is ! and then \n = = Size = = \n A new part \n"
    )
    assert list(articles(text)) == ["It is blue .", "Is it H. gammarus ?", "Yes it is !", "A new part"]


@pytest.mark.parametrize(
    ("sentence", "kept"),
    [
        ("a .", False),
        ("a b .", True),
        (" ".join(["a"] * 59) + " .", True),
        (" ".join(["a"] * 60) + " .", False),
        ("@-@ a b .", False),
        ("9 a b .", False),
        ("a 9 @-@ .", True),
        ("<unk> a b .", True),
    ],
)
def test_sentences_of_poor_quality_are_left_out(sentence: str, kept: bool) -> None:
    assert list(articles(f" {sentence} \n")) == [sentence] * kept


POSTS = {
    "20news-bydate-train/sci.space/101": "From: a@b\nSubject: Moons\n\nThe moon is far.\n\nBob\n",
    "20news-bydate-train/sci.space/99": "From: a@b\n\n>Is it?\nJim writes:\nIt's 9 a-moon café to see\n",
    "20news-bydate-train/rec.autos/7": "Subject: cars\n\nOld car, old CAR; an engine\n\n--\n\nfoot er\n",
    "20news-bydate-train/rec.autos/8": "no header at all\n",
    "20news-bydate-train/rec.autos/9": "A: b\n\nIn article 5\n| quoted\n\nThe end he said:\nnow\n----\n\n",
    "20news-bydate-test/sci.space/5": "X: y\n\nthe moon, an engine and a crater\n",
    "20news-bydate-test/rec.autos/4": "X: y\n\n\n",
}


def archive(posts: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for folder in ("20news-bydate-test", "20news-bydate-test/sci.space"):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            made.addfile(info)
        for name, post in posts.items():
            info = tarfile.TarInfo(name)
            info.size = len(post.encode("latin-1"))
            made.addfile(info, io.BytesIO(post.encode("latin-1")))
    return out.getvalue()


def by_scikit_learn(folder: Path, subset: str, remove: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Return each post and the name of its group, by its file, from the cache of scikit-learn's own loader."""
    with tarfile.open(fileobj=io.BytesIO(archive(POSTS))) as made:
        made.extractall(folder, filter="data")
    cache = {part: load_files(folder / f"20news-bydate-{part}", encoding="latin1") for part in ("train", "test")}
    (folder / "20news-bydate_py3.pkz").write_bytes(codecs.encode(pickle.dumps(cache), "zlib_codec"))
    found: Any = fetch_20newsgroups(data_home=folder, subset=subset, remove=remove, download_if_missing=False)
    names = [found.target_names[one] for one in found.target]
    return {"/".join(Path(f).parts[-2:]): (t, n) for f, t, n in zip(found.filenames, found.data, names, strict=True)}


@pytest.mark.parametrize("remove", [(), ("headers",), ("footers",), ("quotes",), ("headers", "footers", "quotes")])
@pytest.mark.parametrize("subset", ["train", "test"])
def test_posts_are_those_of_scikit_learns_loader(tmp_path: Path, remove: tuple[str, ...], subset: str) -> None:
    theirs = by_scikit_learn(tmp_path, subset, remove)
    texts, groups = newsgroups(archive(POSTS), f"20news-bydate-{subset}", remove, 3, "here")
    order = sorted(theirs)  # by group, then by the name of the file
    words = [" ".join(w for w in re.split("[^a-z]+", theirs[one][0].lower()) if len(w) >= 3) for one in order]
    assert texts == words
    assert groups == [theirs[one][1] for one in order]


def test_what_is_left_of_a_post() -> None:
    texts, _ = newsgroups(archive(POSTS), "20news-bydate-train", ("headers", "footers", "quotes"), 3, "here")
    assert texts == ["old car old car engine", "", "now", "the moon far", "moon caf see"]
    texts, _ = newsgroups(archive(POSTS), "20news-bydate-train", ("headers",), 1, "here")
    assert texts[4] == "is it jim writes it s a moon caf to see"


def newsgroups_card(content: bytes, **said: Any) -> Card:
    usual = {
        "name": "posts", "title": "T", "roles": ["in"], "origin": "posts", "classes": 2, "licence": "-",
        "citation": "-", "class_names": ["rec.autos", "sci.space"], "url": "https://example.org",
        "splits": {"train": 5, "test": 2}, "tokens": {"length": 3, "vocabulary": 6},
        "source": {
            "kind": "newsgroups", "folders": ["text"], "remove": ["headers", "quotes"], "shortest": 3,
            "archive": {"name": "posts.tar.gz", "sha256": hashlib.sha256(content).hexdigest()},
            "parts": {"train": "20news-bydate-train", "test": "20news-bydate-test"},
        },
    }  # fmt: skip
    return parse({**usual, **said}, Card, "posts.toml")


def test_newsgroups_are_an_in_set_with_the_words_of_its_training_part(tmp_path: Path) -> None:
    content = archive(POSTS)
    (tmp_path / "posts.tar.gz").write_bytes(content)
    card = newsgroups_card(content)
    read = load_card(card, "test", root=tmp_path)
    assert isinstance(read, TextInputs) and read.vocabulary is not None and read.labels is not None
    assert read.vocabulary.words == ("car", "moon", "old", "bob")  # two each, and the first of those with one
    assert read.labels.tolist() == [0, 1]
    assert read.ids.tolist() == [[0, 0, 0], [1, 3, 1]]  # "the", "moon", "engine": cut at three
    assert status(card, tmp_path).present
    assert [one.verdict for one in check(card, tmp_path)] == ["ok"]


def test_damaged_posts_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"here: not a gzipped tar file"):
        newsgroups(b"no archive", "a", (), 3, "here")
    with pytest.raises(BadData, match=r"here: not a gzipped tar file"):
        newsgroups(archive(POSTS)[:-40], "a", (), 3, "here")
    content = archive(POSTS | {"20news-bydate-test/sci.med/1": "a"})
    (tmp_path / "posts.tar.gz").write_bytes(content)
    with pytest.raises(
        BadData, match=r"posts/test, post 2: got the class 'sci.med', expected one of rec.autos, sci.space"
    ):
        load_card(newsgroups_card(content), "test", root=tmp_path)
    content = archive({**POSTS, "20news-bydate-test/sci.space/6": "a"})
    (tmp_path / "posts.tar.gz").write_bytes(content)
    with pytest.raises(BadData, match=r"posts/test: got 3 texts, expected 2"):
        load_card(newsgroups_card(content), "test", root=tmp_path)
    with pytest.raises(MissingData, match=r"oodbench data get posts"):
        load_card(newsgroups_card(content), "test", root=tmp_path / "nowhere")
    with pytest.raises(BadCard, match="class_names are missing"):
        newsgroups_card(content, class_names=[])


def test_what_has_no_labels_is_no_in_set() -> None:
    content = find_card("wikitext-2").model_dump(mode="json", exclude_none=True)
    with pytest.raises(BadCard, match=r"an in-set needs labels, and a source of kind 'wikitext' has none"):
        parse(
            content | {"roles": ["in"], "classes": 2, "tokens": {"length": 4, "vocabulary": 9}}, Card, "wikitext-2.toml"
        )


def here(name: str, split: str, like: TextInputs | None = None) -> TextInputs:
    try:
        found = load(name, split, like=like)
    except MissingData as error:
        pytest.skip(f"not here: {error}")
    assert isinstance(found, TextInputs)
    return found


WORDS = Vocabulary(Tokens(length=61, vocabulary=4), ("a", "the"))
LIKE = TextInputs(WORDS.encode(["a"]), None, None, WORDS)


@pytest.mark.parametrize(
    "name", ["ewt-answers", "ewt-email", "ewt-newsgroup", "ewt-reviews", "ewt-weblog", "wikitext-2"]
)
def test_the_published_files_hold_what_the_cards_say(name: str) -> None:
    for split in ("validation", "test"):
        texts = here(name, split, LIKE)
        assert len(texts) == find_card(name).splits[split]
        assert (texts.ids[:, 0] != WORDS.space.pad).all()
        if name == "wikitext-2":
            assert ((texts.ids != WORDS.space.pad).sum(1) >= 3).all() and (texts.ids[:, 60] == WORDS.space.pad).all()


@pytest.mark.parametrize(
    ("name", "known", "classes"), [("trec-50", 8193, 50), ("sst-binary", 10000, 2), ("sst-fine", 10000, 5)]
)
def test_an_in_set_is_read_by_the_words_of_its_training_part_alone(name: str, known: int, classes: int) -> None:
    train, validation, test = (here(name, part) for part in ("train", "validation", "test"))
    assert train.vocabulary is not None and train.labels is not None
    assert len(train.vocabulary.words) == known
    seen = np.bincount(train.ids.ravel(), minlength=known + 2)
    assert (np.delete(seen, train.vocabulary.unknown) > 0).all()  # every known word is trained on
    assert (seen[train.vocabulary.unknown] == 0) == (name == "trec-50")  # of which every word is known
    assert (validation.ids == train.vocabulary.unknown).any()
    assert (test.ids[:, -1] == train.vocabulary.space.pad).all()  # none is cut
    assert sorted(set(train.labels.tolist())) == list(range(classes))


def test_newsgroups_by_date_are_cut_as_published() -> None:
    card = find_card("20-newsgroups")
    assert (card.splits, len(card.class_names)) == ({"train": 11314, "test": 7532}, 20)
    assert list(card.class_names) == sorted(card.class_names)
    assert len(find_cut(card, "validation").indices) == 1000
    assert card.source.file("train") == card.source.file("test")  # type: ignore[union-attr]
