"""What a detector is handed: a model's outputs for inputs, opened only where the method declared them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, final

import numpy as np
import torch
from torch import Tensor, nn

from oodbench.contract import (
    EMBEDDINGS,
    FEATURES,
    HEAD,
    INPUTS,
    LAYERS,
    LOG_DENSITY,
    LOGITS,
    NETWORK,
    TOKENS,
    Head,
    Output,
    Outputs,
)
from oodbench.errors import BadMethod, Undeclared
from oodbench.spaces import SpaceName

T = TypeVar("T")

RAW: frozenset[Output] = frozenset({INPUTS, TOKENS})
"""What goes into a model, by space."""

OF_EVERY_MODEL: frozenset[Output] = RAW | {NETWORK}
"""What the harness adds to the outputs that a recipe provides."""

NONE: Mapping[Output, Tensor] = MappingProxyType({})

BATCH = 512
"""Inputs per forward pass of models that a matrix trains; fixed, since float32 sums depend on it in the last bits."""


def of_a_pass(outputs: Iterable[Output]) -> frozenset[Output]:
    """Return those outputs that a forward pass gives, an entry per input."""
    return frozenset(output for output in outputs if not output.constant and output not in RAW)


def given(provides: frozenset[Output], space: SpaceName) -> frozenset[Output]:
    """Return all that a model gives where it is of a space, of what its recipe provides in any, the inputs included."""
    return frozenset(output for output in provides | OF_EVERY_MODEL if output.space in (None, space))


def to_store(outputs: Iterable[Output]) -> frozenset[Output]:
    """Return those outputs of a forward pass that are stored, for all methods."""
    return frozenset(output for output in of_a_pass(outputs) if output.stored)


@dataclass
class Passes:
    """Inputs that went through the network, forward and backward."""

    forward: int = 0
    gradient: int = 0


@dataclass(frozen=True)
class Trained:
    """A trained model on its device, with a count of the passes it has made.

    Attributes:
        net: A `Model`.
        device: Where it is.
        labelled: Which labels of the training split it was trained on [N]; None for all.
        passes: Made so far.
        batch: Inputs a forward pass.
        gradient_batch: Inputs at a time, where derivatives are taken.
    """

    net: nn.Module
    device: torch.device
    labelled: Tensor | None = None
    passes: Passes = field(default_factory=Passes)
    batch: int = BATCH
    gradient_batch: int = BATCH

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return the wanted outputs after one forward pass, which is counted; it goes on from what is replaced.

        Raises:
            BadMethod: the network has no way in at what is replaced.
        """
        entries: frozenset[Output] = self.net.entries  # type: ignore[assignment]
        if strange := replacing.keys() - entries:
            known = ", ".join(map(str, sorted({raw(x), *entries})))
            raise BadMethod(f"a {type(self.net).__name__} cannot go on from {min(strange)}; it can from {known}")
        self.passes.forward += len(x) * int(self.net.passes)  # type: ignore[arg-type]
        made: Mapping[Output, Any]
        made = self.net.outputs(x, wanted, replacing) if replacing else self.net.outputs(x, wanted)  # type: ignore[operator]
        return {output: made[output] for output in wanted}


def raw(x: Tensor) -> Output[Tensor]:
    """Return what a batch is: pixels are real numbers, tokens whole ones."""
    return INPUTS if x.is_floating_point() else TOKENS


class Inputs(Protocol):
    """A set of inputs: `batch(rows)` returns float32 pixels in [0, 1], or int64 ids of tokens."""

    def __len__(self) -> int: ...

    def batch(self, indices: slice) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class Access:
    """What a method declared, and what it has opened so far."""

    reads: frozenset[Output]
    labels: bool = False
    touched: set[str] = field(default_factory=set)
    stored: set[Output] = field(default_factory=set)

    def open(self, output: Output) -> None:
        """Note a read.

        Raises:
            Undeclared: the method did not declare it.
        """
        if output not in self.reads:
            declared = ", ".join(map(str, sorted(self.reads))) or "none"
            raise Undeclared(
                f"output {output.name!r} was read but not declared; declared: {declared}. "
                f"Add it to the detector's `reads`."
            )
        self.touched.add(output.name)


@final
class ModelOutputs:
    """One trained model's outputs for n inputs: from stored arrays where there are some, else by a forward pass.

    Args:
        model: Whose they are.
        inputs: n images or texts, or a batch: pixels [n c h w], ids of tokens [n t].
        access: What may be opened.
        stored: Returns what one forward pass over all inputs gave; called when an output is first read.
        labels: True classes [n], when fitting.
        rows: Which of the inputs; all by default.
        replacing: Activations that the network goes on from, an entry per row.
    """

    def __init__(
        self,
        model: Trained,
        inputs: Inputs | Tensor,
        access: Access,
        stored: Callable[[], Mapping[Output, Any]] | None = None,
        labels: Tensor | None = None,
        rows: slice | None = None,
        replacing: Mapping[Output, Tensor] = NONE,
    ) -> None:
        self._model, self._inputs, self._access = model, inputs, access
        self._stored, self._labels, self._replacing = stored, labels, replacing
        self._rows = rows or slice(0, len(inputs))
        self._live: Mapping[Output, Any] | None = None

    def __len__(self) -> int:
        return int(self._rows.stop - self._rows.start)

    def __getitem__(self, output: Output[T]) -> T:
        """Return an output, if it was declared."""
        self._access.open(output)
        value: Any
        if output == NETWORK:
            value = None
        elif output in self._replacing:
            value = self._replacing[output]
        elif output in RAW:
            value = self._raw(self._rows, output)
        elif output.constant:
            value = self._constant(output)
        elif self._stored is not None and output.stored:
            self._access.stored.add(output)
            value = _each(self._stored()[output], lambda part: part[self._rows].to(self._model.device))
        else:
            value = self._passed()[output]
        return value  # type: ignore[no-any-return]

    @property
    def inputs(self) -> Tensor:
        """Pixels [n c h w] in [0, 1]."""
        return self[INPUTS]

    @property
    def logits(self) -> Tensor:
        """[n C]."""
        return self[LOGITS]

    @property
    def features(self) -> Tensor:
        """[n F]."""
        return self[FEATURES]

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """Spatial averages, one [n _] per layer."""
        return self[LAYERS]

    @property
    def head(self) -> Head:
        """Weight and bias of the last linear layer."""
        return self[HEAD]

    @property
    def log_density(self) -> Tensor:
        """[n]."""
        return self[LOG_DENSITY]

    @property
    def labels(self) -> Tensor:
        """True classes [n], when fitting."""
        if self._labels is None or not self._access.labels:
            why = "these outputs carry none" if self._access.labels else "`labels` is not in the detector's `fits_on`"
            raise Undeclared(f"labels were read but {why}")
        self._access.touched.add("labels")
        return self._labels[self._rows].to(self._model.device)

    def grad(self, f: Callable[[Outputs], Tensor], by: Output[Tensor] = INPUTS) -> Tensor:
        """Return the derivative of sum f(outputs) by an output; from there on the network runs again.

        All n go through at once, since f may hold something of each, such as a predicted class; cut large sets into
        `batches`.

        Raises:
            BadMethod: f does not depend on it, it is not of real numbers, or the network cannot go on from it.
        """
        self._access.open(NETWORK)
        leaf = self[by].detach().clone()
        if not leaf.is_floating_point():
            raise BadMethod(f"a derivative by {by} was asked for, which are whole numbers; take it by {EMBEDDINGS}")
        with torch.enable_grad():
            value = f(self._from(leaf.requires_grad_(), by, self._replacing)).sum()
            self._model.passes.gradient += len(self)
            (slope,) = torch.autograd.grad(value, leaf, allow_unused=True) if value.requires_grad else (None,)
        if slope is None:
            raise BadMethod(f"a derivative by {by} was asked for, of a function that does not depend on it")
        return slope

    def at(self, inputs: Tensor | None = None, *, replacing: Mapping[Output, Tensor] = NONE) -> "ModelOutputs":
        """Return the same model's outputs for other inputs, or going on from other activations.

        Raises:
            BadMethod: there is not one entry per input.
        """
        self._access.open(NETWORK)
        changed = {**replacing, **({} if inputs is None else {raw(inputs): inputs})}
        made = self
        for output, value in sorted(changed.items(), key=lambda item: item[0] not in RAW):  # activations follow inputs
            self._access.open(output)
            if output not in RAW and len(value) != len(made):
                raise BadMethod(f"{output} of {len(made)} inputs was replaced by {len(value)} entries")
            made = made._from(value, output, NONE if output in RAW else made._replacing)
        return made

    def batches(self, size: int | None = None) -> Iterator["ModelOutputs"]:
        """Yield the same inputs in order, at most `size` at a time; by default as many as suit the model."""
        suited = self._model.gradient_batch if NETWORK in self._access.reads else self._model.batch
        for rows, replacing in self._cut(size or suited):
            yield ModelOutputs(self._model, self._inputs, self._access, self._stored, self._labels, rows, replacing)

    def _from(self, value: Tensor, output: Output, replacing: Mapping[Output, Tensor]) -> "ModelOutputs":
        if output in RAW:
            return ModelOutputs(self._model, value, self._access, replacing=replacing)
        changed = {**replacing, output: value}
        return ModelOutputs(self._model, self._inputs, self._access, rows=self._rows, replacing=changed)

    def _cut(self, size: int) -> Iterator[tuple[slice, Mapping[Output, Tensor]]]:
        for start in range(0, len(self), size):
            part = slice(start, min(start + size, len(self)))
            rows = slice(self._rows.start + part.start, self._rows.start + part.stop)
            yield rows, {output: value[part] for output, value in self._replacing.items()}

    def _raw(self, rows: slice, wanted: Output | None = None) -> Tensor:
        """Return the inputs themselves; where they are asked for by name, what the name says."""
        x = self._inputs[rows] if isinstance(self._inputs, Tensor) else torch.from_numpy(self._inputs.batch(rows))
        if wanted not in (None, raw(x)):
            raise BadMethod(f"{wanted} were read, and the inputs of this model are {raw(x)}")
        return x.to(self._model.device)

    def _constant(self, output: Output) -> Any:
        constants: Mapping[Output, Any] = self._model.net.constants  # type: ignore[assignment]
        return _each(constants[output], Tensor.detach)

    def _passed(self) -> Mapping[Output, Any]:
        if self._live is None:
            wanted = of_a_pass(self._access.reads).difference(self._replacing)
            if self._stored is not None:
                wanted -= to_store(wanted)
            parts = [self._model.outputs(self._raw(rows), wanted, at) for rows, at in self._cut(self._model.batch)]
            self._live = {output: joined([part[output] for part in parts]) for output in wanted}
        return self._live


def joined(parts: list[Any]) -> Any:
    """Return an output of all inputs from that of each batch."""
    if isinstance(parts[0], tuple):
        return tuple(map(joined, map(list, zip(*parts, strict=True))))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return an output, a tensor or a tuple of tensors, with each tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    parts = tuple(map(change, value))
    return value._make(parts) if hasattr(value, "_make") else parts
