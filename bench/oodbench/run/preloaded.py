"""What workers need, imported once in the process that they are copies of, instead of once a worker."""

import contextlib

import torch._dynamo  # noqa: F401  which the first optimiser of a process imports

from oodbench.errors import OodbenchError
from oodbench.run import tasks  # noqa: F401
from oodbench.run.registry import registry

with contextlib.suppress(OodbenchError):  # a package whose methods do not load: the task that needs them says so
    registry()
