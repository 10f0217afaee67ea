"""Rows put into an experiment's order, wherever they lie, without ever holding more of them than one file has."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from otbench.results.lines import whole_lines
from otbench.results.shards import Scan, last_number, layout, numbered, unpacked_text, write_packed

#: Row k of all that are there: in which file it is, and which bytes of that file's text it has.
Places = NDArray[np.int64]


def settle_rows(
    folder: Path, files: Sequence[Path], scans: Sequence[Scan], order: Mapping[str, int], compress_above: int
) -> None:
    """Put the rows of ``files`` into the order of their keys, in files of the size they should have; those that are so
    already are not touched.

    Wherever this is interrupted every row is in some file, and one that is in two is the same in both, so that readers
    find it once.

    Args:
        folder: the results folder.
        files: its files of rows.
        scans: what is in each of them.
        order: the place of every key.
        compress_above: bytes above which rows are compressed.
    """
    keys = [key for scan in scans for key in scan.keys]
    if not keys:
        return
    place = np.fromiter((order[key] for key in keys), np.int64, len(keys))
    sizes = np.concatenate([np.frombuffer(scan.sizes, np.int64) for scan in scans])
    at = np.argsort(place, kind="stable")
    wanted = layout((int(sizes[k]) for k in at), int(sizes.sum()) + len(sizes), compress_above)
    there = [(file.name, len(scan.keys)) for file, scan in zip(files, scans, strict=True)]
    if wanted == there and (np.diff(place) >= 0).all():
        return
    with ExitStack() as stack:
        texts = [stack.enter_context(_opened(file)) for file in files]
        lines = _Lines(texts, scans, sizes)
        at = at[_once(keys, at, lines)]
        wanted = layout((int(sizes[k]) for k in at), int(sizes[at].sum()) + len(at), compress_above)
        _publish(folder, files, wanted, at, lines)


def reasons_of_failures(files: Sequence[Path], scans: Sequence[Scan], order: Mapping[str, int]) -> tuple[str, ...]:
    """Why cells failed, in the order of the keys of all rows that say so."""
    found = []
    for file, scan in zip(files, scans, strict=True):
        if "failed" in scan.statuses:
            for key, status, line in zip(scan.keys, scan.statuses, whole_lines(file), strict=True):
                found += [(order[key], str(json.loads(line)["reason"]))] if status == "failed" else []
    return tuple(reason for _, reason in sorted(found, key=lambda one: one[0]))


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """A file from which any line can be read; of a compressed one its text, in a file without a name beside it. Nothing
    is mapped into memory, where it would count as this process's own."""
    if file.suffix != ".gz":
        with file.open("rb") as handle:
            yield handle
        return
    unpacked = file.with_name(f".{file.name}.{os.getpid()}")
    with unpacked.open("w+b") as handle:
        unpacked.unlink()
        handle.write(unpacked_text(file))
        handle.flush()
        yield handle


class _Lines:
    """Line k of all files, by its place among their bytes."""

    def __init__(self, texts: Sequence[BinaryIO], scans: Sequence[Scan], sizes: Places) -> None:
        self.texts, self.sizes = texts, sizes
        counts = [len(scan.keys) for scan in scans]
        self.file = np.repeat(np.arange(len(counts)), counts)
        ends = np.cumsum(sizes + 1)
        before = np.concatenate([[0], ends])[np.cumsum([0, *counts])[:-1]]
        self.start = ends - (sizes + 1) - before[self.file]

    def __getitem__(self, k: int) -> bytes:
        text = self.texts[self.file[k]]
        text.seek(int(self.start[k]))
        return bytes(text.read(int(self.sizes[k])))


def _once(keys: Sequence[str], at: Places, lines: _Lines) -> NDArray[np.bool_]:
    """Which of the rows ``at`` stay: of rows that are the same in several files the first."""
    stays = np.ones(len(at), dtype=bool)
    for j in range(1, len(at)):
        first = j
        while first and keys[at[first - 1]] == keys[at[j]]:
            first -= 1
            here, there = at[j], at[first]
            if lines.file[here] != lines.file[there] and lines[here] == lines[there]:
                stays[j] = False
    return stays


def _publish(
    folder: Path, files: Sequence[Path], wanted: Sequence[tuple[str, int]], at: Places, lines: _Lines
) -> None:
    """Write the rows ``at`` into new files, and only then remove those in which they were."""
    first = last_number(folder) if len(wanted) > 1 else 0
    begun, written = 0, []
    for number, (name, count) in enumerate(wanted, start=1):
        file = numbered(folder, first + number) if first else folder / name
        write_packed(file, b"".join(lines[k] + b"\n" for k in at[begun : begun + count]))
        written.append(file)
        begun += count
    for file in files:
        if file not in written:
            file.unlink(missing_ok=True)
    for file, (name, _) in zip(written, wanted, strict=True):
        if file.name != name:
            file.rename(folder / name)
