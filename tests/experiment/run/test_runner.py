"""Runs: the same bytes whoever does the work and however often it stops; bad cells are rows, bad input is not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small import declare, lines, python

import otbench.transport.dense
from otbench.errors import InputError, ResultsInUseError
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.filling import make_tasks
from otbench.experiment.run.runner import Place, default_workers, missing_cells, run_experiment
from otbench.report.markdown import write_tables
from otbench.results.folder import load
from otbench.results.store import Results
from otbench.transport.exact_cache import solution_file

CLIPPED = '{ name = "weight_clip", widths = [8], batch = 8, steps = [0, 30], clip = [0.01, 0.1] }'
METHODS = f'[{{ name = "potential" }}, {CLIPPED}]'


def test_two_workers_write_the_bytes_of_one(tmp_path: Path) -> None:
    declared = declare(tmp_path, '{ name = "shared_mass", dim = [2, 3, 5] }', method=METHODS, seeds="[0, 1]")
    for workers, place in ((1, Place()), (2, Place("local", 2))):
        done = run_experiment(declared, tmp_path / f"by {workers}" / "tiny", place)
        assert (done.before, done.now, done.diverged, done.refused) == (0, 30, 0, 0)
    assert len({(tmp_path / f"by {workers}" / "tiny" / "rows.jsonl").read_bytes() for workers in (1, 2)}) == 1
    timings = Results(tmp_path / "by 2" / "tiny").timings()
    assert {timing["workers"] for timing in timings} == {2}
    assert sorted(str(t["key"]) for t in timings) == sorted(cell.key for cell in declared.cells)


def test_a_cell_has_the_same_bytes_whatever_company_it_is_trained_in(tmp_path: Path) -> None:
    odd = '{ name = "weight_clip", widths = [[33], [9, 5]], batch = 17, steps = 60, clip = [0.01, 0.03, 0.1] }'
    declared = declare(tmp_path, '{ name = "shared_mass", dim = [3, 5] }', method=odd, seeds="[0, 1]")
    plain, alone, parts = (tmp_path / name / "tiny" for name in ("plain", "alone", "parts"))
    run_experiment(declared, plain)
    run_experiment(declared, alone, Place(limit=60.0))  # every cell is a task of its own
    run_experiment(declared, parts, cells=declared.cells[::3])
    run_experiment(declared, parts)  # resumed
    run_experiment(declared, parts, cells=declared.cells[5:7])  # as --only does
    assert len({(folder / "rows.jsonl").read_bytes() for folder in (plain, alone, parts)}) == 1


@pytest.mark.parametrize("stop_after", [0, 1, 2])
def test_a_run_that_is_stopped_and_resumed_writes_the_bytes_of_one_go(
    stop_after: int, small_results: Path, tmp_path: Path
) -> None:
    declared = load_experiment(str(small_results.parent.parent / "small.toml"))
    results = Results(tmp_path / "results" / "small")
    seen: list[tuple[int, int, int]] = []

    def stop(before: int, now: int, total: int) -> None:
        seen.append((before, now, total))
        if len(seen) > stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(declared, results.folder, on_progress=stop)
    kept = len(results.rows_so_far())
    assert seen[-1] == (0, kept, len(declared.cells))
    assert (kept > 0) == (stop_after > 0)
    assert len(missing_cells(declared, results)) == len(declared.cells) - kept
    done = run_experiment(declared, results.folder)
    assert (done.before, done.now) == (kept, len(declared.cells) - kept)
    write_tables(results, "csv")
    assert results.rows_file.read_bytes() == (small_results / "rows.jsonl").read_bytes()
    assert results.meta() == Results(small_results).meta()
    for name in ("matrix", "agreement", "clip", "exact"):
        file = f"tables/{name}.csv"
        assert (results.folder / file).read_bytes() == (small_results / file).read_bytes()


def test_a_run_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    declared = declare(
        tmp_path, f'{{ name = "segments", dim = {list(range(2, 42))} }}', method=METHODS, name="long"
    )
    assert len(make_tasks(declared.cells, "cpu")) > 2
    whole = Results(tmp_path / "whole" / "long")
    run_experiment(declared, whole.folder)
    killed = Results(tmp_path / "killed" / "long")
    command = [sys.executable, "-c", "from otbench.cli.run import main; main()", "run", str(tmp_path / "long.toml")]
    command += ["--results", str(killed.folder.parent), "--engine", "inline"]
    going = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while going.poll() is None and (not killed.rows_file.is_file() or killed.rows_file.stat().st_size < 20_000):
            time.sleep(0.002)
    finally:
        going.kill()
        going.wait()
    assert going.returncode == -signal.SIGKILL
    kept = len(killed.rows())
    assert 0 < kept < len(declared.cells)
    done = run_experiment(declared, killed.folder)
    assert (done.before, done.now) == (kept, len(declared.cells) - kept)
    assert killed.rows_file.read_bytes() == whole.rows_file.read_bytes()


def test_a_torn_line_is_reported_and_its_cell_done_again(copy: Results, small_results: Path) -> None:
    declared = load_experiment(str(small_results.parent.parent / "small.toml"))
    whole = copy.rows_file.read_bytes()
    copy.rows_file.write_bytes(whole[:-20])
    done = run_experiment(declared, copy.folder)
    assert (done.torn, done.now) == (True, 1)
    assert copy.rows_file.read_bytes() == whole


def test_a_run_with_nothing_to_do_writes_nothing_and_loads_no_torch(copy: Results, small_results: Path) -> None:
    files = [copy.rows_file, copy.timing_file, copy.meta_file, *copy.tables.iterdir()]
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
    code = """
import sys
from pathlib import Path
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.runner import run_experiment
print(run_experiment(load_experiment(sys.argv[1]), Path(sys.argv[2])))
assert not {"torch", "ot", "sklearn", "distributed"} & set(sys.modules)
"""
    there = python(code, str(small_results.parent.parent / "small.toml"), str(copy.folder))
    said = "Summary(before=113, now=0, diverged=0, refused=0, torn=False, stale=0"
    assert there.stdout.startswith(said), there.stderr
    assert before == {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def test_rows_of_cells_no_longer_declared_are_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "tiny"
    run_experiment(declare(tmp_path, seeds="[0, 1, 2]"), folder)
    done = run_experiment(declare(tmp_path, seeds="[2, 3]"), folder)
    assert (done.before, done.now, done.stale) == (1, 1, 2)
    assert [row["seed"] for row in Results(folder).rows()] == [2, 3]
    assert sorted(row["seed"] for row in lines(folder / "stale.jsonl")) == [0, 1]


def test_a_sample_without_a_certificate_is_refused_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otbench.transport.dense, "MAX_ITERATIONS", 150)
    declared = declare(tmp_path, sampling="{ n = [4, 300] }", method=METHODS)
    done = run_experiment(declared, tmp_path / "results" / "tiny")
    assert (done.now, done.refused, done.diverged) == (10, 5, 0)
    rows = Results(tmp_path / "results" / "tiny").rows()
    for row in rows:
        assert (row["status"] == "refused") == (row["n"] == 300)
        assert ("exact solution refused: " in str(row["reason"])) == (row["n"] == 300)
        assert (row["primal"] is None, row["raw"] is None) == (row["n"] == 300,) * 2
    write_tables(Results(tmp_path / "results" / "tiny"), "csv")
    assert len(load(tmp_path / "results" / "tiny")) == 10


def diverging(folder: Path) -> str:
    """A problem whose points are finite and whose float32 products are not."""
    rng = np.random.default_rng(0)
    for name in "xy":
        np.save(folder / f"{name}.npy", 1e30 * rng.standard_normal((20, 2)))
    return '{ name = "arrays", x = "x.npy", y = "y.npy" }'


@pytest.mark.parametrize("huge", ["lr", "data"])
def test_a_critic_that_diverges_stays_in_the_tables(huge: str, tmp_path: Path) -> None:
    fields = "" if huge == "data" else ', lr = 1e300, clip_parameters = "weights"'
    fields += ', optimiser = "sgd", clip = [0.1, 1e30], steps = 20'
    method = f'[{{ name = "zero" }}, {{ name = "weight_clip"{fields} }}]'
    problem, sampling = '{ name = "shared_mass", dim = 2 }', "{ n = 20 }"
    if huge == "data":
        problem, sampling = diverging(tmp_path), "{}"
    folder = tmp_path / "results" / "tiny"
    done = run_experiment(declare(tmp_path, problem, sampling, method), folder)
    rows = {(row["method.name"], row.get("method.clip")): row for row in Results(folder).rows()}
    assert rows["zero", None]["status"] == "ok"
    bad = rows["weight_clip", 1e30]
    assert bad["status"] == "diverged"
    assert str(bad["reason"]).startswith("a parameter ")
    assert str(bad["reason"]).endswith(" is not finite after 20 steps")
    assert (bad["raw"], bad["c_transform"]) == (None, None)
    assert bad["nearest"] == rows["zero", None]["nearest"]
    assert done.diverged == sum(row["status"] == "diverged" for row in rows.values())
    write_tables(Results(folder), "csv")
    frame = load(folder)
    assert len(frame) == 3
    assert frame.loc[frame["status"] == "diverged", "c_transform"].isna().all()
    assert "diverged" in (folder / "tables" / "matrix.csv").read_text()


def solutions(folder: Path) -> set[str]:
    return {file.name for file in (folder / ".exact").glob("*/*.npz")}


def test_a_sample_is_solved_once_and_shared_by_methods_and_experiments(tmp_path: Path) -> None:
    sampling = '{ n = 16, mode = ["coupled", "independent"] }'
    one = declare(tmp_path, sampling=sampling, method=METHODS, seeds="[0, 1]")
    run_experiment(one, tmp_path / "results" / "one")
    keys = {cell.sample_key: cell.sampling.mode for cell in one.cells}
    floors = {f"{key}-floor.npz" for key, mode in keys.items() if mode == "independent"}
    assert solutions(tmp_path / "results") == {f"{key}.npz" for key in keys} | floors
    assert (len(keys), len(floors)) == (4, 2)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "results" / ".exact").glob("*/*")}
    run_experiment(declare(tmp_path, sampling=sampling, seeds="[0, 1]"), tmp_path / "results" / "two")
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "results" / ".exact").glob("*/*")} == files


@pytest.mark.parametrize("damage", [b"", b"not an archive", b"PK\x03\x04", None])
def test_a_stored_solution_that_proves_nothing_is_solved_again(damage: bytes | None, tmp_path: Path) -> None:
    declared = declare(tmp_path, seeds="[0, 1]")
    run_experiment(declared, tmp_path / "results" / "one")
    exact = tmp_path / "results" / ".exact"
    first, second = (solution_file(exact, cell.sample_key) for cell in declared.cells)
    good = first.read_bytes()
    first.write_bytes(second.read_bytes() if damage is None else damage)
    run_experiment(declared, tmp_path / "results" / "two")
    one, two = (lines(tmp_path / "results" / name / "rows.jsonl") for name in ("one", "two"))
    assert one == two
    assert first.read_bytes()[:4] == good[:4]


@pytest.mark.parametrize(
    ("problem", "sampling", "said"),
    [
        ('{ name = "digits" }', "{ n = 5000 }", "n must be between 1 and the 178 rows there are; got 5000"),
        ('{ name = "digits" }', '{ mode = "coupled" }', "digits have no known optimal coupling; use mode ="),
        (
            '{ name = "spheres", dim = 2 }', "{ n = 10000000 }",
            r"10000000 and 10000000 points of dimension 2 needs about [0-9.]+ GiB, .* free",
        ),
        ('{ name = "spheres", dim = 2 }', '{ n = 8, m = 9, mode = "coupled" }', "n must equal m; got 8 and 9"),
    ],
)
def test_samples_that_cannot_be_are_refused_before_anything_is_written(
    problem: str, sampling: str, said: str, tmp_path: Path
) -> None:
    good = declare(tmp_path, seeds="[0]")
    bad = declare(tmp_path, problem=problem, sampling=sampling)
    both = type(good)("both", "?", "", (), good.cells + bad.cells)
    with pytest.raises(InputError, match=said):
        run_experiment(both, tmp_path / "results" / "both")
    assert not Results(tmp_path / "results" / "both").rows_so_far()
    assert {file.name for file in (tmp_path / "results" / "both").iterdir()} <= {".lock"}


def test_a_refused_change_leaves_the_rows_there_were(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "tiny"
    run_experiment(declare(tmp_path), folder)
    before = Results(folder).rows()
    with pytest.raises(InputError, match="n must be between"):
        run_experiment(declare(tmp_path, '{ name = "digits" }', "{ n = 5000 }"), folder)
    assert Results(folder).rows() == before


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "", "meta"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(device: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"device {device!r} cannot be used: .*; use --device cpu") as refused:
        run_experiment(declare(tmp_path, method=CLIPPED), tmp_path / "results" / "tiny", Place(device=device))
    assert "\n" not in str(refused.value)
    assert not Results(tmp_path / "results" / "tiny").rows_so_far()


def test_a_run_does_not_enter_a_folder_in_use(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "tiny"
    with Results(folder).locked(), pytest.raises(ResultsInUseError):
        run_experiment(declare(tmp_path), folder)
    assert not Results(folder).rows_so_far()


def test_a_sample_is_never_split_between_tasks(small_results: Path) -> None:
    cells = load_experiment(str(small_results.parent.parent / "small.toml")).cells
    tasks = make_tasks(cells, "cpu")
    places = [{cell.sample_key for group in task for cell in group} for task in tasks]
    assert sum(map(len, places)) == len(set().union(*places)) == 17
    assert sorted(cell.key for task in tasks for group in task for cell in group) == sorted(c.key for c in cells)


def test_there_is_a_worker_for_every_core() -> None:
    assert 1 <= default_workers() <= (os.cpu_count() or 1)
