"""The papers' own numbers, as data: `results/reported/*.toml`, one file a paper.

A file gives its paper, the words it uses for methods and sets, and its tables as printed:

    [[table]]
    source = "Table 2"
    in_set = "cifar10"                             # what holds for the whole table
    columns = ["out_set", "method", "1 - fpr95"]   # keys of the row, then metrics
    rows = [["svhn", "msp", 40.2]]                 # percent, as printed: fpr95 = 0.598

Columns that are no key are metrics, or values of the key that `across` names (a column per method, say). A cell is a
number, `[mean, std]`, `{ value, std, low, high, doubt }`, or "-" where the paper prints none.
"""

import tomllib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from oodbench.data.cards import load_cards
from oodbench.data.fixed import Fixed, cards_folder, parse
from oodbench.errors import BadCard, UnknownName
from oodbench.measure.kinds import KindName
from oodbench.report.decimals import in_our_unit
from oodbench.report.entries import REPORTED, visible

Failure = KindName | Literal["model"]
"""What was detected; `model`: nothing, the number is the classifier's or the density's own."""

Tuning = Literal["none", "id_val", "ood_val", "ood_val_same", "adversarial_val", "adversarial_val_same", "unknown"]
"""Held-out data that was tuned on; `_same`: of the very out-set or attack that is then tested."""

Split = Literal["train", "validation", "test"]

Metric = Literal[
    "fpr95", "fpr95_ood_positive", "fpr90_ood_positive", "detection_error", "min_detection_error", "auroc",
    "aupr_in", "aupr_out", "aupr_in_balanced", "aupr_out_balanced",
    "accuracy", "ece", "rms_calibration", "mad_calibration", "soft_f1", "oce", "mce", "rel_mce",
    "bits_per_dim", "l_x", "l_y", "delta_entropy", "mann_whitney_p",
]  # fmt: skip
"""A metric under the name of the convention it obeys, whatever the paper calls it."""

NUMBERS = frozenset({"oce", "bits_per_dim", "l_x", "l_y", "delta_entropy", "mann_whitney_p"})
"""Metrics printed as they are."""

RATIOS = frozenset({"mce", "rel_mce"})
"""Metrics printed in percent that may pass 100; all others are shares, printed in percent."""

MEAN = "mean"
"""The out-set of a number that is the paper's own mean over its sets."""


class Citation(Fixed):
    """Where a file's numbers come from."""

    authors: str
    title: str
    year: int | None = None
    url: str | None = None


class Reported(Fixed):
    """One printed number.

    Attributes:
        file: Stem of its file.
        source: Table, figure or text of the paper.
        method: Our name of the method; `label` is the paper's.
        out_set: Card, attack or corruption; `misclassifications`; `mean`; absent where the number needs none.
        setting: Further hyper-parameters or circumstances.
        value: The number; shares in [0, 1]. Absent where only a range, or nothing legible, is printed.
        places: Decimals as printed (in percent, where the metric is a share).
        n_good: Inputs that should be accepted; `n_bad`: that should be flagged.
        convention: How the paper computed it, where that matters.
        doubt: Why the number is not to be trusted; never show it without this.
    """

    paper: Citation
    file: str
    source: str
    failure: Failure
    method: str
    label: str
    in_set: str
    out_set: str | None = None
    network: str
    setting: str | None = None
    split: Split = "test"
    metric: Metric
    value: float | None = None
    std: float | None = Field(default=None, ge=0)
    low: float | None = None
    high: float | None = None
    places: int = 0
    n_runs: int | None = Field(default=None, gt=0)
    n_good: int | None = Field(default=None, gt=0)
    n_bad: int | None = Field(default=None, gt=0)
    tuning: Tuning
    convention: str
    doubt: str | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        numbers = [number for number in (self.value, self.low, self.high) if number is not None]
        if not numbers and not self.doubt:
            raise ValueError("a cell without a number needs a doubt that says why")
        if self.metric not in NUMBERS | RATIOS and not all(0 <= number <= 1 for number in numbers):
            raise ValueError(f"{self.metric} is a share, got {numbers}")
        if self.out_set is None and self.failure != "model":
            raise ValueError(f"a number of failure kind {self.failure!r} needs an out_set")
        return self

    @property
    def short(self) -> str:
        """The paper, as in "Lee et al. 2018, Table 2"."""
        authors = self.paper.authors.split(", ")
        family = authors[0].split(". ")[-1] + (" et al." if len(authors) > 2 else "")
        if len(authors) == 2:
            family = " and ".join(author.split(". ")[-1] for author in authors)
        return f"{family}{f' {self.paper.year}' if self.paper.year else ''}, {self.source}"


class _Table(Fixed):
    """A table: what holds for all its rows, and the rows."""

    source: str
    columns: tuple[str, ...] = Field(min_length=1)
    rows: tuple[tuple[Any, ...], ...] = Field(min_length=1)
    across: str = "metric"
    failure: str | None = None
    method: str | None = None
    in_set: str | None = None
    out_set: str | None = None
    network: str | None = None
    setting: str | None = None
    split: str | None = None
    metric: str | None = None
    n_runs: int | None = None
    n_good: int | None = None
    n_bad: int | None = None
    tuning: str | None = None
    convention: str | None = None
    doubt: str | None = None


class _File(Fixed):
    """A file of `results/reported`, before its tables are read."""

    paper: Citation
    methods: dict[str, str]
    tuning: dict[str, Tuning] = Field(default_factory=dict)
    sets: dict[str, str]
    table: tuple[_Table, ...] = Field(min_length=1)


KEYS = tuple(name for name in _Table.model_fields if name not in ("source", "columns", "rows", "across"))
"""What can be said of a number: by its row, else by its table."""


def load_reported(folder: Path) -> tuple[Reported, ...]:
    """Return every number of the files in `folder` (`results/reported`), in the order of files, tables, rows.

    Raises:
        BadCard: A file is not TOML, has an unknown key or name, or a number outside its range; says where.
    """
    return tuple(number for path in visible(folder, "*.toml") for number in read_reported(path))


def papers(results: Path) -> tuple[Reported, ...]:
    """Return the papers' numbers: those of a results folder, else those that come with the cards.

    Raises:
        BadCard: A file breaks the schema.
    """
    for folder in (results / REPORTED, cards_folder().parent / "results" / REPORTED):
        if folder.is_dir():
            return load_reported(folder)
    return ()


def known_as(name: str) -> tuple[str, ...]:
    """Return what papers may call a set: its card, and the card of the whole where it is a part of another's images."""
    own = load_cards().get(name)
    return (name, own.part_of) if own and own.part_of else (name,)


def read_reported(path: Path) -> tuple[Reported, ...]:
    """Return the numbers of one file; raises as `load_reported` does."""
    try:
        return _read(Path(path.name), path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCard(f"{path.name} is not a TOML file: {error}.") from error


@lru_cache(maxsize=64)
def _read(path: Path, text: str) -> tuple[Reported, ...]:
    """Return the numbers of a file's text, which every table asks for."""
    file = parse(tomllib.loads(text, parse_float=Decimal), _File, path.name)
    return tuple(number for place, table in enumerate(file.table, 1) for number in _numbers(path, file, table, place))


def find(
    numbers: Iterable[Reported], *, method: str, in_set: str, out_set: str | None, metric: str
) -> tuple[Reported, ...]:
    """Return what papers print for a method on a pair of sets; several where papers, networks or tunings differ."""
    return tuple(
        one for one in numbers if (one.method, one.in_set, one.out_set, one.metric) == (method, in_set, out_set, metric)
    )


def _numbers(path: Path, file: _File, table: _Table, place: int) -> Iterator[Reported]:
    common = {"paper": file.paper, "file": path.stem, "source": table.source}
    common |= {key: value for key in KEYS if (value := getattr(table, key)) is not None}
    for line, row in enumerate(table.rows, 1):
        where = f"{path.name}: table {place} ({table.source}), row {line}"
        try:
            yield from _row(file, table, row, common, where)
        except (UnknownName, ValueError) as error:
            raise BadCard(f"{where}: {error}") from error


def _row(file: _File, table: _Table, row: tuple[Any, ...], common: dict[str, Any], where: str) -> Iterator[Reported]:
    if len(row) != len(table.columns):
        raise ValueError(f"{len(row)} cells under {len(table.columns)} columns ({', '.join(table.columns)})")
    cells = [(column, cell) for column, cell in zip(table.columns, row, strict=True) if cell != "-"]
    said = common | {column: cell for column, cell in cells if column in KEYS}
    for column, cell in cells:
        if column not in KEYS:
            yield _number(file, said | {table.across: column}, cell, where)


def _number(file: _File, said: dict[str, Any], cell: Any, where: str) -> Reported:
    method, printed = str(said.get("method")), str(said.get("metric"))
    metric = printed.removeprefix("1 - ")
    _known("method", method, file.methods)
    _known("metric", metric, get_args(Metric))
    _known("in_set", str(said.get("in_set")), file.sets)
    _known("out_set", str(said.get("out_set", MEAN)), {*file.sets, MEAN})
    number = in_our_unit(cell, scale=1 if metric in NUMBERS else 100, complement=printed != metric)
    defaults = {"tuning": file.tuning.get(method), "label": file.methods[method]}
    return parse(defaults | said | {"metric": metric} | number, Reported, where)


def _known(kind: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise UnknownName(kind, name, names)
