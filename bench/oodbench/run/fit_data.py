"""What a method is handed: fit, tune and test data, each opened only where it was declared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast, final

import torch
from torch import Tensor, nn

from oodbench.contract import FitData, Material, Method
from oodbench.errors import BadData, Undeclared
from oodbench.models.views import ModelViews


@final
@dataclass(frozen=True)
class HandOut:
    """The data that `fit` sees.

    A material that was not declared raises `Undeclared`; one that turned out empty raises `BadData`.
    """

    classes: int
    seed: int
    train: ModelViews
    labelled: Tensor
    fits_on: frozenset[Material]
    materials: Mapping[Material, ModelViews]
    touched: set[str] = field(default_factory=set)

    @property
    def validation(self) -> ModelViews:
        """In-distribution inputs held out from training."""
        return self._open("validation")

    @property
    def ood_validation(self) -> ModelViews:
        """Out-of-distribution inputs, from sources that no test set uses."""
        return self._open("ood_validation")

    @property
    def adversarial_validation(self) -> ModelViews:
        """Attacked validation inputs that fooled the model."""
        return self._open("adversarial_validation")

    def _open(self, material: Material) -> ModelViews:
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


def labels_seen(net: nn.Module, n: int) -> Tensor:
    """Return which of n training images' labels a model saw: its buffer `labelled` [n], else all."""
    seen = dict(net.named_buffers()).get("labelled")
    return torch.ones(n, dtype=torch.bool) if seen is None else seen


def as_fit_data(data: HandOut) -> FitData:
    """Return the same data under its contract's name."""
    return cast(FitData, data)


def contrasts(method: Method) -> bool:
    """Whether a method sets held-out good inputs against held-out bad ones, to fit or to tune."""
    return bool(method.materials & {"ood_validation", "adversarial_validation"})
