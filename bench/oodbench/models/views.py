"""What a detector is handed: views of inputs, opened only where the method declared them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, final

import numpy as np
import torch
from torch import Tensor, nn

from oodbench.contract import Head, Posterior, Prior, View, Views
from oodbench.errors import Undeclared

NET_VIEWS: frozenset[View] = frozenset(
    {"logits", "binary", "features", "layers", "posterior", "members", "log_density", "log_densities", "latent"}
)
"""The views that one forward pass shows, an entry per input."""

BATCH = 512
"""Images per forward pass; fixed, since float32 sums depend on it in the last bits."""


@dataclass
class Passes:
    """Images that went through the network, forward and backward."""

    forward: int = 0
    gradient: int = 0


@dataclass(frozen=True)
class Trained:
    """A trained model on its device, with a count of the passes it has made."""

    net: nn.Module
    device: torch.device
    passes: Passes = field(default_factory=Passes)

    def show(self, x: Tensor, wanted: frozenset[View]) -> Mapping[View, Any]:
        """Return the wanted views after one forward pass, which is counted."""
        self.passes.forward += len(x) * int(self.net.passes)  # type: ignore[arg-type]
        shown: Mapping[View, Any] = self.net.show(x, wanted)  # type: ignore[operator]
        return shown


class Inputs(Protocol):
    """A set of images: `batch(rows)` returns float32 pixels in [0, 1]."""

    def __len__(self) -> int: ...

    def batch(self, indices: slice) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class Access:
    """What a method declared, and what it has opened so far."""

    reads: frozenset[View]
    labels: bool = False
    touched: set[str] = field(default_factory=set)
    stored: set[View] = field(default_factory=set)

    def open(self, view: View) -> None:
        """Note a read.

        Raises:
            Undeclared: the method did not declare it.
        """
        if view not in self.reads:
            raise Undeclared(
                f"view {view!r} was read but not declared; declared: {', '.join(sorted(self.reads)) or 'none'}. "
                f"Add it to the detector's `reads`."
            )
        self.touched.add(view)


@final
class ModelViews:
    """n inputs as one trained model shows them: from stored arrays where there are some, else by a forward pass.

    Args:
        model: Who shows them.
        inputs: n images, or pixels [n c h w].
        access: What may be opened.
        shown: Returns what one forward pass over all inputs showed; called when a view is first read.
        labels: True classes [n], when fitting.
        rows: Which of the inputs; all by default.
    """

    def __init__(
        self,
        model: Trained,
        inputs: Inputs | Tensor,
        access: Access,
        shown: Callable[[], Mapping[View, Any]] | None = None,
        labels: Tensor | None = None,
        rows: slice | None = None,
    ) -> None:
        self._model, self._inputs, self._access = model, inputs, access
        self._shown, self._labels = shown, labels
        self._rows = rows or slice(0, len(inputs))
        self._live: Mapping[View, Any] | None = None

    def __len__(self) -> int:
        return int(self._rows.stop - self._rows.start)

    @property
    def inputs(self) -> Tensor:
        """Pixels [n c h w] in [0, 1]."""
        self._access.open("inputs")
        return self._pixels()

    @property
    def labels(self) -> Tensor:
        """True classes [n], when fitting."""
        if self._labels is None or not self._access.labels:
            why = "these views carry none" if self._access.labels else "`labels` is not in the detector's `fits_on`"
            raise Undeclared(f"labels were read but {why}")
        self._access.touched.add("labels")
        return self._labels[self._rows].to(self._model.device)

    @property
    def logits(self) -> Tensor:
        """[n C]."""
        return self._view("logits")  # type: ignore[no-any-return]

    @property
    def features(self) -> Tensor:
        """[n F]."""
        return self._view("features")  # type: ignore[no-any-return]

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """Spatial averages, one [n _] per layer."""
        return self._view("layers")  # type: ignore[no-any-return]

    @property
    def head(self) -> Head:
        """Weight and bias of the last linear layer."""
        self._access.open("head")
        head = self._model.net.head
        return Head(head.weight.detach(), head.bias.detach())  # type: ignore[union-attr,operator]

    @property
    def binary(self) -> Tensor:
        """[n C]."""
        return self._view("binary")  # type: ignore[no-any-return]

    @property
    def posterior(self) -> Posterior:
        """Mean and standard deviation, each [n K]."""
        return Posterior(*self._view("posterior"))

    @property
    def prior(self) -> Prior:
        """Means and standard deviations, each [R K]."""
        self._access.open("prior")
        prior: Prior = self._model.net.prior  # type: ignore[assignment]
        return Prior(prior.mean.detach(), prior.std.detach())

    @property
    def members(self) -> Tensor:
        """[n M C]."""
        return self._view("members")  # type: ignore[no-any-return]

    @property
    def log_density(self) -> Tensor:
        """[n]."""
        return self._view("log_density")  # type: ignore[no-any-return]

    @property
    def log_densities(self) -> Tensor:
        """[n M]."""
        return self._view("log_densities")  # type: ignore[no-any-return]

    @property
    def latent(self) -> Tensor:
        """[n D]."""
        return self._view("latent")  # type: ignore[no-any-return]

    def grad(self, f: Callable[[Views], Tensor]) -> Tensor:
        """Return the derivative of sum f(views) by the pixels [n c h w].

        All n go through at once, since f may hold something of each, such as a predicted class; cut large sets into
        `batches`.
        """
        self._access.open("gradient")
        with torch.enable_grad():
            x = self._pixels().detach().clone().requires_grad_()
            value = f(ModelViews(self._model, x, self._access)).sum()
            self._model.passes.gradient += len(self)
            return torch.autograd.grad(value, x)[0]

    def at(self, inputs: Tensor) -> "ModelViews":
        """Return the same model's views of other pixels [n c h w]."""
        self._access.open("gradient")
        return ModelViews(self._model, inputs, self._access)

    def batches(self, size: int = BATCH) -> Iterator["ModelViews"]:
        """Yield the same inputs in order, at most `size` at a time."""
        for start in range(self._rows.start, self._rows.stop, size):
            rows = slice(start, min(start + size, self._rows.stop))
            yield ModelViews(self._model, self._inputs, self._access, self._shown, self._labels, rows)

    def _pixels(self) -> Tensor:
        if isinstance(self._inputs, Tensor):
            return self._inputs[self._rows].to(self._model.device)
        return torch.from_numpy(self._inputs.batch(self._rows)).to(self._model.device)

    def _view(self, view: View) -> Any:
        self._access.open(view)
        if self._shown is not None and view in NET_VIEWS:
            self._access.stored.add(view)
            whole = self._shown()[view]
            cut = tuple(part[self._rows] for part in whole) if isinstance(whole, tuple) else whole[self._rows]
            return _to(cut, self._model.device)
        if self._live is None:
            self._live = self._model.show(self._pixels(), self._access.reads & NET_VIEWS)
        return self._live[view]


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, tuple):
        return tuple(part.to(device) for part in value)
    return value.to(device)
