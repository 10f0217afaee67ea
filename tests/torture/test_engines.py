"""The same rows wherever they are computed: a scheduler somebody runs, a batch system; and nobody else listens in."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from processes import by_status, environment, figure, no_traceback, otbench, sorted_rows, start, until, workers_of
from small import write_block

pytestmark = [pytest.mark.torture, pytest.mark.timeout(200)]

CLIPPED = '{ name = "weight_clip", widths = [8], batch = 8, steps = [0, 30], clip = [0.01, 0.1] }'
METHODS = f'[{{ name = "potential" }}, {CLIPPED}]'
PROBLEM = '{ name = "shared_mass", dim = [2, 3, 4, 5] }'


def dask(*arguments: object, cwd: Path) -> psutil.Popen:
    command = [sys.executable, "-m", "dask", *map(str, arguments)]
    with (cwd / "dask.log").open("a") as log:
        return psutil.Popen(command, cwd=cwd, env=environment(), stdout=log, stderr=log)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A scheduler with two workers, as docs/running.md starts them."""
    scheduler = dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", "here.json", cwd=tmp_path)
    processes = [scheduler]
    try:
        until(lambda: "tcp://127.0.0.1:" in (tmp_path / "dask.log").read_text(), 30, "the scheduler")
        said = (tmp_path / "dask.log").read_text()
        found = "tcp://127.0.0.1:" + said.partition("tcp://127.0.0.1:")[2].split()[0]
        processes += [dask("worker", found, "--nthreads", 1, cwd=tmp_path) for _ in range(2)]
        yield found
    finally:
        for process in processes:
            for child in process.children(recursive=True) if process.is_running() else []:
                child.kill()
            process.kill()
            process.wait()


def test_a_scheduler_that_is_there_gives_the_same_bytes_and_survives(address: str, tmp_path: Path) -> None:
    bad = METHODS.replace("[{", '[{ name = "hostile", does = "die" }, {', 1)
    write_block(tmp_path, PROBLEM, method=METHODS)
    here = otbench("run", "tiny.toml", "--results", "here", "--engine", "inline", cwd=tmp_path)
    there = otbench("run", "tiny.toml", "--engine", address, cwd=tmp_path)
    no_traceback(there)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert sorted_rows(tmp_path / "results" / "tiny") == sorted_rows(tmp_path / "here" / "tiny")
    write_block(tmp_path, PROBLEM, method=bad)
    poisoned = otbench("run", "tiny.toml", "--engine", address, cwd=tmp_path)
    no_traceback(poisoned)
    assert poisoned.returncode == 3
    rows = by_status(tmp_path / "results" / "tiny")
    assert (len(rows["ok"]), len(rows["failed"])) == (20, 4)
    figure("tcp:// scheduler, two workers: rows equal byte for byte; 4 poison cells failed alone, the cluster lives")


def test_a_scheduler_that_leaves_is_one_line(address: str, tmp_path: Path) -> None:
    write_block(tmp_path, PROBLEM, method='{ name = "hostile", does = "sleep", seconds = 4.0 }', seeds="[0, 1]")
    with (tmp_path / "said").open("w") as said:
        going = start("run", "tiny.toml", "--engine", address, cwd=tmp_path, output=said)
    until(lambda: (tmp_path / "results" / "tiny" / "rows.jsonl").is_file(), 60, "a first row")
    port = int(address.rpartition(":")[2])
    (scheduler,) = {c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == "LISTEN"}
    psutil.Process(scheduler).kill()
    assert going.wait(timeout=120) == 2
    last = (tmp_path / "said").read_text().strip().splitlines()[-1]
    assert last.startswith("otbench: the dask scheduler is gone; ")
    assert "Traceback" not in (tmp_path / "said").read_text()


def test_a_scheduler_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    write_block(tmp_path)
    done = otbench("run", "tiny.toml", "--engine", "tcp://127.0.0.1:9", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("otbench: no dask scheduler answers at tcp://127.0.0.1:9: ")


def test_a_batch_system_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="pip install 'otbench[cluster]'")
    write_block(tmp_path, PROBLEM, method=METHODS)
    (tmp_path / "jobs.toml").write_text('cluster = "local"\njobs = 2\n[options]\ncores = 1\nmemory = "2GB"\n')
    assert otbench("run", "tiny.toml", "--results", "here", "--engine", "inline", cwd=tmp_path).returncode == 0
    done = otbench("run", "tiny.toml", "--engine", "jobs.toml", cwd=tmp_path)
    no_traceback(done)
    assert done.returncode == 0, done.stderr
    assert sorted_rows(tmp_path / "results" / "tiny") == sorted_rows(tmp_path / "here" / "tiny")
    figure("dask-jobqueue, two jobs of its LocalCluster: rows equal byte for byte")


def test_a_local_run_listens_on_loopback_alone(tmp_path: Path) -> None:
    write_block(tmp_path, PROBLEM, method='{ name = "hostile", does = "sleep", seconds = 2.0 }')
    going = start("run", "tiny.toml", "--workers", 2, cwd=tmp_path)
    until(lambda: (tmp_path / "results" / "tiny" / "rows.jsonl").is_file(), 60, "a first row")
    ours = {going.pid, *(worker.pid for worker in workers_of(going))}
    listening = {c.laddr.ip for c in psutil.net_connections("inet") if c.pid in ours and c.status == "LISTEN"}
    assert going.wait(timeout=60) == 0
    assert len(ours) == 3
    assert listening == {"127.0.0.1"}
    figure(f"{len(ours)} processes of a local run listen on 127.0.0.1 alone")
