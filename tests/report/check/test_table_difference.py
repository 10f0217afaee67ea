"""Where two tables first differ, whatever it is that differs."""

import pytest

from otbench.report.check.table_difference import table_difference

RIGHT = "name,dim,raw\nspheres,2,0.5\nballs,3,\n"

LONG = "x" * 300


@pytest.mark.parametrize(
    ("found", "place", "observed", "bound", "column"),
    [
        (RIGHT.replace("0.5", "0.6"), "t.csv, line 2 (spheres, 2, 0.5)", "0.6", "0.5", "raw"),
        (RIGHT.replace("3,\n", "3,1\n"), "t.csv, line 3 (balls, 3)", "1", "an empty cell", "raw"),
        (RIGHT.replace("2,0.5", "2"), "t.csv, line 2 (spheres, 2, 0.5)", "no such cell", "0.5", "raw"),
        (RIGHT.replace("raw", "row"), "t.csv, line 1 (name, dim, raw)", "row", "raw", ""),
        (RIGHT + "more,1,2\n", "t.csv, line 4", "4 lines", "3 lines", ""),
        (RIGHT.rsplit("balls")[0], "t.csv, line 3", "2 lines", "3 lines", ""),
        ("", "t.csv, line 1", "0 lines", "3 lines", ""),
        (RIGHT.replace("\n", "\r\n"), "t.csv", "other line ends (CRLF), as Git makes them with core.autocrlf",
         "LF alone", ""),
        (RIGHT.replace("spheres", '"spheres"'), "t.csv, all lines", "the same values written otherwise",
         "byte for byte what the rows give", ""),
    ],
)  # fmt: skip
def test_the_first_difference_is_named(found: str, place: str, observed: str, bound: str, column: str) -> None:
    assert table_difference("t.csv", found.encode(), RIGHT.encode()) == (place, observed, bound, column)


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    tables = (f"a\n{LONG}{last}{LONG}\n".encode() for last in "yz")
    _, observed, bound, _ = table_difference("t.csv", *tables)
    assert observed == f"...{'x' * 40}y{'x' * 39}..."
    assert bound == f"...{'x' * 40}z{'x' * 39}..."


def test_bytes_that_are_no_text_are_told_too() -> None:
    place, *_ = table_difference("t.csv", b"\xff\x00", RIGHT.encode())
    assert place == "t.csv, line 1 (name, dim, raw)"
