"""What does not fit is refused before it is allocated, whatever limits memory: machine, shell or control group."""

import subprocess
import sys
from pathlib import Path

import pytest

from otbench.memory import free_memory, group_room
from otbench.transport.dense import check_dense_memory

SOLVE = """
import resource, sys, numpy as np, psutil, otbench
from otbench.transport.dense import BYTES_BESIDES, MATRICES_IN_A_SOLVE

rng = np.random.default_rng(0)

def solve(n, m, weighted):
    weights = rng.random(n)
    weights[::50] = 0
    x, y = rng.standard_normal((n, 1)), rng.standard_normal((m, 1)) + 1
    otbench.solve_exact(x, y, weights / weights.sum() if weighted else None, route="dense")

def taken(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1]) * 1024

solve(2, 2, False)
"""

LADDER = """
limit, field = {"as": (resource.RLIMIT_AS, "vms"), "data": (resource.RLIMIT_DATA, "data")}[sys.argv[1]]
most = getattr(psutil.Process().memory_info(), field) + 150 * 2**20
resource.setrlimit(limit, (most, most))
for n in (*range(200, 1700, 500), 4000):
    for m, weighted in ((n, False), (2 * n, True), (n // 3, False)):
        try:
            solve(n, m, weighted)
            print("solved")
        except otbench.InputError as error:
            print("refused", error)
"""

PEAKS = """
before = taken("VmSize")
for n, m, weighted in ((600, 600, False), (800, 800, True), (80, 16_000, False)):  # each larger than the last
    solve(n, m, weighted)
    print((taken("VmPeak") - before) / (8 * n * m * MATRICES_IN_A_SOLVE + BYTES_BESIDES))
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and peaks are read where Linux keeps them")


def lines_of(code: str, *arguments: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SOLVE + code, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@on_linux
@pytest.mark.parametrize("limit", ["as", pytest.param("data", marks=pytest.mark.slow)])
def test_what_is_accepted_under_a_limit_is_solved_and_never_ends_the_interpreter(limit: str) -> None:
    said = [line.split()[0] for line in lines_of(LADDER, limit)]
    assert len(said) == 12
    assert said[0] == "solved"
    assert said[-3] == "refused"
    assert said.count("solved") > 5


@on_linux
def test_a_solve_takes_no_more_than_is_counted() -> None:
    shares = [float(line) for line in lines_of(PEAKS)]
    assert len(shares) == 3
    assert 0.3 < min(shares) <= max(shares) <= 1.0


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def room(tmp_path: Path, own: str) -> list[int]:
    (tmp_path / "own").write_text(own)
    return sorted(group_room(tmp_path / "cgroup", tmp_path / "own"))


def test_control_groups_of_version_2_count_with_those_above_them(tmp_path: Path) -> None:
    top = tmp_path / "cgroup"
    group(top / "job", memory__max=10_000, memory__current=4_000, memory__stat="anon 100\ninactive_file 500")
    group(top / "job" / "step", memory__max="max", memory__current=3_000)
    group(top / "job" / "step" / "task", memory__max=7_000, memory__current=1_000)
    assert room(tmp_path, "0::/job/step/task\n") == [6_000, 6_500]
    assert room(tmp_path, "0::/job/step\n") == [6_500]


def test_control_groups_of_version_1_and_of_both_versions(tmp_path: Path) -> None:
    top = tmp_path / "cgroup"
    group(top / "memory" / "slurm", memory__limit_in_bytes=9_000, memory__usage_in_bytes=8_000,
          memory__stat="cache 9\ntotal_inactive_file 7")  # fmt: skip
    group(top / "unified" / "slurm", memory__max=5_000, memory__current=1)
    assert room(tmp_path, "4:memory:/slurm\n3:cpu,cpuacct:/slurm\n0::/slurm\n") == [1_007, 4_999]
    assert room(tmp_path, "4:cpu,memory:/slurm\n") == [1_007]


def test_a_container_whose_path_is_the_hosts_is_held_to_its_root(tmp_path: Path) -> None:
    group(tmp_path / "cgroup", memory__max=2_000, memory__current=500)
    assert room(tmp_path, "0::/docker/4f2a\n") == [1_500]


@pytest.mark.parametrize("own", ["", "no groups\n", "0::/../../x\n", "7:memory\n", "0::\n"])
def test_groups_that_are_not_there_or_odd_set_no_limit(own: str, tmp_path: Path) -> None:
    group(tmp_path / "cgroup", memory__max="many", memory__current="some")
    assert room(tmp_path, own) == []
    assert list(group_room(tmp_path / "nowhere", tmp_path / "nothing")) == []


def test_some_memory_is_free_here_and_small_solves_fit() -> None:
    assert free_memory() > 0
    check_dense_memory(10, 10, 2)
