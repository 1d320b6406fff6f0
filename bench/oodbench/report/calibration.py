"""How well classifiers are calibrated: alone, with out-set inputs mixed in, before and after temperature scaling."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from oodbench.data.cards import find_card
from oodbench.given import method_of
from oodbench.measure.confidence import MIXTURES, Floats, Judgements, numbers, of_log_odds, of_tempered
from oodbench.measure.kinds import averaged
from oodbench.measure.metrics import METRICS
from oodbench.measure.summary import average, spread
from oodbench.records import Calibration, Record
from oodbench.report.entries import Entry
from oodbench.report.markdown import mean_and_std, plainly, table
from oodbench.report.models import classifiers
from oodbench.report.standings import MatrixResults
from oodbench.report.tables import Linked

LOG_ODDS = frozenset(
    {
        "cutout-msp",
        "few-labels-msp",
        "gan-confidence",
        "gan-confidence-oe",
        "ib-inn-2-msp",
        "logitnorm",
        "mixoe",
        "mixoe-cut",
        "msp",
        "oe-finetune",
        "oe-scratch",
        "pixmix-msp",
        "randaugment-msp",
        "regmixup",
        "te-msp",
    }
)
"""Methods whose score is log p / (1 - p), p the confidence of the classifier that they stand on."""

TEMPERED = {"te-temperature": "te-msp", "temperature": "msp"}
"""Methods whose score is that at their fitted temperature, and the method of the same classifier at T = 1."""

MIXED = (
    "Confidence is read off stored scores of methods that rank by the largest softmax probability, at T = 1, and at "
    "the temperature that `temperature` fitted on validation inputs. Out-set inputs that are mixed in count as wrong; "
    "means over out-sets. **1:5 (Hendrycks 2019)**: five in-set test inputs to one out-set input. **All out-set "
    "inputs**: all of both, at the sizes that the page of out-of-distribution inputs has. ECE over 15 bins of equal "
    "width; RMS and MAD over bins of 100 inputs of neighbouring confidence; in percent."
)

SCALING = (
    "Before → after temperature scaling: T is fitted on the matrix's validation inputs for the NLL, all numbers are of "
    "the in-set's test inputs. ECE and classwise ECE (Kull 2019) over 15 bins, in percent; NLL in nats. T = 0.01 is "
    "the lowest there is: no validation input is misclassified, and they tell nothing of calibration."
)

OF_IB_INN = (
    "What the code of IB-INN (Ardizzone 2020) calls ECE, MCE and ICE: gaps between a bin's centre and its share of "
    "hits over all pairs of an input and a class, in percent. They are not Guo's, and compare with that paper alone."
)

ARROW = " → "


class Confident(NamedTuple):
    """The confidence of one classifier, as one method of one seed stored it.

    Attributes:
        entry: The method's.
        classifier: Name of the model.
        inside: Predictions of the in-set's test inputs.
        outside: Confidence on each out-set.
    """

    entry: Entry
    classifier: str
    inside: Judgements
    outside: Mapping[str, Floats]


def _reader(record: Record) -> Callable[[Floats], Floats] | None:
    name = method_of(record.method)
    if record.model is None or record.model != record.reference:
        return None
    if name in LOG_ODDS:
        return of_log_odds
    if name in TEMPERED and (temperature := record.facts.get("T")):
        return partial(of_tempered, temperature=temperature, classes=find_card(record.in_set).classes)
    return None


def confident(entry: Entry) -> Confident | None:
    """Return what a method's stored scores tell of its classifier's confidence; None where they tell nothing.

    Raises:
        BadRecord: As `Entry.read`.
        BadData: As `Entry.read`.
    """
    record, reader = entry.record, _reader(entry.record)
    if record.scores_sha256 is None or reader is None:
        return None
    scores, outcomes = entry.read()
    if outcomes is None:
        return None
    assert record.model is not None
    inside = Judgements(reader(scores.test.astype(np.float64)), outcomes.correct)
    outside = {name: reader(values.astype(np.float64)) for name, values in scores.ood.items()}
    return Confident(entry, record.model.name, inside, outside)


def calibration_parts(matrix: MatrixResults, linked: Linked) -> Iterator[str]:
    """Yield what the page of a matrix says of calibration; nothing where nothing is known."""
    scaling, of_ib_inn = scaling_table(matrix), ib_inn_table(matrix)
    if scaling:
        yield from ("### Temperature scaling", SCALING, scaling)
    if of_ib_inn:
        yield from ("### Calibration as IB-INN's code has it", OF_IB_INN, of_ib_inn)
    if tables := mixed_tables(matrix, linked):
        yield from ("### Calibration with out-set inputs mixed in", MIXED)
        for name, text in tables.items():
            yield from (f"#### {name[0].upper()}{name[1:]}", text)


def mixed_tables(matrix: MatrixResults, linked: Linked) -> dict[str, str]:
    """Return a table a mixture: a row a classifier and method, means over out-sets, spreads over seeds."""
    sets = next((averaged(one.columns) for one in matrix.kinds if one.kind.name == "ood"), ())
    found: dict[tuple[str, str], list[dict[str, dict[str, float | None]]]] = {}
    for entry in matrix.entries:
        if (one := confident(entry)) is not None:
            found.setdefault((one.classifier, entry.record.method), []).append(_mixtures(one, sets))
    order = list(dict.fromkeys(classifier for classifier, _ in found))
    found = dict(sorted(found.items(), key=lambda one: order.index(one[0][0])))
    made = {}
    for mixture in MIXTURES:
        rows = [
            [f"`{classifier}`", linked(method), *_cells([seed.get(mixture, {}) for seed in seeds])]
            for (classifier, method), seeds in found.items()
        ]
        if any(seed.get(mixture) for seeds in found.values() for seed in seeds):
            made[mixture] = table(
                ["Classifier", "Scores of", *map(_heading, MEASURED)], rows, ("Classifier", "Scores of")
            )
    return made


MEASURED = ("ece_15", "rms_calibration", "mad_calibration", "soft_f1")
"""The columns of tables of mixtures."""


def _heading(name: str) -> str:
    return f"{METRICS[name].title} {'↑' if METRICS[name].higher_is_better else '↓'}"


def _mixtures(one: Confident, sets: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Return each mixture's numbers as means over out-sets; nothing of a mixture that lacks an out-set."""
    alone, *mixed = MIXTURES
    found = {alone: numbers(one.inside)}
    for name in mixed if sets and all(len(one.outside.get(card, ())) for card in sets) else ():
        of_set = {card: numbers(MIXTURES[name](one.inside, one.outside[card])) for card in sets}
        found[name] = {metric: average({card: of_set[card][metric] for card in sets}, sets) for metric in MEASURED}
    return found


def _cells(seeds: Sequence[Mapping[str, float | None]]) -> list[str]:
    known = {name: [value for seed in seeds if (value := seed.get(name)) is not None] for name in MEASURED}
    return [mean_and_std(spread(values) if len(values) == len(seeds) else None) for values in known.values()]


def scaling_table(matrix: MatrixResults) -> str | None:
    """Return T, and ECE, classwise ECE, NLL and Brier score before and after it; None where no record has them."""
    shares, plain = ("ece_15", "classwise_ece"), ("nll", "brier")
    rows = []
    for one in classifiers(matrix):
        known = [model.calibration for model in one.by_seed.values() if model.calibration]
        if not known:
            continue
        temperature = plainly(spread([found.temperature for found in known if found.temperature is not None]), 3)
        before, after = [found.plain for found in known], [found.scaled for found in known if found.scaled]
        cells = [_change(before, after, name, mean_and_std) for name in shares]
        cells += [_change(before, after, name, partial(plainly, places=3)) for name in plain]
        rows.append([f"`{one.name}`", temperature, *cells])
    return table(["Classifier", "T", *map(_heading, (*shares, *plain))], rows, ("Classifier",)) if rows else None


def ib_inn_table(matrix: MatrixResults) -> str | None:
    """Return IB-INN's own three numbers before and after temperature scaling; None where no record has them."""
    names = ("ib_inn_ece", "ib_inn_mce", "ib_inn_ice")
    rows = []
    for one in classifiers(matrix):
        known = [model.calibration for model in one.by_seed.values() if model.calibration]
        before, after = [found.plain for found in known], [found.scaled for found in known if found.scaled]
        if known:
            rows.append([f"`{one.name}`", *(_change(before, after, name, mean_and_std) for name in names)])
    return table(["Classifier", *map(_heading, names)], rows, ("Classifier",)) if rows else None


def _change(before: Sequence[Calibration], after: Sequence[Calibration], name: str, told: Callable[..., str]) -> str:
    """Return a number before and after, each over seeds."""
    sides = ([value for one in side if (value := getattr(one, name)) is not None] for side in (before, after))
    return ARROW.join(told(spread(values)) for values in sides)
