"""What is stored of an experiment: one flat JSON line per cell, appended as cells finish and never changed after."""

import gzip
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from otbench.errors import InputError, ResultsError, ResultsInUseError
from otbench.files import dump, write_atomically
from otbench.results.lines import Row as Row
from otbench.results.lines import (
    append_text,
    cut_torn,
    force,
    loads,
    parse,
    read_text,
    text_of,
    validate,
    whole_lines,
)
from otbench.results.schema import MEASUREMENTS, ROWS, SCHEMA, TIMINGS, schemas_of
from otbench.results.settling import reasons_of_failures, settle_rows
from otbench.results.shards import Scan, append_rows, key_of, rewrite, row_files, scan
from otbench.spec import Scalar

#: Bytes of rows above which they are compressed at the end of a run.
COMPRESS_ABOVE = 5_000_000

#: The two seeds of a cell: of its points, and of its critic's first weights and minibatches.
SEEDS = ("seed", "training_seed")


class Results:
    """The files of a results folder: rows.jsonl, or those that ``shards`` tells of, timing.jsonl, meta.json and tables/
    of a matrix of cells, measurements.jsonl, meta.json and tables/ of a study."""

    def __init__(self, folder: str | Path) -> None:
        if not isinstance(folder, str | PathLike):
            raise InputError(f"a results folder is given by its path; got {type(folder).__name__}")
        self.folder = Path(folder)
        self.rows_file, self.packed_file = self.folder / "rows.jsonl", self.folder / "rows.jsonl.gz"
        self.timing_file, self.meta_file = self.folder / "timing.jsonl", self.folder / "meta.json"
        self.stale_file = self.folder / "stale.jsonl"
        self.again_file = self.folder / "again.jsonl"
        self.measurements_file = self.folder / "measurements.jsonl"
        self.packed_measurements = self.folder / "measurements.jsonl.gz"
        self.tables = self.folder / "tables"
        self._scans: dict[Path, tuple[tuple[int, ...], Scan]] = {}
        self._loose: set[Path] = set()

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
        while True:
            files = self.row_files()
            try:
                rows = self._rows_of(files)
            except FileNotFoundError:  # a run that goes on gave the file another name
                continue
            if self.row_files() == files:
                return rows

    def _rows_of(self, files: Sequence[Path]) -> list[Row]:
        """The rows in these files; one that stands in two of them, as where packing was interrupted, once. Rows that
        were done again and are not yet in their place stand in it."""
        again = {row["key"]: row for row in parse(self.again_file)}
        rows: list[Row] = []
        keys: set[Scalar] = set()
        for file in files:
            found = parse(file)
            validate(ROWS, found, self.folder)
            found = [again.get(row["key"], row) for row in found] if again else found
            here = {row["key"] for row in found}
            if common := keys & here:
                there = {dump(row) for row in rows if row["key"] in common}
                found = [row for row in found if dump(row) not in there]
            keys |= here
            rows += found
        return rows + [row for key, row in again.items() if key not in keys]

    def row_files(self) -> list[Path]:
        """The files of rows there are, in the order in which they are read."""
        return row_files(self.folder)

    def timings(self) -> list[Row]:
        """The timing lines, [] where none were kept."""
        lines = parse(self.timing_file)
        validate(TIMINGS, lines, self.timing_file)
        return lines

    def measurements(self) -> list[Row]:
        """The records of a study, [] where there are none."""
        files = (self.packed_measurements, self.measurements_file)
        packed, loose = (parse(file, schemas_of) for file in files)
        if packed and loose:  # as of rows: what a killed run left in both files is there once
            there = {dump(line) for line in packed}
            loose = [line for line in loose if dump(line) not in there]
        validate(MEASUREMENTS, packed + loose, self.measurements_file)
        return packed + loose

    def keep_measurements(self, keys: list[str]) -> None:
        """Keep only the records with these keys, in this order, compressed where they are many; files that are so
        already are not touched."""
        lines, place = self.measurements(), {key: k for k, key in enumerate(keys)}
        kept = {str(line["key"]): line for line in lines if line["key"] in place}
        ordered = sorted(kept.values(), key=lambda line: place[str(line["key"])])
        text = text_of(ordered)
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
            meta = loads(read_text(self.meta_file))
        except (ValueError, RecursionError) as error:
            raise ResultsError(f"{self.meta_file} is not JSON ({error}); restore it or run again") from None
        if not isinstance(meta, dict):
            raise ResultsError(f"{self.meta_file} must hold a table; restore it or run again")
        return meta

    def mend(self) -> bool:
        """Cut torn last lines off, put rows that were done again into their place, and say whether a line was torn; to
        be called only while the folder is locked."""
        plain = [file for file in self.row_files() if file.suffix == ".jsonl"]
        files = [*plain, self.timing_file, self.measurements_file, self.again_file]
        torn = [cut_torn(file) for file in files]
        self._replace_again()
        return any(torn)

    def append(self, rows: Iterable[Mapping[str, Scalar]], timings: Iterable[Mapping[str, Scalar]]) -> None:
        """Add lines and force them to the disk; timings first, so that every row has its timing."""
        self._write(rows, timings)
        self.force()

    def put(
        self, rows: Sequence[Row], timings: Sequence[Row], again: Collection[str] = (), *, forced: bool = True
    ) -> None:
        """``append`` rows, but those whose keys are among ``again`` stand in the place of the old ones from then on.

        They are kept in a file of their own until ``settle`` or ``mend`` writes them where the old ones were, once for
        all of them. Where they are not ``forced`` to the disk a process that is killed loses nothing, and a power cut
        what came after the last call of ``force``.
        """
        anew = [row for row in rows if row["key"] in again]
        if anew:
            append_text(self.again_file, text_of(anew))
            self._loose.add(self.again_file)
        self._write([row for row in rows if row["key"] not in again] if anew else rows, timings)
        if forced:
            self.force()

    def _write(self, rows: Iterable[Mapping[str, Scalar]], timings: Iterable[Mapping[str, Scalar]]) -> None:
        append_text(self.timing_file, text_of(timings))
        append_rows(self.rows_file, rows)
        self._loose |= {self.timing_file, self.rows_file}

    def force(self) -> None:
        """Force to the disk what was written and is not there yet."""
        for file in (self.timing_file, self.rows_file, self.again_file):
            if file in self._loose and file.is_file():
                force(file)
        self._loose.clear()

    def _replace_again(self) -> None:
        """Put the rows that were done again into the place of the old ones, wherever they are."""
        again = {key_of(line): line for line in whole_lines(self.again_file)}
        if again:
            there: set[str] = set()
            for file in self.row_files():
                keys = again.keys() & set(self._scan(file, checked=False).keys)
                there |= keys
                if keys:
                    rewrite(file, lambda line: again.get(key_of(line), line))
            if others := [line for key, line in again.items() if key not in there]:
                append_text(self.rows_file, b"".join(line + b"\n" for line in others))
                force(self.rows_file)
        self.again_file.unlink(missing_ok=True)

    def statuses(self) -> dict[str, str]:
        """The status of every row by its key; every row is validated, once while its file is as it is."""
        found: dict[str, str] = {}
        for file in [*self.row_files(), *[self.again_file] * self.again_file.is_file()]:
            seen = self._scan(file, checked=True)
            found.update(zip(seen.keys, seen.statuses, strict=True))
        return found

    def known_keys(self) -> set[str]:
        """The keys of all rows, those that were set aside included."""
        return {*self.statuses(), *self._stale()}

    def _scan(self, file: Path, checked: bool) -> Scan:
        """What is in a file of rows, looked through once while it is as it is."""
        state = file.stat()
        known = (state.st_ino, state.st_size, state.st_mtime_ns)
        if file not in self._scans or self._scans[file][0] != known:
            self._scans[file] = known, scan(file, checked)
        return self._scans[file][1]

    def sort_out(self, keys: set[str]) -> int:
        """Set rows of cells that are not in ``keys`` aside in stale.jsonl, take back from there those that are, and
        return how many were set aside."""
        stale, there = self._stale(), self.statuses().keys()
        out = [file for file in self.row_files() if not keys.issuperset(self._scan(file, checked=False).keys)]
        lines = [line for file in out for line in whole_lines(file) if key_of(line) not in keys]
        aside = stale | {key_of(line): line for line in lines}
        # a row leaves a file only when it is in the other, so that none is lost wherever this is interrupted
        if lines:
            self._keep_stale(aside.values())
            for file in out:
                rewrite(file, lambda line: line if key_of(line) in keys else None)
        if back := [line for key, line in stale.items() if key in keys and key not in there]:
            append_text(self.rows_file, b"".join(line + b"\n" for line in back))
            force(self.rows_file)
        kept = [line for key, line in aside.items() if key not in keys]
        if kept != whole_lines(self.stale_file):
            self._keep_stale(kept)
        return len(lines)

    def _stale(self) -> dict[str, bytes]:
        """The rows that were set aside, by their keys, the last of each."""
        validate(ROWS, parse(self.stale_file), self.stale_file)
        return {key_of(line): line for line in whole_lines(self.stale_file)}

    def _keep_stale(self, lines: Iterable[bytes]) -> None:
        write_atomically(self.stale_file, b"".join(line + b"\n" for line in lines))

    def settle(self, order: Sequence[str]) -> tuple[str, ...]:
        """Put the rows of a finished run into the experiment's order, compressed and in several files where they are
        many, and return why cells failed. Files that are so already are not touched."""
        self._replace_again()
        place = {key: k for k, key in enumerate(order)}
        files = self.row_files()
        scans = [self._scan(file, checked=False) for file in files]
        reasons = reasons_of_failures(files, scans, place)
        settle_rows(self.folder, files, scans, place, COMPRESS_ABOVE)
        self._scans.clear()
        return reasons


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
