"""Settings of the whole suite."""

from hypothesis import settings

# The same examples on every machine, and no deadline: a busy machine is no bug.
settings.register_profile("oodbench", derandomize=True, deadline=None)
settings.load_profile("oodbench")
