"""Texts: n sentences as ids of words.

Words are what stands between blanks, in lower case. A vocabulary holds the commonest words of an in-set's training
part, and out-sets are read by it: to a network trained on questions, what it never saw is one word, the unknown one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import Card, Corpus, Newsgroups, Sentences
from oodbench.data.corpora import read_corpus
from oodbench.data.images import digest_of
from oodbench.data.inputs import Indices, check_labels
from oodbench.data.splits import Cut, find_cut
from oodbench.errors import BadData
from oodbench.spaces import Tokens

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """The words of a token space, by their ids: the padding's own, the unknown word's, and then the words'.

    Attributes:
        space: Its sizes.
        words: The known words, commonest first.
    """

    space: Tokens
    words: tuple[str, ...]

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each known word: those that neither the padding nor the unknown word has, in order."""
        free = (place for place in range(self.space.vocabulary) if place not in (self.space.pad, self.unknown))
        return dict(zip(self.words, free, strict=True))

    @property
    def unknown(self) -> int:
        """The id of every other word: the lowest that is not the padding's."""
        return int(self.space.pad == 0)

    def encode(self, texts: Sequence[str]) -> Ids:
        """Return the ids of texts [n length], cut at the end or padded there."""
        ids = np.full((len(texts), self.space.length), self.space.pad, np.int64)
        for row, text in zip(ids, texts, strict=True):
            words = split(text)[: self.space.length]
            row[: len(words)] = [self.ids.get(word, self.unknown) for word in words]
        return ids


def vocabulary_of(texts: Iterable[str], space: Tokens, name: str) -> Vocabulary:
    """Return the vocabulary of a training part: its commonest words, of equals the first by the alphabet.

    Raises:
        BadData: It has fewer words than the space has room for.

    Example:
        >>> vocabulary_of(["who was Galileo ?", "Who ?"], Tokens(length=4, vocabulary=4), "trec").words
        ('?', 'who')
    """
    count = Counter(word for text in texts for word in split(text))
    wanted = space.vocabulary - 2
    if len(count) < wanted:
        raise BadData(f"{name}: got {len(count)} different words to train on, expected {wanted}: vocabulary less 2.")
    ordered = sorted(count, key=lambda word: (-count[word], word))
    return Vocabulary(space, tuple(ordered[:wanted]))


def split(text: str) -> list[str]:
    """Return the words of a text: what stands between blanks, in lower case."""
    return text.lower().split()


@dataclass(frozen=True, eq=False)
class TextInputs:
    """Texts as ids of words: `ids` [n length], int64 in [0, vocabulary).

    `vocabulary` says which words they are; None for texts that were drawn as ids.

    Raises:
        BadData: Another dtype or rank, no texts, or labels that do not fit.
    """

    ids: Ids
    labels: npt.NDArray[np.int64] | None = None
    card: str | None = None
    vocabulary: Vocabulary | None = None

    def __post_init__(self) -> None:
        name = self.card or "texts"
        if not isinstance(self.ids, np.ndarray) or self.ids.dtype != np.int64 or self.ids.ndim != 2:
            shape = f"{getattr(self.ids, 'dtype', type(self.ids).__name__)}{list(getattr(self.ids, 'shape', ()))}"
            raise BadData(f"{name}: got {shape}, expected ids of words, int64 [n length].")
        if not len(self.ids):
            raise BadData(f"{name}: got no texts, expected at least one.")
        if self.labels is not None:
            check_labels(self.labels, len(self.ids), name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of ids of one text."""
        return self.ids.shape[1:]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Indices) -> Ids:
        """Return the ids of the texts at `indices`: [k length]."""
        return self.ids[indices]

    def take(self, indices: Indices) -> "TextInputs":
        """Return the texts at `indices`, in that order."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, ids=self.ids[indices], labels=labels)

    def sha256(self) -> str:
        """Return the sha256 of ids and labels."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        return digest_of(self.ids.shape, iter([self.ids.astype("<i8")]), self.labels)


def read_texts(card: Card, source: Corpus, cut: Cut, root: Path | None, like: TextInputs | None) -> TextInputs:
    """Return a part of a set of texts, in the words of an in-set: `like`, or the set's own training part.

    Raises:
        MissingData: A file is not on this machine.
        BadChecksum: A file is not the one the card names.
        BadData: A file does not hold what the card says, or nobody says by which words to read it.
    """
    vocabulary = like.vocabulary if like is not None else _own_vocabulary(card, source, root)
    if vocabulary is None:
        raise BadData(f"{card.name}: sentences are read by the words of an in-set, and `like` was drawn without any.")
    texts, labels = read_corpus(card, source, cut.of, root)
    chosen = vocabulary.encode([texts[place] for place in cut.indices])
    classes = labels[cut.indices] if labels is not None and card.classes else None
    return TextInputs(chosen, classes, card.name, vocabulary)


def _own_vocabulary(card: Card, source: Corpus, root: Path | None) -> Vocabulary:
    if card.tokens is None or not isinstance(source, Sentences | Newsgroups):
        raise BadData(f"{card.name}: the set is read by the in-set's words; pass its texts as `like`.")
    train = find_cut(card, source.words_of)
    texts, _ = read_corpus(card, source, train.of, root)
    return vocabulary_of((texts[place] for place in train.indices), card.tokens, card.name)
