"""Layers that look at the first training batch before they compute (Salimans & Kingma 2016)."""

from typing import Any

import torch
from torch import Tensor, nn


class FirstBatch(nn.Module):
    """A module that knows whether it has seen a training batch; its state dict has that too, so a resumed run does.

    On a GPU the tensor is asked only until it says yes: each look waits for all that was begun there.
    """

    initialised: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("initialised", torch.tensor(False))
        self._seen = False

    @property
    def due(self) -> bool:
        """Whether this is the first training batch."""
        if self.training and not self._seen:
            self._seen = bool(self.initialised)
        return self.training and not self._seen

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._seen = False
