"""Peak memory of a piece of work, above what its process held before."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

#: glibc gives every block from this size on back to the system when it is freed, so that the peak is of live blocks.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_TOP_PAD_": "0"}


def growth(work: Callable[[], object]) -> int | None:
    """Bytes by which the resident memory of this process rises at most while ``work`` runs, what it returns alive.

    Linux keeps the peak since the process began, which may lie far above what is resident now and would hide the work:
    writing 5 to ``/proc/self/clear_refs`` (proc(5)) makes the present the peak first. None, and no work done, on a
    system that cannot; None also where nothing rose.
    """
    if not can_measure():
        return None
    before = _status("VmRSS")
    kept = work()
    risen = _status("VmHWM") - before  # not ru_maxrss, which begins with the parent's
    del kept
    return risen if risen > 0 else None


def can_measure() -> bool:
    """Whether this system tells the peak from now on; from now on it is then counted."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmHWM") > 0
    except OSError:
        return False


def in_a_fresh_process(code: str, argument: str) -> int | None:
    """What ``code``, run by a new interpreter with ``argument``, prints as a whole number; None where it fails."""
    command = [sys.executable, "-c", code, argument]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ALLOCATOR})
    printed = done.stdout.strip()
    return int(printed) if done.returncode == 0 and printed.isdigit() else None


def _status(name: str) -> int:
    """A line of /proc/self/status in bytes; 0 where it is not told."""
    found = re.search(rf"^{name}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0
