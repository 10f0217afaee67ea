"""What a results folder keeps and what a merge makes of two, on rows made by hand."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from small import TIMING, Line, lines, write_lines

import otbench.results.store
from otbench.errors import InputError, ResultsError
from otbench.files import dump
from otbench.results.merge import merge_results
from otbench.results.store import Results, cell_key, is_cell_column

COMMITTED = Path(__file__).parent.parent.parent / "results"

#: What a folder says of the run that made it.
META: dict[str, Any] = {"schema": 2, "experiment": "e", "declaration": "d", "keys": "k", "cells": 3}


@pytest.fixture
def rows(small_results: Path) -> list[Line]:
    """Four rows of the small experiment."""
    return lines(small_results / "rows.jsonl")[:4]


def folder(path: Path, rows: list[Line] = (), timings: list[Line] = (), **meta: Any) -> Results:  # type: ignore[assignment]
    """A results folder with rows, timings and, where fields are given, a meta.json of META and those."""
    results = Results(path)
    path.mkdir(parents=True)
    if rows:
        write_lines(results.rows_file, rows)
    if timings:
        write_lines(results.timing_file, timings)
    if meta:
        results.meta_file.write_bytes(dump(META | meta))
    return results


def keys_of(rows: list[Line]) -> list[str]:
    return [str(row["key"]) for row in rows]


def test_rows_done_again_take_the_place_of_the_old_ones_and_others_are_added(tmp_path: Path, rows: list[Line]) -> None:
    a, b, c, d = rows
    results = folder(tmp_path / "r", [a, b, c], [TIMING])
    better, other = b | {"reason": "again"}, TIMING | {"key": "other"}
    results.put([better, d], [other, other], again=[b["key"], "no such key"])
    assert results.rows() == [a, better, c, d]
    assert results.timings() == [TIMING, other, other]
    results.put([c], [])
    assert results.rows() == [a, better, c, d, c]


def test_rows_set_aside_and_taken_back_are_known_and_kept_once(tmp_path: Path, rows: list[Line]) -> None:
    a, b, c, d = rows
    results = folder(tmp_path / "r", [a, b, c])
    write_lines(results.stale_file, [d | {"reason": "older"}, d])
    assert results.known_keys() == set(keys_of(rows))
    assert results.sort_out(set(keys_of([a, c, d]))) == 1
    assert results.rows() == [a, c, d]
    assert lines(results.stale_file) == [b]
    assert results.known_keys() == set(keys_of(rows))
    assert results.sort_out(set(keys_of([a]))) == 2
    assert (results.rows(), lines(results.stale_file)) == ([a], [b, c, d])
    write_lines(results.stale_file, [a | {"reason": "older"}, b])
    assert results.sort_out(set(keys_of([a]))) == 0
    assert (results.rows(), lines(results.stale_file)) == ([a], [b])  # what is among the rows is aside no longer


def test_settling_touches_no_file_that_is_in_order_and_tells_why_cells_failed(
    tmp_path: Path, rows: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c, d = rows
    b, d = b | {"status": "failed", "reason": "first"}, d | {"status": "failed", "reason": "second"}
    results, order = folder(tmp_path / "r", [d, a, c, b]), keys_of([a, b, c, d])
    assert results.settle(order) == ("first", "second")
    assert results.rows() == [a, b, c, d]
    size, before = results.rows_file.stat().st_size, results.rows_file.stat().st_ino
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", size)
    assert results.settle(order) == ("first", "second")
    assert results.rows_file.stat().st_ino == before
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", size - 1)
    results.settle(order)
    assert gzip.decompress(results.packed_file.read_bytes()).count(b"\n") == 4
    assert not results.rows_file.exists()
    before = results.packed_file.stat().st_ino
    results.settle(order)
    assert results.packed_file.stat().st_ino == before
    results.settle(order[::-1])
    assert results.rows() == [d, c, b, a]
    assert Results(tmp_path / "none").rows_so_far() == []


def test_rows_of_just_the_limit_are_left_readable_and_one_byte_more_are_packed(
    tmp_path: Path, rows: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(len(dump(row)) + 1 for row in rows)
    for limit, packed in ((size, False), (size - 1, True)):
        monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", limit)
        results = folder(tmp_path / str(limit), rows)
        results.settle(keys_of(rows[::-1]))
        assert (results.packed_file.exists(), results.rows_file.exists()) == (packed, not packed)
        assert results.rows() == rows[::-1]


def test_rows_that_stand_in_both_files_are_read_once_and_others_of_their_cells_twice(
    tmp_path: Path, rows: list[Line]
) -> None:
    a, b, c, _ = rows
    other = a | {"reason": "another"}
    results = folder(tmp_path / "r", [b, other, c])
    results.packed_file.write_bytes(gzip.compress(b"".join(dump(row) + b"\n" for row in (a, b))))
    assert results.rows() == [a, b, other, c]
    results.settle(keys_of([c, b, a]))
    assert results.rows() == [c, b, a, other]
    assert not results.packed_file.exists()


def records(count: int) -> list[Line]:
    """The first measurements of speed that were committed, by numbered keys."""
    found = lines(COMMITTED / "timing" / "measurements.jsonl")[:count]
    return [record | {"key": f"key {k}"} for k, record in enumerate(found)]


def test_measurements_are_kept_in_the_order_of_their_plan_and_the_last_of_each(tmp_path: Path) -> None:
    a, b, c = records(3)
    results = folder(tmp_path / "r")
    later = a | {"repeats": 77}
    write_lines(results.measurements_file, [c, a, b, later])
    results.keep_measurements(["key 0", "key 9", "key 2"])
    assert lines(results.measurements_file) == [later, c]
    before = results.measurements_file.stat().st_ino
    results.keep_measurements(["key 0", "key 2"])
    assert results.measurements_file.stat().st_ino == before
    results.keep_measurements(["key 2", "key 0"])
    assert lines(results.measurements_file) == [c, later]


def test_the_columns_of_a_cell_are_the_seed_and_those_of_problem_sampling_and_method() -> None:
    columns = {"seed": 1, "problem.a": 2, "sampling.b": 3, "method.c": 4}
    assert all(map(is_cell_column, columns))
    others = {"seeds": 1, "n": 3, "problem": 2, "methodical": 1, "status": "ok"}
    assert not any(map(is_cell_column, others))
    assert cell_key(columns | others) == cell_key(columns)
    for name, value in columns.items():
        assert cell_key(columns | {name: value + 1}) != cell_key(columns)


def test_what_follows_the_last_line_end_is_cut_off_every_file_and_nothing_else(
    tmp_path: Path, rows: list[Line]
) -> None:
    results = folder(tmp_path / "r", rows, [TIMING])
    write_lines(results.measurements_file, records(2))
    files = (results.rows_file, results.timing_file, results.measurements_file)
    whole = [file.read_bytes() for file in files]
    assert not results.mend()
    for file in files:
        with file.open("ab") as handle:
            handle.write(b'{"k')
        assert results.mend()
        assert [each.read_bytes() for each in files] == whole
    results.timing_file.write_bytes(b'{"')
    assert results.mend()
    assert results.timing_file.read_bytes() == b""


def test_a_declaration_may_hold_any_letters_and_no_half_of_one(tmp_path: Path) -> None:
    results = folder(tmp_path / "r", question="ä\u20ac")
    assert results.meta()["question"] == "ä\u20ac"
    results.meta_file.write_text('{"question":"\\ud83d\\ude00"}')
    assert results.meta() == {"question": "\U0001f600"}
    for text in ('{"question":"\\ud83d"}', "[" * 10**5):
        results.meta_file.write_text(text)
        with pytest.raises(ResultsError, match=r"meta.json is not JSON .*; restore it or run again"):
            results.meta()


def test_two_folders_make_one_with_every_cell_timing_and_machine(tmp_path: Path, rows: list[Line]) -> None:
    a, b, c, d = rows
    times = [TIMING | {"key": key} for key in "abc"]
    left, right = {"m": {"cores": 1}, "x": {}}, {"m": {"cores": 2}, "y": {}}
    one = folder(tmp_path / "a", [a, b], times[:2], machines=left, planned={"p": 1}, question="left")
    two = folder(tmp_path / "b", [b, c | {"status": "failed"}, d], times[1:], machines=right, question="r")
    merged = merge_results(one, two, Results(tmp_path / "c"))
    assert (merged.rows, merged.cells, merged.both, merged.conflicts) == (4, 3, 1, [])
    made = Results(tmp_path / "c")
    assert made.rows() == [a, b, c | {"status": "failed"}, d]
    assert made.timings() == times
    assert made.meta() == META | {"machines": left | {"y": {}}, "planned": {"p": 1}, "question": "left"}
    assert not made.measurements_file.exists()
    assert sorted(file.name for file in made.folder.iterdir() if file.name != ".lock") == [
        "meta.json", "rows.jsonl", "sealed.sha256", "timing.jsonl"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "taken"), [("failed", "ok", 1), ("ok", "failed", 0), ("failed", "failed", 1)]
)
def test_of_a_cell_that_failed_in_one_folder_the_other_is_taken_and_nothing_is_compared(
    left: str, right: str, taken: int, tmp_path: Path, rows: list[Line]
) -> None:
    both = [rows[0] | {"status": status, "primal": 1.0 + k} for k, status in enumerate((left, right))]
    one, two = (folder(tmp_path / name, [row], machines={}) for name, row in zip("ab", both, strict=True))
    merged = merge_results(one, two, Results(tmp_path / "c"))
    assert (merged.rows, merged.both, merged.conflicts) == (1, 1, [])
    assert Results(tmp_path / "c").rows() == [both[taken]]


def test_every_difference_of_two_results_is_told_and_then_nothing_is_written(tmp_path: Path, rows: list[Line]) -> None:
    a, b, c, _ = rows
    one = folder(tmp_path / "a", [a, b, c], machines={})
    changed = [a | {"primal": a["primal"] + 1, "n": 7}, b, c | {"m": 9}]
    two = folder(tmp_path / "b", changed, machines={})
    (tmp_path / "c").mkdir()  # an empty folder may be there
    merged = merge_results(one, two, Results(tmp_path / "c"))
    assert merged.both == 3
    told = [(a, "primal"), (a, "n"), (c, "m")]
    assert [text.split(" ")[:2] for text in sorted(merged.conflicts)] == sorted(
        [f"{row['key'][:12]}:", name] for row, name in told
    )
    assert list((tmp_path / "c").iterdir()) == []


def test_measurements_are_of_one_machine_each_and_are_merged_by_both(tmp_path: Path) -> None:
    a, b, _ = records(3)
    there = a | {"machine": "another"}
    fields = {"cells": 0, "machines": {}}
    one, two = (folder(tmp_path / name, **fields) for name in "ab")
    write_lines(one.measurements_file, [a, b])
    write_lines(two.measurements_file, [there, b])
    merged = merge_results(one, two, Results(tmp_path / "c"))
    assert (merged.rows, merged.cells, merged.both, merged.conflicts) == (3, 3, 1, [])
    assert Results(tmp_path / "c").measurements() == [a, b, there]
    write_lines(two.measurements_file, [there, b | {"repeats": 77}])
    merged = merge_results(one, two, Results(tmp_path / "d"))
    assert [text.partition(": ")[2] for text in merged.conflicts] == [f"repeats {b['repeats']} and 77"]
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["schema", "experiment", "declaration", "keys"])
def test_runs_that_were_declared_otherwise_are_not_merged(name: str, tmp_path: Path, rows: list[Line]) -> None:
    one, two = folder(tmp_path / "a", rows, machines={}), folder(tmp_path / "b", rows, **{name: "other" + 30 * "x"})
    with pytest.raises(ResultsError, match=rf"not runs of one experiment \({name}: .* and 'otherxxxxxxxxxxxxxx\)"):
        merge_results(one, two, Results(tmp_path / "c"))


@pytest.mark.parametrize("missing", ["a", "b"])
def test_a_folder_that_does_not_say_what_it_is_of_is_not_merged(
    missing: str, tmp_path: Path, rows: list[Line]
) -> None:
    one, two = (folder(tmp_path / name, rows, **({} if name == missing else {"cells": 3})) for name in "ab")
    with pytest.raises(ResultsError, match=r"not runs of one experiment \(schema: no meta.json\)"):
        merge_results(one, two, Results(tmp_path / "c"))


def test_a_folder_that_holds_anything_is_not_written_to(tmp_path: Path, rows: list[Line]) -> None:
    one, two, there = (folder(tmp_path / name, rows, cells=3) for name in "abc")
    before = {file.name: file.read_bytes() for file in there.folder.iterdir()}
    with pytest.raises(InputError, match="c is not empty; merge writes a new folder"):
        merge_results(one, two, there)
    assert {file.name: file.read_bytes() for file in there.folder.iterdir()} == before
    assert json.loads(there.meta_file.read_text())["cells"] == 3


def test_a_damaged_row_is_named_by_its_key_or_as_one_without(tmp_path: Path, rows: list[Line]) -> None:
    a, b, c, _ = rows
    nameless = {name: value for name, value in b.items() if name != "key"}
    for damaged, said in ((b | {"n": "many"}, b["key"]), (nameless, "no key")):
        results = folder(tmp_path / said, [a, damaged, c])
        with pytest.raises(ResultsError, match=f"row {said} is damaged: "):
            results.rows()
