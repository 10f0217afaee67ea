"""Files of funnel pairs: centres and biases by dimension and number of funnels, of which nothing is unpickled."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from otbench.errors import InputError
from otbench.files import parse_npy
from otbench.inputs import as_reals
from otbench.problems.funnel_checkpoints import STATE, checkpoint_files, place_of, read_state
from otbench.types import Array

#: Bytes a file may unpack to: the largest published one has 160 KB.
MAX_BYTES = 2**30

Pairs = dict[tuple[int, int], tuple[Array, Array]]

_MEMBER = re.compile(r"(centers|bias)_([1-9]\d{0,7})_([1-9]\d{0,7})\.npy")


def funnel_pairs(path: str | Path, half_width: float = 2.5, only: tuple[int, int] | None = None) -> Pairs:
    """The pairs that a path holds: (dim, funnels) → centres (funnels, dim) and biases (funnels,), both float64.

    The path is one of three:

    * an .npz file with the keys ``centers_{dim}_{funnels}`` and ``bias_{dim}_{funnels}``; others are left alone;
    * a clone of the W1 benchmark's repository, or its folder benchmarks/nd, with a state dict in every
      dim_DIM/width_FUNNELS/deg_8_seed_SEED.pt; other files are left alone;
    * one such .pt file, whose folders, where they are named so, must say what it holds.

    Args:
        path: the file or folder.
        half_width: half the side of the box that holds the centres.
        only: the one pair that is read, where not all are.

    Raises:
        InputError: there is no such file, or it is none of these; a part of a pair is missing or has another shape than
            its name says; it holds no numbers, NaN or infinity; a centre is outside [-half_width, half_width]^dim; or
            there are no pairs at all, or not the one that is asked for.

    Source: Korotin, Kolesov, Burnaev 2022, github.com/justkolesov/Wasserstein1Benchmark (the layout of folders).
    """
    place = Path(path)
    if place.is_dir():
        files = checkpoint_files(place)
        return {pair: _read_checkpoint(files[pair], pair, half_width) for pair in _asked(path, files, only)}
    if not place.is_file():
        raise InputError(f"no such file: {path}")
    if place.suffix == ".pt":
        read = _read_checkpoint(place, place_of(place), half_width)
        held = {(read[0].shape[1], read[0].shape[0]): read}
        return {pair: held[pair] for pair in _asked(path, held, only)}
    return _read_npz(path, half_width, only)


def digest(centres: Array, biases: Array) -> str:
    """The SHA-256 of a pair: of its centres, row by row, then its biases, all as little-endian float64."""
    return hashlib.sha256(pair_bytes(centres, biases)).hexdigest()


def pair_bytes(centres: Array, biases: Array) -> bytes:
    """The numbers of a pair as little-endian float64, which are what identifies it."""
    return b"".join(np.ascontiguousarray(part, "<f8").tobytes() for part in (centres, biases))


def _asked(path: str | Path, known: Iterable[tuple[int, int]], only: tuple[int, int] | None) -> list[tuple[int, int]]:
    """The pairs to read of those there are: all, or the one asked for."""
    pairs = list(known)
    if only is None:
        return pairs
    if only not in pairs:
        there = ", ".join(f"{dim}/{funnels}" for dim, funnels in pairs)
        raise InputError(f"{path} has no pair of dim {only[0]} with {only[1]} funnels; it has {there}")
    return [only]


def _read_checkpoint(file: Path, place: tuple[int, int] | None, half_width: float) -> tuple[Array, Array]:
    """The pair in a state dict, which must be the one that its folders say; where they say none, any."""
    state = read_state(file, MAX_BYTES)
    there = tuple(state[STATE[0]].shape)
    if place is None and (len(there) != 2 or 0 in there):
        raise InputError(f"{file}: {STATE[0]} must have shape (funnels, dimensions); got {there}")
    dim, funnels = place or there[::-1]
    told = "" if place is None else ", as its folders say"
    shapes = {STATE[0]: (funnels, dim), STATE[1]: (funnels,)}
    parts = [_sound(file, name, state[name], shape, told) for name, shape in shapes.items()]
    return _in_the_box(file, STATE[0], parts[0], half_width), parts[1]


def _read_npz(path: str | Path, half_width: float, only: tuple[int, int] | None) -> Pairs:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _asked(path, _members(archive, path), only)
            return {pair: _read_pair(archive, path, pair, half_width) for pair in members}
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is not a readable .npz file: {reason}") from None


def _members(archive: zipfile.ZipFile, path: str | Path) -> list[tuple[int, int]]:
    """The (dim, funnels) of the pairs that an archive holds, in this order."""
    found: dict[tuple[int, int], set[str]] = {}
    total = 0
    for member in archive.infolist():
        named = _MEMBER.fullmatch(member.filename)
        if named:
            found.setdefault((int(named[2]), int(named[3])), set()).add(named[1])
            total += member.file_size
    if not found:
        raise InputError(f"{path} has no funnel pairs: keys must be centers_DIM_FUNNELS and bias_DIM_FUNNELS")
    if total > MAX_BYTES:
        raise InputError(f"{path} unpacks to {total / 2**30:.1f} GiB; a file of pairs may have 1 GiB")
    for (dim, funnels), kinds in sorted(found.items()):
        for kind in {"centers", "bias"} - kinds:
            raise InputError(f"{path} lacks {kind}_{dim}_{funnels}; it has {kinds.pop()}_{dim}_{funnels}")
    return sorted(found)


def _read_pair(
    archive: zipfile.ZipFile, path: str | Path, pair: tuple[int, int], half_width: float
) -> tuple[Array, Array]:
    dim, funnels = pair
    key = f"centers_{dim}_{funnels}"
    centres = _in_the_box(path, key, _read(archive, path, key, (funnels, dim)), half_width)
    return centres, _read(archive, path, f"bias_{dim}_{funnels}", (funnels,))


def _read(archive: zipfile.ZipFile, path: str | Path, key: str, shape: tuple[int, ...]) -> Array:
    """The array under a key as float64, which must have the shape that the key says."""
    try:
        array = parse_npy(archive.read(f"{key}.npy"))
    except ValueError as error:
        raise InputError(f"{path}: {key} is not a readable array: {error}") from None
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: {key} must hold numbers; got {array.dtype}")
    return _sound(path, key, array, shape)


def _sound(path: str | Path, key: str, array: Any, shape: tuple[int, ...], told: str = "") -> Array:
    """A part of a pair as finite float64 of the shape that it must have."""
    if tuple(array.shape) != shape:
        raise InputError(f"{path}: {key} must have shape {shape}{told}; got {tuple(array.shape)}")
    numbers = as_reals(f"{path}: {key}", array)
    if not np.isfinite(numbers).all():
        raise InputError(f"{path}: {key} must be finite; it holds NaN or infinity")
    return numbers


def _in_the_box(path: str | Path, key: str, centres: Array, half_width: float) -> Array:
    """The centres, all of which must lie in [-half_width, half_width]^dim."""
    outside = np.abs(centres).max(axis=1, initial=0.0) > half_width
    if outside.any():
        raise InputError(
            f"{path}: {key} has a centre outside the box "
            f"[-{half_width:g}, {half_width:g}]^{centres.shape[1]}, row {int(outside.argmax())}"
        )
    return centres
