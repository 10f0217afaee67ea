"""Records of generators in training: resumed by whole jobs, checked by their rules, and what follows from them."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from failing_disk import interruptions
from scipy import stats
from small import lines, write_lines
from small_gan import PLAN, declare_gan, timeless

from otbench.errors import ResultsError
from otbench.experiment.run.study_runner import run_plan
from otbench.report.check.rules import CURVE_RULES, all_measured, check_results
from otbench.report.markdown import write_tables
from otbench.results.folder import Stored
from otbench.results.seal import seal, seal_holds
from otbench.results.store import Results
from otbench.results.tables.gan import NUMBERS, curve_frame, ends
from otbench.results.tables.tracking import CURVE_TABLES, ranking, runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """One small generator experiment, really run."""
    folder = tmp_path_factory.mktemp("generator")
    assert run_plan(declare_gan(folder), folder / "results" / "gan") == 8
    write_tables(Results(folder / "results" / "gan"), "csv")
    return folder / "results" / "gan"


def changed(changes: dict[str, str]) -> str:
    """The text of the small experiment with changes."""
    text = PLAN
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def longer(tmp_path_factory) -> Path:
    """One with more readings, of one data set."""
    folder = tmp_path_factory.mktemp("longer")
    changes = {'"ring", "digits"': '"ring"', "[2, 5,": "[1, 5,", "iterations = 6": "iterations = 18"}
    run_plan(declare_gan(folder, changed(changes)), folder / "gan")
    return folder / "gan"


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
    assert list(found) == ["certificates", "ladder", "held out", "ranges", "complete", "declaration", "seal", "tables"]
    assert {rule: list(map(str, violations)) for rule, violations in found.items() if violations} == {}


@pytest.mark.parametrize(("left", "jobs"), [(1, 0), (8, 1), (20, 1), (24, 2)])
def test_an_interrupted_run_goes_on_by_whole_jobs(left, jobs, trained, tmp_path):
    declared, folder = declare_gan(tmp_path), tmp_path / "results"
    folder.mkdir()
    whole, each = lines(trained / "measurements.jsonl"), (8, 16)  # a loop alone, and one with critics trained afresh
    text = (trained / "measurements.jsonl").read_text().splitlines(keepends=True)
    (folder / "measurements.jsonl").write_text("".join(text[:left]) + text[left][:20])  # torn in mid-line
    assert run_plan(declared, folder, workers=1) == 8 - jobs
    again = lines(folder / "measurements.jsonl")
    assert timeless(again) == timeless(whole)
    kept = sum(each[:jobs])
    assert again[:kept] == whole[:kept]  # what was whole is kept as it was
    assert run_plan(declared, folder) == 0


@pytest.mark.slow
def test_two_workers_leave_the_records_in_the_declared_order(trained, tmp_path):
    assert run_plan(declare_gan(tmp_path), tmp_path / "results", workers=2) == 8
    assert timeless(lines(tmp_path / "results" / "measurements.jsonl")) == timeless(
        lines(trained / "measurements.jsonl")
    )


def test_records_in_another_order_are_put_into_the_declared_one(trained, tmp_path):
    (tmp_path / "results").mkdir()
    rows = lines(trained / "measurements.jsonl")
    write_lines(tmp_path / "results" / "measurements.jsonl", rows[24:] + rows[:24])
    assert run_plan(declare_gan(tmp_path), tmp_path / "results") == 0
    assert lines(tmp_path / "results" / "measurements.jsonl") == rows


def test_no_interrupted_run_leaves_a_seal_that_does_not_hold(trained, tmp_path):
    """Of a sealed folder whose records have another order than the plan, and one that it does not ask for."""
    rows, declared = lines(trained / "measurements.jsonl"), declare_gan(tmp_path)

    def prepare(place: Path) -> Results:
        results = Results(place / "gan")
        results.folder.mkdir()
        write_lines(results.measurements_file, [*rows[24:], *rows[:24], rows[0] | {"key": "of another plan"}])
        seal(results)
        return results

    def work(results: Results) -> None:
        run_plan(declared, results.folder)

    for results, ended in interruptions(tmp_path, "killed", prepare, work):
        kept = seal_holds(results)
        assert kept is True if ended else kept is not False
        assert run_plan(declared, results.folder) == 0
        assert seal_holds(results) is True


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
        ("ladder", "spectral <= slope", {"spectral_constant": 1e-9, "raw": 1e-12}),
        ("ladder", "spectral <= clip constant", {"clip_constant": 1e-30}),
        ("ladder", "ladder", {"spectral_constant": None}),
        ("held out", "floor > 0", {"floor": 0.0}),
        ("held out", "one floor a data set and seed", {"floor": 1e-3}),
        ("held out", "one primal a generator", {"n_critic": "5", "primal": 1.0}),
        ("ranges", "modes found", {"modes": 9}),
        ("ranges", "modes counted", {"modes": None}),
        ("ranges", "printed", {"printed": None}),
        ("ranges", "raw at half budget", {"raw_half": 1.0}),
        ("ranges", "seconds_exact >= 0", {"seconds_exact": -1.0}),
        ("complete", "every planned measurement is there", {"key": "another"}),
    ],
)
def test_a_planted_fault_is_found(rule, part, change, copy):
    rows = lines(copy.measurements_file)
    next(row for row in rows if later(row)).update(change)
    write_lines(copy.measurements_file, rows)
    stored = Stored(copy)
    found = all_measured(stored) if rule == "complete" else CURVE_RULES[rule](stored.frame)
    assert part in {violation.rule for violation in found}


@pytest.mark.parametrize("name", ["primal", "primal_lower", "longest_move", "nearest", "modes"])
def test_a_critic_trained_afresh_that_reads_other_points_than_the_loop_s_is_found(name, copy):
    rows = lines(copy.measurements_file)
    row = next(row for row in rows if later(row) and row["n_critic"] == "converged")
    row[name] = row[name] + 1 if name == "modes" else row[name] * (1 + 1e-12)
    write_lines(copy.measurements_file, rows)
    assert f"one {name} a generator" in {violation.rule for violation in check_results(copy)["held out"]}


@pytest.mark.parametrize("schema", [1, 2, 4])
def test_records_of_another_schema_are_refused(schema, copy):
    write_lines(copy.measurements_file, [row | {"schema": schema} for row in lines(copy.measurements_file)])
    with pytest.raises(ResultsError, match=f"has schema {schema}, this otbench reads 3"):
        check_results(copy)


def test_a_generator_that_begins_elsewhere_is_found(copy):
    rows = lines(copy.measurements_file)
    rows[0]["primal"] *= 1 + 1e-5
    write_lines(copy.measurements_file, rows)
    assert "one primal a data set and seed" in {violation.rule for violation in check_results(copy)["held out"]}


@pytest.mark.parametrize("table", CURVE_TABLES)
def test_a_number_of_a_table_that_was_changed_is_found(table, copy):
    file = copy.tables / f"{table}.csv"
    header, *rest = csv.reader(file.read_text().splitlines())
    name = next(name for name in reversed(header) if rest[0][header.index(name)] not in ("", "0.123"))
    was, rest[0][header.index(name)] = rest[0][header.index(name)], "0.123"
    file.write_text("".join(",".join(line) + "\n" for line in [header, *rest]))
    (found,) = check_results(copy)["tables"]
    assert (found.column, found.observed, found.bound) == (name, "0.123", was)


def test_a_record_that_is_gone_is_found(copy):
    write_lines(copy.measurements_file, lines(copy.measurements_file)[:-1])
    assert check_results(copy)["complete"]


def of_run(rows, *arm):
    """The records of one run in the order of its iterations."""
    names = ("dataset", "clip", "n_critic", "seed")
    return sorted((r for r in rows if tuple(r[n] for n in names) == arm), key=lambda row: row["iteration"])


def readings_of(run):
    """Every number at every reading after the first, and the exact W1, derived anew from the records."""
    worth = lambda r, raw, constant: max(raw, 0.0) / r[constant] if r[constant] else 0.0  # noqa: E731
    numbers = {
        "printed": [-r["printed"] for r in run[1:]],
        "slope": [worth(r, r["raw"], "slope_constant") for r in run[1:]],
        "spectral": [worth(r, r["raw"] - r["raw_error"], "spectral_constant") for r in run[1:]],
        "clock": [-r["iteration"] for r in run[1:]],
    }
    numbers |= {name: [r[name] for r in run[1:]] for name in ("raw", "c_transform", "nearest")}
    return numbers, [r["primal"] for r in run[1:]]


def test_the_tables_follow_from_the_records(longer):
    rows = lines(longer / "measurements.jsonl")
    found = runs(curve_frame(rows)).set_index(["dataset", "clip", "n_critic", "seed", "number"])
    table = Stored(Results(longer)).tables["tracking"].set_index(["clip", "n_critic", "number"])
    for arm in {index[:4] for index in found.index}:
        numbers, w1 = readings_of(of_run(rows, *arm))
        assert set(numbers) == set(NUMBERS)
        for number, values in numbers.items():
            line = found.loc[(*arm, number)]
            assert line["differences"] == pytest.approx(rank(np.diff(values), np.diff(w1)))
            assert line["rank"] == pytest.approx(rank(values, w1))
            r, a, b = rank(values, w1), *(rank(each, range(len(w1))) for each in (values, w1))
            of_number, of_w1 = 1 - a**2, 1 - b**2  # what the iteration leaves of each
            due = np.nan if of_w1 < 1e-9 else 0.0 if of_number < 1e-9 else (r - a * b) / np.sqrt(of_number * of_w1)
            assert line["partial"] == pytest.approx(due, nan_ok=True, abs=1e-9)
            seeds = found.loc[(*arm[:3], slice(None), number), "rank"]
            assert table.loc[(*arm[1:3], number), "rank_median"] == pytest.approx(seeds.median())
            assert table.loc[(*arm[1:3], number), "rank_low"] >= seeds.min()
            assert table.loc[(*arm[1:3], number), "rank_high"] <= seeds.max()


def rank(values, w1):
    return stats.spearmanr(values, w1).statistic if len(set(values)) > 1 else 0.0


def test_the_verdict_weighs_every_arm_alike_and_counts_those_that_are_sure(longer):
    stored = Stored(Results(longer))
    each, table = runs(stored.frame), stored.tables["verdict"].set_index(["dataset", "n_critic", "number"])
    for (n_critic, number), part in each.groupby(["n_critic", "number"]):
        line = table.loc[("ring", n_critic, number)]
        wide = part.pivot(index="seed", columns="clip", values="partial")
        assert line["partial_median"] == pytest.approx(wide.mean(axis=1).median())
        for other in ("nearest", "raw"):
            null = each[(each["n_critic"] == n_critic) & (each["number"] == other)]
            apart = wide - null.pivot(index="seed", columns="clip", values="partial")
            assert line[f"partial_over_{other}_median"] == pytest.approx(apart.mean(axis=1).median())
        assert (line["arms"], line["seeds"]) == (wide.notna().all().sum(), 2)
        assert line["above"] == int((wide > 0).all().sum())  # of two seeds the interval is the range
        assert line["below"] == int((wide < 0).all().sum())
        assert line.equals(table.loc[("all", n_critic, number)])  # of one data set
    clock = table.xs("clock", level="number")
    assert (clock[["partial_median", "differences_median", "rank_over_clock_median"]] == 0).all(axis=None)
    assert (table.xs("nearest", level="number")["partial_over_nearest_median"] == 0).all()


def test_runs_are_ranked_among_those_that_are_compared(longer):
    """Where a number is W1 itself all orders are right, and where it is -W1 all are wrong; the clock has no order."""
    frame = Stored(Results(longer)).frame
    rows = frame[frame["n_critic"] != "1"]
    three = pd.concat([rows.assign(n_critic=name, primal=rows["primal"] + k) for k, name in enumerate(("1", "2", "3"))])
    table = ranking(three.assign(raw=three["primal"], slope=-three["primal"])).set_index(["among", "number"])
    for among, size in (("loops", 6), ("one_clip", 3)):
        assert table.loc[(among, "raw"), "runs"] == size
        for rule in ("kendall", "spearman"):
            values = [table.loc[(among, number), f"{rule}_median"] for number in ("raw", "slope", "clock")]
            assert values == pytest.approx([1, -1, 0])


def test_a_generator_that_stands_still_is_told_and_has_no_order_to_follow(longer):
    frame = Stored(Results(longer)).frame
    at = frame["iteration"] > 4
    still = frame.assign(primal=frame["primal"].where(~at | (frame["clip"] != 0.1), 1.0))
    table = ends(still)
    assert (table["stopped_median"] == (table["clip"] == 0.1)).all()
    known = runs(still).groupby("clip")["rank"].agg(lambda rank: rank.notna().all())
    assert known.to_dict() == {0.01: True, 0.1: False}
    assert (ends(frame)["stopped_median"] == 0).all()


def test_ends_are_last_readings(longer):
    rows, table = lines(longer / "measurements.jsonl"), Stored(Results(longer)).tables["ends"]
    for line in table.itertuples():
        each = [of_run(rows, "ring", line.clip, line.n_critic, seed) for seed in (0, 1)]
        assert line.final_w1_median == pytest.approx(np.median([run[-1]["primal"] for run in each]))
        assert line.lowest_w1_median == pytest.approx(np.median([min(r["primal"] for r in run) for run in each]))
        spent = [sum(r["seconds_critic"] for r in run) for run in each]
        assert line.seconds_critic_median == pytest.approx(np.median(spent))
        if line.n_critic == "converged":
            shares = [np.median([abs(r["raw_half"] / r["raw"]) for r in run]) for run in each]
            assert line.half_share_median == pytest.approx(np.median(shares))
        else:
            assert np.isnan(line.half_share_median)


def test_a_generator_that_diverges_is_a_result(tmp_path):
    text = changed({"5e-4": "1e38", '"ring", "digits"': '"swiss_roll"', "[0, 1]": "[0]", "2, 5, ": ""})
    run_plan(declare_gan(tmp_path, text), tmp_path / "gan")
    rows = lines(tmp_path / "gan" / "measurements.jsonl")
    assert {row["status"] for row in rows if row["iteration"] == 6} == {"diverged"}
    write_tables(Results(tmp_path / "gan"), "csv")
    assert not any(check_results(Results(tmp_path / "gan")).values())



def test_the_command_runs_a_generator_experiment(otbench, tmp_path):
    (tmp_path / "work" / "gan.toml").write_text(PLAN)
    asked = ("run", "gan.toml", "--workers", 1)
    place = "with 1 worker on cpu; they go to results/gan\n"
    assert otbench(*asked, "--dry-run").out == "gan: 8 measurements, 0 done, 8 to do\n" + place
    assert otbench(*asked).out == "gan: 8 measurements made; 5 tables changed\n"
    assert otbench(*asked).out == "gan: 0 measurements made; 0 tables changed\n"
    assert otbench(*asked, "--dry-run").out == "gan: 8 measurements, 8 done, 0 to do\n" + place
    assert otbench("check", "gan").out == "gan: 8 rules, 0 violations\n"
    assert "see results/gan/tables" in otbench("show", "gan").out
