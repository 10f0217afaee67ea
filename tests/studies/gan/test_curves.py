"""Records of generators in training: resumed by whole jobs, checked by their rules, and what follows from them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import lines, write_lines
from small_gan import PLAN, declare_gan, timeless

from otbench.errors import ResultsError
from otbench.experiment.run.study_runner import run_plan
from otbench.report.check.rules import check_results
from otbench.report.markdown import write_tables
from otbench.results.folder import Stored
from otbench.results.store import Results
from otbench.results.tables.gan import curve_frame, runs, spearman


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """One small generator experiment, really run."""
    folder = tmp_path_factory.mktemp("generator")
    assert run_plan(declare_gan(folder), folder / "results" / "gan") == 8
    write_tables(Results(folder / "results" / "gan"), "csv")
    return folder / "results" / "gan"


@pytest.fixture
def copy(trained, tmp_path) -> Results:
    """A copy of its records to damage."""
    folder = tmp_path / "gan"
    (folder / "tables").mkdir(parents=True)
    for file in (trained / "measurements.jsonl", trained / "meta.json", *(trained / "tables").iterdir()):
        (folder / file.relative_to(trained)).write_bytes(file.read_bytes())
    return Results(folder)


def test_the_checker_agrees(trained):
    found = check_results(Results(trained))
    assert list(found) == ["certificates", "ladder", "held out", "ranges", "complete", "declaration", "tables"]
    assert {rule: list(map(str, violations)) for rule, violations in found.items() if violations} == {}


@pytest.mark.parametrize("left", [1, 8, 11])
def test_an_interrupted_run_goes_on_by_whole_jobs(left, trained, tmp_path):
    declared, folder = declare_gan(tmp_path), tmp_path / "results"
    folder.mkdir()
    whole = lines(trained / "measurements.jsonl")
    each = len(whole) // 4
    text = (trained / "measurements.jsonl").read_text().splitlines(keepends=True)
    (folder / "measurements.jsonl").write_text("".join(text[:left]) + text[left][:20])  # torn in mid-line
    assert run_plan(declared, folder, workers=1) == 4 - left // each
    again = lines(folder / "measurements.jsonl")
    assert timeless(again) == timeless(whole)
    assert again[: left // each * each] == whole[: left // each * each]  # what was whole is kept as it was
    assert run_plan(declared, folder) == 0


@pytest.mark.slow
def test_two_workers_leave_the_records_in_the_declared_order(trained, tmp_path):
    assert run_plan(declare_gan(tmp_path), tmp_path / "results", workers=2) == 4
    assert timeless(lines(tmp_path / "results" / "measurements.jsonl")) == timeless(
        lines(trained / "measurements.jsonl")
    )


def test_records_in_another_order_are_put_into_the_declared_one(trained, tmp_path):
    (tmp_path / "results").mkdir()
    rows = lines(trained / "measurements.jsonl")
    write_lines(tmp_path / "results" / "measurements.jsonl", rows[12:] + rows[:12])
    assert run_plan(declare_gan(tmp_path), tmp_path / "results") == 0
    assert lines(tmp_path / "results" / "measurements.jsonl") == rows


def test_records_of_a_plan_that_was_changed_are_left_out(trained, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    (results / "measurements.jsonl").write_bytes((trained / "measurements.jsonl").read_bytes())
    assert run_plan(declare_gan(tmp_path, PLAN.replace("seeds = [0, 1]", "seeds = [1]")), results) == 0
    assert {row["seed"] for row in lines(results / "measurements.jsonl")} == {1}
    write_tables(Results(results), "csv")
    assert not any(check_results(Results(results)).values())


def later(row):
    return row["iteration"] > 0


@pytest.mark.parametrize(
    ("rule", "part", "change"),
    [
        ("certificates", "gap", {"gap": 1.1e-8}),
        ("certificates", "violation >= 0", {"violation": -1e-300}),
        ("certificates", "interval's width", {"primal_lower": 0.0}),
        ("certificates", "primal <= upper", {"primal_upper": 0.0}),
        ("certificates", "primal <= longest move", {"longest_move": 1e-9}),
        ("certificates", "certificate", {"primal_lower": None}),
        ("certificates", "marginal error", {"marginal_error": -1.1e-9}),
        ("certificates", "certificate", {"status": "refused"}),
        ("certificates", "certificate", {"primal": None}),
        ("ladder", "slope <= c_transform", {"raw": 1.0, "slope_constant": 1e-3}),
        ("ladder", "c_transform <= primal", {"c_transform": 1e3}),
        ("ladder", "nearest <= c_transform", {"nearest": 1e3}),
        ("ladder", "raw <= S W1", {"raw": 1e3}),
        ("ladder", "nearest >= 0", {"nearest": -1e-12}),
        ("ladder", "ladder", {"raw": None}),
        ("ranges", "modes found", {"modes": 9}),
        ("ranges", "modes counted", {"modes": None}),
        ("ranges", "printed", {"printed": None}),
        ("ranges", "one floor a job", {"floor": 1.0}),
        ("ranges", "seconds_exact >= 0", {"seconds_exact": -1.0}),
        ("complete", "every planned measurement is there", {"key": "another"}),
    ],
)
def test_a_planted_fault_is_found(rule, part, change, copy):
    rows = lines(copy.measurements_file)
    next(row for row in rows if later(row)).update(change)
    write_lines(copy.measurements_file, rows)
    assert part in {violation.rule for violation in check_results(copy)[rule]}


INTERVAL = ("primal_lower", "primal_upper", "longest_move")


def of_the_first_schema(row):
    return {name: value for name, value in row.items() if name not in INTERVAL} | {"schema": 1}


def test_records_of_the_first_schema_are_read_and_held_to_the_gap_they_tell(copy):
    rows = [of_the_first_schema(row) for row in lines(copy.measurements_file)]
    write_lines(copy.measurements_file, rows)
    assert not any(check_results(copy)[rule] for rule in ("certificates", "ladder", "ranges"))
    for part, columns in (("gap", {"gap": 2e-9}), ("violation", {"violation": 2e-9}), ("certificate", {"gap": None})):
        faulty = [row | {name: value and value * row["primal"] for name, value in columns.items()} for row in rows]
        write_lines(copy.measurements_file, faulty)
        assert part in {violation.rule for violation in check_results(copy)["certificates"]}


def test_records_of_a_later_schema_are_refused(copy):
    write_lines(copy.measurements_file, [row | {"schema": 3} for row in lines(copy.measurements_file)])
    with pytest.raises(ResultsError, match="has schema 3, this otbench reads"):
        check_results(copy)


def test_a_generator_that_begins_elsewhere_is_found(copy):
    rows = lines(copy.measurements_file)
    rows[0]["primal"] += 1e-6
    write_lines(copy.measurements_file, rows)
    assert "one primal a job" in {violation.rule for violation in check_results(copy)["ranges"]}


def test_a_record_that_is_gone_and_a_correlation_that_was_changed_are_found(copy):
    write_lines(copy.measurements_file, lines(copy.measurements_file)[:-1])
    assert check_results(copy)["complete"]
    file = copy.tables / "tracking.csv"
    header, first, *rest = file.read_text().splitlines(keepends=True)
    name, was = header.split(",")[5], first.split(",")[5]
    file.write_text("".join([header, first.replace(was, "0.123", 1), *rest]))
    (found,) = (violation for violation in check_results(copy)["tables"] if violation.cell.startswith("tracking.csv"))
    assert (found.column, found.observed, found.bound) == (name, "0.123", was)


def test_the_tables_follow_from_the_records(trained):
    rows = lines(trained / "measurements.jsonl")
    found = runs(curve_frame(rows)).set_index(["dataset", "clip", "seed"])
    for (dataset, clip, seed), line in found.iterrows():
        run = [r for r in rows if (r["dataset"], r["clip"], r["seed"]) == (dataset, clip, seed)]
        run.sort(key=lambda row: row["iteration"])
        w1 = [r["primal"] for r in run[1:]]
        slope = [max(r["raw"], 0.0) / r["slope_constant"] if r["slope_constant"] else 0.0 for r in run[1:]]
        assert line["rank_printed"] == pytest.approx(stats.spearmanr([-r["printed"] for r in run[1:]], w1).statistic)
        if len(set(slope)) > 1:
            assert line["rank_slope"] == pytest.approx(stats.spearmanr(slope, w1).statistic)
        assert (line["final_w1"], line["modes"]) == (w1[-1], run[-1]["modes"])
        assert line["lowest_w1"] == min(r["primal"] for r in run)
    table = Stored(Results(trained)).tables["tracking"]
    assert table["seeds"].tolist() == [2] * 4
    expected = found.loc[("ring", 0.1)]["final_w1"].median()
    (row,) = table[(table["dataset"] == "ring") & (table["clip"] == 0.1)].itertuples()
    assert row.final_w1_median == pytest.approx(expected)


def test_spearman_agrees_with_scipy_with_ties_and_gaps_and_is_empty_for_a_constant():
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = (curve_series(rng.integers(0, 5, 12).astype(float)) for _ in range(2))
        assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert np.isnan(spearman(curve_series([1.0, 1.0]), curve_series([1.0, 2.0])))
    assert spearman(curve_series([1.0, np.nan, 3.0]), curve_series([1.0, 9.0, 2.0])) == 1.0


def curve_series(values):
    return pd.Series(values, dtype=float)


def test_a_generator_that_diverges_is_a_result(tmp_path):
    text = PLAN.replace("5e-4", "1e38").replace('"ring", "digits"', '"swiss_roll"').replace("[0, 1]", "[0]")
    run_plan(declare_gan(tmp_path, text), tmp_path / "gan")
    rows = lines(tmp_path / "gan" / "measurements.jsonl")
    assert {row["status"] for row in rows if row["iteration"] == 6} == {"diverged"}
    write_tables(Results(tmp_path / "gan"), "csv")
    assert not any(check_results(Results(tmp_path / "gan")).values())



def test_the_command_runs_a_generator_experiment(otbench, tmp_path):
    (tmp_path / "work" / "gan.toml").write_text(PLAN)
    asked = ("run", "gan.toml", "--workers", 1)
    place = "with 1 worker on cpu; they go to results/gan\n"
    assert otbench(*asked, "--dry-run").out == "gan: 4 measurements, 0 done, 4 to do\n" + place
    assert otbench(*asked).out == "gan: 4 measurements made; 2 tables changed\n"
    assert otbench(*asked).out == "gan: 0 measurements made; 0 tables changed\n"
    assert otbench(*asked, "--dry-run").out == "gan: 4 measurements, 4 done, 0 to do\n" + place
    assert otbench("check", "gan").out == "gan: 6 rules, 0 violations\n"
    assert "see results/gan/tables" in otbench("show", "gan").out
