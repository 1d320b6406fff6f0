"""Outputs that are given, not computed."""

from collections.abc import Mapping
from typing import Any

from oodbench.contract import Output


class Given:
    """A model's outputs by name: `Given({LOGITS: z}).logits`."""

    def __init__(self, outputs: Mapping[Output, Any]) -> None:
        self._outputs = dict(outputs)

    def __getitem__(self, output: Output) -> Any:
        return self._outputs[output]

    def __getattr__(self, name: str) -> Any:
        return next(value for output, value in self._outputs.items() if output.name == name)
