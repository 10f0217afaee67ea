"""Tables packed for a browser: a column after the other, numbers to seven digits, compressed, as text.

A packed table is the base64 text of a gzip file that holds four bytes, the length of a header (little-endian), the
header as JSON, and the bytes of the columns one after another. The header has ``rows`` and, per column, its ``name``
and how its bytes are read:

* ``codes``: the column has few values. They stand in ``values``; 1, 2 or 4 bytes a row, little-endian, say which one.
* ``digits``: the column has many numbers m 10^(e - 6) with m < 10^7. First come three planes of m, the lowest byte of
  every row and so on, then two planes of 2 (e + 400), plus 1 where the number is negative. The three largest values
  stand for what is no number: nothing, infinity, minus infinity.
* ``hex``: the first 12 digits of a key in every row, 6 bytes each.

``scripts/columns.js`` reads it. Equal tables give equal bytes.
"""

import base64
import gzip
import json
import re
from typing import Any

import numpy as np
import pandas as pd

#: Significant digits of a number in the page; its rows' file has all.
DIGITS = 7

#: Up to so many values a column is kept as codes.
FEW = 512

#: What is added to a decimal exponent so that it is not negative.
EXPONENT_ZERO = 400

#: What stands in place of an exponent where there is no finite number.
NOTHING, INFINITY, MINUS_INFINITY = 0xFFFF, 0xFFFE, 0xFFFD

#: Whole numbers beyond this have no exact JavaScript number, and become text.
EXACT_WHOLE = 2**53

KEY = re.compile(r"[0-9a-f]{64}")

#: Digits of a key that are kept: enough for ``--only``.
KEY_DIGITS = 12


def packed(table: pd.DataFrame) -> str:
    """The columns of a table that have any value, as the text of a packed table."""
    header, parts = [], []
    for name in table.columns:
        if table[name].notna().any():
            told, data = _column(table[name])
            header.append({"name": str(name), **told})
            parts.append(data)
    head = json.dumps({"rows": len(table), "columns": header}, ensure_ascii=True, separators=(",", ":")).encode()
    return compressed(len(head).to_bytes(4, "little") + head + b"".join(parts))


def compressed(data: bytes) -> str:
    """Bytes as the base64 text of a gzip file, the same every time."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


def _column(column: "pd.Series[Any]") -> tuple[dict[str, Any], bytes]:
    """How a column is read, and its bytes."""
    values = column.astype(object).where(column.notna(), None).tolist()
    if all(isinstance(value, str) and KEY.fullmatch(value) for value in values):
        return {"kind": "hex"}, b"".join(bytes.fromhex(value[:KEY_DIGITS]) for value in values)
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric and column.nunique() > FEW:
        return {"kind": "digits"}, _digits(column.to_numpy(dtype="float64", na_value=np.nan))
    texts = [_plain(value, numeric) for value in values]
    known = list(dict.fromkeys(texts))
    width = 1 if len(known) <= 2**8 else 2 if len(known) <= 2**16 else 4
    places = {value: place for place, value in enumerate(known)}
    codes = np.array([places[value] for value in texts], dtype=f"<u{width}")
    return {"kind": "codes", "width": width, "numeric": numeric, "values": known}, codes.tobytes()


def _plain(value: Any, numeric: bool) -> Any:
    """A value as JSON holds it: a number to seven digits, text, or None; an infinite number as text."""
    if value is None:
        return None
    if not numeric:
        return str(value)
    if isinstance(value, int | np.integer):
        return int(value) if abs(int(value)) < EXACT_WHOLE else str(value)
    return float(f"{value:.{DIGITS - 1}e}") if np.isfinite(value) else ("-" if value < 0 else "") + "Infinity"


def _digits(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> bytes:
    """The planes of many numbers: mantissas of seven digits, then exponents with signs."""
    mantissas, exponents = np.zeros(len(numbers), "<u4"), np.zeros(len(numbers), "<u2")
    for row, number in enumerate(numbers.tolist()):
        if number != number:
            exponents[row] = NOTHING
        elif number in (np.inf, -np.inf):
            exponents[row] = INFINITY if number > 0 else MINUS_INFINITY
        else:
            digits, exponent = f"{abs(number):.{DIGITS - 1}e}".split("e")
            mantissas[row] = int(digits.replace(".", ""))
            exponents[row] = 2 * (int(exponent) + EXPONENT_ZERO) + (number < 0)
    return _planes(mantissas)[: 3 * len(numbers)] + _planes(exponents)


def _planes(numbers: np.ndarray[Any, Any]) -> bytes:
    """The lowest byte of every number, then the next ones, and so on: like bytes together compress better."""
    return numbers.view(np.uint8).reshape(len(numbers), numbers.itemsize).T.tobytes()
