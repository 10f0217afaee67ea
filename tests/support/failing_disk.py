"""A disk that fails, or a process that is killed, before any one of the operations that a writer makes on files.

Every operation on a file below one folder is counted: opening for writing, each write that reaches the file, each
force to the disk, each truncation, renaming, removal, and making of a folder. The k-th one is interrupted in one of
these ways:

- ``error``: it raises OSError, a write after half of its bytes; what follows works, as where another process freed
  some space, so that whatever the writer does to clean up is done;
- ``full``: a write takes half of its bytes and says so without raising, as write(2) on a full disk does, and every
  later write raises;
- ``killed``: nothing reaches the files any more, and half of the bytes of a write have;
- ``power``: as ``killed``, and what was not forced to the disk is lost as well.
"""

import errno
import io
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

Subject = TypeVar("Subject")

HOWS = ("error", "full", "killed", "power")


class Killed(BaseException):
    """Stands for the end of the process: nothing after it has any effect on files."""


class Disk:
    """The files below ``folder``, of which the operation number ``at`` is interrupted in the way ``how``."""

    def __init__(self, folder: Path, at: int, how: str) -> None:
        self.folder, self.at, self.how = folder.resolve(), at, how
        self.operations: list[str] = []
        self.dead = self.full = False
        self.durable: dict[int, bytes] = {}  # what the disk itself holds of every file that was opened for writing
        self.paths: dict[int, Path] = {}

    @property
    def reached(self) -> bool:
        """Whether the operation that is to be interrupted was begun."""
        return len(self.operations) > self.at

    def holds(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and Path(path).absolute().is_relative_to(self.folder)

    def begin(self, what: str, *, writes: bool = False) -> bool:
        """Count an operation; True where a write is to take half of its bytes before ``interrupt`` is called."""
        if self.dead:
            raise Killed
        if writes and self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.operations.append(what)
        if len(self.operations) - 1 != self.at:
            return False
        if not writes:
            self.interrupt()
        return writes

    def interrupt(self) -> None:
        if self.how in {"killed", "power"}:
            self.dead = True
            raise Killed
        self.full = self.how == "full"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def lose_power(self) -> None:
        """Leave of every file that was written what was forced to the disk."""
        for file in [file for file in self.folder.rglob("*") if file.is_file()]:
            inode = file.stat().st_ino
            if inode in self.durable:
                file.write_bytes(self.durable[inode])


class Handle:
    """A file that is open for writing; writes of a buffered one reach it when it is flushed or closed."""

    def __init__(self, disk: Disk, path: Path, raw: Any, *, buffered: bool, text: bool) -> None:
        self.disk, self.path, self.raw, self.buffered, self.text = disk, path, raw, buffered, text
        self.pending = b""

    def write(self, data: Any) -> int:
        told, data = len(data), data.encode() if self.text else bytes(data)
        if self.buffered:
            self.pending += data
            return told
        return self._take(data)

    def _take(self, data: bytes) -> int:
        half = self.disk.begin(f"write {self.path.name}", writes=True)
        taken = self.raw.write(data[: len(data) // 2] if half else data)
        if half and self.disk.how == "full" and not self.buffered:
            self.disk.full = True
        elif half:
            self.disk.interrupt()
        return int(taken)

    def flush(self) -> None:
        if self.pending:
            data, self.pending = self.pending, b""
            self._take(data)

    def truncate(self, size: int | None = None) -> int:
        self.flush()
        self.disk.begin(f"truncate {self.path.name}")
        return int(self.raw.truncate(size))

    def close(self) -> None:
        try:
            if not self.disk.dead:
                self.flush()
        finally:
            self.disk.paths.pop(self.raw.fileno(), None) if not self.raw.closed else None
            self.raw.close()

    def __enter__(self) -> "Handle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


@contextmanager
def on_disk(disk: Disk) -> Iterator[None]:
    """Within this context the operations on files below the disk's folder are its own."""
    real = {name: getattr(os, name) for name in ("replace", "rename", "unlink", "remove", "mkdir", "fsync")}
    real_open = io.open

    def opened(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if not disk.holds(file) or not set(mode) & set("wax+"):
            return real_open(file, mode, *arguments, **named)
        path = Path(file).absolute()
        before = path.read_bytes() if path.is_file() else b""
        disk.begin(f"open {path.name}")
        raw = real_open(path, mode.replace("b", "").replace("t", "") + "b", buffering=0)
        inode = os.fstat(raw.fileno()).st_ino
        if not before or inode not in disk.durable:
            disk.durable[inode] = before
        disk.paths[raw.fileno()] = path
        buffering = arguments[0] if arguments else named.get("buffering", -1)
        return Handle(disk, path, raw, buffered=buffering != 0, text="b" not in mode)

    def forced(handle: int) -> None:
        if handle in disk.paths:
            disk.begin(f"force {disk.paths[handle].name}")
            disk.durable[os.fstat(handle).st_ino] = disk.paths[handle].read_bytes()

    def counted(name: str) -> Callable[..., Any]:
        def operation(path: Any, *arguments: Any, **named: Any) -> Any:
            if disk.holds(path) and not (name == "mkdir" and os.path.isdir(path)):
                disk.begin(f"{name} {Path(path).name}")
            return real[name](path, *arguments, **named)

        return operation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(io, "open", opened)
        patch.setattr("builtins.open", opened)
        patch.setattr(os, "fsync", forced)
        for name in ("replace", "rename", "unlink", "remove", "mkdir"):
            patch.setattr(os, name, counted(name))
        yield


def interruptions(
    folder: Path, hows: str | Sequence[str], prepare: Callable[[Path], Subject], work: Callable[[Subject], Any]
) -> Iterator[tuple[Subject, bool]]:
    """What ``prepare`` makes, after ``work`` was interrupted at its first operation, its second, and so on: in one way,
    or in several by turns.

    The last one is not interrupted. With each comes whether ``work`` came to its end, which is what it
    acknowledges by; a work that swallows an error has come to its end.
    """
    ways = (hows,) if isinstance(hows, str) else hows
    for at in itertools.count():
        how = ways[at % len(ways)]
        place = folder / f"{how}-{at}"
        place.mkdir()
        subject, disk, ended = prepare(place), Disk(place, at, how), True
        try:
            with on_disk(disk):
                work(subject)
        except Killed:
            ended = False
        except Exception:  # what is raised is of no matter here, what is left on the disk is
            if not disk.reached:
                raise
            ended = False
        if how == "power":
            disk.lose_power()
        yield subject, ended
        if not disk.reached:
            assert ended
            return
