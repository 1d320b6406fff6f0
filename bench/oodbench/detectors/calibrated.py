"""The softmax at the temperature that calibrates it (Guo 2017): see `methods/temperature.py`."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from jaxtyping import Float, Int
from scipy.optimize import brentq
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, FitData, Material, Output, Outputs
from oodbench.errors import BadData


class Calibration(NamedTuple):
    """The fitted temperature T*."""

    T: float


@final
@dataclass(frozen=True)
class CalibratedSoftmax:
    """The maximum softmax probability at T*, ranked by a key that does not saturate.

    Attributes:
        lowest: Smallest temperature; the answer where no held-out input is misclassified and the NLL falls with T.
        highest: Largest temperature; the answer where the logits are worse than chance.
    """

    lowest: float = 0.01
    highest: float = 100.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels", "validation"})

    def fit(self, data: FitData) -> Calibration:
        """Return T* of the held-out in-distribution data."""
        held_out = data.validation
        return Calibration(calibrate(held_out.logits, held_out.labels, self.lowest, self.highest))

    def score(self, state: Calibration, batch: Outputs) -> Float[Tensor, "n"]:
        """Return the rank key of max softmax(z / T*)."""
        return formulas.tempered_margin(batch.logits, state.T)


def calibrate(logits: Float[Tensor, "n C"], labels: Int[Tensor, "n"], lowest: float, highest: float) -> float:
    """Return the temperature within [lowest, highest] at which the NLL of softmax(z / T) is smallest.

    Raises:
        BadData: a logit is NaN or infinite.
    """
    if not logits.isfinite().all():
        raise BadData("a held-out logit is NaN or infinite: no temperature calibrates it; look for an overflow")
    # Shifting every row by its own label's logit leaves the NLL as it is and the slope free of cancellation.
    z = logits.double()
    z = z - z.gather(1, labels[:, None])

    def slope(beta: float) -> float:
        # dNLL/dbeta = mean_i sum_c softmax(beta z_i)_c z_ic - z_iy
        return float(((beta * z).softmax(dim=1) * z).sum(dim=1).mean())

    coldest, hottest = 1 / highest, 1 / lowest
    if slope(coldest) >= 0:
        return highest
    if slope(hottest) <= 0:
        return lowest
    return 1 / float(brentq(slope, coldest, hottest, xtol=1e-14))
