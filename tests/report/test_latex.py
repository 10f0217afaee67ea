"""Tables for papers: the digits that an interval's width gives, what TeX must not read, and what TeX makes of it."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Otbench, assert_one_line
from hypothesis import given
from hypothesis import strategies as st

from otbench.report.headline import headline
from otbench.report.latex import escaped, heading, latex_table, number
from otbench.report.markdown import PAPER, as_text, by_clip
from otbench.results.folder import load

NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.mark.parametrize(("given_", "text"), [
    ((0.912345, 0.77, 1.0), r"$0.91\ [0.77,\,1.00]$"),  # half-width 0.115: to hundredths
    ((0.912345, 0.907, 0.921), r"$0.9123\ [0.9070,\,0.9210]$"),  # 0.0070: to ten-thousandths
    ((0.912345, 0.8128, 1.012), r"$0.91\ [0.81,\,1.01]$"),  # 0.0996 is 0.10: to hundredths
    ((449.0, 447.0, 489.0), r"$449\ [447,\,489]$"),
    ((12345.6, 11000.0, 13000.0), r"$12300\ [11000,\,13000]$"),  # to hundreds
    ((-0.0123, -0.24, 0.39), r"$-0.01\ [-0.24,\,0.39]$"),
    ((0.5, 0.5 - 1e-9, 0.5 + 1e-9), r"$0.500000\ [0.500000,\,0.500000]$"),  # six digits at most
    ((1.0, 1.0, 1.0), r"$1.00\ [1.00,\,1.00]$"),
    ((1.5e-5, 9e-6, 2e-5), r"$(1.50\ [0.90,\,2.00])\times 10^{-5}$"),
    ((1234567.0, 1.2e6, 1.3e6), r"$(1.235\ [1.200,\,1.300])\times 10^{6}$"),
    ((-0.001, -0.002, 0.0), r"$-0.0010\ [-0.0020,\,0.0000]$"),
    ((99.96,), "$100$"), ((0.12345,), "$0.123$"), ((0.0,), "$0.00$"), ((-0.0,), "$0.00$"),
    ((3.2e-7,), r"$3.20\times 10^{-7}$"), ((float("inf"),), r"$\infty$"), ((float("nan"),), ""),
    ((2.0, float("nan"), 3.0), "$2.00$"),
])  # fmt: skip
def test_a_number_has_the_digits_that_its_interval_gives(given_: tuple[float, ...], text: str) -> None:
    assert number(*given_) == text


@given(st.floats(1e-3, 1e4), st.floats(1e-4, 1.0), st.floats(1e-4, 1.0))
def test_what_is_written_is_near_what_is_meant(value: float, below: float, above: float) -> None:
    low, high = value * (1 - below), value * (1 + above)
    shown = [float(part) for part in NUMBERS.findall(number(value, low, high).replace(r"\,", ""))[:3]]
    for written, meant in zip(shown, (value, low, high), strict=True):
        assert abs(written - meant) <= max(0.055 * (high - low) / 2, 0.51 * 10 ** (np.floor(np.log10(high)) - 5))


@given(st.text(max_size=30))
def test_no_text_is_a_command_of_tex(text: str) -> None:
    made = escaped(text)
    assert made.isascii()
    left = re.sub(r"\\(?:text[a-z]+\{\}|[&%$#_{}])|\{[\[\]*]\}", "", made)
    assert not set(left) & set("\\&%$#_{}~^<>|[]*`\n")


def test_headings_have_symbols_and_units() -> None:
    told = {"raw_over_w1": "raw/$W_1$", "slope_over_population_w1": "slope/$W_1$ of laws",
            "primal": "primal (data's unit)", "seconds_fit_median": "seconds fit (s)", "c_over_c_star": r"$c/c^\ast$",
            "method.clip": "clip $c$",
            "problem.a_b": "a b", "peak_memory_bytes": "peak memory bytes (B)"}  # fmt: skip
    assert {name: heading(name) for name in told} == told


def test_a_table_has_what_tells_its_lines_apart_and_no_more() -> None:
    table = pd.DataFrame({
        "problem.name": ["a_b", "c%"], "problem.version": [1, 2], "key": ["x", "y"], "device": ["cpu", "cpu"],
        "empty": [np.nan, np.nan], "slope_over_w1_median": [0.5, 0.25], "slope_over_w1_q1": [0.4, 0.2],
        "slope_over_w1_q3": [0.6, 0.3], "slope_over_w1_low": [0.45, 0.2], "slope_over_w1_high": [0.55, np.nan],
        "seeds": [3, 1],
    })  # fmt: skip
    assert latex_table(table, "what\nit is").splitlines() == [
        "% what it is",
        "% the same in all lines: device = cpu",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"problem & slope/$W_1$ & seeds \\",
        r"\midrule",
        r"a\_b & $0.500\ [0.450,\,0.550]$ & 3 \\",
        r"c\% & $0.250$ & 1 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_the_headline_for_a_paper_is_short_and_has_its_intervals(otbench: Otbench, small_results: Path) -> None:
    text = otbench("show", "--results", small_results.parent, "--format", "latex").out
    frame = load(small_results)
    table = headline(frame, [name for name in PAPER if frame[name].notna().any()], intervals=True)
    lines = text.splitlines()
    heads = next(line for line in lines if r"slope/$W_1$" in line).removesuffix(r" \\").split(" & ")
    assert len(heads) <= 16
    assert not any(word in text for word in ("sha256", "version", "_low"))
    cells = [line.removesuffix(r" \\").split(" & ") for line in lines[lines.index(r"\midrule") + 1 : -2]]
    assert len(cells) == len(table)
    assert {len(line) for line in cells} == {len(heads)}
    for line, (_, row) in zip(cells, table.iterrows(), strict=True):
        shown = line[heads.index(r"slope/$W_1$")]
        ends = (float(row[f"slope_over_w1{end}"]) for end in ("", "_low", "_high"))
        assert shown == number(*ends)
    assert as_text("matrix", frame, "latex").decode() == text.partition("\n")[2]  # of the rows a paper gets this


def test_columns_are_chosen(otbench: Otbench, small_results: Path) -> None:
    where = ("--results", small_results.parent, "--format", "latex")
    text = otbench("show", *where, "--columns", "skill").out
    assert "& skill" in text
    assert "slope" not in text
    text = otbench("show", *where, "--table", "agreement", "--columns", "skill").out
    assert "& skill" in text
    assert "slope" not in text


def test_tables_of_the_readme_are_there_with_every_number_s_interval(otbench: Otbench, small_results: Path) -> None:
    where = ("--results", small_results.parent)
    text = otbench("show", *where, "--table", "clip_values", "--format", "csv").out
    assert "raw/W1, d=2,\"raw/W1, d=2_low\"" in text or "raw/W1, d=2_low" in text
    plain, told = by_clip(load(small_results)), by_clip(load(small_results), intervals=True)
    for name in plain.columns[:-1]:
        assert (plain[name] == told[name]).all()
    for name in [name for name in plain if "d=" in str(name)]:
        known = told[f"{name}_low"].notna()
        assert (told[f"{name}_low"] <= told[name] + 1e-12)[known].all()
    assert r"raw/$W_1$, d=2" in otbench("show", *where, "--table", "clip_values", "--format", "latex").out
    assert "small: clip_values, " in otbench("show", *where, "--table", "clip_values").out


@pytest.mark.parametrize(("options", "said"), [
    (("--table", "clp"), "unknown table 'clp': did you mean 'clip'?"),
    (("--table", "shares"), "small has no table shares; its own: matrix, agreement, "),
    (("--table", "scale_and_shape"), "small has no table scale_and_shape; its own: "),
    (("--table", "clip", "--columns", "slop"), "unknown column of table clip 'slop': known: c_over_c_star_high, "),
])  # fmt: skip
def test_a_table_that_is_not_there_is_refused_in_one_line(
    options: tuple[str, ...], said: str, otbench: Otbench, small_results: Path
) -> None:
    assert_one_line(otbench("show", "--results", small_results.parent, *options), said)


HOSTILE = "a_b%$#&{}~^\\|<>[*]\"`'--日本 \x00 ?`!` x"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here")
def test_tex_sets_the_tables(otbench: Otbench, small_results: Path, tmp_path: Path) -> None:
    where = ("--results", small_results.parent, "--format", "latex")
    tables = [otbench("show", *where).out, otbench("show", *where, "--table", "clip_values").out,
              latex_table(pd.DataFrame({HOSTILE: [HOSTILE, "[x"], "n": [1.5, -1e-9], "n_low": [1.0, -2e-9],
                                        "n_high": [2.0, np.nan]}), HOSTILE)]  # fmt: skip
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\\tiny\n"
    (tmp_path / "paper.tex").write_text(head + "\n\n".join(tables) + "\\end{document}\n")
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"], cwd=tmp_path,
                          capture_output=True, text=True, errors="replace")  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
