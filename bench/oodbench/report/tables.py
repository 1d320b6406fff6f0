"""The tables of one section."""

import json
from collections.abc import Sequence
from statistics import fmean

from oodbench.measure.summary import spread
from oodbench.records import Record
from oodbench.report.layout import Column, averaged
from oodbench.report.markdown import NONE, link, mean_and_std, metric_title, percent, table
from oodbench.report.section import Section

SHOWN = ("fpr95", "detection_error", "auroc", "aupr_in", "aupr_out")
"""The metrics of the leaderboard; the others are in `oodbench table --csv`."""

BEHIND = "▼"
"""Stands beside the accuracy of a model that falls behind its plain twin."""

WORDS = ("Method", "Tuned on", "Labels")


def summary_table(section: Section) -> str:
    """Return rank, means over all sets, and what each method needs."""
    metrics = [metric_title(metric, section.failure) for metric in SHOWN]
    headers = ["Rank", "Method", *metrics, "n", "Model accuracy", "Tuned on", "Labels", "Passes"]
    return table(headers, [_summary_row(section, method) for method in section.ranks], WORDS)


def metric_table(section: Section, metric: str) -> str:
    """Return one metric with a column a set, and the mean of each group that has several."""
    sets = [column.name for column in section.columns]
    means = _means(section.columns)
    headers = ["Method", *(_heading(column) for column in section.columns), *means]
    rows = []
    for method in section.ranks:
        row = [_of_set(section, metric, method, name) for name in sets]
        row += [mean_and_std(section.over_sets(metric, method, names)) for names in means.values()]
        rows.append([_method(section.records(method)[0]), *row])
    return table(headers, rows, WORDS)


def attack_table(section: Section) -> str:
    """Return how often each attack fooled each model, and by how much it changed the pixels."""
    headers = ["Attack", "Model", "Attacked", "Success rate", "Mean ℓ∞", "Mean ℓ2"]
    rows = []
    for column in section.columns:
        for model, records in _by_model(section):
            attacks = [record.attacks[column.name] for record in records if column.name in record.attacks]
            rates = spread([attack.success_rate for attack in attacks if attack.success_rate is not None])
            linf = spread([attack.mean_linf for attack in attacks if attack.mean_linf is not None])
            l2 = spread([attack.mean_l2 for attack in attacks if attack.mean_l2 is not None])
            n = spread([attack.n for attack in attacks])
            if n:
                changes = [f"{change.mean:.4f}" if change else NONE for change in (linf, l2)]
                rows.append([column.name, model, f"{n.mean:.0f}", mean_and_std(rates), *changes])
    return table(headers, rows, ("Attack", "Model"))


def _summary_row(section: Section, method: str) -> list[str]:
    records = section.records(method)
    sets = averaged(section.columns)
    means = [mean_and_std(section.over_sets(metric, method, sets)) for metric in SHOWN]
    first = records[0]
    needs = [first.tuning_access, "yes" if first.fits_on_labels else "no", _passes(records)]
    rank = section.ranks[method] or NONE
    return [rank, _method(first), *means, str(len(records)), accuracy_text(section, method), *needs]


def accuracy_text(section: Section, method: str) -> str:
    """Return the accuracy of a method's model, marked where it falls behind its plain twin's."""
    return mean_and_std(section.accuracy(method)) + (f" {BEHIND}" if section.falls_behind(method) else "")


def _method(record: Record) -> str:
    return link(f"`{record.method}`", record.citation.url)


def _passes(records: Sequence[Record]) -> str:
    """Return the mean over seeds of the passes that one input costs: tuning may choose a cheaper variant for a seed."""
    forward, gradient = (fmean(getattr(record.passes, kind) for record in records) for kind in ("forward", "gradient"))
    return f"{forward:.3g} + {gradient:.3g} ∇" if gradient else f"{forward:.3g}"


def _means(columns: Sequence[Column]) -> dict[str, list[str]]:
    """Return the sets behind each mean, by its heading: groups of several sets, then all sets if no group is all."""
    groups: dict[str, list[str]] = {}
    for column in columns:
        groups.setdefault(column.group, []).append(column.name)
    means = {f"mean ({group})": names for group, names in groups.items() if group and len(names) > 1}
    overall = list(averaged(columns))
    return means if overall in means.values() else means | {"mean": overall}


def _heading(column: Column) -> str:
    return f"{column.name} ({column.group})" if column.group else column.name


def _of_set(section: Section, metric: str, method: str, name: str) -> str:
    text = mean_and_std(section.over_seeds(metric, method, name), len(section.entries[method]))
    interval = section.interval(metric, method, name)
    return f"{text} [{percent(interval[0])}, {percent(interval[1])}]" if interval else text


def _by_model(section: Section) -> list[tuple[str, list[Record]]]:
    """Return each model's name and one record a seed: methods that share a model were attacked alike."""
    found: dict[str, dict[int, Record]] = {}
    for method in section.entries:
        for record in section.records(method):
            found.setdefault(json.dumps(record.recipe, sort_keys=True), {}).setdefault(record.seed, record)
    by_seed = [list(records.values()) for records in found.values()]
    return [(str(records[0].recipe["name"]), records) for records in by_seed]
