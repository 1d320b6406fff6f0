import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def trained_cache(tmp_path_factory):
    """One folder whose cache holds the small matrix's model and views."""
    from small import context_in, here

    from oodbench.run.execute import execute
    from oodbench.run.plan import plan
    from oodbench.run.registry import find

    folder = tmp_path_factory.mktemp("trained")
    context = context_in(folder)
    assert not execute(context, plan(context.matrix, find(["msp"]), [0]), here(context)).failed
    return folder
