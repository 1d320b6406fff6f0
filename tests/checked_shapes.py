"""The run-time checker of shapes and types: all but the contract's protocols, which promise methods, not classes."""

import random
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

typechecker = beartype(conf=CONF)
