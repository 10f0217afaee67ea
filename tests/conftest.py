"""Fixtures: the results of one small real experiment, a private copy of them to damage, and the command line."""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from command_line import Otbench, called
from small import run_small

from otbench.results.store import Results

torch.set_num_threads(1)
# a compiler that runs the tests is taken at its word: torch else compiles a program for each instruction set first
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")

# the same examples every time; to look for new ones: pytest --hypothesis-profile=explore
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", deadline=None)
# the first example that fails, as it is found: what `make mutants` needs to know
hypothesis.settings.register_profile(
    "first", derandomize=True, deadline=None, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
)
hypothesis.settings.load_profile("fixed")


@pytest.fixture
def fixed_seed() -> Iterator[None]:
    """The same random weights whatever ran before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


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


@pytest.fixture
def otbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Otbench:
    """The command line in this process, working in an empty folder."""
    (tmp_path / "work").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    return lambda *arguments: called(*arguments, cwd=Path())


def pytest_collection_finish() -> None:
    """Thousands of tests and torch's modules live to the end: no collection of garbage looks through them again."""
    gc.collect()
    gc.freeze()
