"""Peak memory of a piece of work, above what its process held before."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

#: glibc gives every block from this size on back to the system when it is freed, so that the peak is of live blocks.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_TOP_PAD_": "0"}

#: Resident bytes by which a ballast surely lifts the present above the past.
MARGIN = 8 * 2**20


def growth(work: Callable[[], object]) -> int | None:
    """Bytes by which the process's peak of resident memory rises while ``work`` runs, what it returns still alive.

    The peak so far may lie above what is resident now, and would hide as much of the work; a ballast first brings
    the two together. None where the system tells no peak, or none of the rise.
    """
    before = _peak()
    if before is None:
        return None
    ballast = _pages(before - _resident() + MARGIN)
    before = _peak()
    kept = work()
    after = _peak()
    del kept, ballast
    return after - before if before is not None and after is not None and after > before else None


def in_a_fresh_process(code: str, argument: str) -> int | None:
    """What ``code``, run by a new interpreter with ``argument``, prints as a whole number; None where it fails."""
    command = [sys.executable, "-c", code, argument]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ALLOCATOR})
    printed = done.stdout.strip()
    return int(printed) if done.returncode == 0 and printed.isdigit() else None


def _pages(size: int) -> bytearray:
    """So many bytes, every page of them written to."""
    ballast = bytearray(size)
    ballast[::4096] = b"\1" * len(range(0, size, 4096))
    return ballast


def _peak() -> int | None:
    """The most bytes this process had resident so far; ``ru_maxrss`` will not do, it begins with the parent's."""
    return _status("VmHWM")


def _resident() -> int:
    return _status("VmRSS") or 0


def _status(name: str) -> int | None:
    """A line of /proc/self/status in bytes; None on a system without it."""
    file = Path("/proc/self/status")
    found = re.search(rf"^{name}:\s*(\d+) kB", file.read_text(), re.MULTILINE) if file.is_file() else None
    return 1024 * int(found[1]) if found else None
