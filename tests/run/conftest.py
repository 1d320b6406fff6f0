import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def trained_cache(tmp_path_factory):
    """One folder whose cache holds the small matrix's model and views."""
    from small import start

    folder = tmp_path_factory.mktemp("trained")
    process = start(folder, ["msp"])
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    return folder
