"""Exact solutions kept on disk: each sample is solved once for all critics and runs, and proved again when read."""

import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from otbench.errors import UncertifiedError
from otbench.files import POINTS_BYTES, parse_npy, read_bounded, write_atomically
from otbench.transport.exact import refuse_interval, solve_pair, verify_pair
from otbench.types import ExactSolution, Plan, SamplePair

#: The most that the stored solutions of a folder take, in bytes; the oldest go first. One of n and n points takes
#: 64 n bytes: room for 60 of 500 000 points, or 60 000 of 500.
MOST_BYTES = 2 * 2**30

#: The part of that room after which a process looks again how much is taken.
SHARE = 64

#: The arrays of a stored solution.
PARTS = ("u", "v", "mass", "rows", "cols", "w1")

#: What numpy and zipfile raise on a file that is damaged, cut off or something else altogether.
UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, TypeError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def exact_solution(
    pair: SamplePair, key: str, folder: Path, time_limit: float | None = None, device: str = "cpu"
) -> ExactSolution:
    """The certified solution of ``pair``, read from a file below ``folder`` where that still proves it.

    A stored solution is believed only for its proof: where a file is stale or damaged, the sample is solved again and
    the file replaced. With a ``time_limit`` in seconds the solution may be an interval. It is stored as well, so that
    everybody who asks for it is told the same one: what is returned is what the file proves. ``device`` is where the
    sparse route looks through pairs.

    Raises:
        UncertifiedError: as ``solve_exact``; without a time limit also where the solver gives up for memory.
    """
    file = solution_file(folder, key)
    stored = _load(file) or _load(folder / file.name)  # all lay in one folder once
    if (
        stored is not None
        and (len(stored.u), len(stored.v)) == (len(pair.x), len(pair.y))
        and (stored.is_exact or time_limit is not None)
    ):
        try:
            return verify_pair(stored, pair, device)
        except UncertifiedError:
            pass  # it proves nothing about these points
    solution = solve_pair(pair, time_limit=time_limit, device=device)
    if time_limit is None:
        refuse_interval(solution)
    with suppress(OSError):  # a full disk, a node that cannot write there: kept for speed, not for the result
        _keep(folder, file, _dump(solution))
    return solution if solution.is_exact else verify_pair(solution, pair, device)


def solution_file(folder: Path, key: str) -> Path:
    """Where below ``folder`` a sample's solution is kept: those of a million samples lie in 256 folders."""
    return folder / key[:2] / f"{key}.npz"


def own_folder() -> Path:
    """The folder of this machine in which otbench keeps what it need not do again: $OTBENCH_CACHE, or the user's own
    folder for such things."""
    chosen = os.environ.get("OTBENCH_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otbench"


def solution_files(folder: Path) -> Iterator[tuple[int, int, str]]:
    """When each stored solution below ``folder`` was written, its bytes, and its path; others may remove some
    meanwhile."""
    beside = list(os.scandir(folder))
    below = [entry for place in beside if place.is_dir() for entry in os.scandir(place.path)]
    for entry in [*beside, *below]:
        with suppress(FileNotFoundError):
            if entry.name.endswith(".npz"):
                yield entry.stat().st_mtime_ns, entry.stat().st_size, entry.path


#: The bytes that this process has added to each folder since it last looked how much is taken there.
ADDED: dict[Path, int] = {}


def _keep(folder: Path, file: Path, data: bytes) -> None:
    """Store a solution, and remove the oldest while all together take more than ``MOST_BYTES``.

    All of them are looked through at the first solution that a process stores, and then once for every
    1/SHARE of the room that it adds: several workers may together be above by as many shares.
    """
    write_atomically(file, data)
    ADDED[folder] = ADDED.get(folder, MOST_BYTES) + len(data)
    if ADDED[folder] > MOST_BYTES // SHARE:
        _make_room(folder)
        ADDED[folder] = 0


def _make_room(folder: Path) -> None:
    """Remove the oldest solutions while all together take more than ``MOST_BYTES``.

    Other workers may read and remove at the same time: a file that is gone was removed, and one that was being read is
    solved again, as any that cannot be read.
    """
    files = sorted(solution_files(folder))
    taken = sum(size for _, size, _ in files)
    for _, size, path in files:
        if taken <= MOST_BYTES:
            break
        with suppress(FileNotFoundError):
            os.unlink(path)
        taken -= size


def _load(file: Path) -> ExactSolution | None:
    """The stored solution, its certificate not yet computed; None where there is none that can be read."""
    try:
        data = read_bounded(file, POINTS_BYTES)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(part.file_size > len(data) for part in archive.infolist()):  # compressed, so not ours
                return None
            u, v, mass, rows, cols, w1 = (parse_npy(archive.read(f"{name}.npy")) for name in PARTS)
            value = float(w1)
    except UNREADABLE:
        return None
    if {u.dtype.str, v.dtype.str, mass.dtype.str} != {"<f8"} or {rows.dtype.kind, cols.dtype.kind} != {"i"}:
        return None
    if u.ndim != 1 or v.ndim != 1:
        return None
    plan = Plan(rows.astype(np.int64), cols.astype(np.int64), mass)
    unproved = (math.nan,) * 6
    return ExactSolution(value, *unproved, u, v, 0.0, plan)


def _dump(solution: ExactSolution) -> bytes:
    assert solution.plan is not None
    buffer = io.BytesIO()
    plan = solution.plan
    np.savez(buffer, w1=solution.w1, u=solution.u, v=solution.v, rows=plan.rows, cols=plan.cols, mass=plan.mass)
    return buffer.getvalue()
