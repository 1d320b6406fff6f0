"""Corpora of texts in the formats of their publishers: n texts, words between blanks, and their classes.

What a word is, and which words a network knows, is said in `oodbench.data.texts`.
"""

import io
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import Articles, Card, Corpus, Newsgroups, Sentences, Treebank
from oodbench.data.checksums import content, verified
from oodbench.data.places import find, missing
from oodbench.errors import BadData

Classes = npt.NDArray[np.int64]
Texts = tuple[list[str], Classes | None]

WORDS = range(3, 61)
"""Words of a sentence of an article; shorter and longer ones are headings, lists and tables."""


def read_corpus(card: Card, source: Corpus, split: str, root: Path | None) -> Texts:
    """Return the texts of a stored split [n], and their classes [n] where the corpus is labelled.

    Raises:
        MissingData: The file is not on this machine.
        BadChecksum: It is not the one the card names.
        BadData: It does not hold what the card says.
    """
    file = source.file(split)
    path = find(card, source.folders, file.name, root)
    if path is None:
        raise missing(card, file.name, root)
    stored = verified(content(path), file, card.name)
    match source:
        case Sentences():
            texts, labels = _sentences(card, source, split, _decoded(stored, source.encoding, path))
        case Treebank():
            texts, labels = list(treebank(_decoded(stored, "utf-8", path), source.parts[split].sent_id)), None
        case Articles():
            texts, labels = list(articles(_decoded(stored, "utf-8", path))), None
        case Newsgroups():
            texts, names = newsgroups(stored, source.parts[split], source.remove, source.shortest, str(path))
            labels = _classes(card, split, names, card.class_names, "post")
    if len(texts) != card.splits[split]:
        raise BadData(f"{card.name}/{split}: got {len(texts)} texts, expected {card.splits[split]}.")
    return texts, labels


def treebank(text: str, sent_id: str) -> Iterator[str]:
    r"""Yield the sentences of a CoNLL-U file whose id begins so: their words, joined by blanks.

    Words are the syntactic ones, numbered 1, 2 ...: of "don't" (1-2) these are "do" and "n't", as in the Penn Treebank.
    What is elided (1.1) is no word.

    Example:
        >>> list(treebank("# sent_id = email-1\n1-2\tdon't\n1\tdo\n2\tn't\n", "email-"))
        ["do n't"]
    """
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = block.strip("\n").split("\n")
        if any(re.match(rf"#\s*sent_id\s*=\s*{re.escape(sent_id)}", line) for line in lines):
            rows = [line.split("\t") for line in lines if not line.startswith("#")]
            yield " ".join(row[1] for row in rows if row[0].isdecimal())


def articles(text: str) -> Iterator[str]:
    r"""Yield the sentences of articles, as Outlier Exposure cleans them (Hendrycks 2019).

    A heading begins with " =" and is none. A sentence ends at a word ".", "!" or "?", or with its paragraph: the corpus
    stands in words, so that the dot of "H." ends none (there it is NLTK's Punkt that cuts). Left out are those that
    begin with "@" or a digit, and those of fewer than 3 or more than 60 words.

    Example:
        >>> list(articles(" = Lobsters = \n It is large . H. gammarus is blue \n"))
        ['It is large .', 'H. gammarus is blue']
    """
    for paragraph in text.split("\n"):
        if paragraph.startswith(" ="):
            continue
        for words in _sentences_of(paragraph.split()):
            if len(words) in WORDS and words[0][0] not in "@0123456789":
                yield " ".join(words)


def _sentences_of(words: list[str]) -> Iterator[list[str]]:
    start = 0
    for end, word in enumerate(words, 1):
        if word in (".", "!", "?") or end == len(words):
            yield words[start:end]
            start = end


def newsgroups(
    stored: bytes, folder: str, remove: tuple[str, ...], shortest: int, name: str
) -> tuple[list[str], list[str]]:
    """Return the posts of a folder of an archive, by group and number, and the name of each one's group.

    Of a post, as scikit-learn's `fetch_20newsgroups` takes it out, `remove` is left out; of the rest all is left out
    that is no letter from a to z, and every word with fewer letters than `shortest`. So do the files that Outlier
    Exposure reads ("no-short", A. Cardoso-Cachopo), which keep the subject of the header.

    Args:
        stored: A gzipped tar file with `folder`/group/number.
        folder: In it.
        remove: Of "headers", "footers" and "quotes".
        shortest: Letters of a word.
        name: Of the archive, for what is said of damage.

    Raises:
        BadData: It is no such archive.
    """
    found: dict[tuple[str, str], str] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(stored), mode="r:gz") as archive:
            for member in archive:
                place = PurePosixPath(member.name).parts
                if len(place) == 3 and place[0] == folder and (opened := archive.extractfile(member)):
                    found[place[1], place[2]] = opened.read().decode("latin-1")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadData(f"{name}: not a gzipped tar file ({error}).") from error
    places = sorted(found)
    word = re.compile(f"[a-z]{{{shortest},}}")
    posts = [_without(found[place], remove) for place in places]
    return [" ".join(word.findall(post.lower())) for post in posts], [group for group, _ in places]


QUOTED = re.compile(r"writes in|writes:|wrote:|says:|said:|^In article|^Quoted from|^[|>]")
"""What the lines are recognised by that quote another post, or announce it."""


def _without(post: str, remove: tuple[str, ...]) -> str:
    """Return a post without its header, its signature and what it quotes, in this order, as far as they are named."""
    for part in REMOVED:
        if part in remove:
            post = REMOVED[part](post)
    return post


def _body(post: str) -> str:
    return post.partition("\n\n")[2]


def _unsigned(post: str) -> str:
    """Return a post up to its last line that is empty or of hyphens; whole, where that is the first or none is."""
    lines = post.strip().split("\n")
    last = next((place for place in reversed(range(len(lines))) if not lines[place].strip().strip("-")), 0)
    return "\n".join(lines[:last]) if last else post


def _unquoted(post: str) -> str:
    return "\n".join(line for line in post.split("\n") if not QUOTED.search(line))


REMOVED: dict[str, Callable[[str], str]] = {"headers": _body, "footers": _unsigned, "quotes": _unquoted}


def _decoded(stored: bytes, encoding: str, path: Path) -> str:
    try:
        return stored.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not text in {encoding} ({error.reason} at byte {error.start}).") from error


def _sentences(card: Card, source: Sentences, split: str, text: str) -> Texts:
    """Return a sentence a line, and their classes where each line begins with one."""
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]  # Latin-1 has other ends of lines
    if len(lines) != card.splits[split]:
        raise BadData(f"{card.name}/{split}: got {len(lines)} sentences, expected {card.splits[split]}.")
    if source.blank:
        lines = [line.replace(source.blank, " ") for line in lines]
    if not source.labelled:
        return lines, None
    pairs = [line.partition(" ") for line in lines]
    names = card.class_names if source.labelled == "names" else tuple(map(str, range(card.classes)))
    return [sentence for _, _, sentence in pairs], _classes(
        card, split, [label for label, _, _ in pairs], names, "line"
    )


def _classes(card: Card, split: str, labels: list[str], names: tuple[str, ...], of: str) -> Classes:
    known = {name: label for label, name in enumerate(names)}
    for place, label in enumerate(labels, 1):
        if label not in known:
            expected = f"{names[0]} to {names[-1]}" if names[0] == "0" else f"one of {', '.join(names)}"
            raise BadData(f"{card.name}/{split}, {of} {place}: got the class {label!r}, expected {expected}.")
    return np.array([known[label] for label in labels], np.int64)
