"""The result of judging a classifier: everything that was scored, and what can be said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.errors import BadData, UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.paired import comparison
from oodbench.records import Fooled, Outcomes
from oodbench.result import rows
from oodbench.result.rows import Judged

if TYPE_CHECKING:
    from oodbench.result.pictures import Pictures

COMPARED = ("auroc", "fpr95")


@dataclass(frozen=True, eq=False)
class Result:
    """What `oodbench.evaluate` found: of every method the scores of every input, and all numbers made of them.

    Example:
        >>> result = oodbench.evaluate(
        ...     model, train=(x, y), test=(x_test, y_test), failures={"strange": strange}, methods=["msp", "knn"]
        ... )
        >>> sorted(set(result.table["set"]))
        ['misclassified', 'strange']

    Attributes:
        accuracy: Share of images that the model gets right, in [0, 1], on "train" (512 of its images, where no method
            needed all) and on "test".
        outcomes: Which test images the model gets right [n], and which attacked ones fooled it, by attack.
        judged: What each method said, in the order asked.
        doubts: What makes all numbers doubtful, in sentences.
        seed: Of fits and intervals.
    """

    accuracy: Mapping[str, float]
    outcomes: Outcomes
    judged: Sequence[Judged]
    doubts: Sequence[str] = ()
    seed: int = 0

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each method and failure set.

        Columns method, failure ("ood", "adversarial", "misclassification"), set, n_good and n_bad (inputs), fpr95,
        detection_error, auroc, aupr_in, aupr_out (all in [0, 1]), auroc_low, auroc_high, fpr95_low, fpr95_high (95 %
        intervals over test inputs), forward and gradient (passes per input), accuracy (the model's, on test), and note:
        what makes the numbers doubtful, or why there are none, of a method that cannot run (then failure and set are
        empty too) or of one set.
        """
        return rows.table(self.judged, self.outcomes, self.accuracy["test"], self.doubts, self.seed)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Every metric, a row a number: those of `docs/metrics.md`, selective prediction and the Mann-Whitney test too.

        Columns method, failure, set, n_good, n_bad, metric, value, low, high. Ranking metrics have a 95 % interval,
        which speaks of other test inputs: AUROC's is DeLong's, FPR95's that of `docs/metrics.md`, the others are a
        bootstrap's, of good and of bad inputs apart. Measured when first asked for: 200 resamples of every set.
        """
        return rows.metrics(self.judged, self.outcomes, self.seed)

    def ranks(self, metric: str = "fpr95") -> pd.DataFrame:
        """Return the methods of each kind of failure, best first.

        Columns failure, method, mean (of the metric over the sets), place, and low and high: the 95 % interval of the
        rank that the method would have with all inputs of these sources, this model given (`docs/ranks.md`). A method
        that lacks a set has no rank.

        Args:
            metric: What to rank by: "fpr95" or "auroc".

        Raises:
            UnknownName: There is no such ranking metric.

        Example:
            >>> sorted(result.ranks().query("failure == 'ood'").method)
            ['knn', 'msp']
        """
        return rows.ranks(self.judged, self.outcomes, metric)

    @cached_property
    def scores(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Scores by method and set, float64, higher = more to be trusted.

        "test" are those of the n test images [n], an out-set's those of its images, in the order given; an attack's
        those of the attacked images [k], whose places among the test images `attacks` has. Methods that could not run
        are not there.
        """
        return {
            one.method: {
                "test": one.scores.test.astype(np.float64),
                **{name: values.astype(np.float64) for name, values in one.scores.ood.items()},
                **{name: found.scores.astype(np.float64) for name, found in one.scores.adversarial.items()},
            }
            for one in self.judged
            if one.scores is not None
        }

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the model gets each test image right [n]."""
        return self.outcomes.correct

    @property
    def attacks(self) -> dict[str, Fooled]:
        """By attack: `index`, the places of the attacked among the test images [k], and `fooled`, whether each did."""
        return self.outcomes.attacks

    @property
    def plot(self) -> "Pictures":
        """Pictures: `plot.roc()`, `.histograms()`, `.risk_coverage()`, `.ridges("knn")`, each a matplotlib Figure.

        Raises:
            BadSetting: matplotlib is not installed.
        """
        from oodbench.result.pictures import pictures  # matplotlib is an extra

        return pictures(self)

    def compare(self, first: str, second: str) -> pd.DataFrame:
        """Return how two methods differ on the same inputs, a row for each failure set and metric.

        What both find hard or easy cancels out, so that the interval of a difference is often far narrower than those
        of the two numbers. It speaks of other test inputs, the model given; of several rows at 5 %, one in twenty is
        beyond chance by chance.

        Args:
            first: Name of a method of this result.
            second: Of another.

        Returns:
            Columns failure, set, n_good, n_bad, metric ("auroc" or "fpr95"), the value of each method under its name,
            difference (first - second, in [-1, 1]), low and high (its 95 % interval), and p (two-sided, of no
            difference). Sets that either has no scores of are left out.

        Raises:
            UnknownName: The result has no method of that name.
            BadData: One could not run, says why; or both names are one.

        Example:
            >>> found = result.compare("msp", "knn").query("metric == 'fpr95' and set == 'strange'")
            >>> bool((found.low <= found.difference).all() and (found.difference <= found.high).all())
            True
        """
        if first == second:
            raise BadData(f"compare: got {first!r} twice; expected two methods")
        a, b = ({(cell.failure, cell.name): cell for cell in self._cells(name)} for name in (first, second))
        found = []
        for key, cell in a.items():
            if key not in b or not (len(cell.good) and len(cell.bad)):
                continue
            for metric in COMPARED:
                known = comparison(cell, b[key], metric)
                of_set = (*key, len(cell.good), len(cell.bad), metric)
                found.append((*of_set, *known))
        columns = ["failure", "set", "n_good", "n_bad", "metric", first, second, "difference", "low", "high", "p"]
        return pd.DataFrame(found, columns=columns)

    def save(self, folder: str | Path) -> Path:
        """Write the result into a folder, and return it: `oodbench.load` reads it again.

        `scores.parquet` is the result, a row a score (pandas, DuckDB and `datasets` read it); it takes its name when it
        is whole, so that a save that is cut off leaves the one before. `report.md`, `metrics.csv` and the pictures in
        `figures/` are made of it; pictures only where matplotlib is installed. Other files in the folder stay.

        Args:
            folder: It is made, if it is not there.

        Raises:
            BadRecord: The folder holds a scores.parquet that no result wrote.
            OSError: It cannot be written.

        Example:
            >>> sorted(path.name for path in result.save("report").iterdir() if path.suffix in (".md", ".csv"))
            ['metrics.csv', 'report.md']
        """
        from oodbench.result.kept import save

        return save(self, Path(folder))

    def _cells(self, name: str) -> list[Cell]:
        known = {one.method: one for one in self.judged}
        if name not in known:
            raise UnknownName("method of this result", name, known)
        if known[name].scores is None:
            raise BadData(f"{name} has no scores to compare: {known[name].why}")
        return known[name].cells(self.outcomes)

    def __repr__(self) -> str:
        share = f"accuracy {self.accuracy['test']:.1%} on {len(self.correct)} test images"
        return f"<Result: {share}; {', '.join(one.method for one in self.judged) or 'no method'}; see .table>"
