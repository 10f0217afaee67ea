"""Files a stranger may have written: read up to a size, their headers believed only as far as there are bytes."""

import math
import re
import zlib
from pathlib import Path

import numpy as np

from otbench.errors import InputError
from otbench.types import Array

#: Bytes of a declaration: a hundred times the longest there is.
DECLARATION_BYTES = 2**20

#: Bytes of a results file, unpacked: 200 000 rows have a third of it.
RESULTS_BYTES = 2**30

#: Bytes of a file of points; its cost matrix would be larger still.
POINTS_BYTES = 2**32

#: Header of a .npy file as numpy writes it: type, order, shape.
NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=][biufcSUmM]\d+(?:\[\d*\w+\])?)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \}\s*"
)


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


def parse_npy(data: bytes) -> Array:
    """The array of a .npy file, and no more allocated than there are bytes; Python objects and records are not read.

    Raises:
        ValueError: it is not a plain array in numpy's format.
    """
    if not data.startswith(b"\x93NUMPY") or len(data) < 12:
        raise ValueError("it does not start as a .npy file does")
    start = 10 if data[6] == 1 else 12
    end = start + int.from_bytes(data[8:start], "little")
    header = NPY_HEADER.fullmatch(data[start:end])
    if header is None or data[6] not in {1, 2, 3}:
        raise ValueError("its header is not that of an array of numbers; Python objects are never loaded")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(n) for n in header[3].decode().replace(" ", "").split(",") if n)
    if dtype.itemsize * math.prod(shape) != len(data) - end:
        said = f"{' x '.join(map(str, shape)) or 'one'} of {dtype}"
        raise ValueError(f"its header says {said}, {len(data) - end} bytes follow")
    flat: Array = np.frombuffer(data, dtype, offset=end)
    return flat.reshape(shape, order="F" if header[2] == b"True" else "C")
