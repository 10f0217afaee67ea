"""Rows on disk: what was appended stays whatever happens, and what is damaged is said in one line."""

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from small import TIMING, Line, lines, python, write_lines

import otbench
import otbench.results.store
from otbench.errors import InputError, ResultsError, ResultsInUseError
from otbench.files import dump, write_atomically
from otbench.results.lines import append_lines
from otbench.results.schema import RowColumns
from otbench.results.store import Results, keys_digest


@pytest.fixture
def empty(tmp_path: Path) -> Results:
    results = Results(tmp_path / "results" / "new")
    results.folder.mkdir(parents=True)
    return results


@pytest.fixture(scope="module")
def rows(small_results: Path) -> list[Line]:
    return lines(small_results / "rows.jsonl")


def packed(monkeypatch: pytest.MonkeyPatch, results: Results) -> list[Line]:
    """The rows, after a run has settled them compressed."""
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", 100)
    before = results.rows()
    results.settle([str(row["key"]) for row in before])
    assert results.packed_file.is_file()
    assert not results.rows_file.exists()
    return before


def assert_one_line(error: pytest.ExceptionInfo[BaseException], results: Results) -> None:
    assert "\n" not in str(error.value)
    assert str(results.folder) in str(error.value)


def test_what_is_appended_is_read_back_in_order(empty: Results, rows: list[Line]) -> None:
    empty.append(rows[:2], [TIMING])
    empty.append(rows[2:5], [])
    assert empty.rows() == rows[:5]
    assert empty.timings() == [TIMING]


def test_rows_are_on_the_disk_when_append_returns(
    empty: Results, rows: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    empty.append(rows[:2], [TIMING])
    assert synced == [file.stat().st_size for file in (empty.timing_file, empty.rows_file)]


def test_no_rows_at_all_is_one_line_with_the_remedy(empty: Results) -> None:
    with pytest.raises(ResultsError, match=r"no rows in .*: run `otbench run new` first") as error:
        empty.rows()
    assert_one_line(error, empty)


@pytest.mark.parametrize("cut", [1, 2, 100, -1])
def test_a_torn_last_line_is_left_out_and_mended(cut: int, copy: Results) -> None:
    rows, whole = copy.rows(), copy.rows_file.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    torn = whole[: last + cut] if cut > 0 else whole[:cut]
    copy.rows_file.write_bytes(torn)
    assert copy.rows() == rows[:-1]
    assert copy.mend()
    assert copy.rows_file.read_bytes() == whole[:last]
    assert not copy.mend()
    copy.append(rows[-1:], [])
    assert copy.rows_file.read_bytes() == whole


def test_a_torn_timing_is_mended_and_whole_files_are_left_alone(copy: Results) -> None:
    before = copy.rows_file.stat().st_mtime_ns
    assert not copy.mend()
    with copy.timing_file.open("ab") as handle:
        handle.write(b'{"key"')
    assert copy.mend()
    assert copy.rows_file.stat().st_mtime_ns == before
    assert copy.timings()


def test_a_first_line_that_is_torn_leaves_no_rows(copy: Results) -> None:
    copy.rows_file.write_bytes(copy.rows_file.read_bytes()[:50])
    assert copy.rows_so_far() == []
    assert copy.mend()
    assert copy.rows_so_far() == []


@pytest.mark.parametrize("line", ["{", "not JSON", "3", "null", "[]", "", '"text"', "{}}", "\x00"])
def test_a_damaged_line_is_named_by_its_number(line: str, copy: Results) -> None:
    text = copy.rows_file.read_text().split("\n")
    text[3] = line
    copy.rows_file.write_text("\n".join(text))
    with pytest.raises(ResultsError, match=r"rows.jsonl, line 4, is not a row: restore it .* or delete") as error:
        copy.rows()
    assert_one_line(error, copy)


@pytest.mark.parametrize("schema", [0, 1, 2, 4, "3", None])
def test_another_schema_is_refused_with_both_versions(schema: object, copy: Results) -> None:
    rows = lines(copy.rows_file)
    rows[2]["schema"] = schema
    write_lines(copy.rows_file, rows)
    with pytest.raises(ResultsError, match=f"line 3, has schema {schema!r}, this otbench reads 3: use") as error:
        copy.rows()
    assert_one_line(error, copy)


MEASURED = sorted(field.alias or name for name, field in RowColumns.model_fields.items() if name != "schema_")


def values_of_other_types(name: str) -> list[Any]:
    """JSON values that a measured column must not take."""
    kind = RowColumns.model_fields[name].annotation
    wrong: list[Any] = [True, [], [1.0], {}, {"a": 1}]
    wrong += [3.5, 7] if kind is str else ["text", "", "1.0"]
    wrong += [1.5, 2**63] if "int" in str(kind) else []
    return wrong + ([] if "None" in str(kind) else [None])


def assert_named(results: Results, rows: list[Line], name: str) -> None:
    write_lines(results.rows_file, rows)
    with pytest.raises(ResultsError, match=rf"row .* is damaged: ([0-9]+\.)?{name}: ") as error:
        results.rows()
    assert_one_line(error, results)


@pytest.mark.parametrize("name", MEASURED)
def test_a_measured_column_that_is_missing_or_of_another_type_is_named(
    name: str, rows: list[Line], empty: Results
) -> None:
    for value in values_of_other_types(name):
        for good in (rows[0], rows[4], rows[-1]):
            assert_named(empty, [rows[1], {**good, name: value}], name)
    assert_named(empty, [rows[1], {k: v for k, v in rows[0].items() if k != name}], name)


@pytest.mark.parametrize(
    ("name", "value"), [("status", "okay"), ("status", ""), ("key", "0" * 63), ("key", "0" * 65)]
)
def test_a_measured_column_out_of_range_is_named(name: str, value: object, rows: list[Line], empty: Results) -> None:
    assert_named(empty, [rows[1], {**rows[0], name: value}], name)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused(text: str, copy: Results) -> None:
    raw = copy.rows()[0]["raw"]
    lines_ = copy.rows_file.read_text().split("\n")
    assert f'"raw":{json.dumps(raw)},' in lines_[0]
    lines_[0] = lines_[0].replace(f'"raw":{json.dumps(raw)},', f'"raw":{text},')
    copy.rows_file.write_text("\n".join(lines_))
    with pytest.raises(ResultsError, match=r"is damaged: .*raw: .*finite number; got -?(nan|inf)") as error:
        copy.rows()
    assert_one_line(error, copy)


def test_bytes_that_are_no_text_are_refused(copy: Results) -> None:
    copy.rows_file.write_bytes(b"\xff\xfe" + copy.rows_file.read_bytes())
    with pytest.raises(ResultsError, match=r"cannot be read: .*; restore it from a backup") as error:
        copy.rows()
    assert_one_line(error, copy)


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_archive_is_one_line_whatever_byte_it_is(
    seed: int, copy: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = packed(monkeypatch, copy)
    data = bytearray(copy.packed_file.read_bytes())
    where = random.Random(seed).randrange(len(data))
    data[where] ^= 0x55
    copy.packed_file.write_bytes(bytes(data) if seed % 3 else bytes(data[:where]))
    said = f"{copy.packed_file} was a byte that says nothing"
    try:
        assert copy.rows() == before
    except ResultsError as error:
        said = str(error)
    assert said.startswith(str(copy.packed_file))
    assert "\n" not in said


@pytest.mark.parametrize("text", ["{", "[]", "3", "\x00", ""])
def test_a_damaged_declaration_is_one_line(text: str, copy: Results) -> None:
    copy.meta_file.write_text(text)
    with pytest.raises(ResultsError, match="restore it or run again") as error:
        copy.meta()
    assert_one_line(error, copy)


def test_two_runs_cannot_hold_one_folder(empty: Results) -> None:
    code = "import sys; from otbench.results.store import Results\nwith Results(sys.argv[1]).locked(): print('held')"
    with empty.locked():
        with pytest.raises(ResultsInUseError, match=f"{empty.folder} is in use by another run; wait"), empty.locked():
            pass
        there = python(code, str(empty.folder))
        assert "ResultsInUseError" in there.stderr
        assert there.stdout == ""
    assert python(code, str(empty.folder)).stdout == "held\n"
    with empty.locked():
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    results = Results(tmp_path / "file" / "name")
    with pytest.raises(ResultsError, match=r"cannot write to .*: .*; name another with --results"), results.locked():
        pass


@pytest.mark.parametrize("limit", [100, 10**9])
def test_settling_puts_rows_in_order_and_packs_them_when_large(
    limit: int, copy: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", limit)
    rows = copy.rows()
    shuffled = random.Random(0).sample(rows, len(rows))
    write_lines(copy.rows_file, shuffled)
    copy.settle([str(row["key"]) for row in rows])
    assert copy.rows() == rows
    assert copy.packed_file.is_file() == (limit == 100)
    assert copy.rows_file.is_file() == (limit != 100)


def test_packing_gives_the_same_bytes_at_any_time_and_appending_goes_on(
    copy: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = packed(monkeypatch, copy)
    assert copy.packed_file.read_bytes() == gzip.compress(b"".join(dump(r) + b"\n" for r in before), mtime=0)
    fresh = [{**before[0], "key": "0" * 64}]
    copy.append(fresh, [])
    assert copy.rows() == before + fresh
    copy.settle(["0" * 64, *(str(row["key"]) for row in before)])
    assert copy.rows() == fresh + before
    assert not copy.rows_file.exists()


def test_a_run_killed_as_it_packs_doubles_no_row(copy: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = copy.rows()
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", 100)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            copy.settle([str(row["key"]) for row in rows])
    with copy.locked():
        copy.mend()
    assert copy.rows() == rows


def test_rows_that_are_set_aside_are_kept_in_another_file(copy: Results) -> None:
    rows = copy.rows()
    keys = {str(row["key"]) for row in rows[::2]}
    assert copy.sort_out(keys) == len(rows) - len(keys)
    assert copy.rows() == rows[::2]
    assert copy.sort_out(keys) == 0
    assert copy.sort_out({str(row["key"]) for row in rows[::4]}) == len(rows[::2]) - len(rows[::4])
    stale = lines(copy.folder / "stale.jsonl")
    assert sorted(map(dump, stale + copy.rows())) == sorted(map(dump, rows))
    assert copy.sort_out({str(row["key"]) for row in rows}) == 0
    assert sorted(map(dump, copy.rows())) == sorted(map(dump, rows)), "a cell declared again finds its row"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_nan_is_never_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump({"raw": float("nan")})


def test_the_digest_of_keys_knows_no_order_and_every_key() -> None:
    assert keys_digest(["a", "b"]) == keys_digest(["b", "a"])
    assert keys_digest(["a", "b"]) != keys_digest(["a", "c"])


@pytest.mark.parametrize("path", [3, None, ["results"], b"results"])
def test_a_results_folder_is_given_by_its_path(path: object) -> None:
    for opened in (Results, otbench.load, otbench.check_results):
        with pytest.raises(InputError, match="a results folder is given by its path; got "):
            opened(path)


def test_measurements_are_compressed_where_they_are_many_and_read_from_both_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = Results(Path(__file__).parents[2] / "results" / "timing").measurements()[:6]
    keys, results = [str(row["key"]) for row in committed], Results(tmp_path)
    append_lines(results.measurements_file, committed[:4])
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", 10)
    results.keep_measurements(keys)
    assert (results.measurements_file.exists(), results.packed_measurements.exists()) == (False, True)
    assert results.measurements() == committed[:4]
    assert results.packed_measurements.read_bytes()[4:8] == bytes(4), "the time is no part of a packed file"
    before = results.packed_measurements.stat().st_mtime_ns
    results.keep_measurements(keys)
    assert results.packed_measurements.stat().st_mtime_ns == before
    append_lines(results.measurements_file, committed[3:])  # the fourth is in both, as a killed run leaves it
    assert results.measurements() == committed
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", 10**9)
    results.keep_measurements(keys[::-1])
    assert (results.measurements_file.exists(), results.packed_measurements.exists()) == (True, False)
    assert results.measurements() == committed[::-1]
