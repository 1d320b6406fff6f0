"""How the numbers of a user's data become pixels in [0, 1]: as they are, or out of the standardisation of a model."""

from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.errors import BadData
from oodbench.sources.preprocess import Moments

NEAR = 1e-4
"""How far out of [0, 1] rounding may bring what was standardised and is brought back."""

APART = 0.5
"""Spread, in standard deviations, above which a set of which nothing is darker than the mean is taken for pixels."""

BEFORE = "the sets before it (of a detector: those given to `fit`)"

MODEL = "oodbench.networks.Headed(model, mean=..., std=...)"


class Scale:
    """Brings float pixels into [0, 1]; the first that it is shown settles for all whether they were standardised.

    Args:
        standard: What the model's inputs are standardised by, where that is known.
        standardised: Whether float pixels are standardised, where that is settled before any is shown.
    """

    def __init__(self, standard: Moments | None = None, standardised: bool | None = None) -> None:
        self.standard = standard
        self.standardised = standardised

    def __call__(self, name: str, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return pixels [n c h w], uint8 as they are, others as float32 in [0, 1].

        Args:
            name: What errors call them.
            pixels: [n c h w], uint8, or float in [0, 1] or standardised.

        Raises:
            BadData: They are neither.
        """
        if pixels.dtype == np.uint8 or not pixels.size:
            return pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32)
        if pixels.dtype.kind != "f":
            raise BadData(f"{name}: got {pixels.dtype} pixels, expected uint8 or float32 in [0, 1]")
        low, high = float(pixels.min()), float(pixels.max())
        if self.standardised is None:
            self.standardised = self.standard is not None and not (low >= 0 and high <= 1)
        if not self.standardised:
            if not (low >= 0 and high <= 1):
                raise BadData(
                    f"{name}: got {pixels.dtype} pixels from {low:g} to {high:g}, expected [0, 1]; "
                    f"{self._way(low, high)}"
                )
            return pixels.astype(np.float32, copy=False)
        if self.standard is None:
            raise BadData(
                f"{name}: got {pixels.dtype} pixels, and {BEFORE} were standardised; say by what, mean=(...) and "
                f"std=(...), with the model as it was given to `fit`; or give pixels as uint8"
            )
        mean, std = (np.array(one, np.float64).reshape(-1, 1, 1) for one in self.standard)
        if len(mean) not in (1, pixels.shape[1]):
            raise BadData(
                f"{name}: got {pixels.shape[1]} channels, standardised; mean and std have {len(mean)} entries"
            )
        back = pixels * std + mean
        if not (back.min() >= -NEAR and back.max() <= 1 + NEAR):
            raise BadData(
                f"{name}: got pixels from {low:g} to {high:g}, which mean={self.standard[0]} and "
                f"std={self.standard[1]} bring to {back.min():g} to {back.max():g}; expected [0, 1]: are these the "
                f"constants they were standardised by?"
            )
        return np.clip(back, 0, 1).astype(np.float32)

    def refuse_pixels(self, name: str, given: npt.NDArray[Any]) -> None:
        """Refuse a set that looks as if it were pixels in [0, 1] where others were standardised.

        Args:
            name: What errors call it.
            given: Its numbers as they were given, of all images or of the first; any shape.

        Raises:
            BadData: All are in [0, 1], and far apart: standardised, they would all be on one side of the mean.
        """
        if not self.standardised or given.dtype == np.uint8 or not given.size:
            return
        low, high = float(given.min()), float(given.max())
        if low >= 0 and high <= 1 and high - low > APART:
            raise BadData(
                f"{name}: got pixels from {low:g} to {high:g}, where {BEFORE} were standardised: these look as if "
                f"they were not; give all of them in one range, or pixels as uint8"
            )

    def _way(self, low: float, high: float) -> str:
        if not np.isfinite([low, high]).all():
            return "replace what is no number"
        if low >= 0 and 2 < high <= 255:
            return "give x / 255, if 255 is white"
        if self.standard is not None:
            return f"{BEFORE} were not standardised: give all of them in one range, or pixels as uint8"
        return (
            f"where they are standardised for the model, say by what, mean=(...) and std=(...), which is then undone "
            f"and put in front of the model; or give pixels, and put that inside it: {MODEL}"
        )
