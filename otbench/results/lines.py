"""Files of JSON lines: read up to a size, checked line by line, and appended to in whole lines."""

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from otbench.errors import ResultsError
from otbench.files import RESULTS_BYTES, dump, read_bounded, unpacked
from otbench.results.schema import SCHEMA
from otbench.spec import Scalar, first_complaint

Row = dict[str, Scalar]

#: Bytes that are read at a time where the end of a file is looked for.
BLOCK = 2**16


def read_bytes(file: Path) -> bytes:
    """What a file holds, unpacked where it is compressed; nothing where there is none."""
    if not file.is_file():
        return b""
    data = read_bounded(file, RESULTS_BYTES)
    try:
        return unpacked(data, RESULTS_BYTES) if file.suffix == ".gz" else data
    except ValueError as error:
        raise _unreadable(file, error) from None


def read_text(file: Path) -> str:
    """``read_bytes`` as text."""
    data = read_bytes(file)
    try:
        return data.decode()
    except ValueError as error:
        raise _unreadable(file, error) from None


def whole_lines(file: Path) -> list[bytes]:
    """The lines of a file without their ends, but for half a line at the end, as a run leaves it that is killed."""
    *lines, torn = read_bytes(file).split(b"\n")
    del torn
    return lines


def loads(text: str) -> Any:
    """The value of JSON that can be written again; ValueError for half a character, RecursionError for deep nesting."""
    value = json.loads(text)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def schema_of_rows(kind: object) -> tuple[int, ...]:
    """The versions that are read of a row, of which there are no kinds."""
    return (SCHEMA,)


def parse(file: Path, schemas: Callable[[object], tuple[int, ...]] = schema_of_rows) -> list[Row]:
    """The whole lines of a file as rows; ``schemas`` gives the versions that are read of a line of a kind.

    Raises:
        ResultsError: a line is not a row, or of another schema.
    """
    text = read_text(file)
    *lines, torn = text.split("\n") if text else [""]
    del torn  # what follows the last newline is nothing, or half a line of a run that was killed
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise ResultsError(
                f"{file}, line {number}, is not a row: restore it from a backup, "
                "or delete the line to have it recomputed"
            )
        if row.get("schema") not in (read := schemas(row.get("kind"))):
            raise ResultsError(
                f"{file}, line {number}, has schema {row.get('schema')!r}, this otbench reads {read[-1]}: "
                "use the version that wrote it, or run again into another folder"
            )
        rows.append(row)
    return rows


def validate(adapter: TypeAdapter[Any], rows: list[Row], where: Path) -> None:
    """ResultsError for the first row that is not as its columns are declared."""
    try:
        adapter.validate_python(rows)
    except ValidationError as error:
        number, *_ = error.errors()[0]["loc"]
        key = rows[int(number)].get("key", "no key")
        raise ResultsError(f"{where}: row {key} is damaged: {first_complaint(error, skip=1)}") from None


def text_of(rows: Iterable[Mapping[str, Scalar]]) -> bytes:
    """Rows as lines."""
    return b"".join(dump(row) + b"\n" for row in rows)


def append_lines(file: Path, lines: Iterable[Mapping[str, Scalar]]) -> None:
    """Append JSON lines and force them to the disk.

    Raises:
        ResultsError: the file cannot be written; what was there before is left as it was.
    """
    append_text(file, text_of(lines))
    force(file)


def append_text(file: Path, text: bytes) -> None:
    """Append whole lines in one write, without forcing them to the disk: a process that is killed meanwhile leaves one
    torn line at most.

    Raises:
        ResultsError: as ``append_lines``.
    """
    with _told(file), file.open("ab", buffering=0) as handle:
        end = handle.seek(0, os.SEEK_END)
        try:
            if handle.write(text) < len(text):  # a disk that fills up takes a part and raises nothing
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            handle.truncate(end)
            raise


def force(file: Path) -> None:
    """Force what was written to a file to the disk: after a power cut it is there. ResultsError as ``append_lines``."""
    with _told(file), file.open("ab") as handle:
        os.fsync(handle.fileno())


def cut_torn(file: Path) -> bool:
    """Cut half a last line off a file, and say whether there was one."""
    if not file.is_file():
        return False
    with file.open("rb") as handle:
        size = end = handle.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BLOCK)
            handle.seek(start)
            if (last := handle.read(end - start).rfind(b"\n")) >= 0:
                end = start + last + 1
                break
            end = start
    if end < size:
        with file.open("r+b") as handle:
            handle.truncate(end)
    return end < size


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """In this context an OSError on a file becomes the one line that says what is kept."""
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"{file} cannot be written: {error.strerror}; the rows before are kept, the same command goes on from there"
        ) from None


def _unreadable(file: Path, error: Exception) -> ResultsError:
    return ResultsError(f"{file} cannot be read: {error}; restore it from a backup")
