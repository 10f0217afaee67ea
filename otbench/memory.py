"""How much memory this process may still take: what the machine has free, and what every limit on it leaves."""

from collections.abc import Iterator
from pathlib import Path

import psutil

#: Where Linux keeps its groups of processes, and the process's own place in them.
GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def free_memory() -> int:
    """The bytes that this process may still take: the least of what the machine has available and what limits leave.

    Limits are set by a batch system or shell (ulimit -v, ulimit -d) and by the control groups of containers and
    services; a system that lacks one of them sets no such limit.
    """
    machine = int(psutil.virtual_memory().available)
    return max(0, min([machine, *_resource_room(), *group_room(GROUPS, OWN_GROUPS)]))


def address_space_is_limited() -> bool:
    """Whether libraries that are loaded later take from a limited address space."""
    return any(True for _ in _resource_room())


def group_room(groups: Path, own: Path) -> Iterator[int]:
    """The bytes that each control group named in the file ``own``, and each group above it, leaves.

    ``groups`` is the folder in which the groups are mounted, of version 2 or 1. Pages of files that can be dropped at
    once do not count as taken.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.count(":") < 2:
            continue
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for mount in (groups, groups / "unified"):
                yield from _rooms(mount, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _rooms(groups / "memory", path, *names)


def _rooms(mount: Path, path: str, limit: str, used: str, droppable: str) -> Iterator[int]:
    """limit - used + droppable, in bytes, of a group and of those it lies in; groups without a limit are passed over.

    A container sees its own group as the root of the mount, so that ``path`` need not exist below it.
    """
    here = mount / path.strip("/")
    for group in (here, *here.parents):
        if group.is_relative_to(mount):
            try:
                most, taken = int((group / limit).read_text()), int((group / used).read_text())
            except (OSError, ValueError):  # no such group, or "max"
                continue
            yield most - taken + _statistic(group / "memory.stat", droppable)


def _statistic(file: Path, name: str) -> int:
    try:
        lines = dict(line.split(" ", 1) for line in file.read_text().splitlines())
        return int(lines.get(name, 0))
    except (OSError, ValueError):
        return 0


def _resource_room() -> Iterator[int]:
    """The bytes that the limits on the address space and on the data segment leave, where they are set."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    taken = psutil.Process().memory_info()
    for limit, name in ((resource.RLIMIT_AS, "vms"), (resource.RLIMIT_DATA, "data")):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY and hasattr(taken, name):
            yield soft - getattr(taken, name)


def processes_ended_for_memory() -> int | None:
    """How many processes this system has ended for want of memory since it started; None where it does not tell."""
    try:
        lines = dict(line.split(" ", 1) for line in Path("/proc/vmstat").read_text().splitlines())
        return int(lines["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None
