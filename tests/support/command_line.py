"""The command line as the tests call it: in this process, or in one of its own."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from otbench.cli.run import main


class Done(NamedTuple):
    code: int
    out: str
    err: str


Otbench = Callable[..., Done]


def called(*arguments: object, cwd: Path) -> Done:
    """The command with these arguments, in this process, working in ``cwd``."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["otbench", *map(str, arguments)]
    code: object = None
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as left:
        code = left.code
    finally:
        sys.argv = before
    assert "Traceback" not in out.getvalue() + err.getvalue()
    return Done(int(code or 0), out.getvalue(), err.getvalue())  # type: ignore[call-overload]


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
