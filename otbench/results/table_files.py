"""The files of tables: as they are, or compressed where they are large, as rows are."""

import gzip
from pathlib import Path

from otbench.files import RESULTS_BYTES, unpacked, write_atomically
from otbench.results.store import COMPRESS_ABOVE


def read_table(tables: Path, name: str, suffix: str = "csv") -> bytes | None:
    """The bytes of a table as written, unpacked where they are compressed; None where there is no such file.

    Raises:
        ValueError: a compressed file that is damaged.
    """
    plain, packed = _files(tables, name, suffix)
    if plain.is_file():
        return plain.read_bytes()
    return unpacked(packed.read_bytes(), RESULTS_BYTES) if packed.is_file() else None


def write_table(tables: Path, name: str, suffix: str, data: bytes) -> bool:
    """Write a table, as NAME.SUFFIX or, above 5 MB, as NAME.SUFFIX.gz; whether the file there was another."""
    large = len(data) > COMPRESS_ABOVE
    files = _files(tables, name, suffix)
    try:
        same = files[large].is_file() and read_table(tables, name, suffix) == data
    except ValueError:
        same = False
    if not same:
        write_atomically(files[large], gzip.compress(data, mtime=0) if large else data)
    files[not large].unlink(missing_ok=True)
    return not same


def _files(tables: Path, name: str, suffix: str) -> tuple[Path, Path]:
    return tables / f"{name}.{suffix}", tables / f"{name}.{suffix}.gz"
