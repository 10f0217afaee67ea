"""What the engine costs: milliseconds a cell, memory over a long run, and how near to ideal two workers come."""

import json
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from hostile import Hostile
from processes import environment, figure, otbench, start
from small import write_block

from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.attempt import Done, attempt
from otbench.experiment.run.clusters import open_client
from otbench.experiment.run.filling import halved, make_tasks, share_out
from otbench.experiment.run.workers import Dispatch, slots
from otbench.methods import METHODS

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]


def test_ten_thousand_cells_of_a_millisecond(tmp_path: Path) -> None:
    cells, seconds = 10_000, 0.001
    method = f'{{ name = "hostile", does = "sleep", seconds = {seconds}, index = {list(range(100))} }}'
    write_block(tmp_path, method=method, seeds=str(list(range(100))), sampling="{ n = 4 }")
    begun = time.monotonic()
    going = start("run", "tiny.toml", "--workers", 2, cwd=tmp_path)
    rows, memory = tmp_path / "results" / "tiny" / "rows.jsonl", {}
    process = psutil.Process(going.pid)
    while going.poll() is None:
        if rows.is_file():
            done = rows.read_bytes().count(b"\n")
            try:
                memory[done] = process.memory_info().rss
            except psutil.NoSuchProcess:
                break
        time.sleep(0.2)
    wall = time.monotonic() - begun
    assert going.wait() == 0
    early = memory[min(memory)]  # with the first rows: one task or two, of 1600 cells
    late = max(rss for done, rss in memory.items() if done <= 0.95 * cells)
    overhead = 1e3 * (wall - cells * seconds / 2) / cells
    assert overhead <= 50  # milliseconds, ten times what a quiet machine takes: the figure printed is the measurement
    assert late - early < 32 * 2**20
    figure(
        f"{cells} cells of 1 ms on 2 workers: {wall:.1f} s from start to exit, so {overhead:.2f} ms a cell beyond the "
        f"ideal, rows and tables included; memory of the coordinator {early / 2**20:.0f} MiB with the first rows, "
        f"{late / 2**20:.0f} MiB at 95 %"
    )


def test_twenty_cells_of_a_second_on_two_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "hostile", Hostile)
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    method = '{ name = "hostile", does = "sleep", seconds = 1.0 }'
    file = write_block(tmp_path, method=method, seeds=str(list(range(20))))
    cells = list(load_experiment(str(file)).cells)
    work = partial(attempt, solutions=tmp_path / ".exact", device="cpu")
    with open_client("local", 2) as client:
        warm = [[[cell]] for cell in load_experiment(str(write_block(tmp_path, seeds="[0, 1]"))).cells]
        # libraries load with a worker's first cell
        assert len(list(Dispatch(client, work, warm, halved).outcomes())) == 2
        tasks = share_out(make_tasks(cells, "cpu"), slots(client))
        begun = time.monotonic()
        outcomes = [outcome for _, outcome in Dispatch(client, work, tasks, halved).outcomes()]
        wall = time.monotonic() - begun
    assert sum(len(outcome.rows) for outcome in outcomes if isinstance(outcome, Done)) == 20
    assert wall < 20 / 1.5  # 20 in turn, 10 side by side: the cells sleep, so that a busy machine changes little
    figure(f"20 cells of 1 s on 2 workers: {wall:.2f} s, ideal 10")


def test_a_resumed_long_run_costs_no_more_than_reading_it(tmp_path: Path) -> None:
    method = f'{{ name = "hostile", index = {list(range(50))} }}'
    write_block(tmp_path, method=method, seeds=str(list(range(40))), sampling="{ n = 4 }")
    begun = time.monotonic()
    assert otbench("run", "tiny.toml", "--engine", "inline", cwd=tmp_path).returncode == 0
    first = time.monotonic() - begun
    begun = time.monotonic()
    again = otbench("run", "tiny.toml", cwd=tmp_path)
    wall = time.monotonic() - begun
    assert "tiny: 0 cells run, 2000 were done; 0 tables changed" in again.stdout
    assert wall < first
    assert len((tmp_path / "results" / "tiny" / "rows.jsonl").read_text().splitlines()) == 2000
    assert json.loads((tmp_path / "results" / "tiny" / "meta.json").read_text())["cells"] == 2000
