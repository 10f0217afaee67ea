"""Files of points as numpy, pandas, R and spreadsheets write them: read as they were meant, or refused in one line."""

import gzip
import importlib.util
import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rubbish import TOKENS

from otbench.errors import InputError
from otbench.files import parse_npy
from otbench.problems import problem
from otbench.problems.delimited import parse_delimited
from otbench.problems.point_files import read_points

Z = np.random.default_rng(3).normal([10, 0, 0], 1, (12, 3)).round(4)
FRAME = pd.DataFrame(Z, columns=["a", "b", "c"])
WHOLE = pd.DataFrame([[5, 3, 8], [4, 4, 1], [9, 0, 2]])


def text_of(points: np.ndarray, separator: str = ",", decimal: str = ".", end: str = "\n") -> str:
    return "".join(separator.join(f"{v:.4f}".replace(".", decimal) for v in row) + end for row in points)


def quoted(points: np.ndarray) -> str:
    return "\n".join(",".join(f'"{v:.4f}"' for v in row) for row in points)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", FRAME.to_csv(index=False)),
        ("x.CSV", FRAME.to_csv(index=False)),
        ("x.csv", FRAME.to_csv(index=False, sep=";")),
        ("x.csv", FRAME.to_csv(index=False, sep=";", decimal=",")),
        ("x.csv", FRAME.to_csv(index=False, sep="\t")),
        ("x.tsv", FRAME.to_csv(index=False, sep="\t")),
        ("x.TSV", FRAME.to_csv(index=False, sep="\t", decimal=",")),
        ("x.csv", FRAME.to_csv(index=False, header=False)),
        ("x.csv", FRAME.to_csv(index=False, quoting=1)),
        ("x.csv", FRAME.to_csv(index=False, lineterminator="\r\n")),
        ("x.csv", text_of(Z, end="\r")),
        ("x.csv", "\ufeff" + FRAME.to_csv(index=False)),
        ("x.csv", "\ufeffa;b;c\r\n" + text_of(Z, ";", ",", "\r\n")),
        ("x.csv", "länge,breite,höhe\n" + text_of(Z)),
        ("x.csv", '"weight, kg","a;b","c"\n' + text_of(Z)),
        ("x.csv", "\n\n" + text_of(Z[:5]) + "\n \n" + text_of(Z[5:]) + "\n\n"),
        ("x.csv", text_of(Z, " , ")),
        ("x.csv", quoted(Z)),
        ("x.csv", quoted(Z).replace(".", ",")),
        ("x.csv", text_of(Z).rstrip("\n")),
        ("x.csv", "# a,b,c\n" + text_of(Z)),
    ],
)
def test_text_is_read_as_it_was_meant(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode())
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    assert np.array_equal(read_points(tmp_path / name), Z)
    assert np.array_equal(read_points(tmp_path / f"{name}.gz"), Z)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pd.DataFrame(Z).to_csv(index=False), "its first line of numbers .0, 1, 2. counts the columns, as pandas"),
        (WHOLE.to_csv(index=False), "counts the columns, as pandas names them"),
        (pd.Series([5, 3, 8]).to_csv(index=False), "counts the columns, as pandas names them"),
        (pd.Series([0.5, 0.25, 0.25], name=2020).to_csv(index=False), "alone has whole numbers, as names"),
        (FRAME.set_axis([2019, 2020, 2021], axis=1).to_csv(index=False), "alone has whole numbers, as names"),
        (FRAME.set_axis([7, 30, 90], axis=1).to_csv(index=False), "alone has whole numbers, as names"),
        (WHOLE.set_axis([2019, 2020, 2021], axis=1).to_csv(index=False), "evenly spaced, as names"),
        ("400.5,401,401.5,402,402.5\n1,2.5,0,1,7\n1,2,3,1,4\n", "evenly spaced, as names"),
        (FRAME.to_csv(), "its first column has no name, as where pandas or R write their index"),
        (pd.DataFrame(Z).to_csv(), "line 1 is empty in front of numbers .*, as where pandas writes its index"),
        (FRAME.to_csv(header=False), "its first column counts the rows from 0, as an index does"),
        (FRAME.reset_index().to_csv(index=False), "its first column counts the rows from 0, as an index does"),
        (FRAME.set_index(FRAME.index + 1).to_csv(index_label="id"), "its first column counts the rows from 1"),
        (FRAME.rename(columns={"a": "Unnamed: 0"}).to_csv(index=False), "its first column has no name"),
        ("0,5\n1,25\n3,75\n", "0,5 and its like may be two whole numbers, or one with a decimal comma"),
        ("3,4\n-1,2\n", "3,4 and its like may be two whole numbers, or one with a decimal comma"),
        (text_of(Z[:, 1:2], decimal=","), "decimal"),
        ("v\n0,5\n1,25\n", "line 2 has 2 cells, line 1 has 1, with commas as separator: .* decimal points"),
        ("a,b\n01067,5\n", "line 2 holds 01067: write decimal points, and no zeros in front"),
        (text_of(Z, ",", ","), "decimal"),
        ("1,5;2.5\n3;4\n", r"it has decimal commas \(1,5\) and decimal points \(2.5\): keep to one"),
        ("a;b\n1.234;5.678\n", "1.234 and its like may be thousands or decimals"),
        ('a,b\n"1,234","5,678"\n', "1,234 and its like may be thousands or decimals"),
        ("a;b\n1.234,5;5\n", "line 2 holds '1.234,5', which is no number"),
        ("1\t2,5\n3\t4\n", "it has tabs and commas, so that its separator is in doubt"),
        ("1.5 2.5\n3.5 4.5\n", "line 1 mixes|no number|no rows of numbers|holds '3.5 4.5'"),
        ("a,b\n1.5,2\n3,4,5\n", "line 3 has 3 cells, line 1 has 2"),
        ("a,b\n1.5,2\n# half way\n3,4\n", "line 3 has 1 cells, .*: line 3 is a comment: take it out"),
        ("# made by hand\n1.5,2\n3,4\n", "line 1 is a comment: take it out"),
        ("a\n1.5\n# half way\n3\n", "line 3 is a comment: take it out"),
        ("a\n1.5\n\n3\n", "line 3 is blank, as where the number of an only column is missing"),
        ("1.5,a\n2,3\n", r"line 1 mixes names and numbers \(1.5, a\)"),
        ("a,b\n", "it has no rows of numbers"),
        ("", "it has no rows of numbers"),
        ("\n \n", "it has no rows of numbers"),
        ("a,b\n1,1_000\n", "line 2 holds '1_000', which is no number"),
        ("a,b\n1,0x1f\n", "line 2 holds '0x1f'"),
        ("a,b\n1,5%\n", "line 2 holds '5%'"),
        ("a,b\n1,٣\n", "line 2 holds '٣'"),
        ("a,b\n1,9007199254740993\n", "line 2 holds 9007199254740993, which float64 cannot hold"),
        ('a,b\n1,"2\n', "line 2 is not text in columns"),
        ("a,b\n1,inf\n", "line 2 holds inf, which is no coordinate"),
    ],
)  # fmt: skip
def test_text_that_may_mean_two_things_is_refused_with_what_was_found(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=rf"x\.csv is not a readable array of numbers: .*({said})") as caught:
        read_points(tmp_path / "x.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "nan", "null", "-", "N/A", "#N/A", "None", "?", "<NA>", " "])
@pytest.mark.parametrize("row", [0, 1, 11])
@pytest.mark.parametrize("header", ["", "a,b,c\n"])
def test_a_missing_number_is_refused_wherever_it_stands(missing: str, row: int, header: str) -> None:
    lines = text_of(Z).splitlines()
    lines[row] = ",".join([lines[row].split(",")[0], missing, "1.5"])
    with pytest.raises(ValueError, match=f"line {row + 1 + bool(header)} lacks a number"):
        parse_delimited((header + "\n".join(lines)).encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_text_that_is_not_utf_8_is_refused(encoding: str) -> None:
    with pytest.raises(ValueError, match="it is UTF-16 or no text at all: save it as UTF-8"):
        parse_delimited(text_of(Z).encode(encoding))
    with pytest.raises(ValueError, match="byte 1 is not UTF-8: save it as UTF-8"):
        parse_delimited("höhe\n1.5\n".encode("latin-1"))


def test_a_damaged_gz_and_another_suffix_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text_of(Z).encode())[:-9])
    with pytest.raises(InputError, match=r"x.csv.gz is not a readable array .*: its compression ends too early"):
        read_points(tmp_path / "x.csv.gz")
    for name in ("x.txt", "x", "csv", "x.npy.gz", "x.xlsx"):
        with pytest.raises(InputError, match=rf"arrays are read from \.npy, .* files; got {name}: save it as \.npy"):
            read_points(tmp_path / name)


def test_parquet_is_read_where_pandas_can_and_refused_in_one_line_where_not(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    if importlib.util.find_spec("pyarrow") is None:
        file.write_bytes(b"PAR1")
        with pytest.raises(InputError, match=r"pandas needs pyarrow to read \.parquet: pip install pyarrow, or"):
            read_points(file)
        return
    FRAME.to_parquet(file)
    np.save(tmp_path / "y.npy", Z)
    assert np.array_equal(problem("arrays", folder=str(tmp_path), x="x.parquet", y="y.npy").sample().x, Z)
    FRAME.assign(label="u").to_parquet(file)
    with pytest.raises(InputError, match="column 'label' must hold real numbers"):
        problem("arrays", folder=str(tmp_path), x="x.parquet", y="y.npy").sample()
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="it is no table that pandas can read"):
        read_points(file)


def test_weights_may_be_a_column_or_a_row_and_no_other_table(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", Z[:4])
    (tmp_path / "column.csv").write_text("w\n0.5\n0.25\n0.125\n0.125\n")
    (tmp_path / "row.csv").write_text("0.5,0.25,0.125,0.125\n")
    np.save(tmp_path / "square.npy", np.full((2, 2), 0.25))
    files = {"folder": str(tmp_path), "x": "x.npy", "y": "x.npy"}
    for name in ("column.csv", "row.csv"):
        assert problem("arrays", **files, a=name).sample().a.tolist() == [0.5, 0.25, 0.125, 0.125]
    with pytest.raises(InputError, match=r"weights square.npy must have shape \(4,\), one per point; got \(2, 2\)"):
        problem("arrays", **files, a="square.npy").sample()


def npy(header: str, version: int, data: np.ndarray) -> bytes:
    """A .npy file with a header of one's own writing."""
    line = header.encode() + b" " * 20 + b"\n"
    size = 2 if version == 1 else 4
    return b"\x93NUMPY" + bytes([version, 0]) + len(line).to_bytes(size, "little") + line + data.tobytes("A")


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("header", [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (12, 3), }",
    "{'shape': (12,3), 'fortran_order': False, 'descr': '<f8'}",
    '{"fortran_order": False, "descr": "<f8", "shape": (12, 3,)}',
    "{'descr': '<f8', 'fortran_order': True, 'shape': (12, 3)}",
    "{'descr': '>f8', 'fortran_order': False, 'shape': (12, 3), }",
    "{'descr': 'float64', 'fortran_order': False, 'shape': (12, 3), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (12L, 3L), }",
])  # fmt: skip
def test_a_npy_file_of_any_writer_is_read_as_numpy_reads_it(header: str, version: int) -> None:
    if "L" in header and version == 3:
        pytest.skip("numpy reads Python 2's integers up to version 2")
    stored = Z.astype(">f8") if ">" in header else np.asfortranarray(Z) if "True" in header else Z
    data = npy(header, version, stored)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.load(io.BytesIO(data))
    read = parse_npy(data)
    assert np.array_equal(read, Z)
    assert read.dtype == theirs.dtype


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (12, 4), }", 1, Z), "header says 12 x 4 of float64"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-12, -3), }", 1, Z), "its header says -12 x -3"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (12, 3), }", 4, Z), "no header of a .npy file"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (36,), }", 1, Z), "Python objects are never loaded"),
        (npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (36,), }", 1, Z), "no numbers"),
        (npy("{'descr': '<f8', 'shape': (12, 3), }", 1, Z), "no header of a .npy file"),
        (npy("[" * 3000, 1, Z), "no header of a .npy file"),
        (npy("{'descr': '|S0', 'fortran_order': False, 'shape': (9999999999,), }", 1, Z[:0]), "cannot be zero"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 99999999999999999999), }", 1, Z[:0]), "dimension"),
        (b"\x93NUMPY", "no header"),
        (b"", "no header"),
    ],
)
def test_a_npy_file_that_lies_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_npy(data)


@settings(max_examples=150)
@given(st.data())
def test_a_mutated_npy_file_is_read_as_numpy_reads_it_or_refused(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    np.save(buffer, Z[:2].astype(data.draw(st.sampled_from(["<f8", ">f4", "<i2", "|b1", "<U2", "<c8"]))))
    content = spoilt(buffer.getvalue(), data)
    try:
        ours = parse_npy(content)
    except ValueError as error:
        return one_line(error)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.load(io.BytesIO(content), allow_pickle=False)
    assert ours.dtype == theirs.dtype
    assert ours.tobytes("C") == theirs.tobytes("C")


@settings(max_examples=150)
@given(st.data())
def test_a_mutated_text_is_read_as_pandas_reads_it_or_refused(data: st.DataObject) -> None:
    separator, decimal = data.draw(st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", ".")]))
    header = data.draw(st.sampled_from(["", separator.join("abc") + "\n"]))
    content = spoilt((header + text_of(Z[:4], separator, decimal)).encode(), data)
    try:
        ours = parse_delimited(content)
    except ValueError as error:
        return one_line(error)
    text = content.decode("utf-8-sig")
    first = next(line for line in text.splitlines() if line.strip())
    separator = ";" if ";" in text else "\t" if "\t" in text else ","
    assume('"' not in text)
    theirs = pd.read_csv(
        io.StringIO(text), sep=separator, header=None, skiprows=lambda k: False, dtype=str, skipinitialspace=True,
        keep_default_na=False, skip_blank_lines=True,
    )  # fmt: skip
    named = any(cell.strip().strip("+-")[:1].isalpha() or "#" in cell for cell in first.split(separator))
    cells = theirs.iloc[1 if named or not is_number(first.split(separator)[0]) else 0 :]
    cells = cells[~(cells.map(str.strip) == "").all(axis=1)]
    plain = cells.map(lambda cell: float(cell.strip().replace(",", ".")))
    assert np.array_equal(ours, plain.to_numpy())


def is_number(cell: str) -> bool:
    try:
        float(cell.strip().replace(",", "."))
    except ValueError:
        return False
    return True


def one_line(error: Exception) -> None:
    assert "\n" not in str(error)


def spoilt(content: bytes, data: st.DataObject) -> bytes:
    """The content with up to three bytes or passages put in, taken out or replaced."""
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(content)))
        end = min(len(content), at + data.draw(st.integers(0, 12)))
        put = data.draw(st.one_of(st.binary(max_size=3), st.sampled_from([t for t in TOKENS if len(t) < 50])))
        content = content[:at] + put + content[end:]
    return content


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes) -> None:
    for read in (parse_npy, parse_delimited, lambda c: parse_delimited(c, "\t")):
        try:
            read(content)
        except ValueError as error:
            one_line(error)
