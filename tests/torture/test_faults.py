"""One bad cell, one bad machine, one bad moment: the others finish, and what failed says so."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from processes import by_status, figure, no_traceback, otbench, sorted_rows, start, until, workers_of
from small import write_block

pytestmark = [pytest.mark.torture, pytest.mark.timeout(200)]

GOOD = '{ name = "zero" }, { name = "potential" }, { name = "weight_clip", widths = [4], batch = 8, steps = 20 }'


def hostile(does: str, more: str = "") -> str:
    return f'{{ name = "hostile", does = "{does}"{more} }}'


def declare(folder: Path, *bad: str, dims: int = 8, good: str = GOOD) -> None:
    """``dims`` samples of three good cells each; the first has the bad ones too."""
    rest = write_block(folder, f'{{ name = "shared_mass", dim = {list(range(3, 2 + dims))} }}', method=f"[{good}]")
    blocks = "[[block]]" + rest.read_text().partition("[[block]]")[2] if dims > 1 else ""
    first = write_block(folder, '{ name = "shared_mass", dim = 2 }', method=f"[{', '.join((good, *bad))}]")
    first.write_text(first.read_text() + blocks)


def timed(*arguments: object, cwd: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    begun = time.monotonic()
    done = otbench("run", "tiny.toml", "--workers", 2, *arguments, cwd=cwd)
    no_traceback(done)
    return done, time.monotonic() - begun


def only_failed(done: subprocess.CompletedProcess[str], folder: Path, said: str, good: int = 24) -> str:
    """The key of the one failed cell, all others being done."""
    rows = by_status(folder / "results" / "tiny")
    assert done.returncode == 3, done.stderr
    assert len(rows["ok"]) == good
    (failed,) = rows["failed"]
    key = str(failed["key"])[:12]
    assert said in str(failed["reason"])
    assert str(failed["reason"]).endswith(f"; alone: otbench run tiny.toml --only {key}")
    assert str(failed["reason"]) in done.stderr
    return key


def test_a_cell_that_always_kills_its_worker_fails_alone(tmp_path: Path) -> None:
    declare(tmp_path)
    _, without = timed("--results", "good", cwd=tmp_path)
    declare(tmp_path, hostile("die"))
    done, seconds = timed(cwd=tmp_path)
    key = only_failed(done, tmp_path, "its worker died 2 times out of 2")
    assert seconds - without <= 30
    good = {line for line in sorted_rows(tmp_path / "results" / "tiny") if key.encode() not in line}
    assert good == set(sorted_rows(tmp_path / "good" / "tiny"))
    again = otbench("run", "tiny.toml", "--only", key, cwd=tmp_path)
    assert (again.returncode, len(by_status(tmp_path / "results" / "tiny")["failed"])) == (3, 1)
    figure(f"poison cell: 24 of 24 others done, 1 failed row, {seconds:.1f} s; {without:.1f} s without it")


def test_a_cell_that_kills_its_worker_once_is_done(tmp_path: Path) -> None:
    declare(tmp_path, hostile("die_once", f', mark = "{tmp_path / "mark"}"'))
    done, seconds = timed(cwd=tmp_path)
    assert (done.returncode, list(by_status(tmp_path / "results" / "tiny"))) == (0, ["ok"])
    assert (tmp_path / "mark").exists()
    figure(f"a worker killed once: every cell done, {seconds:.1f} s")


def test_exceptions_and_want_of_memory_are_rows(tmp_path: Path) -> None:
    declare(tmp_path, hostile("raise"), hostile("memory"))
    done, _ = timed(cwd=tmp_path)
    rows = by_status(tmp_path / "results" / "tiny")
    assert (done.returncode, len(rows["ok"]), len(rows["failed"])) == (3, 24, 2)
    reasons = sorted(str(row["reason"]).partition(";")[0] for row in rows["failed"])
    assert reasons[0].startswith("ZeroDivisionError: the cell (hostile.py, line ")
    assert reasons[1].startswith("out of memory: Unable to allocate 8.00 TiB")
    assert otbench("check", cwd=tmp_path).returncode == 1
    assert otbench("run", "tiny.toml", cwd=tmp_path).returncode == 3
    assert by_status(tmp_path / "results" / "tiny") == rows


@pytest.mark.parametrize(("does", "least"), [("loop", 6.0), ("hang", 6.0)])
def test_a_cell_that_does_not_end_is_gone_within_five_seconds_of_its_limit(
    does: str, least: float, tmp_path: Path
) -> None:
    declare(tmp_path, hostile(does), dims=3)
    output = tmp_path / "said"
    with output.open("w") as file:
        going = start("run", "tiny.toml", "--workers", 1, "--timeout", least, cwd=tmp_path, output=file)
        rows = tmp_path / "results" / "tiny" / "rows.jsonl"
        until(lambda: rows.is_file() and rows.read_bytes().count(b"\n") >= 3, 60, "the cells before it")
        taken = until(lambda: b'"failed"' in rows.read_bytes(), 60, "the cell's row")
        assert going.wait(timeout=60) == 3
    assert "Traceback" not in output.read_text()
    found = by_status(tmp_path / "results" / "tiny")
    (failed,) = found["failed"]
    assert str(failed["reason"]).startswith("not done after 6 s; ")
    assert len(found["ok"]) == 9
    assert least - 0.5 <= taken <= least + 5
    stacks = list((tmp_path / "results" / "tiny").glob("stacks/*.txt"))
    assert [file.read_text().count("hostile.py") > 0 for file in stacks] == ([True] if does == "hang" else [])
    how = "that looks at its deadline" if does == "loop" else "that holds the interpreter"
    figure(f"a cell {how}, limit {least:g} s: its row was written {taken - least:+.1f} s from the limit")


@pytest.mark.parametrize("engine", ["local", "inline"])
def test_control_c_keeps_what_is_done_and_says_how_to_go_on(engine: str, tmp_path: Path) -> None:
    slow = hostile("sleep", ", seconds = 0.4")
    declare(tmp_path, good=GOOD.replace('{ name = "potential" }', slow))
    with (tmp_path / "said").open("w") as file:
        going = start("run", "tiny.toml", "--engine", engine, cwd=tmp_path, output=file)
        rows = tmp_path / "results" / "tiny" / "rows.jsonl"
        until(lambda: rows.is_file() and rows.read_bytes().count(b"\n") >= 3, 60, "the first rows")
        workers = workers_of(going)
        os.killpg(going.pid, signal.SIGINT)
        begun = time.monotonic()
        assert going.wait(timeout=30) == 130
        seconds = time.monotonic() - begun
    said = (tmp_path / "said").read_text()
    assert said.strip().splitlines()[-1] == (
        "otbench: stopped; what was done is kept, the same command goes on from there"
    )
    assert "Traceback" not in said
    assert not any(worker.is_running() for worker in workers)
    kept = len(by_status(tmp_path / "results" / "tiny")["ok"])
    done = otbench("run", "tiny.toml", "--engine", "inline", cwd=tmp_path)
    assert f"tiny: {24 - kept} cells run, {kept} were done" in done.stdout
    figure(f"Ctrl-C with engine {engine}: stopped after {seconds:.1f} s, {kept} rows kept, one line said")


def test_a_second_run_does_not_enter_the_folder_of_the_first(tmp_path: Path) -> None:
    declare(tmp_path, hostile("sleep", ", seconds = 120.0"), dims=2)
    first = start("run", "tiny.toml", "--engine", "inline", cwd=tmp_path)
    until(lambda: (tmp_path / "results" / "tiny" / "meta.json").is_file(), 60, "the first run")
    second = otbench("run", "tiny.toml", "--engine", "inline", cwd=tmp_path)
    fresh = otbench("run", "tiny.toml", "--engine", "inline", "--fresh", cwd=tmp_path)
    first.kill()
    first.wait()
    assert (second.returncode, fresh.returncode) == (2, 2)
    assert second.stderr.startswith("otbench: results folder results/tiny is in use by another run; ")
    assert second.stderr == fresh.stderr
    third = otbench("run", "tiny.toml", "--engine", "inline", cwd=tmp_path, HOSTILE_PACE="0")
    assert third.returncode == 0
    assert len(by_status(tmp_path / "results" / "tiny")["ok"]) == 7


def test_a_folder_moved_in_the_middle_is_gone_on_with(tmp_path: Path) -> None:
    declare(tmp_path, dims=8)
    assert otbench("run", "tiny.toml", "--results", "whole", "--engine", "inline", cwd=tmp_path).returncode == 0
    rows = (tmp_path / "whole" / "tiny" / "rows.jsonl").read_bytes().splitlines(keepends=True)
    elsewhere = tmp_path / "another machine"
    shutil.copytree(tmp_path / "whole" / "tiny", elsewhere / "results" / "tiny")
    (elsewhere / "results" / "tiny" / "rows.jsonl").write_bytes(b"".join(rows[:9]) + rows[9][:50])
    shutil.copy(tmp_path / "tiny.toml", elsewhere)
    done = otbench("run", "tiny.toml", "--engine", "inline", cwd=elsewhere)
    assert "tiny: 15 cells run, 9 were done" in done.stdout
    assert sorted_rows(elsewhere / "results" / "tiny") == sorted_rows(tmp_path / "whole" / "tiny")
    assert str(tmp_path).encode() not in b"".join(f.read_bytes() for f in elsewhere.rglob("*.json*"))
