"""The run-time checker of shapes and types: all but the contract's protocols, which promise methods, not classes."""

from typing import Any

from beartype import BeartypeConf, FrozenDict, beartype

from oodbench.contract import Detector, FitData, Outputs
from oodbench.training import Recipe

PROTOCOLS = (Detector, FitData, Outputs, Recipe)

CONF = BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict(dict.fromkeys(PROTOCOLS, Any)))

typechecker = beartype(conf=CONF)
