"""Where a table that stands somewhere first differs from what it should be: its row, its column, and both values."""

import csv
import io
from itertools import zip_longest

#: How many of a row's own values tell which it is.
NAMES = 4

#: Characters of a value that are shown: of a longer one, those around the first that differs.
SHOWN = 80

Table = list[list[str]]


def table_difference(name: str, found: bytes, right: bytes) -> tuple[str, str, str, str]:
    """Place, what stands there, what should, and the column, of the first difference of two unequal CSV files."""
    if found.replace(b"\r\n", b"\n") == right:
        return name, "other line ends (CRLF), as Git makes them with core.autocrlf", "LF alone", ""
    seen, due = (list(csv.reader(io.StringIO(data.decode(errors="replace")))) for data in (found, right))
    where, observed, bound, column = first_difference(seen, due)
    return f"{name}, {where}", observed, bound, column


def markdown_difference(found: str, right: str) -> tuple[str, str, str, str]:
    """The same of two unequal Markdown tables."""
    seen, due = ([_cells(line) for line in text.splitlines()] for text in (found, right))
    return first_difference(seen, due)


def first_difference(seen: Table, due: Table) -> tuple[str, str, str, str]:
    """Row, what stands there, what should, and the column, of the first difference of two tables with headings."""
    for number, (one, other) in enumerate(zip_longest(seen, due), start=1):
        if one is None or other is None:
            return f"line {number}", _count(len(seen)), _count(len(due)), ""
        for k, (left, right) in enumerate(zip_longest(one, other)):
            if left != right:
                row = ", ".join(text for text in other[:NAMES] if text)
                column = due[0][k] if number > 1 and k < len(due[0]) else ""
                return f"line {number} ({row})", _shown(left, right), _shown(right, left), column
    return "all lines", "the same values written otherwise", "byte for byte what the rows give", ""


def _cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _count(lines: int) -> str:
    return f"{lines} lines"


def _shown(value: str | None, other: str | None) -> str:
    """A value where it differs from another."""
    if not value:
        return "no such cell" if value is None else "an empty cell"
    other = other or ""
    shorter = min(len(value), len(other))
    same = next((k for k in range(shorter) if value[k] != other[k]), shorter)
    start = max(0, same - SHOWN // 2) if len(value) > SHOWN else 0
    return ("..." if start else "") + value[start : start + SHOWN] + ("..." if start + SHOWN < len(value) else "")
