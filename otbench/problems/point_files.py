"""Files of points, read by their suffix: .npy, .csv and .tsv, also with .gz, and .parquet; others are refused."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from otbench.errors import InputError
from otbench.files import POINTS_BYTES, parse_npy, read_bounded, unpacked
from otbench.problems.delimited import parse_delimited

#: Suffixes that are read, in small letters.
POINT_FILES = (".npy", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def read_points(file: Path) -> Any:
    """The numbers in a file as they are stored there: an array, or from .parquet a frame.

    Raises:
        InputError: there is no such file, it has another suffix, or what it holds is not plainly an array of numbers.
    """
    suffix = _suffix(file)
    data = read_bounded(file, POINTS_BYTES)
    try:
        if suffix == ".npy":
            return parse_npy(data)
        if suffix == ".parquet":
            return _parse_parquet(data)
        text = unpacked(data, POINTS_BYTES) if suffix.endswith(".gz") else data
        return parse_delimited(text, "\t" if ".tsv" in suffix else None)
    except (ValueError, MemoryError) as error:
        reason = (str(error) or "it does not fit in memory").splitlines()[0]
        raise InputError(f"{file} is not a readable array of numbers: {reason}") from None


def fingerprint(files: Iterable[Path]) -> str:
    """The SHA-256 of the files' SHA-256s in their order; InputError where a file is not there or of another suffix."""
    digest = hashlib.sha256()
    for file in files:
        _suffix(file)
        digest.update(hashlib.sha256(read_bounded(file, POINTS_BYTES)).digest())
    return digest.hexdigest()


def _suffix(file: Path) -> str:
    """The suffix of a file that is there; "X.CSV" is a .csv file."""
    suffix = next((s for s in sorted(POINT_FILES, key=len, reverse=True) if file.name.lower().endswith(s)), None)
    if suffix is None:
        raise InputError(f"arrays are read from {', '.join(POINT_FILES)} files; got {file.name}: save it as .npy")
    if not file.is_file():
        raise InputError(f"no such file: {file}")
    return suffix


def _parse_parquet(data: bytes) -> Any:
    """The frame in a .parquet file; ValueError where it is none."""
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(data))
    except ImportError:
        raise ValueError("pandas needs pyarrow to read .parquet: pip install pyarrow, or save it as .npy") from None
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"it is no table that pandas can read ({reason})") from None
