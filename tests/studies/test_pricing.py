"""Starts of exact solves: all of one sample prove one W1, tables follow from rows by hand, and every limit is held."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from small import write_lines

import otbench.studies.pricing
from otbench.cli.reading import print_headlines
from otbench.errors import InputError
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.study_runner import missing_jobs, run_plan
from otbench.report.check.pricing_rules import one_w1, start_certificates, start_ranges
from otbench.report.check.rules import START_RULES, check_results
from otbench.report.check.violation import Violation
from otbench.report.figures.pictures import PICTURES
from otbench.report.markdown import write_tables
from otbench.results.compare import compare_results
from otbench.results.folder import Stored
from otbench.results.store import Results
from otbench.results.tables.pricing import pricing, pricing_frame, savings
from otbench.studies.pricing import PricingPlan
from otbench.transport.exact import solve_pair

PLAN = """
question = "What does a critic save?"
[pricing]
problems = [{ name = "translation", shift = 2.0 }, { name = "balls" }]
sizes = [[2, 60], [3, 40]]
seeds = [0]
patience = 1000.0
[pricing.critics]
nearest = { name = "zero" }
linear = { name = "linear" }
potential = { name = "potential" }
"clipped.1" = { name = "weight_clip", clip = 1.0, widths = [4], steps = 3 }
bursting = { name = "discriminator", lr = 1e38, steps = 3, widths = [4] }
"""

STARTS = ["subsample", "cold", "nearest", "linear", "potential", "clipped.1", "bursting"]

Record = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small study, really measured."""
    where = tmp_path_factory.mktemp("pricing")
    (where / "starts.toml").write_text(PLAN)
    declared = load_experiment(str(where / "starts.toml"))
    assert run_plan(declared, where / "results" / "starts") == 4
    assert run_plan(declared, where / "results" / "starts") == 0
    write_tables(Results(where / "results" / "starts"), "csv")
    return where / "results" / "starts"


def test_every_start_of_the_plan_is_measured_once_and_the_checker_agrees(folder: Path) -> None:
    stored = Stored(Results(folder))
    declared = load_experiment(str(folder.parent.parent / "starts.toml"))
    assert declared.plan is not None
    planned = [key for keys in declared.plan.records("cpu").values() for key in keys]
    assert [row["key"] for row in stored.measurements] == planned
    assert [row["start"] for row in stored.measurements] == STARTS * 4
    assert missing_jobs(declared, stored.results, "cpu") == (0, 4)
    assert (stored.kind, stored.is_study, stored.missing) == ("pricing", True, 0)
    found = check_results(stored)
    assert list(found) == [*START_RULES, "complete", "declaration", "seal", "tables"]
    assert {name: list(map(str, told)) for name, told in found.items()} == {name: [] for name in found}


def test_what_is_measured_is_what_the_solver_and_the_ladder_say(folder: Path) -> None:
    """A start that is exact leaves no gap and takes one round; on few points the skill of the exact critic is 1."""
    frame = Stored(Results(folder)).frame
    assert set(frame["status"]) == {"ok", "diverged"}
    assert set(frame[frame["status"] == "diverged"]["start"]) == {"bursting"}
    by = frame.set_index("start")
    for sample in load_experiment(str(folder.parent.parent / "starts.toml")).plan.jobs().values():  # type: ignore
        here = by[(by["problem"] == sample.problem.name) & (by["dim"] == sample.problem.dim)
                  & (by["n"] == sample.n) & (by["seed"] == sample.seed)]  # fmt: skip
        dense = solve_pair(sample.sample(), "dense")
        ok = here[here["status"] == "ok"]
        assert ok["primal"].to_numpy() == pytest.approx(dense.w1, rel=1e-12)
        assert (ok["part_primal"].dropna() - dense.w1).abs().max() < 1e-12  # few points: the part is all of them
    assert by.loc["cold", "start_gap"].eq(1).all()
    assert by.loc[["subsample", "potential"], "start_gap"].abs().max() < 1e-5
    assert by.loc["potential", "rounds"].eq(1).all()
    assert by.loc["potential", "skill"].to_numpy() == pytest.approx(1, abs=1e-6)
    assert by.loc["nearest", ["skill", "scale", "plan_cosine"]].eq(0).all(axis=None)
    assert by.loc["subsample", "over_subsample"].eq(1).all()
    assert by.loc[["nearest", "linear", "clipped.1"], "start_gap"].between(1e-3, 1).all()


def test_a_start_without_patience_is_given_up_with_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otbench.studies.pricing, "LEAST_SECONDS", 1e-9)
    plan = PricingPlan(problems=[{"name": "balls"}], sizes=[[2, 80]], seeds=[0], patience=1e-9,
                       critics={"nearest": {"name": "zero"}})  # fmt: skip
    (job,) = plan.jobs()
    rows = otbench.studies.pricing.measure(plan, job, "cpu")
    frame = pricing_frame([row | {"machine": "m"} for row in rows])
    assert frame["status"].tolist() == ["ok", "stopped", "stopped"]
    stopped = frame[frame["status"] == "stopped"]
    assert stopped["primal"].isna().all()
    assert (stopped["primal_lower"] < stopped["primal_upper"]).all()
    assert stopped["reason"].str.startswith("given up after").all()
    assert not [str(told) for rule in START_RULES.values() for told in rule(frame)]
    assert pricing(frame)["stopped"].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"problems": [{"name": "bals"}]}, "did you mean 'balls'"),
        ({"problems": [{"name": "balls", "dim": 2}]}, "takes its dimension from sizes"),
        ({"problems": [{"name": "balls"}, {"name": "balls", "inner": 0.5}]}, "told apart by name"),
        ({"critics": {"a": {"name": "weight_clip", "clp": 1}}}, "did you mean 'clip'"),
        ({"critics": {"a": {}}}, "needs the name of a method"),
        ({"critics": {"cold": {"name": "zero"}}}, "is there without being asked for"),
        ({"critics": {"two words": {"name": "zero"}}}, "pattern"),
        ({"sizes": [[2, 0]]}, "greater than or equal to 1"),
        ({"patience": 0.0}, "greater than 0"),
    ],
)
def test_a_plan_that_is_not_understood_is_refused_in_one_line(change: Record, told: str) -> None:
    fields: Record = {"problems": [{"name": "balls"}], "sizes": [[2, 9]], "seeds": [0], "critics": {}}
    PricingPlan(**fields)
    with pytest.raises(InputError, match=told) as refused:
        PricingPlan(**(fields | change))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        {"problems": [{"name": "balls", "inner": 0.5}]}, {"patience": 2.0}, {"critics": {}},
        {"critics": {"a": {"name": "weight_clip", "clip": 0.2}}}, {"critics": {"b": {"name": "weight_clip"}}},
    ],
)  # fmt: skip
def test_records_of_another_plan_have_other_keys_and_those_of_more_points_have_the_same(change: Record) -> None:
    fields: Record = {"problems": [{"name": "balls"}], "sizes": [[2, 9]], "seeds": [0],
                      "critics": {"a": {"name": "weight_clip"}}}  # fmt: skip
    (keys,) = PricingPlan(**fields).records("cpu").values()
    (others,) = PricingPlan(**(fields | change)).records("cpu").values()
    assert not set(keys) & set(others)
    more = PricingPlan(**(fields | {"sizes": [[3, 9], [2, 9]], "seeds": [1, 0]})).records("cpu")
    assert keys in more.values()
    assert len(more) == 4


def test_times_of_starts_are_shown_nowhere_as_headlines_and_not_compared(folder: Path, capsys) -> None:
    print_headlines(["starts"], folder.parent)
    assert "starts: starts of exact solves, which have no headline" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"not compared: merge the folders and read tables/pricing.csv"):
        compare_results(Stored(Results(folder)), Stored(Results(folder)))


#: A start from a critic that breaks no rule, on W1 = 2.
START: Record = {
    "schema": 3, "kind": "pricing", "key": "k", "machine": "m", "device": "cpu", "threads": 1, "load": 0.5,
    "problem": "p", "dim": 2, "n": 9, "seed": 0, "start": "critic", "method": "linear", "clip": None, "depth": None,
    "steps": None, "status": "ok", "reason": "", "rounds": 3, "pairs": 50, "pairs_in_all": 120, "start_lower": 1.5,
    "seconds_start": 1.0, "seconds_solve": 2.0, "seconds_fit": 0.5, "scale": 0.7, "c_transform": 1.4, "nearest": 0.4,
    "part_primal": 2.4, "plan_cosine": 0.6, "primal": 2.0, "primal_lower": 2.0, "primal_upper": 2.0,
    "longest_move": 3.0, "gap": 0.0, "violation": 0.0, "marginal_error": 0.0,
}  # fmt: skip

NO_CRITIC = dict.fromkeys(
    ("method", "seconds_fit", "scale", "c_transform", "nearest", "part_primal", "plan_cosine")
)  # fmt: skip


def sample_of(change: Record | None = None, start: str = "critic", **own: Any) -> list[Record]:
    """The three starts of one sample, one of them changed."""
    rows = [START | own | NO_CRITIC | {"start": "subsample", "start_lower": 1.9, "seconds_start": 0.5,
                                       "seconds_solve": 1.0},
            START | own | NO_CRITIC | {"start": "cold", "start_lower": 0.0}, START | own]  # fmt: skip
    return [row | change if change and row["start"] == start else row for row in rows]


def broken(rule: Any, rows: list[Record]) -> set[str]:
    found: Iterator[Violation] = rule(pricing_frame(rows))
    return {violation.rule for violation in found}


LIMITS: list[tuple[Any, str, Callable[[float], Record], str]] = [
    (start_certificates, "interval's width", lambda t: {"primal_upper": 2 + t * 2e-9}, "cold"),
    (start_certificates, "gap", lambda t: {"gap": t * 2e-9}, "critic"),
    (one_w1, "one W1 a sample", lambda t: {"primal_lower": 2 + (t > 1) * 1e-9, "primal_upper": 2 + 2e-9}, "critic"),
    (one_w1, "one W1 a sample", lambda t: {"primal_lower": 1.0, "primal_upper": 2 - (t > 1) * 1e-9}, "cold"),
    (one_w1, "lower <= upper", lambda t: {"primal_lower": 1.0, "primal_upper": 2 - 1.5 * (t > 1)}, "critic"),
    (one_w1, "a start proves at most W1", lambda t: {"start_lower": 2 * (1 + t * 1e-9)}, "critic"),
    (one_w1, "a start proves at least 0", lambda t: {"start_lower": -1e-300 * (t > 1)}, "critic"),
    (one_w1, "potentials of zero prove nothing", lambda t: {"start_lower": 1e-300 * (t > 1)}, "cold"),
    (start_ranges, "seconds_start >= 0", lambda t: {"seconds_start": -1e-9 * (t > 1)}, "critic"),
    (start_ranges, "seconds > 0", lambda t: {"seconds_start": 0.0, "seconds_solve": 1e-9 * (t < 1)}, "cold"),
    (start_ranges, "pairs <= pairs in all", lambda t: {"pairs_in_all": 50 - (t > 1)}, "subsample"),
    (start_ranges, "scale >= 0", lambda t: {"scale": -1e-300 * (t > 1)}, "critic"),
    (start_ranges, "nearest <= c_transform", lambda t: {"nearest": 1.4 * (1 + t * 1e-9)}, "critic"),
    (start_ranges, "c_transform <= W1 of its points", lambda t: {"c_transform": 2.4 * (1 + t * 1e-9)}, "critic"),
    (start_ranges, "plan_cosine <= 1", lambda t: {"plan_cosine": -1 - t * 1e-9}, "critic"),
]


@pytest.mark.parametrize(("rule", "name", "at", "start"), LIMITS)
def test_inside_a_limit_passes_and_beyond_is_reported(rule, name, at, start) -> None:
    assert name not in broken(rule, sample_of(at(0.9), start))
    assert name in broken(rule, sample_of(at(1.1), start))


@pytest.mark.parametrize(
    ("rule", "name", "change", "start"),
    [
        (start_certificates, "certificate", {"rounds": None}, "critic"),
        (start_certificates, "certificate", {"primal_lower": None}, "cold"),
        (start_certificates, "what others are compared with", {"status": "stopped"}, "subsample"),
        (start_certificates, "what others are compared with", {"start": "another"}, "subsample"),
        (start_ranges, "a critic's ladder", {"c_transform": None}, "critic"),
    ],
)
def test_what_is_missing_is_reported(rule, name, change, start) -> None:
    assert not broken(rule, sample_of())
    assert name in broken(rule, sample_of(change, start))


def test_a_start_that_was_given_up_is_held_to_its_interval_alone() -> None:
    gone: Record = {"status": "stopped", "primal": None, "primal_lower": 0.1, "primal_upper": 9.0, "gap": None}
    for rule in START_RULES.values():
        assert not broken(rule, sample_of(gone))
    assert broken(one_w1, sample_of(gone | {"primal_upper": 1.9})) == {"one W1 a sample"}


#: Of five critics and two seeds: gaps, skills, cosines and seconds, of which the last critic diverged for seed 1.
SECONDS = {0: [6.0, 3.0, 1.5, 0.75, 1.0], 1: [1.0, 2.0, 4.0, 8.0, None]}
LOWER = {0: [0.2, 0.6, 1.0, 1.6, 1.2], 1: [1.9, 1.5, 1.0, 0.5, None]}


def five_critics(dim: int = 2) -> list[Record]:
    rows = []
    for seed in (0, 1):
        rows += [row for row in sample_of(seed=seed, dim=dim) if row["start"] != "critic"]
        for k in range(5):
            row = START | {"seed": seed, "dim": dim, "start": f"critic{k}", "seconds_start": 0.0,
                           "seconds_solve": SECONDS[seed][k], "start_lower": LOWER[seed][k],
                           "c_transform": 0.4 + 0.2 * k, "plan_cosine": 0.9 - 0.1 * k}  # fmt: skip
            if SECONDS[seed][k] is None:
                row |= dict.fromkeys(("seconds_start", "c_transform", "plan_cosine", "primal", "rounds", "pairs"))
                row |= {"status": "diverged"}
            rows.append(row)
    return rows


def test_the_table_tells_medians_over_seeds_of_gaps_and_of_paired_ratios() -> None:
    table = pricing(pricing_frame(five_critics())).set_index("start")
    assert list(table.index) == ["subsample", "cold", *(f"critic{k}" for k in range(5))]
    for k in range(5):
        line = table.loc[f"critic{k}"]
        seconds = [SECONDS[seed][k] for seed in (0, 1) if SECONDS[seed][k] is not None]
        gaps = [(2 - LOWER[seed][k]) / 2 for seed in (0, 1) if LOWER[seed][k] is not None]
        for name, values in (("seconds", seconds), ("start_gap", gaps),
                             ("over_subsample", [value / 1.5 for value in seconds])):  # fmt: skip
            ends = (min(values), max(values)) if len(values) > 1 else (np.nan, np.nan)
            told = [line[f"{name}_{part}"] for part in ("median", "low", "high")]
            assert told == pytest.approx([np.mean(values), *ends], nan_ok=True)
        assert line["skill_median"] == pytest.approx(0.2 * k / 2.0, abs=1e-12)
        assert (line["seeds"], line["stopped"], line["diverged"]) == (2, 0, int(k == 4))
    assert table.loc["cold", "start_gap_median"] == 1
    assert table.loc["cold", "over_subsample_median"] == 2


def test_savings_are_rank_correlations_of_each_sample_with_what_its_critics_save() -> None:
    """For seed 0 the five ranks are 5 4 3 1 2 of the seconds: 1 - 6 sum of squares / 120 by hand; for seed 1 all ranks
    of four agree or are opposite."""
    table = savings(pricing_frame([*five_critics(2), *five_critics(3)])).set_index(["problem", "dim", "number"])
    due = {"skill": (0.9, -1.0), "plan_cosine": (-0.9, 1.0), "start_gap": (1.0, 1.0)}
    for number, (first, second) in due.items():
        for problem, dim in (("p", 2), ("p", 3), ("all", pd.NA)):
            (line,) = table[[p == problem and k == number and (pd.isna(d) if pd.isna(dim) else d == dim)
                             for p, d, k in table.index]].to_dict("records")  # fmt: skip
            told = [line[f"rank_{part}"] for part in ("median", "low", "high")]
            assert told == pytest.approx([(first + second) / 2, min(first, second), max(first, second)])
            assert (line["seeds"], line["critics"]) == (2, 4.5)


def test_the_picture_has_a_panel_for_every_dimension_and_a_mark_for_every_start(folder: Path) -> None:
    stored = Stored(Results(folder))
    figure = PICTURES["pricing"](stored)
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == ["d = 2", "d = 3"]
    for axes, dim in zip(figure.axes, (2, 3), strict=True):
        for start in STARTS[:-1]:
            rows = stored.frame[(stored.frame["dim"] == dim) & (stored.frame["start"] == start)]
            due = [(max(1e-7, part["start_gap"].median()), part["over_subsample"].median())
                   for _, part in rows.groupby("problem", sort=False)]  # fmt: skip
            (marks,) = [line for line in axes.get_lines() if line.get_label() == start]
            assert np.transpose(marks.get_data()).tolist() == [pytest.approx(list(point)) for point in due]
    plt.close(figure)


def test_a_damaged_start_is_told_where_it_is(folder: Path, tmp_path: Path) -> None:
    results = Results(tmp_path / "starts")
    results.folder.mkdir()
    rows = Results(folder).measurements()
    rows[3] = rows[3] | {"primal_lower": rows[3]["primal_upper"] + 0.01, "primal_upper": rows[3]["primal_upper"] + 0.1}
    write_lines(results.measurements_file, rows)
    results.meta_file.write_bytes(Results(folder).meta_file.read_bytes())
    found = check_results(results)
    assert {violation.rule for violation in found["one w1"]} >= {"one W1 a sample"}
    assert found["seal"]
