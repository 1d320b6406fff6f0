"""FPR90 with the bad inputs positive, which papers of texts print (Hendrycks 2019): it is no metric of other tables."""

from oodbench.data.matrix import Matrix
from oodbench.measure.kinds import averaged
from oodbench.measure.ranking import count, fpr90_ood_positive
from oodbench.measure.summary import average, spread
from oodbench.report.entries import Entry
from oodbench.report.markdown import mean_and_std, table
from oodbench.report.standings import Standings
from oodbench.report.tables import Linked
from oodbench.spaces import Tokens

FPR90 = "fpr90_ood_positive"

BESIDE = ("fpr95_ood_positive", "fpr95")
"""What stands beside its mean over sets."""

SAID = (
    "The share of good inputs flagged at the threshold that flags 90 % of the bad ones, as papers of texts print it; "
    "beside its mean, FPR95 with bad inputs positive, and the FPR95 that ranks. In the order of the FPR95 ranks."
)


def fpr90(entry: Entry, failure: str) -> dict[str, float]:
    """Return FPR90 by set, of one method and seed; of no set of which a group is empty."""
    cells = [cell for cell in entry.cells if cell.failure == failure]
    entry.__dict__.pop("cells", None)  # the scores of all entries need not fit into memory
    filled = (cell for cell in cells if len(cell.good) and len(cell.bad))
    return {cell.name: fpr90_ood_positive(count(cell.good, cell.bad)) for cell in filled}


def fpr90_table(standings: Standings, card: Matrix | None, linked: Linked) -> str | None:
    """Return FPR90 of every method, by set and in the mean; None where a matrix is not of texts, or is not known."""
    if card is None or not isinstance(card.space, Tokens):
        return None
    sets = averaged(standings.columns)
    headers = ["Method", "FPR90 ↓, mean", *(f"{standings.kind.heading(metric)}, mean" for metric in BESIDE), *sets]
    rows = []
    for method in standings.ranks:
        by_seed = [fpr90(entry, standings.kind.name) for entry in standings.entries[method].values()]
        means = [mean for of in by_seed if (mean := average(of, sets)) is not None]
        row = [mean_and_std(spread(means) if len(means) == len(by_seed) else None)]
        row += [mean_and_std(standings.over_sets(metric, method, sets)) for metric in BESIDE]
        row += [mean_and_std(spread([of[name] for of in by_seed if name in of])) for name in sets]
        rows.append([linked(method), *row])
    return table(headers, rows, ("Method",))
