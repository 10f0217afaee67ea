"""Fixtures: the results of one small real experiment, and a private copy of them to damage."""

import shutil
from pathlib import Path

import pytest
import torch
from small import run_small

from otbench.rows import Results

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of the small experiment; read only."""
    return run_small(tmp_path_factory.mktemp("small"))


@pytest.fixture
def copy(small_results: Path, tmp_path: Path) -> Results:
    """A copy of the small results at tmp_path/results/small."""
    folder = tmp_path / "results" / "small"
    shutil.copytree(small_results, folder)
    return Results(folder)
