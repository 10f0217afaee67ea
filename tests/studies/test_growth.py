"""Solvers that grow: all tell one W1, each within its interval, and every size of the plan is measured once."""

import json
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from small import write_lines

import otbench.studies.growth as growth
from otbench.errors import InputError, ResultsError, UncertifiedError
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.study_runner import missing_jobs, run_plan
from otbench.problems import problem
from otbench.report.check.rules import check_results
from otbench.report.markdown import write_tables
from otbench.results.compare import compare_results
from otbench.results.folder import Stored
from otbench.results.store import Results
from otbench.studies.growth import GrowthPlan, SolverRun
from otbench.studies.solvers import EXACT, _lower_bound, _rounded_cost, solve_by
from otbench.transport.dense import cost_matrix

PLAN = """
question = "Small?"
[growth]
dims = [1, 3]
n = [20, 50]
repeats = 2
repeats_up_to = 20
threads = 1
extra = [{ solver = "sparse", dim = 2, n = 60 }]
most = { dense = 50, sparse = 50, lazy = 20, assignment = 20, sinkhorn = 50 }
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A small plan, measured in this process, as every new one takes seconds to begin."""
    folder = tmp_path_factory.mktemp("growth")
    (folder / "sizes.toml").write_text(PLAN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "_in_a_process", lambda run: json.loads(growth.measured_here(json.dumps(asdict(run)))))
        declared = load_experiment(str(folder / "sizes.toml"))
        assert run_plan(declared, folder / "sizes") == 27
        assert run_plan(declared, folder / "sizes") == 0
    results = Results(folder / "sizes")
    write_tables(results, "csv")
    return results


@pytest.mark.parametrize("dim", [1, 2, 16, 128])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_every_solver_tells_the_same_w1(dim: int, shift: float) -> None:
    pair = problem("translation", dim=dim, shift=shift).sample(40, seed=dim)
    exact = {name: solve_by(name, pair, 0.0) for name in EXACT}  # type: ignore[arg-type]
    w1 = exact["dense"].primal
    assert {name: found.primal for name, found in exact.items()} == pytest.approx(dict.fromkeys(EXACT, w1), rel=1e-12)
    for accuracy in (0.1, 0.01, 0.001):
        found = solve_by("sinkhorn", pair, accuracy)
        assert found.primal_lower is not None
        assert found.primal_upper is not None
        assert found.primal_lower <= w1 <= found.primal <= found.primal_upper
        assert found.primal_upper - found.primal_lower <= accuracy * found.primal_upper


def test_accuracy_that_float64_does_not_give_is_refused_and_not_told_as_reached() -> None:
    pair = problem("translation", dim=2).sample(8)
    with pytest.raises(UncertifiedError, match="the relative gap of Sinkhorn's plan"):
        solve_by("sinkhorn", pair, 1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_rounded_to_its_marginals_costs_no_less_than_w1_and_any_potential_proves_no_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, even = int(rng.integers(1, 9)), None
    pair = problem("translation", dim=2).sample(n, seed=seed)
    cost, even = cost_matrix(pair.x, pair.y), pair.a
    rows, cols = linear_sum_assignment(cost)
    w1 = float(cost[rows, cols].mean())
    plan = rng.exponential(size=(n, n)) * 10.0 ** rng.integers(-3, 3)
    assert _rounded_cost(plan.copy(), cost, even, even) >= w1 * (1 - 1e-12)
    best = np.zeros((n, n))
    best[rows, cols] = 1 / n
    assert _rounded_cost(best.copy(), cost, even, even) == pytest.approx(w1, rel=1e-12)
    short = _rounded_cost(best * 0.5, cost, even, even)  # half of the mass is then moved anywhere
    assert short == pytest.approx(0.5 * w1 + 0.5 * cost.mean(), rel=1e-12)
    assert 0 <= _lower_bound(cost, even, even, rng.normal(size=n)) <= w1 * (1 + 1e-12)


def test_every_size_is_there_and_the_checker_agrees(measured: Results) -> None:
    records = measured.measurements()
    count = Counter((r["solver"], r["dim"], r["n"]) for r in records)
    both = {("dense", 50): 1, ("sparse", 50): 1, ("sinkhorn", 50): 1, **{(name, 20): 2 for name in
            ("dense", "sparse", "lazy", "assignment", "sinkhorn")}}  # fmt: skip
    due = {(name, dim, n): times for (name, n), times in both.items() for dim in (1, 3)}
    assert count == {**due, ("sparse", 2, 60): 1}
    assert [r["n"] for r in records] == sorted(r["n"] for r in records), "small samples come first"
    assert all(r["seconds"] > 0 for r in records)
    found = check_results(measured)
    assert list(found) == ["certificates", "agreement", "costs", "complete", "declaration", "seal", "tables"]
    assert [str(violation) for violations in found.values() for violation in violations] == []
    assert set(Stored(measured).tables) == {"growth", "solvers"}


def test_what_another_machine_has_measured_is_measured_here_again(measured: Results, tmp_path: Path) -> None:
    declared = load_experiment(str(measured.folder.parent / "sizes.toml"))
    rows = measured.measurements()
    theirs = [row | {"machine": "another"} for row in rows]
    for number, (there, missing) in enumerate(((rows, 0), (theirs, 27), (rows[2:], 2))):
        results = Results(tmp_path / str(number))
        results.folder.mkdir()
        write_lines(results.measurements_file, there)
        assert missing_jobs(declared, results, "cpu") == (missing, 27)


def test_seconds_of_two_machines_are_not_compared(measured: Results) -> None:
    with pytest.raises(InputError, match=r"times of two machines are not compared: .* read tables/growth.csv"):
        compare_results(Stored(measured), Stored(measured))


def test_every_measurement_has_a_key_that_says_all_it_depends_on() -> None:
    run = SolverRun("sinkhorn", 2, 30, 0, 1, 0.01)
    assert run.key == "growth sinkhorn d=2 n=30 seed=0 threads=1 gap=0.01"
    others = [replace(run, **{name: value}) for name, value in
              {"solver": "dense", "dim": 3, "n": 31, "seed": 1, "threads": 2, "accuracy": 0.02}.items()]  # fmt: skip
    assert len({each.key for each in (run, *others)}) == 7


def test_the_declared_study_has_each_solver_up_to_its_limit_and_one_size_beyond() -> None:
    plan = load_experiment("growth").plan
    assert isinstance(plan, GrowthPlan)
    assert plan.timed
    largest = max(plan.runs(), key=lambda run: run.n)
    assert (largest.solver, largest.dim, largest.n) == ("sparse", 16, 100_000)
    beyond = [run for run in plan.runs() if run.n > plan.most[run.solver]]
    assert beyond == [largest]
    assert {run.accuracy for run in plan.runs() if run.solver != "sinkhorn"} == {None}
    for name, most in plan.most.items():
        assert max(run.n for run in plan.runs() if run.solver == name and run != largest) == most


def test_a_new_process_measures_what_this_one_does() -> None:
    plan = GrowthPlan(dims=[3], n=[30], most={"assignment": 30}, repeats=1, threads=1)
    (run,) = plan.runs()
    row, here = growth.measure(plan, run.key), json.loads(growth.measured_here(json.dumps(asdict(run))))
    assert {name: row[name] for name in here if name not in ("seconds", "peak_memory_bytes")} == {
        name: value for name, value in here.items() if name not in ("seconds", "peak_memory_bytes")
    }
    assert row["key"] == run.key


def executable(folder: Path, script: str) -> str:
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def test_a_process_gets_the_threads_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ", ".join(f'\\"{name}\\": \\"${name}\\"' for name in growth.THREADS)
    monkeypatch.setattr(sys, "executable", executable(tmp_path, f'echo "{{{told}}}"'))
    plan = GrowthPlan(dims=[3], n=[30], most={"dense": 30}, repeats=1, threads=5)
    row = growth.measure(plan, plan.runs()[0].key)
    assert {name: row[name] for name in growth.THREADS} == dict.fromkeys(growth.THREADS, "5")


@pytest.mark.parametrize(("script", "told"), [
    ("echo one >&2; echo 'otbench: no room' >&2; exit 1", "otbench: no room"), ("kill -9 $$", "exit status -9"),
])  # fmt: skip
def test_a_process_that_fails_is_one_line_with_the_measurement(
    script: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable(tmp_path, script))
    plan = GrowthPlan(dims=[3], n=[30], most={"dense": 30}, repeats=1)
    with pytest.raises(ResultsError, match=f"^growth dense d=3 n=30 seed=0 threads=2 failed: {told}") as error:
        growth.measure(plan, plan.runs()[0].key)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("change", "told"), [
    ({"most": {"flying": 3}}, "most: 'flying' is no solver; known: dense, sparse, lazy, assignment, sinkhorn"),
    ({"most": {"dense": 0}}, "most.dense: input should be greater than or equal to 1"),
    ({"accuracy": 1.0}, "accuracy: input should be less than 1"),
    ({"extra": [{"solver": "flying", "dim": 1, "n": 1}]}, "solver: input should be 'dense', "),
])  # fmt: skip
def test_a_plan_that_is_not_understood_is_one_line(change: dict, told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        GrowthPlan(**{"dims": [2], "n": [3], "most": {"dense": 3}, **change})
    assert "\n" not in str(error.value)
