"""Rules for what rows say of the laws: they hold on true rows, and each finds the fault planted against it."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import change, trained

from otbench.report.check.law_rules import one_cell_a_line, population
from otbench.report.check.rules import check_results
from otbench.results.folder import Stored
from otbench.results.store import SEEDS, Results
from otbench.results.tables.cells import cell_columns, frame_of


def rules_broken(copy: Results) -> set[str]:
    return {violation.rule for violation in population(frame_of(copy.rows()))}


FAULTS: list[tuple[str, Callable[[dict], bool], dict]] = [
    ("held out <= population W1", trained, {"fresh_raw": 1e3}),
    ("held out <= population W1", lambda row: row["method.name"] == "linear", {"fresh_raw": 1.8, "fresh_stderr": 0.1}),
    ("held out", trained, {"fresh_raw": None}),
    ("held out", trained, {"fresh_dof": None}),
    ("held out", lambda row: row["problem.name"] == "digits", {"fresh_raw": 0.1}),
    ("standard error >= 0", trained, {"fresh_stderr": -1e-3}),
    ("degrees of freedom >= 1", trained, {"fresh_dof": 0.5}),
]


def test_true_rows_break_no_rule(small_results) -> None:
    assert rules_broken(Results(small_results)) == set()


@pytest.mark.parametrize(("rule", "where", "columns"), FAULTS)
def test_a_planted_fault_is_found(copy: Results, rule: str, where: Callable[[dict], bool], columns: dict) -> None:
    change(copy, where, **columns)
    assert rule in rules_broken(copy)


def test_what_is_found_is_reported(copy: Results) -> None:
    rule, where, columns = FAULTS[0]
    change(copy, where, **columns)
    assert rule in {violation.rule for violation in check_results(copy)["population"]}


@pytest.mark.parametrize("dof", [1e9, 2.5])
def test_as_many_standard_errors_are_allowed_as_the_degrees_of_freedom_ask(copy: Results, dof: float) -> None:
    def linear(row: dict) -> bool:
        return row["method.name"] == "linear" and row["sampling.mode"] == "coupled"

    allowed = stats.t.isf(stats.norm.sf(6), dof)
    few = {"fresh_stderr": 1e-2, "fresh_dof": dof, "fresh_raw_error": 0.0}
    change(copy, linear, fresh_raw=1.0 + 0.998e-2 * allowed, **few)
    assert rules_broken(copy) == set()
    change(copy, linear, fresh_raw=1.0 + 1.002e-2 * allowed)
    assert "held out <= population W1" in rules_broken(copy)


def frame(missed: int, of: int) -> pd.DataFrame:
    """Rows of ``of`` independent samples, in ``missed`` of which the lower bound lies above W1 of the laws."""
    above = np.arange(of) < missed
    return pd.DataFrame({
        "problem.name": "spheres", "problem.dim": 2, "sampling.mode": "independent", "sampling.fresh": 9,
        "method.name": "linear", "seed": np.arange(of), "training_seed": np.arange(of), "status": "ok", "key": "k" * 64,
        "clip_constant": np.nan, "spectral_constant": 1.0, "fresh_raw": 1.0, "fresh_raw_error": 0.0,
        "fresh_stderr": 0.1, "fresh_dof": 16.0, "held_out": 1.0, "held_out_lower": np.where(above, 1.001, 0.9),
        "population_w1": 1.0, "population_stderr": 0.0, "primal": 1.2, "coupled_w1": 1.0, "spread": 1.0,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("missed", "of", "broken"),
    [(0, 5, False), (5, 100, False), (14, 100, False), (21, 100, True), (5, 5, True)],
)
def test_bounds_that_miss_too_often_are_found(missed: int, of: int, broken: bool) -> None:
    found = [violation for violation in population(frame(missed, of)) if violation.rule == "lower bounds cover"]
    assert bool(found) == broken
    if broken:
        assert f"{missed} of {of} bounds above the known W1" in str(found[0])


def test_trainings_on_one_sample_are_one_witness() -> None:
    """As many misses in as many independent samples are too many; thrice the same hundred samples are a hundred."""
    again = pd.concat([frame(14, 100).assign(training_seed=k) for k in range(3)], ignore_index=True)
    apart = frame(42, 300)
    for rows, broken in ((again, False), (apart, True)):
        assert any(violation.rule == "lower bounds cover" for violation in population(rows)) == broken


def test_a_table_that_pools_cells_is_found(copy: Results) -> None:
    stored = Stored(copy)
    assert list(one_cell_a_line(stored.frame, stored.tables)) == []
    pooled = stored.tables["clip"].drop_duplicates(["problem.dim", "sampling.mode", "method.clip"])
    (violation,) = one_cell_a_line(stored.frame, {**stored.tables, "clip": pooled})
    assert "clip.csv" in str(violation)
    assert "a line for every cell" in str(violation)


def test_the_seeds_are_no_part_of_a_cell(copy: Results) -> None:
    stored = Stored(copy)
    assert set(SEEDS) <= set(cell_columns(stored.frame))
    assert not set(SEEDS) & set(stored.tables["agreement"])


@pytest.mark.parametrize("dof", range(1, 11))
def test_few_values_raise_no_false_alarm(dof: int) -> None:
    """Critics and samples whose means are W1 itself, each told from dof + 1 values: none of 1000 laws is broken."""
    rng, count = np.random.default_rng(dof), dof + 1
    read = rng.normal(1.0, 0.3, (1000 * count, count))
    rows = frame(0, len(read)).assign(**{
        "problem.dim": np.repeat(np.arange(1000), count), "seed": np.tile(np.arange(count), 1000),
        "held_out": read.mean(axis=1), "fresh_stderr": read.std(axis=1, ddof=1) / np.sqrt(count),
        "fresh_dof": float(dof), "primal": rng.normal(1.0, 0.3, len(read)),
    })  # fmt: skip
    assert [str(violation) for violation in population(rows)] == []


@pytest.mark.parametrize(("allowances", "broken"), [(0.98, False), (1.02, True)])
def test_many_samples_convict_a_critic_that_reads_above_them(allowances: float, broken: bool) -> None:
    primal = 1.2 + 0.1 * np.random.default_rng(0).normal(size=400)
    margin = stats.t.isf(stats.norm.sf(6), 399) * primal.std(ddof=1) / 20
    rows = frame(0, 400).assign(
        primal=primal, held_out=primal.mean() + allowances * margin, fresh_stderr=0.0, population_w1=np.nan
    )
    assert ({violation.rule for violation in population(rows)} == {"held out <= upper"}) == broken
