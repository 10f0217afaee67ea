"""Processes killed at random: what is resumed is, byte for byte, what an undisturbed run gives."""

import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from processes import figure, otbench, sorted_rows, start, until, workers_of
from small import declare

from otbench.results.store import Results

pytestmark = [pytest.mark.torture, pytest.mark.timeout(580)]

KILLS = 50

METHODS = """[
  { name = "zero" }, { name = "potential" },
  { name = "weight_clip", widths = [8], batch = 8, steps = 30, clip = [0.01, 0.1] },
  { name = "hostile", does = "sleep", seconds = 3.0 },
]"""


def alive(processes: list[psutil.Process]) -> bool:
    return any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def _start(folder: Path) -> psutil.Popen:
    with (folder / "said").open("a") as said:
        return start("run", "tiny.toml", "--workers", 2, cwd=folder, output=said)


def test_fifty_random_kills_lose_and_double_no_row(tmp_path: Path) -> None:
    problem = f'{{ name = "shared_mass", dim = {list(range(2, 62))} }}'
    with pytest.MonkeyPatch.context() as patch:
        from hostile import Hostile

        from otbench.methods import METHODS as KNOWN

        patch.setitem(KNOWN, "hostile", Hostile)
        cells = len(declare(tmp_path, problem, method=METHODS).cells)
    assert cells >= 200
    quickly = {"HOSTILE_PACE": "0"}
    undisturbed = otbench("run", "tiny.toml", "--results", "whole", "--engine", "inline", cwd=tmp_path, **quickly)
    assert undisturbed.returncode == 0, undisturbed.stderr
    rng, victims, orphaned = np.random.default_rng(0), {"coordinator": 0, "worker": 0}, 0.0
    begun, runs, coordinator = time.monotonic(), 0, None
    results = Results(tmp_path / "results" / "tiny")
    while sum(victims.values()) < KILLS:
        if coordinator is None or coordinator.poll() is not None:
            assert coordinator is None or coordinator.returncode == -signal.SIGKILL, (tmp_path / "said").read_text()
            coordinator, runs = _start(tmp_path), runs + 1
        time.sleep(rng.uniform(0.0, 5.0))
        workers = workers_of(coordinator)
        if workers and rng.random() < 0.7:
            with suppress(psutil.NoSuchProcess):  # it ended meanwhile
                rng.choice(workers).kill()
                victims["worker"] += 1
        else:
            coordinator.kill()
            coordinator.wait()
            orphaned = max(orphaned, until(lambda left=workers: not alive(left), 20, "workers end with their run"))
            victims["coordinator"] += 1
    kept = len(results.rows_so_far())
    if coordinator.poll() is None:
        coordinator.kill()
        coordinator.wait()
    blamed = len([row for row in results.rows_so_far() if row["status"] == "failed"])  # killed twice on one cell
    done = otbench("run", "tiny.toml", "--retry-failed", "--workers", 2, cwd=tmp_path, **quickly)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted_rows(results.folder) == sorted_rows(tmp_path / "whole" / "tiny")
    assert 0 < kept < cells
    assert "Traceback" not in (tmp_path / "said").read_text()
    figure(
        f"{KILLS} kills ({victims['coordinator']} of coordinators, {victims['worker']} of workers) over {runs} runs of "
        f"{cells} cells in {time.monotonic() - begun:.0f} s: {cells} rows equal byte for byte, 0 lost, 0 doubled; "
        f"{kept} rows were there after the last kill, {blamed} cells blamed; workers outlived theirs {orphaned:.1f} s"
    )
