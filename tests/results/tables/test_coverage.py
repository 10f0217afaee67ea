"""What advise claims, measured on the committed critics by another route, and on critics it was not fitted on."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_scale_rule import planted_rows

from otbench.errors import InputError
from otbench.report.advice import advise
from otbench.report.check.rules import tables as differing
from otbench.results.folder import Stored, load
from otbench.results.store import Results
from otbench.results.tables.cells import to_csv
from otbench.results.tables.rule_held_out import held_out, rule_table
from otbench.results.tables.scale_rule import TWINS, fit, fitted_rows, read_rule, settings_of
from otbench.results.tables.transfer import fitted_rule, transfer

RESULTS = Path(__file__).parents[3] / "results"
SAID = ("slope_constant", "raw_over_w1", "grad_norm_mean")


@cache
def committed() -> pd.DataFrame:
    """The critics of the fit, with weights by counting: of every family the same, and of every problem in it."""
    rows = fitted_rows(load(RESULTS / "clip"))
    rows = rows.assign(family=rows["problem.name"].map(lambda name: TWINS.get(name, name)))
    problems = rows.groupby("family")["problem.name"].transform("nunique")
    rows = rows.assign(weight=1 / (problems * rows.groupby("problem.name")["raw"].transform("size")))
    return rows[rows["slope_constant"] > 0]


def misses(rows: pd.DataFrame, out: str, target: str, given: str, among: list[str]) -> np.ndarray:
    """log(measured / predicted) of one family, by the rule fitted on the others of ``among``."""
    inside = rows[rows["family"].isin(among) & (rows["family"] != out)]
    rule = fit(settings_of(inside), inside[target].to_numpy(dtype=float), given, inside["weight"].to_numpy())
    tested = rows[rows["family"] == out]
    return np.log(tested[target].to_numpy(dtype=float)) - rule.log_scale(settings_of(tested))


@pytest.mark.parametrize("given", ["critic", "data"])
@pytest.mark.parametrize("target", SAID)
def test_the_coverage_in_the_table_is_that_of_families_left_out_twice(target: str, given: str) -> None:
    rows = committed()
    every = list(rows["family"].unique())
    told = pd.read_csv(RESULTS / "clip" / "tables" / "held_out.csv").set_index(["target", "given", "left_out", "value"])
    for out in every:
        rest = [family for family in every if family != out]
        tails = [np.quantile(misses(rows, other, target, given, rest), [0.025, 0.975], method="averaged_inverted_cdf")
                 for other in rest]  # fmt: skip
        errors = misses(rows, out, target, given, every)
        inside = (errors >= min(t[0] for t in tails)) & (errors <= max(t[1] for t in tails))
        share = np.average(inside, weights=rows[rows["family"] == out]["weight"])
        assert told["covered"][target, given, "family", out] == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize("given", ["critic", "data"])
@pytest.mark.parametrize("target", SAID)
def test_nine_of_ten_are_covered_of_problems_left_out(target: str, given: str) -> None:
    table = pd.read_csv(RESULTS / "clip" / "tables" / "held_out.csv")
    table = table[(table["target"] == target) & (table["given"] == given) & (table["left_out"] == "family")]
    covered = table.set_index("value")["covered"]
    assert set(covered.index) == {"shift", "radial", "digits", "all"}
    assert covered["all"] >= 0.9
    assert covered.min() >= 0.88


def test_near_twins_are_one_family_and_no_other_problem_of_the_fit_has_a_twin() -> None:
    rule = pd.read_csv(RESULTS / "clip" / "tables" / "rule.csv")
    fitted = set(rule["problems"].iloc[0].split())
    assert set(TWINS) | {"digits"} == fitted
    assert (rule["families"] == 3).all()


def test_without_the_pull_of_theory_a_family_left_out_is_missed_by_far(monkeypatch: pytest.MonkeyPatch) -> None:
    every = list(committed()["family"].unique())

    def off() -> float:
        return float(np.quantile(np.abs(misses(committed(), "shift", "slope_constant", "data", every)), 0.9))

    assert off() < np.log(3)
    monkeypatch.setattr("otbench.results.tables.scale_rule.PRIOR", 0.0)
    assert off() > np.log(10)


# critics of other experiments


def test_a_problem_off_by_a_factor_is_told_and_what_was_fitted_is_not() -> None:
    rules, rows = rule_table(planted_rows(seeds=1)), planted_rows(3)
    elsewhere = rows.assign(**{"problem.name": "new", "raw_over_w1": 3 * rows["raw_over_w1"]})
    table = transfer(elsewhere, rules).set_index(["target", "given"])
    assert (table["problem.name"] == "new").all()
    assert table.loc[("raw_over_w1", "data"), "median_factor"] == pytest.approx(3, rel=0.01)
    assert table.loc[("raw_over_w1", "data"), "covered"] == 0
    assert table.loc[("grad_norm_mean", "data"), "median_factor"] == pytest.approx(1, abs=0.01)
    assert transfer(rows, rules).empty
    adam = transfer(rows.assign(**{"method.optimiser": "adam"}), rules)
    assert set(adam["problem.name"]) == {"one", "two", "three"}
    assert transfer(rows.drop(columns="critic"), rules).empty
    assert transfer(elsewhere, rules.drop(columns="problems")).empty  # a table of another version


def test_the_first_rule_that_is_there_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, files = rule_table(planted_rows(seeds=1)), (tmp_path / "one.csv", tmp_path / "other.csv")
    monkeypatch.setattr("otbench.results.tables.transfer.RULE_FILES", files)
    assert fitted_rule() is None
    with pytest.raises(InputError, match="no fitted rule is here"):
        advise(8, (16,))
    files[1].write_bytes(to_csv("rule", table))
    found = fitted_rule()
    assert found is not None
    assert read_rule(found, "k_eff", "critic")[0].kappa == read_rule(table, "k_eff", "critic")[0].kappa
    assert advise(8, (16,)).best == pytest.approx(advise(8, (16,), table=table).best)
    table.drop(columns="given").to_csv(files[0], index=False)
    with pytest.raises(InputError, match="write it anew with `otbench tables`"):
        advise(8, (16,))


def test_a_coverage_that_is_raised_by_hand_is_found(tmp_path: Path) -> None:
    rows = planted_rows(seeds=1)
    rows.loc[rows["problem.name"] == "three", "raw_over_w1"] *= 5
    table, stored = held_out(rows), Stored(Results(tmp_path / "clip"))
    stored.__dict__["tables"] = {"held_out": table}
    stored.results.tables.mkdir(parents=True)
    file = stored.results.tables / "held_out.csv"
    file.write_bytes(to_csv("held_out", table))
    assert list(differing(stored)) == []
    low = table["covered"].idxmin()
    file.write_bytes(to_csv("held_out", table.assign(covered=table["covered"].where(table.index != low, 0.95))))
    (found,) = differing(stored)
    assert (found.column, found.observed) == ("covered", "0.95")
