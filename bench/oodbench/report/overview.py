"""All kinds of failure in one table: a detector that is good at one of them need not be at another."""

from oodbench.report.board import Board
from oodbench.report.layout import averaged
from oodbench.report.markdown import NONE, link, mean_and_std, metric_title, table
from oodbench.report.section import Section

SHORT = {
    "ood": "OOD",
    "adversarial": "Adversarial",
    "misclassification": "Misclassifications",
    "corruption": "Corruptions",
}
SHOWN = ("fpr95", "auroc")


def overview_table(board: Board) -> str:
    """Return rank, FPR95 and AUROC of every method on every kind of failure, in the order of the first."""
    headers = ["Method"]
    for section in board.sections:
        short = SHORT[section.failure]
        headers += [f"{short}: rank", *(f"{short}: {metric_title(metric, section.failure)}" for metric in SHOWN)]
    methods = dict.fromkeys(method for section in board.sections for method in section.ranks)
    urls = {record.method: record.citation.url for record in board.records}
    rows = [
        [link(f"`{method}`", urls[method]), *(cell for section in board.sections for cell in _cells(section, method))]
        for method in methods
    ]
    return table(headers, rows, ("Method",))


def _cells(section: Section, method: str) -> list[str]:
    if method not in section.ranks:
        return [NONE] * (1 + len(SHOWN))
    sets = averaged(section.columns)
    numbers = [mean_and_std(section.over_sets(metric, method, sets)) for metric in SHOWN]
    return [section.ranks[method] or NONE, *numbers]
