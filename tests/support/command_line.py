"""The command line as the tests call it: in this process, or in one of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    code: int
    out: str
    err: str


Otbench = Callable[..., Done]


def run_alone(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from otbench.cli.run import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def assert_one_line(done: Done, said: str) -> None:
    assert done.code == 2
    assert done.err.startswith("otbench: ")
    assert done.err.count("\n") == 1
    assert done.err.endswith("\n")
    assert said in done.err
    assert done.out == ""
