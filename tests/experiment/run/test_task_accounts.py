"""The seconds of a task by a clock that work alone moves, and the place a folder that is set aside gets."""

from pathlib import Path

import pytest
from hand_clock import HandClock
from small import declare

import otbench.experiment.run.tasks as tasks
from otbench.experiment.cell import Cell, Sampling
from otbench.experiment.run.attempt import failed_row
from otbench.experiment.run.rerun import chosen_cells, set_aside
from otbench.experiment.run.tasks import run_task
from otbench.methods import WeightClip, method
from otbench.methods.functions import DistinctPoints
from otbench.problems import problem
from otbench.results.store import Results


@pytest.mark.parametrize("mode", ["coupled", "independent"])
def test_every_phase_of_a_cell_has_its_own_seconds(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two samples of two cells each, one trained and one not; an independent sample is solved for its floor as well."""
    trained = WeightClip(widths=(4,), clip=0.3, steps=4, lr=0.05, batch=4)
    law = problem("translation", dim=2)
    sampling = Sampling(n=6, mode=mode, fresh=8)  # type: ignore[arg-type]
    task = [[Cell(law, sampling, each, seed, 10 + seed) for each in (trained, method("linear"))] for seed in (0, 1)]
    clock = HandClock(monkeypatch)
    clock.takes(Cell, "sample", 6.0)
    clock.takes(Cell, "held_out", 2.0)
    clock.takes(tasks, "exact_solution", 10.0)
    clock.takes(tasks, "ladder_of", 1000.0)  # the ladder's, which all cells share and nobody is told
    clock.takes(DistinctPoints, "read", 1.0)  # at the end, and where there is one at half of the way
    clock.takes(tasks, "held_out", 20.0)  # reading a critic on the points held out
    clock.takes(tasks, "_fit", 100_000.0)  # training tells its seconds itself
    timings = [timing for _, timing in run_task(task, tmp_path, "cpu")]
    assert [timing["seconds_draw"] for timing in timings] == [4.0] * 4
    assert [timing["seconds_exact"] for timing in timings] == [5.0 if mode == "coupled" else 10.0] * 4
    assert [timing["seconds_evaluate"] for timing in timings] == [22.0, 21.0] * 2
    assert [timing["seconds_fit"] for timing in timings] == [0.0] * 4
    assert [timing["critics_in_batch"] for timing in timings] == [2, 1] * 2
    kept = len(list(tmp_path.glob("*/*.npz")))
    assert kept == (2 if mode == "coupled" else 4), "the floor's solution beside the sample's, not in its place"


def test_cells_that_failed_or_have_no_row_are_retried_and_no_others(tmp_path: Path) -> None:
    experiment = declare(tmp_path, seeds="[0, 1, 2, 3, 4]")
    results = Results(tmp_path / "mine")
    results.folder.mkdir()
    statuses = ("ok", "diverged", "refused", "failed")
    rows = [failed_row(cell, "") | {"status": k} for cell, k in zip(experiment.cells, statuses, strict=False)]
    results.append(rows, [])
    assert chosen_cells(experiment, results, None, retry=True) == list(experiment.cells[3:])
    assert chosen_cells(experiment, results, None, retry=False) is None
    assert chosen_cells(experiment, results, experiment.cells[1].key[:20], retry=False) == [experiment.cells[1]]


@pytest.mark.parametrize(("there", "number"), [([], 1), ([1], 2), ([3], 4), ([2, 10], 11)])
def test_a_folder_set_aside_gets_the_number_after_the_largest(there: list[int], number: int, tmp_path: Path) -> None:
    for old in there:
        (tmp_path / ".aside" / f"mine-{old}").mkdir(parents=True)
        (tmp_path / ".aside" / f"mine-{old}" / "rows.jsonl").write_text("kept")
    results = Results(tmp_path / "mine")
    results.folder.mkdir()
    (results.folder / "rows.jsonl").write_text("new")
    assert set_aside(results) == tmp_path / ".aside" / f"mine-{number}"
    assert all((tmp_path / ".aside" / f"mine-{old}" / "rows.jsonl").read_text() == "kept" for old in there)
    assert not results.folder.exists()
    assert set_aside(results) is None
