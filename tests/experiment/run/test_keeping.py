"""What a coordinator does per task and what once: keys, meta.json, forcing to the disk, and a scheduler's setting."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Otbench
from distributed import Client, LocalCluster
from processes import environment, until
from small import TIMING, Line, declare, lines, write_block

import otbench.experiment.declaration as declaration
import otbench.experiment.run.runner as runner
from otbench.errors import InputError
from otbench.experiment.cell import Cell, CellMaker
from otbench.experiment.run.lease import end_lease, own_judgement, take_lease
from otbench.experiment.run.runner import Keeper, Place, run_experiment
from otbench.results.store import Results


def test_keys_are_those_of_cells_that_stand_alone_and_are_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = '[{ name = "zero" }, { name = "weight_clip", clip = [0.01, 1.0], widths = [[8, 8], [4]], lr = 1e-5 }]'
    sampling = '[{ n = 8 }, { n = 8, exact_seconds = 0.5 }]'
    problem = '{ name = "shared_mass", dim = [2, 3], overlap = [0.0, 0.5] }'
    found = declare(tmp_path, problem, sampling, methods, "[0, 1]").cells
    assert len(found) == 80
    for cell in found:
        alone = Cell(cell.problem, cell.sampling, cell.method, cell.seed, cell.training_seed)
        assert (cell.key, cell.sample_key) == (alone.key, alone.sample_key)
    calls: list[object] = []
    real = CellMaker._text
    monkeypatch.setattr(CellMaker, "_text", lambda self, *of: calls.append(of) or real(self, *of))
    declare(tmp_path, problem, sampling, methods, "[0, 1]")
    assert len(calls) == 3 * 80


def test_meta_is_written_when_it_changes_and_the_digest_of_keys_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    digests: list[int] = []
    write, digest = runner.write_atomically, declaration.keys_digest
    monkeypatch.setattr(runner, "write_atomically", lambda file, data: written.append(file.name) or write(file, data))
    monkeypatch.setattr(declaration, "keys_digest", lambda keys: digests.append(1) or digest(keys))
    declared = declare(tmp_path, seeds=str(list(range(6))))
    done = run_experiment(declared, tmp_path / "results" / "tiny", Place(limit=60.0))  # a task for every cell
    assert done.now == 6
    assert written == ["meta.json", "meta.json"], "the declaration, and the machine"
    assert digests == [1]


@pytest.fixture
def rows(small_results: Path) -> list[Line]:
    return lines(small_results / "rows.jsonl")[:12]


def test_rows_are_forced_together_and_told_of_only_then(
    tmp_path: Path, rows: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, told, forced = [0.0], list[int](), list[float]()
    monkeypatch.setattr(runner, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "fsync", lambda handle: forced.append(now[0]))
    results = Results(tmp_path)
    keeper = Keeper(results, every=0.5)
    keeper.tell = told.append
    for k in range(10):
        now[0] = 0.11 * (k + 1)
        keeper.keep([rows[k]], [TIMING], ())
        assert len(results.rows()) == k + 1, "a process that is killed loses no row that was written"
    assert told == [5, 10]
    assert sorted(set(forced)) == pytest.approx([0.55, 1.1])
    keeper.keep([rows[10]], [TIMING], ())
    now[0] = 1.7
    keeper.idle()
    assert told == [5, 10, 11], "also where nothing comes after it"
    count = len(forced)
    keeper.idle()
    assert len(forced) == count
    Keeper(results, every=0.0).keep([rows[11]], [TIMING], ())
    assert len(forced) > count


def test_rows_for_which_the_disk_has_no_room_are_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 5 * runner.BYTES_PER_CELL})
    monkeypatch.setattr(runner.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match=r"the rows of 6 cells need about 0.0 GiB, .* free; name another with"):
        run_experiment(declare(tmp_path, seeds=str(list(range(6)))), tmp_path / "results" / "tiny")
    assert run_experiment(declare(tmp_path, seeds=str(list(range(5)))), tmp_path / "results" / "tiny").now == 5


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A scheduler without workers, in this process."""
    options: dict[str, Any] = {"dashboard_address": ":0", "n_workers": 0, "processes": False}
    with LocalCluster(**options) as cluster, Client(cluster) as opened:
        yield opened


def failures_allowed(client: Client) -> int:
    return int(client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures))


def test_a_scheduler_does_as_before_once_the_last_run_is_over(client: Client) -> None:
    before = failures_allowed(client)
    assert before > 0
    with own_judgement(client):
        with own_judgement(client):
            assert failures_allowed(client) == 0
        assert failures_allowed(client) == 0
    assert failures_allowed(client) == before


def test_a_lease_that_nobody_renews_ends_by_itself(client: Client) -> None:
    before = failures_allowed(client)
    client.run_on_scheduler(take_lease, "killed", 0.3)
    client.run_on_scheduler(take_lease, "alive", 60.0)
    time.sleep(0.5)
    assert failures_allowed(client) == 0
    client.run_on_scheduler(end_lease, "alive")
    assert failures_allowed(client) == before
    client.run_on_scheduler(take_lease, "killed", 0.2)
    client.run_on_scheduler(take_lease, "killed", 0.5)  # renewed
    time.sleep(0.35)
    assert failures_allowed(client) == 0
    until(lambda: failures_allowed(client) == before, 20, "the end of the lease")


@pytest.mark.slow
def test_a_scheduler_gets_its_setting_back_after_a_run_was_killed(client: Client, tmp_path: Path) -> None:
    before = failures_allowed(client)
    code = """
import sys, time
import otbench.experiment.run.lease as lease
from distributed import Client
lease.LEASE, lease.RENEW = 2.0, 0.5
with lease.own_judgement(Client(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
    command = [sys.executable, "-c", code, ""]
    options: dict[str, Any] = {"dashboard_address": ":0", "n_workers": 0, "processes": False, "protocol": "tcp"}
    with LocalCluster(**options) as cluster, Client(cluster) as other:
        command[-1] = cluster.scheduler_address
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True) as run:
            assert run.stdout is not None
            assert run.stdout.readline() == "held\n"
            time.sleep(3.0)
            assert failures_allowed(other) == 0, "it is renewed while the run lives"
            os.kill(run.pid, signal.SIGKILL)
        until(lambda: failures_allowed(other) == before, 60, "the end of the lease")


def test_what_is_kept_for_speed_is_removed_when_asked(otbench: Otbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTBENCH_CACHE", str(Path("own").absolute()))
    write_block(Path())
    assert otbench("run", "tiny.toml", "--engine", "inline").code == 0
    assert otbench("run", "tiny.toml", "--engine", "inline", "--fresh").code == 0
    for folder in ("own/exact", "results/tiny/stacks"):
        Path(folder).mkdir(parents=True)
        Path(folder, "kept").write_bytes(bytes(2**20))
    rows = Path("results/tiny/rows.jsonl").read_bytes()
    would = otbench("clean", "--dry-run")
    assert would.out.count(" would be removed\n") == 3
    assert "own/exact: 1 file, 1.0 MiB would be removed\n" in would.out
    assert Path("results/.exact").is_dir()
    assert otbench("clean").out.count(" removed\n") == 3
    assert not any(Path(folder).exists() for folder in ("results/.exact", "own/exact", "results/tiny/stacks"))
    assert otbench("clean").out == "there is nothing to remove\n"
    assert Path("results/tiny/rows.jsonl").read_bytes() == rows
    assert otbench("clean", "--aside").out.startswith("results/.aside: ")
    assert not Path("results/.aside").exists()
    assert otbench("check").code == 0
