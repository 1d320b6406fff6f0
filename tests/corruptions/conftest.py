"""Pictures for the tests of corruptions."""

import pytest
from drawn_pictures import drawn


@pytest.fixture(scope="session")
def pictures():
    return drawn
