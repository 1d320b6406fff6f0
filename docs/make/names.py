"""The spelling of names: a method, matrix, data set, attack or corruption that a page names is one that there is.

Needs the standard library alone: names are read from `methods/rows.csv`, the cards, and the source of the corruptions.
"""

import ast
import csv
import difflib
import fnmatch
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+*._-]*(?:@[a-z0-9][a-z0-9-]*)?")
MATRIX = re.compile(r"[a-z0-9*]+(?:-[a-z0-9*]+)*-v\d+")
OPTIONS = {"--methods": "methods", "--method": "methods", "--attacks": "attacks", "--matrix": "matrices"}
IN_PYTHON = re.compile(r"\b(methods|attacks)=\[([^\]]*)\]")

PLACEHOLDERS = frozenset({"yours", "mine"})
"""Names that pages give to what a reader makes."""

NEW = re.compile(r"oodbench new ([a-z0-9-]+)|\bname=\"([a-z0-9-]+)\"")
"""Where a page makes something of a name of its own: that name is known from there on."""

NEAR = 0.88
"""From this similarity on a word is taken for a slip of a name."""


class UnknownNames(Exception):
    """Pages name what there is not."""


@dataclass(frozen=True)
class Known:
    """Every name that there is, by kind: `models` are those that matrices are given, `others` are words, no slips."""

    methods: frozenset[str]
    matrices: frozenset[str]
    cards: frozenset[str]
    attacks: frozenset[str]
    corruptions: frozenset[str]
    models: frozenset[str]
    others: frozenset[str]

    @property
    def every(self) -> frozenset[str]:
        """All names of things that pages speak of."""
        return self.methods | self.matrices | self.cards | self.attacks | self.corruptions

    def is_row(self, name: str) -> bool:
        """Return whether a name is a method's, or a method's on a given model."""
        method, _, model = name.partition("@")
        return method in self.methods and (not model or model in self.models or model.isdigit())


def known(root: Path) -> Known:
    """Return the names that a repository holds."""
    with (root / "methods" / "rows.csv").open(encoding="utf-8") as rows:
        methods = list(csv.DictReader(rows))
    matrices = [_toml(path) for path in sorted((root / "datasets" / "matrices").glob("*.toml"))]
    cards_of_attacks = _toml(root / "datasets" / "attacks.toml")
    attacks = cards_of_attacks["attacks"]
    cards = {path.stem: path for path in (root / "datasets").glob("*.toml") if path.stem != "attacks"}
    modules = {path.stem for path in (root / "methods").glob("*.py")}
    networks = set(
        re.findall(r'^    "([a-z0-9-]+)":', (root / "bench/oodbench/networks/__init__.py").read_text(), re.M)
    )
    return Known(
        methods=frozenset(row["name"] for row in methods),
        matrices=frozenset(name for matrix in matrices for name in _in_precisions(matrix["name"], root)),
        cards=frozenset(cards),
        attacks=frozenset(
            [one["name"] + twin for one in attacks for twin in ("", "@uint8")]
            + [one["name"] for one in cards_of_attacks.get("adaptive", ())]
        ),
        corruptions=frozenset(_corruptions(root)),
        models=frozenset(model["name"] for matrix in matrices for model in matrix.get("model", ())),
        others=frozenset(
            {row["family"] for row in methods}
            | {one["kind"] for one in attacks}
            | {card["source"]["kind"] for card in map(_toml, cards.values())}
            | {word for row in methods for word in row["reads"].split()}
            | modules
            | networks
            | {path.stem for path in (root / "docs").glob("*.md")}
            | PLACEHOLDERS
        ),
    )


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _in_precisions(matrix: str, root: Path) -> list[str]:
    """Return the names of a matrix: its own, and those that tell another precision of forward passes."""
    source = (root / "bench" / "oodbench" / "forward_precision.py").read_text(encoding="utf-8")
    (told,) = re.findall(r"^Precision = Literal\[(.*)\]", source, re.M)
    _, *lower = re.findall(r'"([a-z0-9]+)"', told)
    name, _, version = matrix.rpartition("-")
    return [matrix, *(f"{name}-{precision}-{version}" for precision in lower)]


def _corruptions(root: Path) -> Iterator[str]:
    for path in (root / "bench" / "oodbench" / "corruptions").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Corruption":
                yield from (str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def check(pages: Mapping[str, str], names: Known) -> None:
    """Check every name in pages.

    Raises:
        UnknownNames: Some there are not; each with its page and the nearest.
    """
    wrong = [f"{page}: {slip}" for page, text in pages.items() for slip in slips(text, names)]
    if wrong:
        raise UnknownNames("\n".join(wrong))


def slips(text: str, names: Known) -> Iterator[str]:
    """Yield what a page names wrongly, and the nearest name."""
    names = replace(names, methods=names.methods | {name for found in NEW.findall(text) for name in found if name})
    for language, block in FENCE.findall(text):
        if language == "console":
            yield from _in_commands(block, names)
        elif language == "python":
            for kind, listed in IN_PYTHON.findall(block):
                yield from _of_kind(re.findall(r'"([^"]+)"', listed), kind, names)
    for span in SPAN.findall(FENCE.sub("", text)):
        if span.startswith("oodbench "):
            yield from _in_commands(f"$ {span}", names)
        elif NAME.fullmatch(span):
            yield from _word(span, names)


def _in_commands(block: str, names: Known) -> Iterator[str]:
    for line in re.sub(r"\\\n\s*", "", block).splitlines():
        words = line.partition(" # ")[0].split()
        if words[:2] != ["$", "oodbench"]:
            continue
        yield from _of_kind([word for word in words if MATRIX.fullmatch(word)], "matrices", names)
        for place, word in enumerate(words):
            if word in OPTIONS:
                given = [*words[place + 1 :], "-"]
                end = next(at for at, one in enumerate(given) if one.startswith("-"))
                yield from _of_kind(given[:end], OPTIONS[word], names)


def _of_kind(given: list[str], kind: str, names: Known) -> Iterator[str]:
    known = getattr(names, kind)
    for name in given:
        if (
            name.isupper()
            or "{" in name
            or name in PLACEHOLDERS
            or name in known
            or (kind == "methods" and names.is_row(name))
        ):
            continue
        if not ("*" in name and fnmatch.filter(known, name)):
            yield _slip(name, known)


def _word(word: str, names: Known) -> Iterator[str]:
    constant = word.isupper() and "_" in word
    if word in names.every | names.others or constant or names.is_row(word):
        return
    if any(name.startswith(f"{word}-") for name in names.every):
        return  # what several have in common
    if "*" in word:
        if MATRIX.fullmatch(word) and not fnmatch.filter(names.matrices, word):
            yield _slip(word, names.matrices)
    elif MATRIX.fullmatch(word) and not word.startswith("toy-"):
        yield _slip(word, names.matrices)
    elif "@" in word and word.partition("@")[0] in names.methods:
        yield _slip(word, frozenset(f"{word.partition('@')[0]}@{model}" for model in names.models))
    elif "@" in word or difflib.get_close_matches(word.lower().replace("_", "-"), names.every, 1, NEAR):
        yield _slip(word, names.every)


def _slip(name: str, known: frozenset[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, 1, 0.5)
    return f"nothing is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
