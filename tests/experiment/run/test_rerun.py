"""Cells that fail are rows, and can be run again: alone, all of them, or everything afresh."""

import re
from pathlib import Path

import pytest
from command_line import Otbench, assert_one_line
from hostile import Hostile
from small import lines, write_block, write_lines

from otbench.deadline import TimeLimitError, check_deadline, limited
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.attempt import attempt
from otbench.experiment.run.filling import share_out
from otbench.experiment.run.workers import Failure
from otbench.methods import METHODS
from otbench.report.check.rules import check_results
from otbench.results.store import Results

INLINE = ("--engine", "inline")


@pytest.fixture(autouse=True)
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "hostile", Hostile)


def declare(*does: str) -> None:
    bad = ", ".join(f'{{ name = "hostile", does = "{what}" }}' for what in does)
    write_block(Path(), '{ name = "shared_mass", dim = [2, 3] }', method=f'[{{ name = "zero" }}, {bad}]')


def statuses() -> dict[str, int]:
    found = [str(row["status"]) for row in lines(Path("results/tiny/rows.jsonl"))]
    return {status: found.count(status) for status in found}


def test_a_cell_that_raises_is_a_row_and_the_others_are_done(otbench: Otbench) -> None:
    declare("raise", "nothing")
    done = otbench("run", "tiny.toml", *INLINE)
    assert (done.code, statuses()) == (3, {"ok": 4, "failed": 2})
    bad = [row for row in lines(Path("results/tiny/rows.jsonl")) if row["status"] == "failed"]
    for row in bad:
        assert row["reason"].startswith("ZeroDivisionError: the cell (hostile.py, line ")
        assert row["reason"].endswith(f"; alone: otbench run tiny.toml --only {row['key'][:12]}")
        assert f"failed: {row['reason']}\n" in done.err
        assert (row["n"], row["primal"], row["raw"]) == (16, None, None)
    assert "2 cells failed; all again: otbench run tiny.toml --retry-failed\n" in done.err
    found = check_results(Results("results/tiny"))
    assert [len(found["failures"]), sum(map(len, found.values()))] == [2, 2]
    table = Path("results/tiny/tables/agreement.csv").read_text().splitlines()
    assert "cells,diverged,failed" in table[0]
    assert len(Path("results/tiny/tables/exact.csv").read_text().splitlines()) == 3


def test_failed_cells_are_run_again_only_when_asked(otbench: Otbench, monkeypatch: pytest.MonkeyPatch) -> None:
    declare("raise")
    assert otbench("run", "tiny.toml", *INLINE).code == 3
    again = otbench("run", "tiny.toml", *INLINE)
    assert (again.code, "0 cells run, 4 were done" in again.out) == (3, True)
    monkeypatch.setattr(Hostile, "_raise", lambda self: None)
    key = next(row["key"] for row in lines(Path("results/tiny/rows.jsonl")) if row["status"] == "failed")
    assert otbench("run", "tiny.toml", *INLINE, "--only", key[:10]).code == 3
    assert statuses() == {"ok": 3, "failed": 1}
    retried = otbench("run", "tiny.toml", *INLINE, "--retry-failed")
    assert (retried.code, "1 cells run, 3 were done" in retried.out) == (0, True)
    assert statuses() == {"ok": 4}
    assert sum(map(len, check_results(Results("results/tiny")).values())) == 0


def test_a_done_cell_run_again_gives_the_same_bytes(otbench: Otbench) -> None:
    declare("nothing")
    otbench("run", "tiny.toml", *INLINE)
    before = Path("results/tiny/rows.jsonl").read_bytes()
    rows = lines(Path("results/tiny/rows.jsonl"))
    write_lines(Path("results/tiny/rows.jsonl"), [rows[0] | {"c_transform": 0.25}, *rows[1:]])
    assert otbench("run", "tiny.toml", *INLINE, "--only", rows[0]["key"]).code == 0
    assert Path("results/tiny/rows.jsonl").read_bytes() == before


def test_a_key_must_be_of_one_cell(otbench: Otbench) -> None:
    declare("nothing")
    assert_one_line(otbench("run", "tiny.toml", *INLINE, "--only", "xyz"), "--only xyz: 0 of the 4 cells have a key")
    assert_one_line(otbench("run", "tiny.toml", *INLINE, "--only", ""), "--only : 4 of the 4 cells have a key")


def test_fresh_sets_the_old_results_aside_and_says_where(otbench: Otbench) -> None:
    declare("nothing")
    otbench("run", "tiny.toml", *INLINE)
    before = Path("results/tiny/rows.jsonl").read_bytes()
    for number in (1, 2):
        done = otbench("run", "tiny.toml", *INLINE, "--fresh")
        assert f"the results there were are in results/.aside/tiny-{number}\n" in done.err
        assert "tiny: 4 cells run, 0 were done" in done.out
        assert Path(f"results/.aside/tiny-{number}/rows.jsonl").read_bytes() == before
    assert otbench("check").out == "tiny: 18 rules, 0 violations\n"


def test_a_long_loop_stops_itself_at_its_deadline(otbench: Otbench) -> None:
    declare("loop", "nothing")
    done = otbench("run", "tiny.toml", *INLINE, "--timeout", "0.2")
    assert (done.code, statuses()) == (3, {"ok": 4, "failed": 2})
    assert "failed: not done after 0.2 s; alone: otbench run tiny.toml --only " in done.err


def test_training_looks_at_its_deadline() -> None:
    from otbench.methods import WeightClip
    from otbench.methods.train import train
    from otbench.methods.training.compiled_step import COMPILE_FROM
    from otbench.problems import problem

    pair = problem("translation", dim=2).sample(32)
    with pytest.raises(TimeLimitError), limited(0.05):
        train(pair, WeightClip(widths=(64, 64), steps=COMPILE_FROM - 1))
    check_deadline()


def test_time_up_does_not_outlive_its_cell() -> None:
    with limited(0.0), pytest.raises(TimeLimitError):
        check_deadline()
    with limited(None):
        check_deadline()


def test_tasks_are_shared_out_until_every_worker_has_some_and_no_sample_is_split(tmp_path: Path) -> None:
    file = write_block(tmp_path, method='[{ name = "zero" }, { name = "linear" }]', seeds=str(list(range(20))))
    cells = load_experiment(str(file)).cells
    groups = [list(cells[k : k + 2]) for k in range(0, 40, 2)]
    tasks = share_out([groups], 2)
    assert [group for task in sorted(tasks, key=str) for group in task] != []
    assert sorted(map(str, groups)) == sorted(str(group) for task in tasks for group in task)
    sizes = [len(task) for task in tasks]
    assert (len(tasks), sizes) == (8, sorted(sizes, reverse=True))


def test_want_of_memory_says_so(tmp_path: Path) -> None:
    file = write_block(tmp_path, method='{ name = "hostile", does = "memory" }')
    outcome = attempt([load_experiment(str(file)).cells], tmp_path / ".exact", "cpu")
    assert isinstance(outcome, Failure)
    assert outcome.reason.startswith("out of memory: Unable to allocate 8.00 TiB")


def test_fresh_for_one_cell_makes_that_cell_anew_and_sets_nothing_aside(otbench: Otbench) -> None:
    declare("nothing")
    otbench("run", "tiny.toml", *INLINE)
    file = Path("results/tiny/rows.jsonl")
    before, rows = file.read_bytes(), lines(file)
    write_lines(file, [rows[0] | {"c_transform": 0.25}, *rows[1:-1]])
    done = otbench("run", "tiny.toml", *INLINE, "--fresh", "--only", rows[0]["key"])
    assert "tiny: 1 cells run, 2 were done" in done.out
    assert "tiny: 1 of 4 cells are missing; `otbench run tiny` does them\n" in done.err
    assert lines(file) == rows[:-1]
    assert not Path("results/.aside").exists()
    assert otbench("run", "tiny.toml", *INLINE).code == 0
    assert file.read_bytes() == before


def test_nothing_is_set_aside_for_a_run_that_cannot_begin(otbench: Otbench) -> None:
    declare("nothing")
    otbench("run", "tiny.toml", *INLINE)
    assert_one_line(otbench("run", "tiny.toml", *INLINE, "--fresh", "--device", "gpu"), "cannot be used")
    assert not Path("results/.aside").exists()


@pytest.mark.parametrize("options", [[], ["--only"], ["--retry-failed"], ["--fresh"], ["--fresh", "--only"]])
def test_a_dry_run_counts_what_the_run_then_does(
    options: list[str], otbench: Otbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare("raise")  # 4 cells, of which 2 fail
    otbench("run", "tiny.toml", *INLINE)
    file = Path("results/tiny/rows.jsonl")
    rows = [row for row in lines(file) if row["status"] == "ok"][:1] + [
        row for row in lines(file) if row["status"] == "failed"
    ]
    write_lines(file, rows)
    monkeypatch.setattr(Hostile, "_raise", lambda self: None)
    asked = [*options, rows[0]["key"][:12]] if "--only" in options else options
    before = file.read_bytes()
    dry = otbench("run", "tiny.toml", *INLINE, *asked, "--dry-run")
    assert (dry.code, file.read_bytes() == before) == (0, True)
    said = re.match(r"tiny: 4 cells, (\d) done, (\d) to do\n", dry.out)
    did = re.match(r"tiny: (\d) cells run, (\d) were done", otbench("run", "tiny.toml", *INLINE, *asked).out)
    assert said is not None
    assert did is not None
    assert (said[1], said[2]) == (did[2], did[1])
    assert did[1] == {"": "1", "--only": "1", "--retry-failed": "3", "--fresh": "4"}[options[-1] if options else ""]
