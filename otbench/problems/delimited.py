"""Numbers in columns of text, read where there is one way to read them, and refused in one line where there are two.

It may be in doubt whether a comma is a decimal one, whether a first line holds names, and whether a first column is an
index.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence

import numpy as np

from otbench.inputs import LARGEST_WHOLE, Reals

#: One number, with a decimal point or comma.
NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?")

#: A whole number, as it is written.
WHOLE = re.compile(r"[+-]?[0-9]+")

#: Three digits behind a sign, as in 12,345: a number above a thousand, or one with three decimals.
GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")

#: A whole number with a zero in front: the second half of a number with a decimal comma, or a code.
PADDED = re.compile(r"[+-]?0[0-9]+|[+-]0")

#: What spreadsheets, pandas and R write where a number is missing, in small letters.
MISSING = {
    "", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "nil", "-", "--", "?", ".", "#value!", "#div/0!",
}  # fmt: skip

#: Infinity, in small letters: a number, but no coordinate.
INFINITE = {"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}

COMMENT = ("#", "%", "//")

#: The names of separators, for messages.
CALLED = {",": "commas", ";": "semicolons", "\t": "tabs"}

#: What to do where a file may mean two things.
IN_DOUBT = "write a first line of names, as x1,x2, or save the points as .npy"

#: A line's number in the file, and its cells.
Line = tuple[int, list[str]]


def parse_delimited(data: bytes, separator: str | None = None) -> Reals:
    """The numbers (rows, columns) in text whose cells are separated by commas, semicolons or tabs.

    Where ``separator`` is None, it is the semicolon if there are any, the tab if there are neither semicolons nor
    commas, and else the comma. Beside semicolons or tabs a comma is a decimal one. A first line of names is skipped,
    and so are blank lines.

    Raises:
        ValueError: the data are no such text, or what they mean is in doubt; the error names the line and what to do.
    """
    text = _decoded(data)
    separator = separator or _separator(text)
    lines = list(_lines(text, separator))
    _check_widths(lines, separator)
    names = lines.pop(0)[1] if lines and _is_header(lines[0]) else None
    if not lines:
        raise ValueError("it has no rows of numbers")
    _check_cells(lines)
    rows = _with_points(lines, separator)
    _check_index(names, rows)
    if names is None:
        _check_first_row(rows)
    if separator == ",":
        _check_halves(names, lines, rows)
    return _numbers(lines, rows)


def _decoded(data: bytes) -> str:
    """The text of bytes in UTF-8, with or without a byte-order mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4096]:
        raise ValueError("it is UTF-16 or no text at all: save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8: save it as UTF-8") from None


def _separator(text: str) -> str:
    """The separator of a text, judged by what stands outside quotes."""
    bare = re.sub(r'"[^"]*"', "", text) if '"' in text else text
    if ";" in bare:
        return ";"
    if "\t" in bare and "," in bare:
        raise ValueError("it has tabs and commas, so that its separator is in doubt: leave one out, or name it .tsv")
    return "\t" if "\t" in bare else ","


def _lines(text: str, separator: str) -> Iterator[Line]:
    """The lines that are not blank, with the spaces around their cells taken off."""
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=separator, strict=True)
    blank = 0
    try:
        for cells in reader:
            if cells == [] or (len(cells) == 1 and cells[0].isspace()):
                blank = blank or reader.line_num
                continue
            if blank and len(cells) == 1:  # in the only column a missing number leaves a blank line
                raise ValueError(f"line {blank} is blank, as where the number of an only column is missing: drop it")
            yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is not text in columns ({error})") from None


def _check_widths(lines: Sequence[Line], separator: str) -> None:
    """Refuse a line that has not as many cells as the first."""
    for number, cells in lines:
        first, width = lines[0][0], len(lines[0][1])
        if len(cells) != width:
            comment = next((k for k, its in lines if its[0].startswith(COMMENT)), None)
            remedy = f"line {comment} is a comment: take it out"
            if comment is None:
                remedy = "take out what is no row of numbers, and write decimal points where commas are decimal"
            found = f"line {number} has {len(cells)} cells, line {first} has {width}"
            raise ValueError(f"{found}, with {CALLED[separator]} as separator: {remedy}")


def _is_header(line: Line) -> bool:
    """Whether a first line holds names: one name at least, and no number."""
    number, cells = line
    kinds = {_kind(cell) for cell in cells}
    if {"name", "number"} <= kinds:
        raise ValueError(f"line {number} mixes names and numbers ({_some(cells)}): give every column a name, or none")
    if cells[0] == "" and len(cells) > 1 and kinds == {"missing", "number"}:
        raise ValueError(
            f"line {number} is empty in front of numbers ({_some(cells)}), as where pandas writes its index: "
            "write it with index=False and a line of names"
        )
    return "name" in kinds


def _kind(cell: str) -> str:
    small = cell.lower()
    if small in MISSING:
        return "missing"
    return "number" if small in INFINITE or NUMBER.fullmatch(cell) else "name"


def _check_cells(lines: Sequence[Line]) -> None:
    """Every cell is a number; the first that is none is named with its line."""
    is_number = NUMBER.fullmatch
    for number, cells in lines:
        for cell in cells:
            if not is_number(cell):
                raise ValueError(f"line {number} {_instead(cell)}")


def _instead(cell: str) -> str:
    """What a cell is that is no number, and what to do."""
    if cell.lower() in MISSING:
        return f"lacks a number ({cell!r}): drop the row, or fill it"
    if cell.startswith(COMMENT):
        return "is a comment: take it out"
    if cell.lower() in INFINITE:
        return f"holds {cell}, which is no coordinate: drop the row, or repair it"
    return f"holds {cell[:40]!r}, which is no number: write digits, one decimal point and no other separator"


def _with_points(lines: Sequence[Line], separator: str) -> list[list[str]]:
    """The rows with decimal points, where what their commas and points mean is plain."""
    commas = [cell for _, cells in lines for cell in cells if "," in cell]
    points = [cell for _, cells in lines for cell in cells if "." in cell]
    if commas and points:
        raise ValueError(f"it has decimal commas ({commas[0]}) and decimal points ({points[0]}): keep to one")
    marked = points if separator == ";" and not commas else commas
    if marked and all(GROUPED.fullmatch(cell) for cell in marked):
        raise ValueError(f"{marked[0]} and its like may be thousands or decimals: write four decimals, or save as .npy")
    return [[cell.replace(",", ".") for cell in cells] if commas else cells for _, cells in lines]


def _check_index(names: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    """A first column is an index where it has no name and the others have; where it counts the rows, in doubt."""
    if len(rows[0]) < 2:
        return
    if names and (names[0] == "" or names[0].startswith("Unnamed: ")):
        raise ValueError("its first column has no name, as where pandas or R write their index: write it without one")
    first = [row[0] for row in rows]
    if len(first) >= 3 and first[0] in {"0", "1"} and _whole(first):
        start = int(first[0])
        if [int(cell) for cell in first] == list(range(start, start + len(first))):
            raise ValueError(
                f"its first column counts the rows from {start}, as an index does: write it without (index=False), "
                "or save the points as .npy where it is a coordinate"
            )


def _check_first_row(rows: Sequence[Sequence[str]]) -> None:
    """A first row may be names that are numbers: 0, 1, 2 as pandas numbers columns, years, the points of a grid."""
    first, others = rows[0], rows[1:]
    what = None
    if _whole(first) and [int(cell) for cell in first] == list(range(len(first))):
        what = "counts the columns, as pandas names them"
    elif others and _whole(first) and not any(_whole(row) for row in others):
        what = "alone has whole numbers, as names of columns may be"
    elif others and _is_grid(first) and not all(_is_grid(row) for row in others):
        what = "is evenly spaced, as names of columns may be"
    if what:
        raise ValueError(f"its first line of numbers ({_some(first)}) {what}: {IN_DOUBT}")


def _whole(row: Sequence[str]) -> bool:
    return all(WHOLE.fullmatch(cell) for cell in row)


def _is_grid(row: Sequence[str]) -> bool:
    """Three or more consecutive whole numbers, or five or more evenly spaced ones."""
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.diff(np.array([float(cell) for cell in row]))
        if len(row) < 3 or steps[0] == 0 or not np.allclose(steps, steps[0], rtol=1e-6, atol=0):
            return False
    return len(row) >= 5 or (_whole(row) and steps[0] == 1)


def _check_halves(names: Sequence[str] | None, lines: Sequence[Line], rows: Sequence[Sequence[str]]) -> None:
    """Commas between whole numbers may be decimal ones: 0,5 is one number in half of the world."""
    for number, cells in lines:
        for cell in cells:
            if cell[:1] in "+-0" and PADDED.fullmatch(cell):
                raise ValueError(f"line {number} holds {cell}: write decimal points, and no zeros in front of numbers")
    if names is None and len(rows[0]) == 2 and all(_whole(row) and row[1].isdigit() for row in rows):
        first = ",".join(lines[0][1])
        raise ValueError(f"{first} and its like may be two whole numbers, or one with a decimal comma: {IN_DOUBT}")


def _numbers(lines: Sequence[Line], rows: Sequence[Sequence[str]]) -> Reals:
    """The rows as float64; whole numbers that it cannot hold are refused."""
    numbers = np.array([[float(cell) for cell in row] for row in rows])
    for i, j in zip(*np.nonzero(np.isfinite(numbers) & (np.abs(numbers) >= LARGEST_WHOLE)), strict=True):
        if WHOLE.fullmatch(rows[i][j]) and int(rows[i][j]) != int(numbers[i, j]):
            raise ValueError(f"line {lines[i][0]} holds {rows[i][j]}, which float64 cannot hold: subtract an offset")
    return numbers


def _some(cells: Sequence[str]) -> str:
    return ", ".join(cells[:4]) + (", ..." if len(cells) > 4 else "")
