"""Measurements: every planned one is made once, their tables follow from them, and the checker sees what is odd."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small import lines, python, write_lines

import otbench.studies.timed_training
import otbench.studies.timing
from otbench.errors import InputError, ResultsError
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.study_runner import missing_jobs, run_plan
from otbench.report.check.rules import check_results
from otbench.report.check.timing_rules import measurements
from otbench.report.markdown import write_tables
from otbench.results.folder import Stored
from otbench.results.store import Results
from otbench.studies.dispatch import measure
from otbench.studies.peak_memory import ALLOCATOR, in_a_fresh_process, restart_peak
from otbench.studies.timed_training import Training, peak_memory
from otbench.studies.timing import Arrival, Exact

PLAN = """
question = "How fast?"
[timing]
dim = 3
shapes = [[4, 8]]
critics = [1, 4]
engines = ["plain", "batched"]
exact_dims = [2]
exact_n = [30, 60]
arrival_dims = []
repeats = 3
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """One small timing experiment, really measured."""
    folder = tmp_path_factory.mktemp("timing")
    (folder / "speed.toml").write_text(PLAN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(otbench.studies.timed_training, "BLOCK_SECONDS", 0.005)
        patch.setattr(otbench.studies.timed_training, "COPY_BYTES", {"cpu": 2**16})
        declared = load_experiment(str(folder / "speed.toml"))
        assert run_plan(declared, folder / "results" / "speed") == 5
        assert run_plan(declared, folder / "results" / "speed") == 0
    write_tables(Results(folder / "results" / "speed"), "csv")
    return folder / "results" / "speed"


def test_what_another_machine_has_timed_is_timed_here_again(measured: Path, tmp_path: Path) -> None:
    """Whatever it has measured: times are a machine's own."""
    declared = load_experiment(str(measured.parent.parent / "speed.toml"))
    mine = Results(measured).measurements()
    theirs = [row | {"machine": "another"} for row in mine]
    for number, (rows, missing) in enumerate(((mine, 0), (theirs, 5), ([*theirs, *mine[:2]], 3), ([], 5))):
        results = Results(tmp_path / str(number))
        results.folder.mkdir()
        write_lines(results.measurements_file, rows)
        assert missing_jobs(declared, results, "cpu") == (missing, 5)


def test_a_plan_is_every_engine_width_and_number_of_critics_once():
    plan = load_experiment("timing").plan
    keys = list(plan.records("cpu"))
    assert len(keys) == len(set(keys))
    assert sum(key.startswith("training batched") for key in keys) == len(plan.shapes) * len(plan.critics)
    assert sum(key.startswith("training plain") for key in keys) == len(plan.shapes)
    assert not any("graph" in key for key in keys)
    assert any("graph" in key for key in plan.records("cuda"))


def test_a_plan_for_a_gpu_has_every_precision_that_an_engine_can_have_and_a_core_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otbench.studies.timing, "_missing_compiler", lambda device: "")
    plan = load_experiment("timing_gpu").plan
    there = [m for m in plan.measurements("cuda") if isinstance(m, Training)]
    assert {(m.engine, m.dtype) for m in there} == {
        ("plain", "float32"), ("compiled_graph", "float32"), ("compiled_graph", "tf32"),
        *((engine, dtype) for engine in ("batched", "graph") for dtype in ("float32", "tf32", "bfloat16")),
    }  # fmt: skip
    assert {m.width for m in there} == {64, 128, 256, 512}
    assert {m.critics for m in there if m.engine == "graph"} == {1, 64, 1024}
    assert not [m for m in plan.measurements("cuda") if isinstance(m, Exact)]
    core = plan.measurements("cpu")
    assert {(m.engine, m.critics, m.dtype) for m in core} == {
        ("plain", 1, "float32"), ("batched", 64, "float32"), ("compiled", 64, "float32")
    }  # fmt: skip


@pytest.mark.parametrize(("device", "tools"), [("cpu", "g++"), ("cuda", "triton gcc")])
def test_engines_that_a_compiler_is_missing_for_are_left_out_with_a_line(
    device: str, tools: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timing = otbench.studies.timing
    plan = load_experiment("timing_gpu").plan.model_copy(update={"core": None, "engines": ["batched", "compiled"]})
    for missing in ("", *tools.split()):
        there = [tool for tool in tools.split() if tool != missing]
        monkeypatch.setattr(timing.shutil, "which", lambda name, there=there: name if name in there else None)
        monkeypatch.setattr(timing.importlib.util, "find_spec", lambda name, there=there: name in there or None)
        timing._say_once.cache_clear()
        engines = {m.engine for m in plan.measurements(device) if isinstance(m, Training)}
        assert engines == {"batched", *([] if missing else ["compiled"])}
        assert ("compiled are left out" in capsys.readouterr().err) == bool(missing)


def test_every_measurement_is_there_and_the_checker_agrees(measured):
    results = Results(measured)
    plan = load_experiment(str(measured.parent.parent / "speed.toml")).plan
    assert [row["key"] for row in results.measurements()] == list(plan.records("cpu"))
    found = check_results(results)
    assert {rule: list(map(str, violations)) for rule, violations in found.items()} == {
        "measurements": [], "complete": [], "declaration": [], "seal": [], "tables": []
    }  # fmt: skip


def test_measurements_that_tell_no_memory_are_found_and_one_that_could_not_be_made_is_not():
    row = {"kind": "training", "key": "k", "flop_per_step": 96.0, "batch": 8, "device": "cpu", "machine": "m", "dim": 3,
           "width": 4, "engine": "batched", "critics": 1, "timing_valid": True, "seconds_per_step_median": 1.0,
           "plain_seconds_per_step_median": 1.0, "product_seconds_median": 1.0, "product_flop": 100.0,
           "schema": 2}  # fmt: skip
    for name in ("seconds_per_step", "plain_seconds_per_step", "product_seconds"):
        row |= {f"{name}_q1": 1.0, f"{name}_q3": 1.0}
    (violation,) = measurements(pd.DataFrame([row]))
    assert violation.observed == "no column peak_memory_bytes"
    assert not list(measurements(pd.DataFrame([row | {"peak_memory_bytes": None}])))
    assert not list(measurements(pd.DataFrame([row | {"peak_memory_bytes": 4}])))
    (violation,) = measurements(pd.DataFrame([row | {"peak_memory_bytes": 3}]))
    assert (violation.observed, violation.bound) == ("3", ">= 4 bytes")


def test_every_measurement_has_a_key_that_says_all_it_depends_on():
    training = Training("batched", 64, 4, 16, 32, 3)
    assert training.key == "training batched 64 4 d=16 batch=32 repeats=3"
    changes: dict[str, Any] = {"engine": "plain", "width": 65, "critics": 5, "dim": 17, "batch": 33, "repeats": 4,
                               "dtype": "tf32"}  # fmt: skip
    others = [replace(training, **{name: value}) for name, value in changes.items()]
    keys = [m.key for m in (training, *others, Exact(2, 3), Exact(3, 2), Exact(2, 32), Arrival(2), Arrival(3))]
    assert len(set(keys)) == len(keys)


@pytest.mark.slow
def test_peak_memory_grows_with_critics_and_width_by_their_parameters_at_least():
    few, more, wide = (
        Training("batched", width, critics, 16, 64, 3) for width, critics in ((64, 2), (64, 64), (512, 2))
    )
    least = [4 * t.layer_products * t.critics for t in (few, more, wide)]
    told = [peak_memory(t, "cpu") for t in (few, more, wide)]
    if restart_peak():
        assert told[1] - told[0] >= least[1] - least[0]
        assert told[2] - told[0] >= least[2] - least[0]
        assert told[0] >= least[0]
        assert told[1] < 64 * least[1]  # libraries are not among it
    else:
        assert told == [None] * 3


@pytest.mark.skipif(not restart_peak(), reason="the system tells no peak")
def test_growth_is_that_of_what_work_holds_at_once_even_below_an_earlier_peak():
    code = """
import numpy as np
from otbench.studies.peak_memory import growth
np.ones(2**24)  # 128 MiB, given back: the peak so far is far above the present
def work():
    for _ in range(3):
        np.ones(2**21)
    return np.ones(2**22)
print(growth(work), growth(lambda: None))
"""
    one, nothing = (int(word.replace("None", "0")) for word in python(code, **ALLOCATOR).stdout.split())
    assert 2**25 <= one < 2**25 + 2**24
    assert nothing < 2**21


def test_a_child_that_fails_or_tells_no_number_measures_nothing():
    assert in_a_fresh_process("import sys; print(int(sys.argv[1]) + 1)", "41") == 42
    assert in_a_fresh_process("print(None)", "") is None
    assert in_a_fresh_process("print(3); raise SystemExit(1)", "") is None


def test_scaling_follows_from_the_measurements(measured):
    tables = Stored(Results(measured)).tables
    rows = tables["scaling"]
    for row in Results(measured).measurements():
        if row["kind"] == "training":
            (line,) = rows[(rows["width"] == row["width"]) & (rows["engine"] == row["engine"])
                           & (rows["critics"] == row["critics"])].itertuples()  # fmt: skip
            assert line.critic_steps_per_second == pytest.approx(row["critics"] / row["seconds_per_step_median"])
            flop = 6 * 2 * 8 * (3 * row["width"] + row["width"] ** 2 + row["width"]) * row["critics"]
            assert line.flop_per_second == pytest.approx(flop / row["seconds_per_step_median"])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"seconds_per_step_q1": 1e9}, "measurements"),
        ({"seconds_per_step_q1": 0.0}, "measurements"),
        ({"flop_per_step": 1e18}, "measurements"),
        ({"peak_memory_bytes": 0}, "measurements"),
        ({"peak_memory_bytes": -73945088}, "measurements"),
        ({"peak_memory_bytes": 4 * 4 * (3 + 4 + 1) - 1}, "measurements"),
        ({"key": "training batched 8 5"}, "complete"),
        ({"critics": 5}, "tables"),
    ],
)
def test_a_planted_fault_is_found(measured, tmp_path, change, rule):
    folder = tmp_path / "speed"
    folder.mkdir()
    for file in (measured / "measurements.jsonl", measured / "meta.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "tables").mkdir()
    for file in (measured / "tables").iterdir():
        (folder / "tables" / file.name).write_bytes(file.read_bytes())
    rows = lines(folder / "measurements.jsonl")
    rows[2] |= change
    write_lines(folder / "measurements.jsonl", rows)
    assert check_results(Results(folder))[rule]


def test_a_damaged_measurement_is_one_line(measured, tmp_path):
    (tmp_path / "measurements.jsonl").write_text('{"schema":2,"key":"k","kind":"flying"}\n')
    with pytest.raises(ResultsError, match=r"row k is damaged: .*'flying'") as error:
        check_results(Results(tmp_path))
    assert "\n" not in str(error.value)


def test_the_time_to_arrive_is_counted_in_steps_and_seconds(monkeypatch):
    plan = load_experiment("timing").plan.model_copy(update={"arrival_dims": [2]})
    monkeypatch.setattr(otbench.studies.timing, "TIMED_SEEDS", 1)
    (row,) = measure(plan, "arrival 2", "cpu")
    assert 64 <= row["arrival_steps_median"] <= 4000
    assert 0 < row["arrival_seconds_median"] < 60
    assert row["exact_seconds_median"] > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('question = "?"', r"give either \[\[block\]\] tables or one \[timing\], \[generator\], "),
        (PLAN.replace("repeats = 3", "repeats = 2"), "repeats: input should be greater than or equal to 3"),
        (PLAN.replace('"batched"', '"bached"'), "engines.1: input should be 'plain', 'batched', 'compiled', 'graph'"),
        (PLAN.replace("exact_n", "exactn"), "unknown field of timing table 'exactn': did you mean 'exact_n'"),
    ],
)
def test_a_plan_that_is_not_understood_is_one_line(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_experiment(str(tmp_path / "bad.toml"))
    assert "\n" not in str(error.value)
