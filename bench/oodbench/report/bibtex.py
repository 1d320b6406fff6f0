"""BibTeX entries: of a method's paper, of data sets and given models, and of this release."""

import re
from collections.abc import Iterable, Mapping

from oodbench import __version__, checkout
from oodbench.data.cards import Card
from oodbench.given import GivenModel
from oodbench.records import Citation

TITLE = "oodbench: a benchmark suite and leaderboard harness for detectors of classifier failures"
AUTHORS = "The oodbench maintainers"
RELEASED: str | None = None
"""Date of this release, YYYY-MM-DD: none before it is one. `CITATION.cff` says the same; a test holds them together."""

OURS = "oodbench,"
"""How the citation of a set begins that this program draws: citing the release cites it."""

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
"""What TeX reads as something else, and how it is written."""


def escaped(text: str) -> str:
    """Return a text as TeX prints it: what it reads as something else is escaped."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def of_paper(paper: Citation) -> str:
    """Return the entry of a method's paper; its authors are surnames, as records have them."""
    names = [name.strip() for name in paper.authors.replace(" et al.", ", others").split(",") if name.strip()]
    arxiv = re.fullmatch(r"https://arxiv\.org/abs/([0-9]{4}\.[0-9]{4,5})(?:v[0-9]+)?", paper.url or "")
    return _entry(
        "misc",
        _key(names[0], paper.year, paper.title),
        {
            "author": " and ".join(f"{{{escaped(name)}}}" if name != "others" else name for name in names),
            "title": f"{{{escaped(paper.title)}}}",
            "year": str(paper.year) if paper.year else None,
            "eprint": arxiv[1] if arxiv else None,
            "archiveprefix": "arXiv" if arxiv else None,
            "url": paper.url,
        },
    )


def of_card(card: Card) -> str | None:
    """Return the entry of a data set; None of one that this program draws."""
    if card.citation.startswith(OURS):
        return None
    return _said(f"data-{card.name}", card.title, card.citation, card.licence, card.url)


def of_model(model: GivenModel) -> str:
    """Return the entry of a classifier that a matrix is given."""
    url = next((one.url for one in model.weights if one.url), None)
    return _said(f"model-{model.name}", model.name, model.citation, model.licence, url)


def of_release() -> str:
    """Return the entry of this release of oodbench."""
    return _entry(
        "software",
        f"oodbench-{__version__}",
        {
            "author": f"{{{AUTHORS}}}",
            "title": f"{{{TITLE}}}",
            "version": __version__,
            "year": RELEASED[:4] if RELEASED else None,
            "note": None if RELEASED else _commit(),
            "license": "Apache-2.0",
        },
    )


def _commit() -> str | None:
    """Return which state of the development this is; None where it is installed."""
    top = checkout.folder()
    commit = checkout.ask(top, "rev-parse", "HEAD") if top else None
    return f"commit {commit}" if commit else None


def joined(entries: Iterable[str | None]) -> str:
    """Return a file of entries, each once."""
    return "\n\n".join(dict.fromkeys(entry for entry in entries if entry))


def _said(key: str, title: str, citation: str, licence: str, url: str | None) -> str:
    """Return an entry of what is cited in words: these stand in its note."""
    years = re.findall(r"\b(?:19|20)[0-9]{2}\b", citation.split(";")[0])
    fields = {
        "title": f"{{{escaped(title)}}}",
        "note": f"{escaped(citation)}. Terms: {escaped(licence)}",
        "year": years[-1] if years else None,
        "url": url if url and url.startswith("http") else None,
    }
    return _entry("misc", key, fields)


def _entry(kind: str, key: str, fields: Mapping[str, str | None]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    return f"@{kind}{{{key},\n{lines}}}"


def _key(author: str, year: int | None, title: str) -> str:
    """Return a key as hendrycks2017baseline: letters and digits alone."""
    words = [word for word in re.findall(r"[a-z0-9]+", title.lower()) if len(word) > 3]
    name = re.sub(r"[^a-z0-9]", "", author.lower()) or "anonymous"
    return f"{name}{year or 'undated'}{words[0] if words else ''}"
