"""Rows that several tests of pictures draw."""

import pytest
from test_pictures import SWEEP, ran

from otbench.results.store import Results


@pytest.fixture(scope="session")
def sweep_results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A sweep of the clip value on shared mass, small and run once."""
    return ran(tmp_path_factory.mktemp("sweep"), SWEEP)
