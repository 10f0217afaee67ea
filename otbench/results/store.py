"""What is stored of an experiment: one flat JSON line per cell, appended as cells finish and never changed after."""

import errno
import gzip
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from otbench.errors import InputError, ResultsError, ResultsInUseError
from otbench.files import RESULTS_BYTES, dump, read_bounded, unpacked, write_atomically
from otbench.results.schema import MEASUREMENTS, ROWS, SCHEMA, TIMINGS, schemas_of
from otbench.spec import Scalar, first_complaint

#: Bytes of rows above which they are compressed at the end of a run.
COMPRESS_ABOVE = 5_000_000

#: The two seeds of a cell: of its points, and of its critic's first weights and minibatches.
SEEDS = ("seed", "training_seed")

Row = dict[str, Scalar]


class Results:
    """The files of a results folder: rows.jsonl or rows.jsonl.gz, timing.jsonl, meta.json and tables/ of a matrix of
    cells, measurements.jsonl, meta.json and tables/ of a study."""

    def __init__(self, folder: str | Path) -> None:
        if not isinstance(folder, str | PathLike):
            raise InputError(f"a results folder is given by its path; got {type(folder).__name__}")
        self.folder = Path(folder)
        self.rows_file, self.packed_file = self.folder / "rows.jsonl", self.folder / "rows.jsonl.gz"
        self.timing_file, self.meta_file = self.folder / "timing.jsonl", self.folder / "meta.json"
        self.stale_file = self.folder / "stale.jsonl"
        self.measurements_file = self.folder / "measurements.jsonl"
        self.packed_measurements = self.folder / "measurements.jsonl.gz"
        self.tables = self.folder / "tables"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run.

        Raises:
            ResultsInUseError: another run holds it.
            ResultsError: it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            lock.acquire(blocking=False)
        except Timeout:
            raise ResultsInUseError(self.folder) from None
        except OSError as error:
            reason = f"cannot write to {self.folder}: {error.strerror}; name another with --results"
            raise ResultsError(reason) from None
        try:
            yield
        finally:
            lock.release()

    def rows(self) -> list[Row]:
        """Every whole row, validated; a torn last line, as a run leaves it that is killed while it writes, is left out.

        Raises:
            ResultsError: there are no rows at all, they are of another schema, or a line is not a row.
        """
        rows = self.rows_so_far()
        if not rows:
            raise ResultsError(f"no rows in {self.folder}: run `otbench run {self.folder.name}` first")
        return rows

    def rows_so_far(self) -> list[Row]:
        """``rows``, but [] where there are none yet."""
        packed, loose = (_parse(file, _read_text(file)) for file in (self.packed_file, self.rows_file))
        if packed and loose:  # a run killed between writing one file and removing the other left rows in both
            there = {dump(row) for row in packed}
            loose = [row for row in loose if dump(row) not in there]
        rows = packed + loose
        _validate(ROWS, rows, self.folder)
        return rows

    def timings(self) -> list[Row]:
        """The timing lines, [] where none were kept."""
        lines = _parse(self.timing_file, _read_text(self.timing_file))
        _validate(TIMINGS, lines, self.timing_file)
        return lines

    def measurements(self) -> list[Row]:
        """The records of a study, [] where there are none."""
        files = (self.packed_measurements, self.measurements_file)
        packed, loose = (_parse(file, _read_text(file), schemas_of) for file in files)
        if packed and loose:  # as of rows: what a killed run left in both files is there once
            there = {dump(line) for line in packed}
            loose = [line for line in loose if dump(line) not in there]
        _validate(MEASUREMENTS, packed + loose, self.measurements_file)
        return packed + loose

    def keep_measurements(self, keys: list[str]) -> None:
        """Keep only the records with these keys, in this order, compressed where they are many; files that are so
        already are not touched."""
        lines, place = self.measurements(), {key: k for k, key in enumerate(keys)}
        kept = {str(line["key"]): line for line in lines if line["key"] in place}
        ordered = sorted(kept.values(), key=lambda line: place[str(line["key"])])
        text = _text(ordered)
        large = len(text) > COMPRESS_ABOVE
        files = (self.measurements_file, self.packed_measurements)
        if ordered != lines or (ordered and (files[not large].is_file() or not files[large].is_file())):
            write_atomically(files[large], gzip.compress(text, mtime=0) if large else text)
            files[not large].unlink(missing_ok=True)

    def meta(self) -> dict[str, Any]:
        """The experiment's declaration and the machines that ran it, {} where there is none."""
        if not self.meta_file.is_file():
            return {}
        try:
            meta = _loads(_read_text(self.meta_file))
        except (ValueError, RecursionError) as error:
            raise ResultsError(f"{self.meta_file} is not JSON ({error}); restore it or run again") from None
        if not isinstance(meta, dict):
            raise ResultsError(f"{self.meta_file} must hold a table; restore it or run again")
        return meta

    def mend(self) -> bool:
        """Cut torn last lines off, and say whether there were any; to be called only while the folder is locked.

        Rows that stand in both files, as where packing was interrupted, are then in the packed one alone.
        """
        torn = False
        for file in (self.rows_file, self.timing_file, self.measurements_file):
            if not file.is_file():
                continue
            data = file.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                torn = True
                with file.open("r+b") as handle:
                    handle.truncate(whole)
        if self.packed_file.is_file() and self.rows_file.is_file():
            packed = {dump(row) for row in _parse(self.packed_file, _read_text(self.packed_file))}
            self._change(self.rows_file, lambda row: None if dump(row) in packed else row)
        return torn

    def append(self, rows: Iterable[Mapping[str, Scalar]], timings: Iterable[Mapping[str, Scalar]]) -> None:
        """Add lines, each in one write, and force them to the disk; timings first, so that every row has its timing."""
        for file, lines in ((self.timing_file, timings), (self.rows_file, rows)):
            append_lines(file, lines)

    def put(self, rows: Sequence[Row], timings: Sequence[Row], again: Collection[str] = ()) -> None:
        """``append`` rows, but put those whose keys are among ``again`` in place of the old ones, where there are any.

        A row is replaced in the file in which it is, in one rename per file, so that no reader finds both or neither.
        """
        old = {row["key"] for row in self.rows_so_far()}.intersection(again) if again else set()
        new = {row["key"]: row for row in rows if row["key"] in old}
        self.append([row for row in rows if row["key"] not in new], timings)
        if new:
            for file in (self.packed_file, self.rows_file):
                self._change(file, lambda row: new.get(row["key"], row))

    def known_keys(self) -> set[str]:
        """The keys of all rows, those that were set aside included."""
        return {str(row["key"]) for row in [*self.rows_so_far(), *self._stale()]}

    def sort_out(self, keys: set[str]) -> int:
        """Set rows of cells that are not in ``keys`` aside in stale.jsonl, take back from there those that are, and
        return how many were set aside."""
        rows, stale = self.rows_so_far(), self._stale()
        there = {row["key"] for row in rows}
        back = list({row["key"]: row for row in stale if row["key"] in keys - there}.values())
        out = [row for row in rows if row["key"] not in keys]
        aside = {row["key"]: row for row in [*stale, *out]}
        # a row leaves a file only when it is in the other, so that none is lost wherever this is interrupted
        if out:
            write_atomically(self.stale_file, _text(aside.values()))
            for file in (self.packed_file, self.rows_file):
                self._change(file, lambda row: row if row["key"] in keys else None)
        if back:
            append_lines(self.rows_file, back)
        kept = [row for key, row in aside.items() if key not in keys]
        if kept != stale:
            write_atomically(self.stale_file, _text(kept))
        return len(out)

    def _stale(self) -> list[Row]:
        rows = _parse(self.stale_file, _read_text(self.stale_file))
        _validate(ROWS, rows, self.stale_file)
        return rows

    def settle(self, order: list[str]) -> tuple[str, ...]:
        """Put the rows of a finished run into the experiment's order, compressed where they are many, and return why
        cells failed. Files that are so already are not touched."""
        rows, place = self.rows_so_far(), {key: k for k, key in enumerate(order)}
        ordered = sorted(rows, key=lambda row: place[str(row["key"])])
        both = self.packed_file.is_file() and self.rows_file.is_file()
        if ordered != rows or both or (rows and self.rows_file.is_file() and len(_text(rows)) > COMPRESS_ABOVE):
            self._replace(ordered)
        return tuple(str(row["reason"]) for row in ordered if row["status"] == "failed")

    def _replace(self, rows: list[Row]) -> None:
        """Write all rows there are into the file that fits their size. Readers find a row once also while it is in both
        files, as it is the same in both."""
        text = _text(rows)
        if len(text) > COMPRESS_ABOVE:
            write_atomically(self.packed_file, gzip.compress(text, mtime=0))
            self.rows_file.unlink(missing_ok=True)
        else:
            write_atomically(self.rows_file, text)
            self.packed_file.unlink(missing_ok=True)

    def _change(self, file: Path, change: Callable[[Row], Row | None]) -> None:
        """Put ``change(row)`` in place of every row of one file, or leave the row out where it is None."""
        rows = _parse(file, _read_text(file))
        changed = [new for row in rows if (new := change(row)) is not None]
        if changed != rows:
            text = _text(changed)
            write_atomically(file, gzip.compress(text, mtime=0) if file == self.packed_file else text)


def _text(rows: Iterable[Row]) -> bytes:
    """Rows as lines."""
    return b"".join(dump(row) + b"\n" for row in rows)


def is_cell_column(name: str) -> bool:
    """Whether a column says what a cell is, rather than what was measured on it."""
    return name in SEEDS or name.startswith(("problem.", "sampling.", "method."))


def cell_key(columns: Mapping[str, Scalar]) -> str:
    """SHA-256 of the row schema and the cell columns among ``columns``: what the row's key must be."""
    cell = {name: value for name, value in columns.items() if is_cell_column(name)}
    return hashlib.sha256(dump([SCHEMA, cell])).hexdigest()


def keys_digest(keys: Iterable[str]) -> str:
    """SHA-256 over the sorted keys: two sets of rows are of the same cells where these agree."""
    return hashlib.sha256("".join(sorted(keys)).encode()).hexdigest()


def append_lines(file: Path, lines: Iterable[Mapping[str, Scalar]]) -> None:
    """Append JSON lines, with one write per line, and force them to the disk.

    Raises:
        ResultsError: the file cannot be written; what was there before is left as it was.
    """
    try:
        with file.open("ab", buffering=0) as handle:
            end = handle.seek(0, os.SEEK_END)
            try:
                for line in lines:
                    data = dump(line) + b"\n"
                    if handle.write(data) < len(data):  # a disk that fills up takes a part and raises nothing
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    end += len(data)
                os.fsync(handle.fileno())
            except OSError:
                handle.truncate(end)
                raise
    except OSError as error:
        raise ResultsError(
            f"{file} cannot be written: {error.strerror}; the rows before are kept, the same command goes on from there"
        ) from None


def _read_text(file: Path) -> str:
    if not file.is_file():
        return ""
    data = read_bounded(file, RESULTS_BYTES)
    try:
        return (unpacked(data, RESULTS_BYTES) if file.suffix == ".gz" else data).decode()
    except ValueError as error:
        raise ResultsError(f"{file} cannot be read: {error}; restore it from a backup") from None


def _loads(text: str) -> Any:
    """The value of JSON that can be written again; ValueError for half a character, RecursionError for deep nesting."""
    value = json.loads(text)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _validate(adapter: TypeAdapter[Any], rows: list[Row], where: Path) -> None:
    try:
        adapter.validate_python(rows)
    except ValidationError as error:
        number, *_ = error.errors()[0]["loc"]
        key = rows[int(number)].get("key", "no key")
        raise ResultsError(f"{where}: row {key} is damaged: {first_complaint(error, skip=1)}") from None


def _schema_of_rows(kind: object) -> tuple[int, ...]:
    return (SCHEMA,)


def _parse(file: Path, text: str, schemas: Callable[[object], tuple[int, ...]] = _schema_of_rows) -> list[Row]:
    """The whole lines of a file; ``schemas`` gives the versions that are read of a line of a kind."""
    *lines, torn = text.split("\n") if text else [""]
    del torn  # what follows the last newline is nothing, or half a line of a run that was killed
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = _loads(line)
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
