"""Packed tables: what is unpacked again, by the format's own words, is the table to seven digits."""

import base64
import gzip
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otbench.report.page.columns import FEW, packed


def unpacked(text: str) -> dict[str, list[Any]]:
    """The columns of a packed table, read one row at a time."""
    data = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    place, rows, found = 4 + length, header["rows"], {}
    for column in header["columns"]:
        width = {"hex": 6, "digits": 5}.get(column["kind"]) or column["width"]
        part = data[place : place + width * rows]
        place += width * rows
        found[column["name"]] = [_value(column, part, row, rows) for row in range(rows)]
    assert place == len(data)
    return found


def _value(column: dict[str, Any], part: bytes, row: int, rows: int) -> Any:
    if column["kind"] == "hex":
        return part[6 * row : 6 * row + 6].hex()
    if column["kind"] == "codes":
        width = column["width"]
        value = column["values"][int.from_bytes(part[width * row : width * (row + 1)], "little")]
        return float(value) if column["numeric"] and isinstance(value, str) else value
    digits, code = (sum(part[k * rows + row] << 8 * (k - first) for k in range(first, last))
                    for first, last in ((0, 3), (3, 5)))  # fmt: skip
    if code >= 0xFFFD:
        return {0xFFFF: None, 0xFFFE: np.inf, 0xFFFD: -np.inf}[code]
    return (-1) ** (code & 1) * float(f"{digits}e{(code >> 1) - 406}")


def rounded(number: float) -> float:
    return float(f"{number:.6e}")


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)


@given(st.lists(NUMBERS, min_size=1, max_size=30), st.booleans())
def test_numbers_come_back_to_seven_digits(numbers: list[float], many: bool) -> None:
    filler = np.arange(FEW + 1) + 0.5 if many else np.array([])
    column = pd.Series(np.concatenate([numbers, filler]), dtype="float64")
    if column.notna().any():
        found = unpacked(packed(pd.DataFrame({"a": column})))["a"]
        expected = [None if np.isnan(v) else rounded(v) for v in column]
        assert found == expected


def test_texts_flags_whole_numbers_and_keys_come_back() -> None:
    n = 400
    table = pd.DataFrame({
        "text": [f"{k % 300} ü \u202e </script>" for k in range(n)],
        "some": [None if k % 3 else "there" for k in range(n)],
        "flag": pd.Series([bool(k % 2) for k in range(n)], dtype=object),
        "whole": pd.array([None if k == 5 else k * 1000 for k in range(n)], dtype="Int64"),
        "large": pd.array([2**62 + k % 2 for k in range(n)], dtype="Int64"),
        "key": [f"{k:064x}"[::-1] for k in range(n)],
        "empty": np.full(n, np.nan),
    })  # fmt: skip
    found = unpacked(packed(table))
    assert set(found) == set(table) - {"empty"}
    assert found["text"] == table["text"].tolist()
    assert found["some"] == [None if k % 3 else "there" for k in range(n)]
    assert found["flag"] == [str(bool(k % 2)) for k in range(n)]
    assert found["whole"] == [None if k == 5 else k * 1000 for k in range(n)]
    assert found["large"] == [2.0**62 for _ in range(n)]
    assert found["key"] == [key[:12] for key in table["key"]]


@pytest.mark.parametrize("rows", [255, 256, 257, 65537])
def test_codes_are_as_wide_as_their_values_need(rows: int) -> None:
    texts = [f"t{k}" for k in range(rows)]
    assert unpacked(packed(pd.DataFrame({"a": texts})))["a"] == texts


def test_equal_tables_have_equal_bytes_and_others_have_not() -> None:
    table = pd.DataFrame({"a": np.linspace(0, 1, 1000), "b": ["x", "y"] * 500})
    assert packed(table) == packed(table.copy())
    assert packed(table) != packed(table.assign(a=table["a"] + 1e-6))
