"""The headline on a terminal, in a pipe and for programs."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from command_line import Otbench, assert_one_line
from rich.console import Console
from small import lines, write_lines

from otbench.cli.drawn import draw
from otbench.report.headline import fields_in_names, headline, settings_by_letter, told_by_others
from otbench.report.latex import number
from otbench.results.folder import load
from otbench.results.store import Results

COMMITTED = Path(__file__).parent.parent.parent / "results"

#: A table of two columns that tell lines apart and three measured ones, each ten wide.
TABLE = pd.DataFrame([["shared_mass", "0.01 c", *(f"{k:>9}." for k in range(3))]], columns=["name", "lr", *"abc"])


def drawn(width: int, terminal: bool) -> tuple[list[str], list[str]]:
    """The lines printed on so wide a terminal, or into a pipe, and the columns left out."""
    out = io.StringIO()
    left_out = draw(TABLE, 2, Console(file=out, width=width, force_terminal=terminal, color_system=None))
    return out.getvalue().splitlines(), left_out


@pytest.mark.parametrize(("width", "left_out"), [(80, []), (45, ["c"]), (33, ["b", "c"]), (20, ["b", "c"])])
def test_a_table_is_no_wider_than_its_terminal(width: int, left_out: list[str]) -> None:
    printed, out = drawn(width, terminal=True)
    assert out == left_out
    assert max(map(len, printed)) <= width
    if width > 20:  # wide enough for whole cells
        assert all(text in "\n".join(printed) for text in ("shared_mass", "0.01 c", "0."))


def test_a_pipe_gets_every_column_and_no_lines(otbench: Otbench, small_results: Path) -> None:
    printed, out = drawn(20, terminal=False)
    assert (out, len(printed)) == ([], 2)
    assert printed[0].split() == ["name", "lr", "a", "b", "c"]
    shown = otbench("show", "--results", small_results.parent).out
    assert shown.isascii()
    assert len(shown.splitlines()) == 2 + len(headline(load(small_results)))


def test_the_headline_in_every_format_has_the_same_numbers(otbench: Otbench, small_results: Path) -> None:
    where = ("--results", small_results.parent, "--columns", "slope_over_w1,skill")
    table = headline(load(small_results), ["slope_over_w1", "skill"], intervals=True)
    assert {"slope_over_w1_low", "slope_over_w1_high", "skill_low", "skill_high"} <= set(table)
    several = table[table["cells"] > 1]  # one seed has no interval
    assert (several["slope_over_w1_low"] <= several["slope_over_w1"]).all()
    as_csv = pd.read_csv(io.StringIO(otbench("show", *where, "--format", "csv").out))
    assert list(as_csv) == ["experiment", *table]
    assert (as_csv["slope_over_w1"] - table["slope_over_w1"]).abs().max() < 1e-5
    as_json = json.loads(otbench("show", *where, "--json").out)
    assert as_json == json.loads(otbench("show", *where, "--format", "json").out)
    assert [line["slope_over_w1"] for line in as_json["small"]] == table["slope_over_w1"].tolist()
    assert {None} == {line["skill"] for line, skill in zip(as_json["small"], table["skill"], strict=True)
                      if skill != skill} | {None}  # fmt: skip
    for form, start in (("markdown", "### small\n\n| problem"), ("latex", "% small, headline: medians")):
        text = otbench("show", *where, "--format", form).out
        assert text.startswith(start)
        for value, low, high in table[["slope_over_w1", "slope_over_w1_low", "slope_over_w1_high"]].dropna().to_numpy():
            assert (number(value, low, high) if form == "latex" else f"{value:.3g}") in text


@pytest.mark.parametrize(("options", "said"), [
    (("--columns", "slop"), "unknown column of numbers 'slop': did you mean 'slope'?"),
    (("--json", "--format", "csv"), "--json and --format csv ask for two formats; leave one of them out"),
])  # fmt: skip
def test_what_cannot_be_shown_is_one_line(
    options: tuple[str, ...], said: str, otbench: Otbench, small_results: Path
) -> None:
    assert_one_line(otbench("show", "--results", small_results.parent, *options), said)


@pytest.mark.parametrize(("name", "what"), [("generator", "curves of GANs in training"), ("timing", "times")])
def test_measurements_have_no_headline_and_are_called_by_their_name(name: str, what: str, otbench: Otbench) -> None:
    done = otbench("show", name, "--results", COMMITTED)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{name}: {what}, which have no headline; see {COMMITTED / name / 'tables'}\n"


@pytest.mark.parametrize("command", ["show", "tables", "tables --verify", "figures"])
def test_an_interrupted_run_says_how_many_cells_are_missing(command: str, otbench: Otbench, copy: Results) -> None:
    write_lines(copy.rows_file, lines(copy.rows_file)[:100])
    done = otbench(*command.split(), "--results", copy.folder.parent)
    assert done.err == "small: 13 of 113 cells are missing; `otbench run small` does them\n"


def test_measurements_that_are_not_all_there_are_told(otbench: Otbench, tmp_path: Path) -> None:
    there, name = COMMITTED / "generator", "generator"
    (tmp_path / name).mkdir()
    (tmp_path / name / "meta.json").write_bytes((there / "meta.json").read_bytes())
    whole = Results(there).measurements()
    for kept, said in ((whole, ""), (whole[:-1], "generator: not all planned measurements are there; ")):
        write_lines(tmp_path / name / "measurements.jsonl", kept)
        done = otbench("show", name, "--results", tmp_path)
        assert done.err.startswith(said)
        assert bool(done.err) == bool(said)


def test_on_a_wide_terminal_every_problem_has_a_table_that_shows_what_was_measured(
    otbench: Otbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    monkeypatch.setenv("FORCE_COLOR", "1")
    frame = load(COMMITTED / "critics")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", otbench("show", "critics", "--results", COMMITTED).out)
    printed = [line.rstrip() for line in shown.splitlines()]
    modes = {f"{problem}, {mode}" for problem, mode in zip(frame["problem.name"], frame["sampling.mode"], strict=True)}
    assert modes <= set(printed)
    headings = [line for line in printed if " critic " in line]
    assert len(headings) == len(modes)
    assert all("raw/W1" in line and "slope/W1" in line for line in headings)
    assert sum("group_sort" in line or "weight_clip" in line for line in printed) == len(
        headline(frame).query("critic in ('group_sort', 'weight_clip')")
    )


def test_a_field_of_one_critic_stands_beside_its_name() -> None:
    table = pd.DataFrame({
        "critic": ["sinkhorn", "sinkhorn", "group_sort", "linear"],
        "method.reg": [0.1, 0.5, float("nan"), float("nan")],
        "method.steps": [float("nan"), float("nan"), 300.0, 300.0],
    })  # fmt: skip
    told = fields_in_names(table)
    assert told["critic"].tolist() == ["sinkhorn reg=0.1", "sinkhorn reg=0.5", "group_sort", "linear"]
    assert list(told) == ["critic", "method.steps"]
    alone = table[:2].assign(**{"method.steps": 1.0})
    assert fields_in_names(alone).equals(alone)


@pytest.mark.parametrize("name", ["clip", "critics", "images"])
def test_on_a_narrow_terminal_every_table_shows_what_critics_print_and_breaks_no_word(
    name: str, otbench: Otbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", otbench("show", name, "--results", COMMITTED).out)
    headings = [line for line in shown.splitlines() if " critic " in line]
    assert headings
    assert all("raw/W1" in line and len(line.rstrip()) <= 80 for line in headings)
    assert "…" not in shown
    told = set(re.findall(r"^([A-Z]): ", shown, re.MULTILINE))
    assert set(re.findall(r" [a-z_]+ ([A-Z])  ", shown)) == told


def test_columns_that_tell_no_lines_apart_are_known_and_all_lines_differ_without_them() -> None:
    of_a_comparison = pd.DataFrame({
        "problem.dim": [784, 784, 784, 784], "problem.comparison": ["classes", "classes", "halves", "halves"],
        "sampling.m": [400, 400, 200, 200], "sampling.n": [400, 400, 200, 200],
        "critic": ["linear", "zero", "linear", "zero"],
    })  # fmt: skip
    assert told_by_others(of_a_comparison) == ["sampling.m", "sampling.n"]
    of_two_sizes = of_a_comparison.assign(**{"sampling.n": [400, 400, 200, 100], "critic": "linear"})
    of_two_sizes.loc[1, "sampling.n"] = 100
    assert told_by_others(of_two_sizes) == ["sampling.m"]
    table = headline(load(COMMITTED / "images"))
    left = table.drop(columns=told_by_others(table))
    telling = [name for name in left if name == "critic" or "." in name]
    assert not left.duplicated(telling).any()
    assert len(telling) < sum(name == "critic" or "." in name for name in table)


def test_letters_tell_apart_what_the_columns_told_apart() -> None:
    frame = load(COMMITTED / "clip")
    table = headline(frame[frame["problem.name"] == "shared_mass"])
    told, letters = settings_by_letter(table)
    named = told["critic"].map(lambda name: letters.get(name.split(" ")[-1], ""))
    for column in set(table) - set(told):
        value = f"{column.split('.')[1]}=" + table[column].map("{:g}".format if table[column].dtype == float else str)
        known = table[column].notna()
        assert all(v in text.split(", ") for v, text in zip(value[known], named[known], strict=True))
    assert len(letters) == len(set(letters.values())) > 1
    many = pd.DataFrame({"critic": "linear", "method.steps": [float(k) for k in range(27)]})
    assert settings_by_letter(many)[0].equals(many)
    alike = many[["critic"]]
    assert settings_by_letter(alike)[0].equals(alike)
