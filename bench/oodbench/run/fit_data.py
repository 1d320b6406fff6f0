"""What a method is handed: fit, tune and test data, each opened only where it was declared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast, final

import torch
from torch import Tensor

from oodbench.contract import FitData, Material, Method
from oodbench.errors import BadData, Undeclared
from oodbench.models.outputs import ModelOutputs, Trained


@final
@dataclass(frozen=True)
class HandOut:
    """The data that `fit` sees.

    A material that was not declared raises `Undeclared`; one that turned out empty raises `BadData`.
    """

    classes: int
    seed: int
    train: ModelOutputs
    labelled: Tensor
    fits_on: frozenset[Material]
    materials: Mapping[Material, ModelOutputs]
    touched: set[str] = field(default_factory=set)

    @property
    def validation(self) -> ModelOutputs:
        """In-distribution inputs held out from training."""
        return self._open("validation")

    @property
    def ood_validation(self) -> ModelOutputs:
        """Out-of-distribution inputs, from sources that no test set uses."""
        return self._open("ood_validation")

    @property
    def adversarial_validation(self) -> ModelOutputs:
        """Attacked validation inputs that fooled the model."""
        return self._open("adversarial_validation")

    def _open(self, material: Material) -> ModelOutputs:
        if material not in self.fits_on:
            declared = ", ".join(sorted(self.fits_on)) or "none"
            raise Undeclared(
                f"material {material!r} was opened but not declared; declared: {declared}. "
                f"Add it to the detector's `fits_on`."
            )
        self.touched.add(material)
        if material not in self.materials:
            raise BadData(f"{material} holds no image here (an attack that fooled the model on none?)")
        return self.materials[material]


def labels_used(model: Trained, n: int) -> Tensor:
    """Return which of n training images' labels a model was trained on [n]: all, as a rule."""
    return torch.ones(n, dtype=torch.bool) if model.labelled is None else model.labelled


def as_fit_data(data: HandOut) -> FitData:
    """Return the same data under its contract's name."""
    return cast(FitData, data)


def contrasts(method: Method) -> bool:
    """Whether a method sets held-out good inputs against held-out bad ones, to fit or to tune."""
    return bool(method.materials & {"ood_validation", "adversarial_validation"})
