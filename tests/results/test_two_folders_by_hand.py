"""What a merge counts and what a comparison leaves out, on made rows and records where no two counts are alike."""

from pathlib import Path

import numpy as np
import pytest
from small import TIMING, Line, lines, write_lines

from otbench.errors import InputError
from otbench.files import dump
from otbench.results.compare import compare_results
from otbench.results.folder import Stored
from otbench.results.merge import merge_results
from otbench.results.schema import GeneratorColumns, names_of
from otbench.results.store import Results

META = {"schema": 3, "experiment": "e", "declaration": "d", "keys": "k"}


@pytest.fixture
def rows(small_results: Path) -> list[Line]:
    return lines(small_results / "rows.jsonl")[:7]


def folder(place: Path, rows: list[Line], timings: list[Line], records: list[Line], **meta: object) -> Results:
    results = Results(place)
    results.folder.mkdir()
    files = (results.rows_file, results.timing_file, results.measurements_file)
    for file, found in zip(files, (rows, timings, records), strict=True):
        if found:
            write_lines(file, found)
    results.meta_file.write_bytes(dump(META | meta))
    return results


def test_a_merge_counts_its_rows_and_records_and_those_that_were_in_both(rows: list[Line], tmp_path: Path) -> None:
    """Of seven cells the first folder has five and the second four; of the two in both one failed in the first."""
    blank = {name: None for name in rows[3] if isinstance(rows[3][name], float) and "." not in name}
    failed = rows[3] | blank | {"status": "failed", "reason": "bad luck"}
    record = {"schema": 3, "kind": "exact", "device": "cpu", "threads": 1, "repeats": 3, "load": 0.5}
    records = [record | {"key": f"exact 2 {k}", "machine": machine}
               for k, machine in ((0, "one"), (1, "one"), (0, "two"), (2, "two"), (3, "two"))]  # fmt: skip
    timings = [TIMING | {"key": row["key"], "seconds_fit": float(k)} for k, row in enumerate(rows)]
    ours, theirs = {"machines": {"one": {"m": 1}}}, {"machines": {"two": {"m": 2}}, "planned": {"two": "p"}}
    a = folder(tmp_path / "a", [*rows[:3], failed, rows[4]], timings[:5], records[:3], cells=7, **ours)
    b = folder(tmp_path / "b", rows[3:], timings[3:], records[1:], cells=7, **theirs)
    merged = merge_results(a, b, Results(tmp_path / "c"))
    assert (merged.rows, merged.cells, merged.both, merged.conflicts) == (7 + 5, 7, 2 + 2, [])
    both = Results(tmp_path / "c")
    assert {row["key"]: row for row in both.rows()} == {row["key"]: row for row in rows}
    assert both.timings() == timings, "each of them once"
    assert sorted(map(dump, both.measurements())) == sorted(map(dump, records)), "one machine's is not another's"
    assert both.meta()["machines"] == {"one": {"m": 1}, "two": {"m": 2}}
    assert both.meta()["planned"] == {"two": "p"}
    assert merge_results(b, a, Results(tmp_path / "d")).both == 4
    assert {row["key"]: row for row in Results(tmp_path / "d").rows()} == {row["key"]: row for row in rows}


def test_a_conflict_names_its_cell_and_column_and_writes_nothing(rows: list[Line], tmp_path: Path) -> None:
    other = rows[0] | {"n": 17, "reason": "told otherwise"}
    a, b = folder(tmp_path / "a", rows[:3], [], []), folder(tmp_path / "b", [other, rows[2]], [], [])
    merged = merge_results(a, b, Results(tmp_path / "c"))
    start = str(rows[0]["key"])[:12]
    assert {tuple(text.split(" ", 2)[:2]) for text in merged.conflicts} == {(f"{start}:", "reason"), (f"{start}:", "n")}
    assert (merged.both, merged.rows) == (2, 3)
    assert not (tmp_path / "c").exists()


def test_a_cell_that_diverged_in_one_folder_and_a_record_told_otherwise_are_conflicts_too(
    rows: list[Line], tmp_path: Path
) -> None:
    record: Line = {"schema": 3, "kind": "exact", "device": "cpu", "threads": 1, "repeats": 3, "key": "exact 2 3"}
    one, other = record | {"machine": "one", "load": 0.5}, record | {"machine": "one", "load": 0.75}
    a = folder(tmp_path / "a", [rows[0] | {"status": "diverged"}, rows[1]], [], [one])
    b = folder(tmp_path / "b", [rows[0], rows[1] | {"status": "refused"}], [], [other])
    conflicts = merge_results(a, b, Results(tmp_path / "c")).conflicts
    assert sorted(text.split(": ", 1)[1] for text in conflicts) == [
        "load 0.5 and 0.75", "status 'diverged' and 'ok'", "status 'ok' and 'refused'",
    ]  # fmt: skip


def curves(seeds: int = 3) -> list[Line]:
    """Readings of GANs of two clip values."""
    rng, found = np.random.default_rng(0), []
    for clip in (0.01, 0.1):
        for iteration in (0, 50):
            for seed in range(seeds):
                own: Line = {name: float(rng.uniform(0.1, 2.0)) for name in names_of(GeneratorColumns)}
                own |= {"schema": 3, "key": f"ring seed={seed} plan=p clip={clip} iteration={iteration}", "modes": 3,
                        "kind": "generator", "machine": "m", "device": "cpu", "dataset": "ring", "lr": 0.5,
                        "n_critic": "5", "clip": clip, "seed": seed, "iteration": iteration, "status": "ok",
                        "n": 24}  # fmt: skip
                found.append(own)
    return found


COMPARED = {"primal", "printed", "floor", "c_transform"}
CLOCKS = {"seconds_critic", "seconds_generator", "seconds_exact"}
ROUNDING = {"gap", "violation", "marginal_error", "raw_error"}


@pytest.mark.parametrize("name", sorted(COMPARED | CLOCKS | ROUNDING))
def test_times_and_sizes_of_rounding_are_not_compared_and_numbers_are(name: str, tmp_path: Path) -> None:
    left = curves()
    right = [record | {name: record[name] + 50.0} if record["clip"] == 0.1 else record for record in left]
    one, other = folder(tmp_path / "a", [], [], left), folder(tmp_path / "b", [], [], right)
    found = compare_results(Stored(one), Stored(other))
    assert found.cells == (12, 12, 12)
    changed = {text.split(":")[0] for text in found.changed}
    told = {name, "printed_w1"} if name == "printed" else {name}
    assert changed == (told if name in COMPARED else set())
    assert all("clip = 0.1" in text for text in found.changed)
    assert len(found.changed) == 2 * len(changed), "at two iterations each"
    assert found.equal + found.within + 3 * len(found.changed) == found.numbers


def test_curves_of_another_plan_are_not_compared(tmp_path: Path) -> None:
    other = [record | {"key": record["key"].replace("plan=p", "plan=q")} for record in curves()]
    one, two = folder(tmp_path / "a", [], [], curves()), folder(tmp_path / "b", [], [], other)
    with pytest.raises(InputError, match="plan is p in A and q in B"):
        compare_results(Stored(one), Stored(two))
