"""Files a stranger may have written: read up to a size, their headers believed only as far as there are bytes."""

import io
import math
import tokenize
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otbench.errors import InputError

#: Bytes of a declaration: a hundred times the longest there is.
DECLARATION_BYTES = 2**20

#: Bytes of a results file, unpacked: 200 000 rows have a third of it.
RESULTS_BYTES = 2**30

#: Bytes of a file of points; its cost matrix would be larger still.
POINTS_BYTES = 2**32

#: What numpy raises on the header of a file that is none of its own.
BROKEN_HEADER = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, SyntaxError, OverflowError, RecursionError,
    MemoryError, tokenize.TokenError,
)  # fmt: skip


def read_bounded(file: Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: there are more than ``limit``; nothing was read.
    """
    size = file.stat().st_size
    if size > limit:
        raise InputError(f"{file} has {size / 2**20:.0f} MiB, at most {limit / 2**20:.0f} are read")
    return file.read_bytes()


def unpacked(data: bytes, limit: int) -> bytes:
    """The contents of gzip data of one or several members.

    Raises:
        ValueError: they are damaged, or more than ``limit`` bytes.
    """
    parts, total = [], 0
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(data, limit + 1 - total))
        except zlib.error as error:
            raise ValueError(f"its compression is damaged ({error})") from None
        total += len(parts[-1])
        if total > limit:
            raise ValueError(f"it unpacks to more than {limit / 2**20:.0f} MiB")
        if not member.eof:
            raise ValueError("its compression ends too early")
        data = member.unused_data
    return b"".join(parts)


def parse_npy(data: bytes) -> NDArray[Any]:
    """The array of a .npy file, read-only, and no more allocated than there are bytes.

    Python objects and records are not read.

    Raises:
        ValueError: it is not a plain array in numpy's format.
    """
    stream = io.BytesIO(data)
    try:
        shape, by_column, dtype = _npy_header(stream)
    except BROKEN_HEADER as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"it has no header of a .npy file ({reason})") from None
    if dtype.kind not in "biufcSUmM":
        raise ValueError(f"its header says {dtype}, no numbers; Python objects are never loaded")
    there = len(data) - stream.tell()
    if min(shape, default=0) < 0 or dtype.itemsize * math.prod(shape) != there:
        said = f"{' x '.join(map(str, shape)) or 'one'} of {dtype}"
        raise ValueError(f"its header says {said}, {there} bytes follow")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if by_column else "C")


def _npy_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type, by numpy's own readers of versions 1, 2 and 3.

    Version 3 is version 2 with UTF-8 in names of records, which are refused later.
    """
    version = np.lib.format.read_magic(stream)
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise ValueError(f"version {version[0]}.{version[1]} is not known")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a file is Python 2's, or a type's name old, is no fault of the reader's
        shape, by_column, dtype = read(stream)
    return shape, by_column, dtype
