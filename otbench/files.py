"""Reading files, up to a size and without trust in what they hold, and writing them so that no reader sees half."""

import io
import json
import math
import os
import tokenize
import tomllib
import warnings
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otbench.errors import InputError

#: Where otbench lies: what came with it is here, or beside it in a checkout.
PACKAGE = Path(str(resources.files("otbench")))

#: Bytes a declaration may have: a hundred times what the longest one has.
DECLARATION_BYTES = 2**20

#: Bytes a results file may have, unpacked: 200 000 rows have a third of it.
RESULTS_BYTES = 2**30

#: Bytes a file of points may have; the cost matrix of a larger one would not fit in memory either.
POINTS_BYTES = 2**32

#: What numpy raises on a header that it did not write.
BROKEN_HEADER = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, SyntaxError, OverflowError, RecursionError,
    MemoryError, tokenize.TokenError,
)  # fmt: skip


def read_bounded(file: Path, limit: int) -> bytes:
    """The bytes of a file that has no more than ``limit``.

    Raises:
        InputError: the file has more; nothing was read.
    """
    size = file.stat().st_size
    if size > limit:
        raise InputError(f"{file} has {size / 2**20:.0f} MiB, at most {limit / 2**20:.0f} are read")
    return file.read_bytes()


def unpacked(data: bytes, limit: int) -> bytes:
    """What gzip data of one or several members hold.

    Raises:
        ValueError: the data are damaged, or hold more than ``limit`` bytes.
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
    """The array in the bytes of a .npy file, as a read-only view: nothing is allocated, whatever the header says.

    Python objects and records are refused.

    Raises:
        ValueError: the bytes are no plain array in numpy's format.
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
    """The shape, whether columns come first, and the type, by numpy's own readers of the versions 1, 2 and 3.

    Version 3 is version 2 with UTF-8 in the names of records, which are refused later.
    """
    version = np.lib.format.read_magic(stream)
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise ValueError(f"version {version[0]}.{version[1]} is not known")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a file is Python 2's, or a type's name old, is no fault of the reader's
        shape, by_column, dtype = read(stream)
    return shape, by_column, dtype


def dump(value: Any) -> bytes:
    """Canonical JSON, with sorted keys and without spaces; a NaN is an error, as a status says what is no number."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def write_atomically(file: Path, data: bytes) -> None:
    """Write ``data`` under a temporary name and rename it, so that a reader sees the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of an experiment file; InputError where it cannot be read."""
    try:
        return tomllib.loads(read_bounded(file, DECLARATION_BYTES).decode())
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # numbers of many digits, brackets within brackets
        raise InputError(f"{file} is not TOML: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
