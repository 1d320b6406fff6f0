"""The run-time checker of shapes and types: all but the contract's protocols, which promise methods, not classes."""

import random
from collections.abc import Callable
from types import FunctionType
from typing import Any
from unittest.mock import patch

# It looks at items drawn at random, by a generator of its own: methods are held to leave the global one alone.
with patch("random.getrandbits", random.Random(0).getrandbits):
    from beartype import BeartypeConf, FrozenDict, beartype
    from beartype._util.kind.integer import utilintget  # noqa: F401  which draws

from oodbench.contract import Detector, FitData, Outputs
from oodbench.data.inputs import Inputs
from oodbench.training import Recipe

PROTOCOLS = (Detector, FitData, Inputs, Outputs, Recipe)

CONF = BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict(dict.fromkeys(PROTOCOLS, Any)))

check = beartype(conf=CONF)

CHECKED: dict[object, Callable[..., Any]] = {}


def typechecker(function: FunctionType) -> Callable[..., Any]:
    """Return the function with its types checked, made once for all functions of one name and one signature.

    What is handed over holds a signature and no code of its own. One inside another function comes anew at each call of
    it, and a check is a module written and compiled.
    """
    key = (function.__module__, function.__qualname__, function.__code__, *function.__annotations__.items())
    if key not in CHECKED:
        CHECKED[key] = check(function)
    return CHECKED[key]
