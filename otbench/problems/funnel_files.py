"""Files of funnel pairs: centres and biases by dimension and number of funnels, in .npz files, read without pickle."""

import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from otbench.errors import InputError
from otbench.files import parse_npy
from otbench.inputs import as_reals
from otbench.types import Array

#: Bytes a file may unpack to: the largest published one has 160 KB.
MAX_BYTES = 2**30

Pairs = dict[tuple[int, int], tuple[Array, Array]]

_MEMBER = re.compile(r"(centers|bias)_([1-9]\d{0,7})_([1-9]\d{0,7})\.npy")


def funnel_pairs(path: str | Path, half_width: float = 2.5) -> Pairs:
    """The pairs in an .npz file: (dim, funnels) → centres (funnels, dim) and biases (funnels,), both float64.

    The file's keys are ``centers_{dim}_{funnels}`` and ``bias_{dim}_{funnels}``; others are left alone.

    Raises:
        InputError: there is no such file or it is no .npz file; a key lacks its counterpart or has another shape than
            its name says; it holds no numbers, NaN or infinity; a centre is outside [-half_width, half_width]^dim; or
            there are no pairs at all.
    """
    if not Path(path).is_file():
        raise InputError(f"no such file: {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
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
    centres = _read(archive, path, f"centers_{dim}_{funnels}", (funnels, dim))
    biases = _read(archive, path, f"bias_{dim}_{funnels}", (funnels,))
    outside = np.abs(centres).max(axis=1) > half_width
    if outside.any():
        raise InputError(
            f"{path}: centers_{dim}_{funnels} has a centre outside the box "
            f"[-{half_width:g}, {half_width:g}]^{dim}, row {int(outside.argmax())}"
        )
    return centres, biases


def _read(archive: zipfile.ZipFile, path: str | Path, key: str, shape: tuple[int, ...]) -> Array:
    """The array under a key as float64, which must have the shape that the key says."""
    try:
        array = parse_npy(archive.read(f"{key}.npy"))
    except ValueError as error:
        raise InputError(f"{path}: {key} is not a readable array: {error}") from None
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: {key} must hold numbers; got {array.dtype}")
    if array.shape != shape:
        raise InputError(f"{path}: {key} must have shape {shape}; got {array.shape}")
    numbers = as_reals(f"{path}: {key}", array)
    if not np.isfinite(numbers).all():
        raise InputError(f"{path}: {key} must be finite; it holds NaN or infinity")
    return numbers
