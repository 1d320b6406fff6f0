"""`oodbench cite ID`: a sentence that says a number with all that it stands on, and what to cite for it."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import special

from oodbench.data.cards import load_cards
from oodbench.data.matrix import known_matrix
from oodbench.errors import BadSetting, UnknownName
from oodbench.given import AT
from oodbench.measure.intervals import LEVEL, bootstrap
from oodbench.measure.kinds import KINDS
from oodbench.measure.metrics import METRICS
from oodbench.measure.paired import Floats, unseen, variance
from oodbench.measure.ranking import RANKING, count
from oodbench.measure.resamples import RESAMPLES, drawn_mean
from oodbench.records import Record
from oodbench.report.bibtex import joined, of_card, of_model, of_paper, of_release
from oodbench.report.entries import Entry, collect, matrices_in, no_record
from oodbench.report.ids import MEAN, Id, row_version
from oodbench.report.members import NOTE, shares_members
from oodbench.report.numbers import RANKED_BY, numbers
from oodbench.report.rank_table import FILE as RANKS
from oodbench.report.rank_table import NOT_CHECKED
from oodbench.report.standings import UNCHECKED, MatrixResults, Standings, matrices_of, ran_unchecked
from oodbench.report.values import MODEL, means, values

SAME = 1e-6
"""Means that differ by no more are the same: the file of ranks has six decimals."""


@dataclass(frozen=True)
class Cited:
    """What `oodbench cite` prints.

    Attributes:
        sentence: A number, or the numbers of a row, with interval, inputs, conditions and commit.
        bibtex: Entries of the paper, the data sets, given models, and this release.
    """

    sentence: str
    bibtex: str

    def __str__(self) -> str:
        """Return both."""
        return f"{self.sentence}\n\n{self.bibtex}"


def cite(said: str, results: Path) -> Cited:
    """Return what to say and to cite of a number, a row, or a matrix.

    Args:
        said: A permanent id; see `oodbench.report.ids`.
        results: Folder of results.

    Raises:
        BadSetting: It is no id, or the results hold another version of the row.
        UnknownName: There is no such matrix, row, kind, set or metric; the nearest is offered.
        BadRecord: A record or scores file is broken.

    Example:
        >>> print(cite("tiny-v1/odin@1#ood/glyphs/fpr95", Path("results")).sentence.split(" of ")[0])
        ODIN (T = 1000, ε = 0.0014) (odin, version 1) has an FPR95
    """
    wanted = Id.read(said)
    entries = collect(results, wanted.matrix)
    if not entries:
        raise UnknownName(f"matrix with results in {results}", wanted.matrix, matrices_in(results))
    if wanted.method is None:
        return _of_matrix(wanted, entries)
    own = [entry for entry in entries if entry.record.method == wanted.method]
    if not own:
        raise no_record(results, wanted.matrix, wanted.method, entries)
    version = row_version([entry.record for entry in own])
    if version is None or wanted.version not in (None, version):
        raise BadSetting(
            f"{said}: {results} holds version {version or 'mixed'} of {wanted.method}; what was cited is in another "
            f"state of the results: oodbench cite '{said}' --at COMMIT"
        )
    (matrix,) = matrices_of(own, numbers(results, own))
    here = replace(wanted, version=version)
    if here.kind in KINDS and here.set is None:
        here = replace(here, set=MEAN, metric=RANKED_BY)
    sentence = _number(here, matrix, results) if here.kind else _row(here, matrix, results)
    return Cited(sentence, bibtex(here, matrix))


def _of_matrix(wanted: Id, entries: Sequence[Entry]) -> Cited:
    first, methods = entries[0].record, {entry.record.method for entry in entries}
    card = known_matrix(wanted.matrix)
    seeds = sorted({entry.record.seed for entry in entries})
    title = f" ({card.title})" if card else ""
    sentence = (
        f"Matrix {wanted}{title}: in-set {first.in_set}, scale {first.scale}, {len(methods)} rows, "
        f"{_seeds(seeds)}; {_made([entry.record for entry in entries])}."
    )
    models = [of_model(model) for model in card.model] if card else []
    return Cited(sentence, joined([*_data(_sets_of(entries)), *models, of_release()]))


def _row(here: Id, matrix: MatrixResults, results: Path) -> str:
    """Return what is said of a row: its mean on each kind of failure by the metric that orders tables."""
    said = []
    for standings in matrix.kinds:
        number = replace(here, kind=standings.kind.name, set=MEAN, metric=RANKED_BY)
        if (value := _value(number, standings)) is not None:
            said.append(f"{_shown(RANKED_BY, value)} on {standings.kind.title[0].lower()}{standings.kind.title[1:]}")
    first = matrix.entries[0].record
    found = f"has a mean {METRICS[RANKED_BY].title} of {'; '.join(said)}" if said else "has no numbers"
    return f"{_who(here, first)} {found}: {_conditions(matrix, here)}."


def _number(here: Id, matrix: MatrixResults, results: Path) -> str:
    """Return what is said of a number."""
    if here.kind == MODEL:
        return _of_model(here, matrix)
    kinds = {standings.kind.name: standings for standings in matrix.kinds}
    if here.kind not in kinds:
        raise UnknownName(f"kind of failure with scores of {here.row}", here.kind or "", kinds)
    standings = kinds[here.kind]
    metric, name = here.metric or "", here.set or ""
    sets = _sets(here, standings)
    value = _value(here, standings)
    if value is None:
        raise BadSetting(f"{here}: a seed lacks a set, and a mean is over all of them; `oodbench table` says which")
    interval = _interval(here, standings, sets)
    ends = f"95 % interval {_plain(metric, interval[0])} to {_plain(metric, interval[1])}" if interval else ""
    where = f"on {name}" if name not in means(standings.columns) else f"as a mean over {_listed(sets)}"
    by_seed = [standings.sizes[here.method or "", seed] for seed in standings.entries[here.method or ""]]
    sizes = [of[one] for of in by_seed for one in sets]
    inputs = f"{_range(n for n, _ in sizes)} good inputs ({standings.kind.good}), "
    inputs += f"{_range(m for _, m in sizes)} bad ones a set ({standings.kind.bad})"
    first = matrix.entries[0].record
    rank = _rank(here, results, value)
    title = METRICS[metric].title
    article = "an" if title[0] in "AEIO" or (title[:2].isupper() and title[0] in "FHLMNRSX") or title == "mCE" else "a"
    return (
        f"{_who(here, first)} has {article} {title} of {_shown(metric, value, ends)} {where}: "
        f"{inputs}; {rank}{_conditions(matrix, here)}."
    )


def _of_model(here: Id, matrix: MatrixResults) -> str:
    table = values([matrix], ranks=False)
    own = table[table["kind"] == MODEL]
    found = own[(own["set"] == here.set) & (own["metric"] == here.metric)]
    if found.empty:
        known = [f"{MODEL}/{name}/{metric}" for name, metric in zip(own["set"], own["metric"], strict=True)]
        raise UnknownName(f"number of what {here.row} stands on", f"{MODEL}/{here.set}/{here.metric}", known)
    line, metric = found.iloc[0], here.metric or ""
    std = None if np.isnan(line["std"]) else float(line["std"])
    value = (float(line["mean"]), std, int(line["n"]))
    what = "bits per dimension of its density" if metric == "bits_per_dim" else f"{METRICS[metric].title} of its model"
    who = _who(here, matrix.entries[0].record)
    return f"{who}: the {what} is {_shown(metric, value)} on {here.set}; {_conditions(matrix, here)}."


def _sets(here: Id, standings: Standings) -> tuple[str, ...]:
    """Return the sets that a number is over; refuse what the row was not measured by."""
    method, name, metric = here.method or "", here.set or "", here.metric or ""
    of_means = means(standings.columns)
    known = {metric for metric, own, _ in standings.values if own == method}
    if metric not in known:
        raise UnknownName(f"metric of {here.row} on {here.kind}", metric, known)
    names = [column.name for column in standings.columns]
    if name not in of_means and name not in names:
        raise UnknownName(f"set of {here.matrix} of kind {here.kind}", name, [*names, *of_means])
    return of_means.get(name, (name,))


def _value(here: Id, standings: Standings) -> tuple[float, float | None, int] | None:
    """Return mean, standard deviation and number of seeds."""
    method, metric = here.method or "", here.metric or ""
    if method not in standings.entries:
        return None
    sets = _sets(here, standings)
    found = standings.over_sets(metric, method, sets)
    return (found.mean, found.std, found.n) if found else None


def _interval(here: Id, standings: Standings, sets: Sequence[str]) -> tuple[float, float] | None:
    """Return the 95 % interval: of one seed over inputs, of several over inputs and seeds; None where there is none.

    One seed and one set: what the pages have (AUROC, FPR95), or a bootstrap's. Else mean +- t sd, where the variance is
    over resamples of the inputs and, of several seeds, over these (`oodbench.measure.paired`).
    """
    method, metric = here.method or "", here.metric or ""
    entries = standings.entries[method]
    if metric not in RANKING or shares_members(standings.records(method)):
        return None
    cells = [
        [cell for cell in entry.cells if cell.failure == here.kind and cell.name in sets] for entry in entries.values()
    ]
    if len(cells) == len(cells[0]) == 1:
        known = standings.interval(metric, method, sets[0])
        (cell,) = cells[0]
        return known or bootstrap(count(cell.good, cell.bad), metric, RESAMPLES, next(iter(entries)))
    drawn = np.array([drawn_mean(sorted(own, key=lambda cell: cell.name), metric) for own in cells])
    pairs = min(min(len(cell.good), len(cell.bad)) for own in cells for cell in own)
    return mean_interval(metric, np.array(standings.by_seed(metric, method, sets)), drawn, pairs)


def mean_interval(metric: str, by_seed: Floats, drawn: Floats, pairs: int) -> tuple[float, float]:
    """Return the 95 % interval of a mean, over inputs and, of several seeds, over these.

    Args:
        metric: What it is of.
        by_seed: The number of each seed [S].
        drawn: The same on resampled inputs [S, resamples].
        pairs: Size of the smallest group of inputs, which bounds what no resample shows (`unseen`).
    """
    sure = variance(by_seed, drawn) if len(by_seed) > 1 else None
    square, df = sure if sure else (float(drawn[0].var(ddof=1)), RESAMPLES - 1)
    reach = max(-float(special.stdtrit(df, (1 - LEVEL) / 2)) * square**0.5, unseen(drawn, pairs))
    mean, bounds = float(by_seed.mean()), METRICS[metric]
    return max(bounds.lowest, mean - reach), min(bounds.highest, mean + reach)


def _rank(here: Id, results: Path, value: tuple[float, float | None, int]) -> str:
    """Return the rank that the pages have, with its interval; nothing where the number has none.

    One of another mean, or of other seeds, is of results that were there before, and is none of these.
    """
    path = results / RANKS
    if here.set != MEAN or not path.is_file():
        return ""
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            key = line["matrix"], line["kind"], line["metric"], line["method"]
            if key == (here.matrix, here.kind, here.metric, here.method) and line["place"]:
                if abs(float(line["mean"]) - value[0]) > SAME or int(line["seeds"]) != value[2]:
                    return f"its rank is not told, for {RANKS} is of other results (oodbench table); "
                best = ", one of those of which one is the best" if line["may_be_best"] == "true" else ""
                return f"rank {line['place']}, 95 % interval of its true rank {line['low']} to {line['high']}{best}; "
    return ""


def _who(here: Id, record: Record) -> str:
    return f"{record.title} ({here.method}, version {here.version})"


def _conditions(matrix: MatrixResults, here: Id) -> str:
    records = [record for record in matrix.records if record.status == "ok"] or matrix.records
    first = records[0]
    seeds = _seeds([record.seed for record in records])
    shared = f", {NOTE}" if shares_members(records) else ""
    shared += f", {UNCHECKED}: {NOT_CHECKED}" if ran_unchecked(records) else ""
    tuned = f"tuned on {first.tuning_access}" if first.tuning_access != "none" else "not tuned"
    where = f"matrix {here.matrix}, in-set {first.in_set}, scale {first.scale}"
    return f"{where}, {seeds}{shared}, {tuned}; {_made(records)}; id {here}"


def _made(records: Sequence[Record]) -> str:
    """Return what made records: release, commit, machine."""
    commits = sorted({(record.git.commit or "unknown")[:10] for record in records})
    dirty = " with uncommitted changes" if any(record.git.dirty for record in records) else ""
    releases = sorted({record.packages.get("oodbench", "unknown") for record in records})
    machines = sorted({record.environment.machine or record.environment.device for record in records})
    return f"made by oodbench {_listed(releases)} at commit {_listed(commits)}{dirty} on {_listed(machines)}"


def bibtex(here: Id, matrix: MatrixResults) -> str:
    """Return the entries of a row's paper, of the sets behind the number, of its given model, and of the release."""
    first = matrix.entries[0].record
    kinds = [one for one in matrix.kinds if here.kind in (None, one.kind.name)]
    sets = {column.name for one in kinds for column in one.columns}
    if here.set and here.kind in KINDS:
        (standings,) = kinds
        sets = set(means(standings.columns).get(here.set, (here.set,)))
    given = here.method.partition(AT)[2] if here.method else ""
    models = [of_model(model) for model in matrix.card.model if model.name == given] if matrix.card else []
    return joined([of_paper(first.citation), *_data([matrix.in_set, *sorted(sets)]), *models, of_release()])


def _sets_of(entries: Iterable[Entry]) -> list[str]:
    """Return the cards of all sets of records: a use of one is "glyphs", "mnist-5k/test", or "photographs (tuning)"."""
    used = {name.partition(" ")[0].partition("/")[0] for entry in entries for name in entry.record.data}
    return sorted(used)


def _data(names: Iterable[str]) -> list[str | None]:
    cards = load_cards()
    return [of_card(cards[name]) for name in names if name in cards]


def _shown(metric: str, value: tuple[float, float | None, int], ends: str = "") -> str:
    """Return mean ± standard deviation with its unit, and in brackets over how many seeds and its interval."""
    mean, std, n = value
    spread = f" ± {_plain(metric, std)}" if std is not None else ""
    seeds = f"mean ± standard deviation over {n} seeds" if std is not None else ""
    said = "; ".join(filter(None, [seeds, ends]))
    return f"{_plain(metric, mean)}{spread}{' %' if _is_share(metric) else ''}{f' ({said})' if said else ''}"


def _is_share(metric: str) -> bool:
    return METRICS[metric].lowest >= 0 and METRICS[metric].highest <= 1


def _plain(metric: str, value: float) -> str:
    return f"{100 * value:.2f}" if _is_share(metric) else f"{value:.3f}"


def _range(sizes: Iterable[int]) -> str:
    found = sorted(set(sizes))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _listed(words: Iterable[object]) -> str:
    return ", ".join(map(str, words))
