"""results/claims.toml: what the papers say of two methods, as data.

    [[claim]]
    statement = "Outlier Exposure lifts the mean over out-sets"
    source = "Hendrycks 2019, Table 1"
    paper = "97.81 against 89.27 on CIFAR-10"
    matrix = "fashion-mnist-v2"
    metric = "auroc"                  # or what is the model's own (OWN), or what a diagnostic finds
    failure = "ood"                   # none for these
    sets = ["mnist-5k"]               # all of the failure's where none are named
    more = "oe-finetune"              # what the claim puts higher: a method, or a number in the metric's unit
    less = "msp"
    within = 2.0                      # only for "alike": the difference is less than this, whatever its sign
    expected = "holds"                # what the committed scores say of it

A claim that does not hold may have reasons, and the page says of each which it is: a `guess`, or one that is `tested`
by comparisons of the same stored scores, each of which must hold.

    tested = "five seeds, and ..."
    [[claim.by]]                      # of the claim's matrix
    metric = "auroc"
    ...
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from oodbench.data.fixed import Fixed, read_toml
from oodbench.errors import BadCard
from oodbench.measure.kinds import KindName
from oodbench.report.diagnostics import metrics as diagnosed

FILE = "claims.toml"

Verdict = Literal["holds", "open", "reversed", "untested"]

OWN = {"accuracy": 100.0, "oce": 1.0, "oce_share": 100.0, "bits_per_dimension": 1.0}
OWN |= {"mce": 100.0, "relative_mce": 100.0, "delta_entropy": 1.0, "attack_l2": 1.0}
"""What is the model's own rather than a failure set's, and what it is printed in: percent, a ratio, bits, nats, pixels.

mCE is against the plain classifier of the same seed, over the types of corruption that the matrix has; `attack_l2` is
the mean l2 change of images that an attack (`sets`) fooled the classifier with.
"""


class Comparison(Fixed):
    """Which of two numbers is higher, or that they are alike; see the module."""

    metric: str
    failure: KindName | None = None
    sets: tuple[str, ...] = ()
    more: str | float
    less: str | float
    within: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _has_its_kind(self) -> Self:
        alone = [*OWN, *diagnosed()]
        if (self.failure is None) != (self.metric in alone):
            raise ValueError(f"metric {self.metric!r} with failure {self.failure!r}: one of {alone} has none")
        return self


class Claim(Comparison):
    """One claim; see the module."""

    statement: str
    source: str
    paper: str
    matrix: str
    expected: Verdict
    guess: str | None = None
    tested: str | None = None
    by: tuple[Comparison, ...] = ()

    @model_validator(mode="after")
    def _has_reasons_of_its_kind(self) -> Self:
        if self.expected == "holds" and (self.guess or self.tested):
            raise ValueError(f"{self.statement!r}: a reason stands with what does not hold, and with nothing else")
        if bool(self.tested) != bool(self.by):
            raise ValueError(f"{self.statement!r}: `tested` says what `by` shows: both or none; else it is a `guess`")
        return self


class Claims(Fixed):
    """The file."""

    claim: tuple[Claim, ...] = Field(min_length=1)


def read_claims(results: Path) -> tuple[Claim, ...]:
    """Return the claims of a results folder.

    Raises:
        BadCard: the file is missing or breaks its schema.
    """
    path = results / FILE
    if not path.is_file():
        raise BadCard(f"{path} does not exist; it holds the claims to be tested")
    return read_toml(path, Claims).claim
