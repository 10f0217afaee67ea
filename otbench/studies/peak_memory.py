"""The peak memory of a piece of work, above what its process held before."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

#: Settings of glibc by which it returns blocks to the system when they are freed, so that the peak is of live ones.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_TOP_PAD_": "0"}


def growth(work: Callable[[], object]) -> int | None:
    """The most bytes by which the resident memory of this process rises while ``work`` runs, with its result kept.

    Linux keeps the peak since the process began, which may be far above what is resident now and would hide the work.
    Writing 5 to ``/proc/self/clear_refs`` (proc(5)) first makes the present the peak. On a system that cannot do this
    the result is None and no work is done; it is None also where nothing rose.
    """
    if not restart_peak():
        return None
    before = _status("VmRSS")
    kept = work()
    risen = _status("VmHWM") - before  # not ru_maxrss, which begins with the parent's
    del kept
    return risen if risen > 0 else None


def restart_peak() -> bool:
    """Make the memory that is resident now the peak so far; False on a system that cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmHWM") > 0
    except OSError:
        return False


def in_a_fresh_process(code: str, argument: str) -> int | None:
    """The whole number that ``code`` prints when a new interpreter runs it with ``argument``; None where it fails."""
    command = [sys.executable, "-c", code, argument]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ALLOCATOR})
    printed = done.stdout.strip()
    return int(printed) if done.returncode == 0 and printed.isdigit() else None


def _status(name: str) -> int:
    """The size in a line of /proc/self/status, in bytes; 0 where there is no such line."""
    found = re.search(rf"^{name}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0
