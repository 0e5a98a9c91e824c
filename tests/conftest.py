"""Settings for the whole suite."""

import os
import random
import sys

import pytest
from hypothesis import settings

# A busy machine may take a second for what takes a millisecond.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")

# Before torch starts its threads: on a busy machine, threads that spin while they wait for each
# other can make a test a hundred times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Whoever draws from a global generator draws the same, whatever ran before it."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:  # not for tests that do without it
        sys.modules["torch"].manual_seed(0)
