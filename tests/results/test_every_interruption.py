"""Whatever operation on files a writer of results is interrupted at, no acknowledged row is lost or stands twice.

No half row is read either, and a second attempt ends where an undisturbed one does.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from failing_disk import HOWS, interruptions
from small import TIMING, Line, lines, write_lines

import otbench.results.store
from otbench.experiment.run.rerun import set_aside
from otbench.files import dump, write_atomically
from otbench.results.merge import merge_results
from otbench.results.store import Results

Layout = Callable[[Results, list[Line]], None]


def packed(results: Results, rows: list[Line]) -> None:
    """Rows in the compressed file alone."""
    write_lines(results.rows_file, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(otbench.results.store, "COMPRESS_ABOVE", 0)
        results.settle([str(row["key"]) for row in rows])


def loose(results: Results, rows: list[Line]) -> None:
    """Rows in the plain file alone."""
    write_lines(results.rows_file, rows)


def both(results: Results, rows: list[Line]) -> None:
    """The first rows in the compressed file, later ones appended to the plain one."""
    packed(results, rows[:2])
    write_lines(results.rows_file, rows[2:])


def packing(results: Results, rows: list[Line]) -> None:
    """As a run that was killed between the two leaves them: all rows in the compressed file, and again as they were."""
    packed(results, rows)
    write_lines(results.rows_file, rows[:3])


#: How rows lie on the disk, and the size above which they are packed: many are, few are not.
MANY, FEW = 100, 10**9
LAYOUTS = [(loose, MANY), (packed, FEW), (both, MANY), (both, FEW), (packing, MANY)]

#: Each of them where the power is lost; and where a writer that lives on cleans up, the two that write most files.
CASES = [*((*layout, "power") for layout in LAYOUTS), (loose, MANY, "error"), (both, MANY, "error")]


@dataclass
class State:
    """What a folder holds: its rows and those set aside by their keys, and the keys of its timings."""

    rows: dict[str, bytes]
    stale: dict[str, bytes]
    timed: set[str] = field(default_factory=set)


def state(results: Results) -> State:
    """What the next run finds, which first takes the folder and mends it; a row that stands twice is a failure."""
    with results.locked():
        results.mend()
    rows, stale = results.rows_so_far(), lines(results.stale_file) if results.stale_file.is_file() else []
    for name, found in (("rows", rows), ("stale", stale)):
        assert len({row["key"] for row in found}) == len(found), f"a row stands twice among the {name}"
    timed = {str(timing["key"]) for timing in results.timings()}
    return State({row["key"]: dump(row) for row in rows}, {row["key"]: dump(row) for row in stale}, timed)


@pytest.fixture(scope="module")
def rows(small_results: Path) -> list[Line]:
    found = lines(small_results / "rows.jsonl")[:6]
    return [row | {"reason": f"row {k}"} for k, row in enumerate(found)]  # unlike in length and contents


def key(row: Line) -> str:
    return str(row["key"])


def by_key(rows: list[Line]) -> dict[str, bytes]:
    return {key(row): dump(row) for row in rows}


@pytest.mark.parametrize("how", HOWS)
def test_what_was_appended_before_stays_and_a_row_has_its_timing(how: str, rows: list[Line], tmp_path: Path) -> None:
    old, new = rows[:3], rows[3:]

    def prepare(place: Path) -> Results:
        results = Results(place)
        results.append(old, [TIMING | {"key": key(row)} for row in old])
        return results

    def work(results: Results) -> None:
        todo = [row for row in new if key(row) not in results.known_keys()]
        results.append(todo, [TIMING | {"key": key(row)} for row in todo])

    for results, ended in interruptions(tmp_path, how, prepare, work):
        if how in {"error", "full"}:  # a writer that lives leaves whole lines behind it
            for file in (results.rows_file, results.timing_file):
                assert file.read_bytes().endswith(b"\n")
        found = state(results)
        assert found.rows.items() >= by_key(rows if ended else old).items()
        assert found.rows.items() <= by_key(rows).items()
        assert found.timed >= set(found.rows)
        work(results)
        assert state(results).rows == by_key(rows)


@pytest.mark.parametrize(("lay", "limit", "how"), CASES)
@pytest.mark.parametrize("doing", ["put", "sort out", "settle"])
def test_no_row_is_lost_or_doubled_wherever_rewriting_is_interrupted(
    doing: str, lay: Layout, limit: int, how: str, rows: list[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there are the rows 0 to 3, of which 1 and 3 failed, and row 5 is set aside."""
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", limit)
    failed = [rows[k] | {"reason": "once more"} if k in {1, 3} else rows[k] for k in range(4)]

    def prepare(place: Path) -> Results:
        results = Results(place)
        lay(results, failed)
        write_lines(results.stale_file, [rows[5]])
        return results

    def put(results: Results) -> None:
        results.mend()
        new = [row for row in rows[4:5] if key(row) not in results.known_keys()]
        results.put([rows[1], *new, rows[3]], [], again={key(rows[1]), key(rows[3])})

    def sort_out(results: Results) -> None:
        results.mend()
        results.sort_out({key(rows[k]) for k in (0, 1, 5)})

    def settle(results: Results) -> None:
        results.mend()
        results.settle([key(rows[k]) for k in (2, 0, 3, 1)])

    work, kept, aside = {
        "put": (put, by_key(rows[:5]), by_key(rows[5:])),
        "sort out": (sort_out, by_key([*failed[:2], rows[5]]), by_key(failed[2:])),
        "settle": (settle, by_key(failed), by_key(rows[5:])),
    }[doing]
    before = by_key([*failed, rows[5]])
    for results, ended in interruptions(tmp_path, how, prepare, work):
        seen = [row["key"] for row in results.rows_so_far()]  # as somebody reads it who does not hold the folder
        assert len(set(seen)) == len(seen)
        found = state(results)
        there = found.stale | found.rows
        assert set(there) >= set(before), "a row is lost"
        for name, row in there.items():
            assert row in {before.get(name), kept.get(name)}, "a row that nobody wrote"
        assert not ended or found.rows == kept, "what was acknowledged is not there"
        work(results)
        found = state(results)
        assert (found.rows, found.stale) == (kept, aside)


@pytest.mark.parametrize(("before", "limit"), [(FEW, FEW), (FEW, MANY), (0, FEW), (0, MANY)])
@pytest.mark.parametrize("how", HOWS)
def test_records_of_a_study_are_kept_wherever_rewriting_is_interrupted(
    how: str, before: int, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that are to be kept are there once at any time, in the plain file, in the compressed one, or on the way
    from one to the other."""
    made = [
        {"schema": 2, "key": f"exact 2 {k}", "kind": "exact", "machine": "m", "device": "cpu", "threads": 1,
         "repeats": 3, "load": 0.5 + k} for k in range(4)
    ]  # fmt: skip
    wanted = [str(made[k]["key"]) for k in (2, 0)]

    def prepare(place: Path) -> Results:
        write_lines(Results(place).measurements_file, made)
        monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", before)
        Results(place).keep_measurements([str(record["key"]) for record in made])
        monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", limit)
        return Results(place)

    def work(results: Results) -> None:
        results.keep_measurements(wanted)

    for results, ended in interruptions(tmp_path, how, prepare, work):
        found = results.measurements()
        assert all(found.count(made[k]) == 1 for k in (0, 2)), "a record is lost, or stands twice"
        assert all(found.count(record) == 1 and record in made for record in found)
        assert not ended or found == [made[2], made[0]]
        work(results)
        assert results.measurements() == [made[2], made[0]]
        packed_now = results.packed_measurements.is_file(), results.measurements_file.is_file()
        assert packed_now == (limit == MANY, limit != MANY)


@pytest.mark.parametrize("how", HOWS)
def test_a_file_written_at_once_is_the_old_one_or_the_new_one(how: str, tmp_path: Path) -> None:
    old, new = b"old " * 50, b"new " * 70

    def prepare(place: Path) -> Path:
        (place / "file").write_bytes(old)
        return place / "file"

    def work(file: Path) -> None:
        write_atomically(file, new)

    left_over = 0
    for file, ended in interruptions(tmp_path, how, prepare, work):
        assert file.read_bytes() in ((new,) if ended else (old, new))
        left_over += list(file.parent.iterdir()) != [file]
        work(file)
        assert file.read_bytes() == new
    if how in {"error", "full"}:
        assert left_over <= 1, "a writer that lives removes what it began, unless removing fails"


@pytest.mark.parametrize("how", ["full", "power"])
def test_a_merge_leaves_its_folders_alone_and_is_done_again_into_a_new_one(
    how: str, rows: list[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", 100)
    meta = {"schema": 2, "experiment": "e", "declaration": "d", "keys": "k", "cells": 6}

    def prepare(place: Path) -> Path:
        for name, part in (("a", rows[:4]), ("b", rows[3:])):
            results = Results(place / name)
            results.folder.mkdir(parents=True)
            results.append(part, [TIMING | {"key": key(row)} for row in part])
            results.meta_file.write_bytes(dump(meta | {"machines": {name: {}}}))
        return place

    def work(place: Path) -> None:
        merge_results(Results(place / "a"), Results(place / "b"), Results(place / "both"))

    def inputs(place: Path) -> list[bytes]:
        return [file.read_bytes() for name in "ab" for file in sorted((place / name).glob("*.json*"))]

    (tmp_path / "first").mkdir()
    untouched = inputs(prepare(tmp_path / "first"))
    for place, ended in interruptions(tmp_path, how, prepare, work):
        assert inputs(place) == untouched
        merged = Results(place / "both")
        found = state(merged)
        assert found.rows.items() <= by_key(rows).items()
        assert found.timed >= set(found.rows)
        if ended:
            assert found.rows == by_key(rows)
            assert merged.meta()["machines"] == {"a": {}, "b": {}}
        else:
            assert not merged.meta() or found.rows == by_key(rows), "what says that it is whole is written before it is"
            shutil.rmtree(merged.folder)  # which is what is asked for: a folder that is not empty is refused
            work(place)
            assert state(merged).rows == by_key(rows)


@pytest.mark.parametrize("how", HOWS)
def test_a_folder_is_set_aside_whole_or_not_at_all(how: str, rows: list[Line], tmp_path: Path) -> None:
    def prepare(place: Path) -> Results:
        results = Results(place / "mine")
        results.folder.mkdir()
        results.append(rows, [])
        return results

    for results, ended in interruptions(tmp_path, how, prepare, set_aside):
        places = (results.folder, results.folder.parent / ".aside" / "mine-1")
        there = [folder for folder in places if (folder / "rows.jsonl").is_file()]
        assert len(there) == 1
        assert not ended or there[0] != results.folder
        assert Results(there[0]).rows() == rows


