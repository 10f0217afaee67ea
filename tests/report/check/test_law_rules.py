"""Rules for what rows say of the laws: they hold on true rows, and each finds the fault planted against it."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from small import change, trained

from otbench.report.check.law_rules import one_cell_a_line, population
from otbench.report.check.rules import check_results
from otbench.results.folder import Stored
from otbench.results.store import SEEDS, Results
from otbench.results.tables.cells import cell_columns, frame_of


def independent(row: dict) -> bool:
    return trained(row) and row["sampling.mode"] == "independent"


def rules_broken(copy: Results) -> set[str]:
    return {violation.rule for violation in population(frame_of(copy.rows()))}


FAULTS: list[tuple[str, Callable[[dict], bool], dict]] = [
    ("held out <= population W1", trained, {"fresh_raw": 1e3}),
    ("held out <= population W1", lambda row: row["method.name"] == "linear", {"fresh_raw": 1.8, "fresh_stderr": 0.1}),
    ("held out <= upper", independent, {"fresh_raw": 1e3}),
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
    assert check_results(copy)["population"]


def test_six_standard_errors_are_allowed_and_no_more(copy: Results) -> None:
    def linear(row: dict) -> bool:
        return row["method.name"] == "linear" and row["sampling.mode"] == "coupled"

    change(copy, linear, fresh_raw=1.0 + 5.99e-2, fresh_stderr=1e-2, fresh_raw_error=0.0)
    assert rules_broken(copy) == set()
    change(copy, linear, fresh_raw=1.0 + 6.01e-2)
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
