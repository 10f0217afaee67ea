"""Rows in several files below a size: whoever reads rows finds the same ones, in the same order, however they lie."""

import gzip
import itertools
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest
from failing_disk import interruptions
from small import TIMING, Line, lines

import otbench
import otbench.results.shards as shards
import otbench.results.store as store
from otbench.errors import ResultsError
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.rerun import chosen_cells
from otbench.files import dump
from otbench.report.check.rules import check_results
from otbench.report.markdown import write_tables
from otbench.results.compare import compare_results
from otbench.results.folder import Stored
from otbench.results.lines import parse
from otbench.results.merge import merge_results
from otbench.results.seal import seal, seal_holds
from otbench.results.store import Results

#: Bytes of a file of rows here: seven or eight of the small experiment.
SIZE = 14_000


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", SIZE)
    monkeypatch.setattr(store, "COMPRESS_ABOVE", 3_000)


@pytest.fixture(scope="module")
def rows(small_results: Path) -> list[Line]:
    return lines(small_results / "rows.jsonl")


def order_of(rows: list[Line]) -> list[str]:
    return [str(row["key"]) for row in rows]


def names(results: Results) -> list[str]:
    return [file.name for file in results.row_files()]


@pytest.fixture
def settled(copy: Results, rows: list[Line]) -> Results:
    """The small results in numbered files."""
    copy.settle(order_of(rows))
    seal(copy)
    return copy


def test_a_file_that_is_full_is_followed_by_another_and_all_are_below_the_size(
    tmp_path: Path, rows: list[Line]
) -> None:
    results = Results(tmp_path)
    for first in range(0, len(rows), 5):
        results.append(rows[first : first + 5], [])
    assert names(results)[:2] == ["rows-00001.jsonl", "rows-00002.jsonl"]
    assert names(results)[-1] == "rows.jsonl"
    assert max(file.stat().st_size for file in results.row_files()) <= SIZE
    assert results.rows() == rows
    at_once = Results(tmp_path / "at once")
    at_once.folder.mkdir()
    at_once.append(rows, [])
    assert [f.read_bytes() for f in at_once.row_files()] == [f.read_bytes() for f in results.row_files()]


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_ends_leaves_the_same_bytes_whatever_came_in_which_order(
    seed: int, tmp_path: Path, rows: list[Line], settled: Results
) -> None:
    rng = random.Random(seed)
    results, left = Results(tmp_path / "other"), rng.sample(rows, len(rows))
    results.folder.mkdir()
    while left:
        some, left = left[:40], left[40:]
        results.append(some, [])
        if rng.random() < 0.5:  # a run that ended, and was declared anew with more cells
            results.settle(order_of(rows))
    results.settle(order_of(rows))
    assert names(results) == names(settled)
    assert names(results)[0] == "rows-00001.jsonl.gz"
    assert [f.read_bytes() for f in results.row_files()] == [f.read_bytes() for f in settled.row_files()]
    texts = [gzip.decompress(file.read_bytes()) for file in results.row_files()]
    assert b"".join(texts) == b"".join(dump(row) + b"\n" for row in rows)
    assert max(map(len, texts)) <= SIZE < min(len(a) + len(b) for a, b in itertools.pairwise(texts))
    before = [file.stat().st_ino for file in results.row_files()]
    results.settle(order_of(rows))
    assert [file.stat().st_ino for file in results.row_files()] == before
    assert sorted(file.name for file in results.folder.iterdir()) == sorted([*names(results), "timing.jsonl"])


def test_rows_that_become_few_come_back_into_one_file(settled: Results, rows: list[Line]) -> None:
    assert settled.sort_out(set(order_of(rows[:5]))) == len(rows) - 5
    settled.settle(order_of(rows[:5]))
    assert (names(settled), settled.rows()) == (["rows.jsonl.gz"], rows[:5])
    assert sorted(map(dump, lines(settled.stale_file))) == sorted(map(dump, rows[5:]))


def test_everything_that_reads_rows_reads_them_from_several_files(
    settled: Results, small_results: Path, tmp_path: Path, rows: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Results(small_results)
    pd.testing.assert_frame_equal(otbench.load(settled.folder), otbench.load(small_results))
    assert sum(map(len, check_results(settled).values())) == 0
    assert write_tables(settled, "csv") == 0
    assert compare_results(Stored(settled), Stored(whole)).changed == []
    merged = Results(tmp_path / "merged")
    found = merge_results(settled, whole, merged)
    assert (found.rows, found.both, found.conflicts) == (len(rows), len(rows), [])
    assert names(merged) == names(settled)
    assert merged.rows() == rows
    assert seal_holds(merged)
    assert set(settled.statuses().values()) == {"ok"}


def test_the_seal_covers_every_file(settled: Results, rows: list[Line]) -> None:
    assert seal_holds(settled)
    second = settled.row_files()[1]
    second.write_bytes(gzip.compress(gzip.decompress(second.read_bytes()).replace(b'"n":48', b'"n":49', 1), mtime=0))
    assert seal_holds(settled) is False
    assert any(check_results(settled).values())


def test_a_damaged_row_of_any_file_is_named(settled: Results, rows: list[Line]) -> None:
    file = settled.row_files()[2]
    for old, new, said in ((b'"n":48', b'"n":"x"', "is damaged: n: "), (b'{"', b'x"', "line 1, is not a row")):
        good = file.read_bytes()
        file.write_bytes(gzip.compress(gzip.decompress(good).replace(old, new, 1), mtime=0))
        for read in (settled.rows, settled.statuses, lambda: otbench.load(settled.folder)):
            with pytest.raises(ResultsError, match=said):
                read()
        file.write_bytes(good)


def test_rows_done_again_take_their_places_once_however_many_tasks_there_are(
    settled: Results, rows: list[Line], small_results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = load_experiment(str(small_results.parent.parent / "small.toml"))
    failed = [row | {"status": "failed", "reason": "once"} if k % 10 == 0 else row for k, row in enumerate(rows)]
    settled.put(failed, [], again=set(order_of(rows)))
    settled.settle(order_of(rows))
    todo = chosen_cells(declared, settled, None, retry=True)
    assert todo is not None
    assert [cell.key for cell in todo] == order_of(rows)[::10]
    before = [file.stat().st_ino for file in settled.row_files()]
    for row in rows[::10]:
        settled.put([row], [TIMING], again=set(order_of(rows)))
    assert [file.stat().st_ino for file in settled.row_files()] == before, "no file is rewritten per task"
    assert settled.rows() == rows, "and who reads meanwhile finds each cell once, as it is now"
    assert set(settled.statuses().values()) == {"ok"}
    shutil.copytree(settled.folder, settled.folder.parent / "killed")
    assert settled.settle(order_of(rows)) == ()
    killed = Results(settled.folder.parent / "killed")
    assert not killed.mend()
    for results in (settled, killed):
        assert not results.again_file.exists()
        assert results.rows() == rows
        texts = [file.read_bytes() for file in results.row_files()]
        whole = b"".join(gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text for text in texts)
        assert whole.count(b"\n") == len(rows), "and no line stands there twice"


def test_rows_are_looked_through_once_while_their_file_is_as_it_is(
    settled: Results, rows: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = shards.scan
    monkeypatch.setattr(store, "scan", lambda file, checked: seen.append(file.name) or real(file, checked))
    again = Results(settled.folder)
    for _ in range(3):
        assert again.known_keys() == set(order_of(rows))
        assert again.sort_out(set(order_of(rows))) == 0
    assert sorted(seen) == names(settled)
    seen.clear()
    again.append([rows[0] | {"key": "0" * 64}], [])
    assert len(again.known_keys()) == len(rows) + 1
    assert seen == ["rows.jsonl"]


@pytest.mark.parametrize("how", ["power", "error"])
def test_no_row_is_lost_or_doubled_wherever_putting_several_files_in_order_is_interrupted(
    how: str, rows: list[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 5_000)
    some = rows[:6]

    def prepare(place: Path) -> Results:
        results = Results(place)
        results.append(some[3:], [])
        results.settle(order_of(some))
        results.append(some[:3], [])
        results.put([some[4]], [], again={str(some[4]["key"])})
        return results

    def work(results: Results) -> None:
        results.mend()
        results.settle(order_of(some))

    for results, ended in interruptions(tmp_path, how, prepare, work):
        found = results.rows_so_far()
        assert sorted(map(dump, found)) == sorted(map(dump, some))
        assert not ended or found == some
        work(results)
        assert results.rows() == some
        assert names(results) == [f"rows-0000{k}.jsonl.gz" for k in (1, 2, 3)]
        assert [row for file in results.row_files() for row in parse(file)] == some
