"""Measurements: every planned one is made once, their tables follow from them, and the checker sees what is odd."""

from pathlib import Path

import pytest
from small import lines, write_lines

import otbench.timing
from otbench.check import check_results
from otbench.errors import InputError, ResultsError
from otbench.experiment import load_experiment
from otbench.figures import write_figures
from otbench.render import write_tables
from otbench.rows import Results
from otbench.run import run_plan
from otbench.stored import Stored
from otbench.timing import plan_keys

PLAN = """
question = "How fast?"
[timing]
dim = 3
shapes = [[4, 8], [8, 8]]
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
        patch.setattr(otbench.timing, "BLOCK_SECONDS", 0.005)
        declared = load_experiment(str(folder / "speed.toml"))
        assert run_plan(declared, folder / "results" / "speed") == 8
        assert run_plan(declared, folder / "results" / "speed") == 0
    write_tables(Results(folder / "results" / "speed"), "csv")
    return folder / "results" / "speed"


def test_a_plan_is_every_engine_width_and_number_of_critics_once():
    plan = load_experiment("timing").plan
    keys = plan_keys(plan, "cpu")
    assert len(keys) == len(set(keys))
    assert sum(key.startswith("training batched") for key in keys) == len(plan.shapes) * len(plan.critics)
    assert sum(key.startswith("training plain") for key in keys) == len(plan.shapes)
    assert not any("graph" in key for key in keys)
    assert any("graph" in key for key in plan_keys(plan, "cuda"))


def test_every_measurement_is_there_and_the_checker_agrees(measured):
    results = Results(measured)
    plan = load_experiment(str(measured.parent.parent / "speed.toml")).plan
    assert [row["key"] for row in results.measurements()] == plan_keys(plan, "cpu")
    found = check_results(results)
    assert {rule: list(map(str, violations)) for rule, violations in found.items()} == {
        "measurements": [], "complete": [], "declaration": [], "tables": []
    }  # fmt: skip


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
    monkeypatch.setattr(otbench.timing, "SEEDS", 1)
    row = otbench.timing.measure(plan, "arrival 2", "cpu")
    assert 64 <= row["arrival_steps_median"] <= 4000
    assert 0 < row["arrival_seconds_median"] < 60
    assert row["exact_seconds_median"] > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('question = "?"', r"give either \[\[block\]\] tables or one \[timing\] or \[generator\] table"),
        (PLAN.replace("repeats = 3", "repeats = 2"), "repeats: input should be greater than or equal to 3"),
        (PLAN.replace('"batched"', '"bached"'), "engines.1: input should be 'plain', 'batched', 'compiled' or 'graph'"),
        (PLAN.replace("exact_n", "exactn"), "unknown field of timing table 'exactn': did you mean 'exact_n'"),
    ],
)
def test_a_plan_that_is_not_understood_is_one_line(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_experiment(str(tmp_path / "bad.toml"))
    assert "\n" not in str(error.value)


def test_figures_are_the_same_bytes_every_time(measured, small_results):
    for folder in (measured, small_results):
        first = {file: file.read_bytes() for file in write_figures(Results(folder))}
        assert {file.suffix for file in first} == {".svg", ".png"}
        assert {file: file.read_bytes() for file in write_figures(Results(folder))} == first
