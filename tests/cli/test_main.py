"""The package run as a module is the command line."""

import subprocess
import sys


def otbench_as_a_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "otbench", *arguments], capture_output=True, text=True)


def test_python_m_otbench_runs_commands_and_passes_their_exit_status_on() -> None:
    listed = otbench_as_a_module("list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "experiment quick " in listed.stdout
    refused = otbench_as_a_module("run", "quikc")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "did you mean 'quick'?" in refused.stderr
