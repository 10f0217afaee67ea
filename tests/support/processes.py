"""Otbench as processes of its own, with cells that misbehave; what they leave on disk."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil

from otbench.results.store import Results, Row

SUPPORT = Path(__file__).parent
HOSTILE = str(SUPPORT / "hostile.py")


def environment() -> dict[str, str]:
    """This one, with the misbehaving method importable where workers start."""
    paths = [str(SUPPORT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"}


def otbench(*arguments: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line with the misbehaving method, to its end."""
    command = [sys.executable, HOSTILE, *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment() | more, capture_output=True, text=True, timeout=300, check=False
    )


def start(*arguments: object, cwd: Path, output: IO[str] | int = subprocess.DEVNULL) -> psutil.Popen:
    """The same as a process that goes on, in a process group of its own."""
    command = [sys.executable, HOSTILE, *map(str, arguments)]
    return psutil.Popen(command, cwd=cwd, env=environment(), stdout=output, stderr=output, start_new_session=True)


def workers_of(process: psutil.Popen) -> list[psutil.Process]:
    """The dask workers below a coordinator; not the processes Python keeps for itself."""
    try:
        below = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in below if "spawn_main" in " ".join(_command(child))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for a condition; how long it took."""
    start_time = time.monotonic()
    while not condition():
        assert time.monotonic() - start_time < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - start_time


def sorted_rows(folder: Path) -> list[bytes]:
    """The lines of the rows file as they stand, sorted."""
    return sorted((folder / "rows.jsonl").read_bytes().splitlines())


def by_status(folder: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in Results(folder).rows():
        found.setdefault(str(row["status"]), []).append(row)
    return found


def no_traceback(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stdout + done.stderr, done.stderr


def figure(text: str) -> None:
    """A measured figure, as the run of the fault suite prints it."""
    print(f"\n  {text}", flush=True)
