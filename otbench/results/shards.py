"""The files in which a folder's rows lie, each below a size, and what a look through their lines finds.

While a run goes on rows are appended to rows.jsonl, which is renamed to rows-00001.jsonl and so on when it is full. A
run that ends leaves them in order: in rows.jsonl, in rows.jsonl.gz where they are many, or in rows-00001.jsonl.gz,
rows-00002.jsonl.gz and so on where they are very many.
"""

import gzip
import json
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from otbench.files import dump, write_atomically
from otbench.results.lines import append_text, force, parse, read_bytes, validate, whole_lines
from otbench.results.schema import ROWS, SCHEMA, RowColumns
from otbench.spec import Scalar

#: Bytes of rows, unpacked, that one file has at most: 35 000 rows, which are read and packed in a second or two.
SHARD_BYTES = 64 * 2**20

#: The names of files of rows; those with a number come between rows.jsonl.gz and rows.jsonl.
ROW_FILE = re.compile(r"rows(?:-(\d{5,}))?\.jsonl(\.gz)?")

#: The names as they are searched for.
PATTERNS = ("rows.jsonl", "rows.jsonl.gz", "rows-*.jsonl", "rows-*.jsonl.gz")

#: The key and the status of a row as they stand in its line; in a text, quotation marks have a backslash before them.
KEY_FIELD, STATUS_FIELD = re.compile(rb'"key":"([0-9a-f]{64})"'), re.compile(rb'"status":"([a-z]+)"')

ROW = TypeAdapter(RowColumns)


@dataclass
class Scan:
    """What a look through a file of rows found: of every row its key, its status, and the bytes of its line."""

    keys: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    sizes: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, key: str, status: str, size: int) -> None:
        """A row more."""
        self.keys.append(key)
        self.statuses.append(sys.intern(status))
        self.sizes.append(size)


def row_files(folder: Path) -> list[Path]:
    """The files of rows there are, in the order in which their rows are read."""
    found = []
    for pattern in PATTERNS:
        for file in folder.glob(pattern):
            if name := ROW_FILE.fullmatch(file.name):
                found.append(((_rank(name), name[2] is None), file))
    return [file for _, file in sorted(found)]


def _rank(name: "re.Match[str]") -> int:
    """Where a file comes among the others: packed rows first, those still appended to last."""
    if name[1] is not None:
        return int(name[1])
    return 0 if name[2] else sys.maxsize


def numbered(folder: Path, number: int, packed: bool = True) -> Path:
    """The file of rows with that number."""
    return folder / f"rows-{number:05d}.jsonl{'.gz' if packed else ''}"


def last_number(folder: Path) -> int:
    """The largest number among the files of rows; 0 where none has one."""
    names = [ROW_FILE.fullmatch(file.name) for file in row_files(folder)]
    return max((int(name[1]) for name in names if name and name[1]), default=0)


def roll(file: Path) -> None:
    """Give the file that is appended to the next number, so that a new one is begun; all of it is on the disk then."""
    force(file)
    file.rename(numbered(file.parent, last_number(file.parent) + 1, packed=False))


def append_rows(file: Path, rows: Iterable[Mapping[str, Scalar]]) -> None:
    """Append rows to the file that is appended to, and begin a new one whenever it is full; nothing is forced.

    Raises:
        ResultsError: the file cannot be written; what was there before is left as it was.
    """
    size = file.stat().st_size if file.is_file() else 0
    lines: list[bytes] = []
    for row in rows:
        line = dump(row) + b"\n"
        if size and size + len(line) > SHARD_BYTES:
            append_text(file, b"".join(lines))
            roll(file)
            size, lines = 0, []
        lines.append(line)
        size += len(line)
    if lines:
        append_text(file, b"".join(lines))


def scan(file: Path, checked: bool) -> Scan:
    """The keys, statuses and sizes of a file's whole lines; ``checked`` rows are validated on the way.

    Raises:
        ResultsError: a line is no row, of another schema, or damaged.
    """
    found, lines = Scan(), whole_lines(file)
    for line in lines:
        if checked:
            try:
                row = ROW.validate_json(line)
            except ValidationError:
                break
            if row.schema_ != SCHEMA:
                break
            found.add(row.key, row.status, len(line))
        else:
            found.add(key_of(line), _status_of(line), len(line))
    return found if len(found.keys) == len(lines) else _slowly(file, lines)


def _slowly(file: Path, lines: list[bytes]) -> Scan:
    """``scan`` by way of Python's values, which says of what is wrong what and where."""
    rows, found = parse(file), Scan()
    validate(ROWS, rows, file.parent if ROW_FILE.fullmatch(file.name) else file)
    for row, line in zip(rows, lines, strict=True):
        found.add(str(row["key"]), str(row["status"]), len(line))
    return found


def key_of(line: bytes) -> str:
    """The key of a row, as it stands in its line."""
    found = KEY_FIELD.search(line)
    return found[1].decode() if found else str(json.loads(line)["key"])


def _status_of(line: bytes) -> str:
    found = STATUS_FIELD.search(line)
    return found[1].decode() if found else str(json.loads(line)["status"])


def rewrite(file: Path, change: Callable[[bytes], bytes | None]) -> None:
    """Put ``change(line)`` in place of every line of a file, or leave the line out where it is None; a file in which
    nothing changes is left alone."""
    lines = whole_lines(file)
    changed = [new for line in lines if (new := change(line)) is not None]
    if changed != lines:
        write_packed(file, b"".join(line + b"\n" for line in changed))


def write_packed(file: Path, text: bytes) -> None:
    """Write a whole file, compressed where its name says so."""
    write_atomically(file, gzip.compress(text, mtime=0) if file.suffix == ".gz" else text)


def layout(sizes: Iterator[int], total: int, compress_above: int) -> list[tuple[str, int]]:
    """The files in which rows of such sizes lie when they are settled, each with how many it has.

    Args:
        sizes: the bytes of every line without its end, in order.
        total: the bytes of all lines with their ends.
        compress_above: bytes above which rows are compressed.
    """
    if total <= SHARD_BYTES:
        return [("rows.jsonl.gz" if total > compress_above else "rows.jsonl", sum(1 for _ in sizes))]
    counts, room = [0], SHARD_BYTES
    for size in sizes:
        if counts[-1] and size + 1 > room:
            counts.append(0)
            room = SHARD_BYTES
        counts[-1] += 1
        room -= size + 1
    return [(numbered(Path(), k).name, count) for k, count in enumerate(counts, start=1)]


def unpacked_text(file: Path) -> bytes:
    """The text of a file of rows up to its last whole line."""
    data = read_bytes(file)
    return data[: data.rfind(b"\n") + 1]
