"""Cells whose solver may be stopped: an interval in place of W1, in rows, tables, headlines, pictures and the check."""

import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from command_line import Otbench
from matplotlib.figure import Figure
from small import declare, lines, write_lines
from stopped import run_stopped, twins

from otbench.errors import InputError
from otbench.experiment.cell import Sampling
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.runner import run_experiment
from otbench.report.check.rules import check_results, promises_kept
from otbench.report.figures.pictures import PICTURES
from otbench.report.headline import headline, labelled
from otbench.results.folder import Stored, load
from otbench.results.store import Results
from otbench.results.tables.bracketed import TRUTH, is_interval
from otbench.results.tables.cells import RUNGS
from otbench.transport import dense, exact, rounds


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_stopped(tmp_path_factory.mktemp("stopped"))


def test_a_row_says_what_was_proved_and_nothing_of_a_value(stopped: Path) -> None:
    pairs = twins(lines(stopped / "rows.jsonl"))
    intervals = [(row, whole) for row, whole in pairs if row["primal"] is None]
    assert len(pairs) == 40
    assert len(intervals) >= 30
    for row, whole in pairs:
        assert whole["primal"] is not None
        assert whole["reason"] == ""
        assert row["primal_lower"] <= whole["primal_upper"]
        assert whole["primal_lower"] <= row["primal_upper"]
    for row, _ in intervals:
        assert row["primal_lower"] < row["primal_upper"]
        assert (row["gap"], row["plan_cosine"], row["status"]) == (None, None, "ok")
        assert row["reason"] == "W1 is an interval alone: its solver was stopped, after 1e-09 s or for memory"
        assert (row["sampling_floor"] is None) == (row["sampling.mode"] == "independent")
        if row["method.name"] == "potential":
            assert row["primal_lower"] <= row["raw"] * (1 + 1e-12) <= row["primal_upper"] * (1 + 1e-12)


def test_what_needs_no_exact_value_is_the_same_however_long_w1_is_solved_for(stopped: Path) -> None:
    """The same points, the same critics; the potential alone is the solver's."""
    of_w1 = {"primal", "primal_lower", "primal_upper", "longest_move", "gap", "violation", "marginal_error", "reason"}
    of_w1 |= {"plan_cosine", "coincident_atoms", "sampling_floor", "key", "sampling.exact_seconds"}
    for row, whole in twins(lines(stopped / "rows.jsonl")):
        if row["method.name"] != "potential":
            assert {name for name in row if row[name] != whole[name]} <= of_w1


def test_a_true_ratio_lies_between_its_two_ends(stopped: Path) -> None:
    frame = load(stopped).set_index("key")
    for row, whole in twins(lines(stopped / "rows.jsonl")):
        if row["method.name"] == "potential":
            continue
        mine, true = frame.loc[row["key"]], frame.loc[whole["key"]]
        assert mine[TRUTH] == ("exact" if row["primal"] is not None else "interval")
        for rung in RUNGS:
            ratio = true[f"{rung}_over_w1"]
            ends = [each[f"{rung}_over_w1{end}"] for each in (mine, true) for end in ("_least", "_most")]
            assert np.isnan(ratio) == np.isnan(ends[0])
            if not np.isnan(ratio):
                assert ends[0] - 1e-9 <= ratio <= ends[1] + 1e-9
                assert ends[2] == ends[3] == ratio
            if row["primal"] is None:
                assert np.isnan(mine[f"{rung}_over_w1"])
                assert rung == "raw" or not ends[1] > 1


def test_the_check_finds_nothing(stopped: Path) -> None:
    found = check_results(Results(stopped))
    assert [str(violation) for violations in found.values() for violation in violations] == []


def test_a_picture_shows_the_cells_whose_w1_has_a_value(stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "valued")
    rows = lines(stopped / "rows.jsonl")
    write_lines(tmp_path / "valued" / "rows.jsonl", [row for row in rows if row["primal"] is not None])
    seen = []
    for folder in (stopped, tmp_path / "valued"):
        figure = PICTURES["ladder"](Stored(Results(folder)))
        assert isinstance(figure, Figure)
        seen.append([line.get_xydata().tolist() for panel in figure.axes for line in panel.lines])
        plt.close(figure)
    assert seen[0] == seen[1]
    assert any(seen[0])


def test_a_folder_of_intervals_alone_has_tables_and_a_headline_and_claims_no_crossing(
    stopped: Path, tmp_path: Path, otbench: Otbench
) -> None:
    copy = tmp_path / "results" / "alone"
    shutil.copytree(stopped, copy)
    write_lines(copy / "rows.jsonl", [row for row in lines(copy / "rows.jsonl") if row["primal"] is None])
    stored = Stored(Results(copy))
    assert not {"crossings", "exponents", "rule", "worth"} & set(stored.tables)
    agreement = stored.tables["agreement"]
    assert (agreement["intervals"] == agreement["cells"]).all()
    assert not {"slope_over_w1_median", "skill_median"} & set(agreement)
    assert (agreement["slope_over_w1_least_median"] <= agreement["slope_over_w1_most_median"]).all()
    assert [name for name, draw in PICTURES.items() if isinstance(draw(stored), Figure)] == []
    said = otbench("show", "alone", "--results", str(tmp_path / "results")).out
    count = len(stored.frame)
    assert f"W1 is an interval in {count} of {count} cells" in said


def in_one_line(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows as if all had one limit, that ended in time for seed 0 alone."""
    kept = frame[(frame["seed"] == 0) == (frame["sampling.exact_seconds"] == 600.0)]
    return kept.assign(**{"sampling.exact_seconds": 1.0})


def test_a_line_that_is_exact_in_part_has_no_median_of_its_exact_part(stopped: Path) -> None:
    """The seeds that were quick to solve are no fair part of all."""
    frame = in_one_line(load(stopped))
    table = headline(frame[frame["sampling.mode"] == "independent"])
    assert (table["intervals"] == 1).all()
    assert (table["cells"] == 2).all()
    for name in ("slope_over_w1", "raw_over_w1", "skill"):
        assert name not in table or table[name].isna().all()
    critics = frame[(frame["critic"] == "weight_clip") & (frame["sampling.mode"] == "independent")]
    for end in ("_least", "_most"):
        column = f"slope_over_w1{end}"
        medians = critics.groupby(["problem.name", "method.clip"])[column].median().sort_values()
        assert sorted(table[table["critic"] == "weight_clip"][column]) == pytest.approx(list(medians))
    shown = labelled(table)
    assert shown["slope/W1"].str.fullmatch(r"\[\S+, \S+\]").all()
    assert not [name for name in shown if name.endswith(("_least", "_most"))]


def test_the_upper_bound_of_laws_takes_the_upper_end(stopped: Path) -> None:
    stored = Stored(Results(stopped))
    rows = stored.frame[(stored.frame["critic"] == "zero") & (stored.frame["sampling.mode"] == "independent")]
    ends = rows[is_interval(rows)].groupby("problem.name")["primal_upper"].mean()
    table = stored.tables["laws"]
    lines_of = table[(table["critic"] == "zero") & (table["sampling.exact_seconds"] < 1)].set_index("problem.name")
    assert lines_of["upper"].to_dict() == pytest.approx(ends.to_dict())
    assert lines_of["primal_median"].isna().all()


def test_a_promise_is_held_against_the_upper_end(stopped: Path) -> None:
    frame = load(stopped)
    frame = frame[is_interval(frame) & (frame["critic"] == "potential")]
    median = frame["slope_over_w1_least"].median()
    assert 0 < median < 1
    for share, count in ((0.999, 0), (1.001, 1)):
        promise = {"ratio": "slope_over_w1", "at_least": median * share, "where": {"method.name": "potential"}}
        assert len(list(promises_kept(frame, [promise]))) == count


def test_rows_run_again_are_the_same_bytes_as_the_interval_is_kept(stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped.parent.parent, tmp_path / "all")
    again = tmp_path / "all" / "results" / "stopped"
    before = (again / "rows.jsonl").read_bytes()
    shutil.rmtree(again)
    run_experiment(load_experiment(str(tmp_path / "all" / "stopped.toml")), again)
    assert (again / "rows.jsonl").read_bytes() == before


def test_a_solver_that_gives_up_without_a_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval nobody asked for is no row with numbers."""
    monkeypatch.setattr(rounds, "MOST_ROUNDS", 0)
    monkeypatch.setattr(exact, "DENSE_PAIRS", 1)
    found = []
    for limit, memory in (("", 0), (", exact_seconds = 60", 2**40)):
        monkeypatch.setattr(dense, "free_memory", lambda memory=memory: memory)
        declared = declare(tmp_path, problem='{ name = "spheres", dim = 3 }', sampling=f"{{ n = 40{limit} }}")
        run_experiment(declared, tmp_path / "results" / f"tiny{memory}")
        found += lines(tmp_path / "results" / f"tiny{memory}" / "rows.jsonl")
    refused, allowed = found
    assert (refused["status"], refused["primal_upper"]) == ("refused", None)
    assert refused["reason"].startswith("exact solution refused: W1 is in [")
    assert (allowed["status"], allowed["primal"]) == ("ok", None)
    assert 0 < allowed["primal_lower"] < allowed["primal_upper"]


def test_a_limit_is_a_column_and_part_of_the_key_only_where_it_is_set(tmp_path: Path) -> None:
    plain, one, two = (
        declare(tmp_path, sampling=f"{{ n = 16{limit} }}").cells[0]
        for limit in ("", ", exact_seconds = 1", ", exact_seconds = 2.5")
    )
    assert set(one.columns()) - set(plain.columns()) == {"sampling.exact_seconds"}
    assert set(plain.columns()) <= set(one.columns())
    assert two.columns()["sampling.exact_seconds"] == 2.5
    assert len({cell.key for cell in (plain, one, two)}) == len({c.sample_key for c in (plain, one, two)}) == 3
    assert np.array_equal(plain.sample().x, two.sample().x)
    # what this cell's row was called before there was a limit
    assert plain.key == "7a3d355cd1624ba126e4a50e495a508f901e1a923ceaab3935a1e9be683637a1"


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), "60", True])
def test_a_limit_that_is_none_is_refused(limit: object) -> None:
    with pytest.raises(InputError, match="exact_seconds"):
        Sampling(exact_seconds=limit)
