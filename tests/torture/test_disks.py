"""Disks that are full or read-only, and clocks that jump: a clear message, and what was written stays whole."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import by_status, environment, figure, no_traceback, otbench, sorted_rows
from small import write_block

from otbench.results.store import Results

pytestmark = [pytest.mark.torture, pytest.mark.timeout(200)]

METHODS = '[{ name = "zero" }, { name = "potential" }]'


def mounted(folder: Path, *options: str) -> None:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "none", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    mounted(disk, "-o", "size=256k")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_a_full_disk_leaves_the_earlier_rows_whole(engine: str, small_disk: Path, tmp_path: Path) -> None:
    write_block(tmp_path, f'{{ name = "shared_mass", dim = {list(range(2, 62))} }}', method=METHODS, seeds="[0, 1, 2]")
    whole = otbench("run", "tiny.toml", "--results", "whole", "--engine", "inline", cwd=tmp_path)
    assert whole.returncode == 0
    done = otbench("run", "tiny.toml", "--results", small_disk, "--engine", engine, cwd=tmp_path)
    no_traceback(done)
    assert done.returncode == 2
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("otbench: ")
    assert "No space left on device" in said
    assert said.endswith("the rows before are kept, the same command goes on from there")
    kept = sorted_rows(small_disk / "tiny")
    assert 0 < len(kept) < 360
    assert set(kept) <= set(sorted_rows(tmp_path / "whole" / "tiny"))
    shutil.copytree(small_disk / "tiny", tmp_path / "results" / "tiny")
    resumed = otbench("run", "tiny.toml", "--engine", "inline", cwd=tmp_path)
    assert f"tiny: {360 - len(kept)} cells run, {len(kept)} were done" in resumed.stdout
    assert sorted_rows(tmp_path / "results" / "tiny") == sorted_rows(tmp_path / "whole" / "tiny")
    figure(f"full disk, engine {engine}: {len(kept)} of 360 rows kept whole, resumed to the same bytes; {said}")


def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    write_block(tmp_path, method=METHODS)
    for folder in ("never", "once"):
        mounted(tmp_path / folder)
        try:
            where = ("--results", folder, "--engine", "inline")
            if folder == "once":
                assert otbench("run", "tiny.toml", *where, cwd=tmp_path).returncode == 0
            subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / folder)], check=True)
            done = otbench("run", "tiny.toml", *where, cwd=tmp_path)
            assert done.returncode == 2
            assert done.stderr == (
                f"otbench: cannot write to {folder}/tiny: Read-only file system; name another with --results\n"
            )
            if folder == "once":
                assert otbench("check", "--results", folder, cwd=tmp_path).returncode == 0
        finally:
            subprocess.run(["umount", str(tmp_path / folder)], check=True)


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
/* The wall clock jumps by JUMP seconds, to and fro every other second; the monotonic clock is left alone. */
int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int code = real(id, t);
  if (id == CLOCK_REALTIME && t->tv_sec % 2) t->tv_sec += atol(getenv("JUMP"));
  return code;
}
"""


def test_a_clock_that_jumps_to_and_fro_changes_nothing(tmp_path: Path) -> None:
    jump = 86400 * 400
    if not shutil.which("gcc"):
        pytest.skip("a C compiler makes the clock that jumps")
    (tmp_path / "clock.c").write_text(CLOCK)
    library = tmp_path / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "clock.c", "-ldl"], check=True)
    preload = {"LD_PRELOAD": str(library), "JUMP": str(jump)}
    ask = "import time; print(len({round(time.time(), -4) for _ in range(30) if time.sleep(0.1) is None}))"
    told = subprocess.run(["python3", "-c", ask], env=environment() | preload, stdout=subprocess.PIPE, check=True)
    assert int(told.stdout) > 1, "the clock does not jump"
    slow = '{ name = "hostile", does = "sleep", seconds = 0.5 }, { name = "hostile", does = "loop" }'
    write_block(tmp_path, '{ name = "shared_mass", dim = [2, 3, 4, 5] }', method=f'[{{ name = "zero" }}, {slow}]')
    done = otbench("run", "tiny.toml", "--workers", 2, "--timeout", 3, cwd=tmp_path, **preload)
    no_traceback(done)
    rows = by_status(tmp_path / "results" / "tiny")
    assert (done.returncode, len(rows["ok"]), len(rows["failed"])) == (3, 8, 4)
    assert {str(row["reason"]).partition(";")[0] for row in rows["failed"]} == {"not done after 3 s"}
    assert all(0 <= float(t["seconds_fit"] or 0) < 5 for t in Results(tmp_path / "results" / "tiny").timings())
    figure(f"wall clock jumping by {jump / 86400:g} days every other second: 8 cells done, 4 stopped at their limit")


def test_leftovers_of_killed_writers_are_not_rows(tmp_path: Path) -> None:
    write_block(tmp_path, method=METHODS)
    assert otbench("run", "tiny.toml", "--engine", "inline", cwd=tmp_path).returncode == 0
    folder = tmp_path / "results" / "tiny"
    before = sorted_rows(folder)
    (folder / ".rows.jsonl.4194305").write_bytes(b'{"half": ')
    assert otbench("run", "tiny.toml", "--engine", "inline", cwd=tmp_path).returncode == 0
    assert sorted_rows(folder) == before
    assert os.listdir(folder / "tables")
