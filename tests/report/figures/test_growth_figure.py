"""The pictures of solvers that grow and of samples that converge: every line is the table's, in its own panel."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from otbench.report.figures.convergence import convergence
from otbench.report.figures.growth import growth
from otbench.report.figures.style import COLOURS, STYLE
from otbench.results.tables.growth import ORDER

SOLVERS = ("dense", "sparse", "sinkhorn")


def solvers() -> pd.DataFrame:
    """Lines in which no two numbers are alike, sizes not in order."""
    lines: list[dict[str, Any]] = []
    for dim in (2, 16):
        for solver in SOLVERS:
            for n in (4000, 1000, 2000):
                size = 1.0 + len(lines) / 7
                lines.append({"machine": "abc", "device": "cpu", "threads": 2, "solver": solver, "dim": dim, "n": n,
                              "gap": 0.0073 if solver == "sinkhorn" else 1e-12,
                              **{f"{name}_{part}": unit * size * share
                                 for name, unit in (("seconds", 1.0), ("peak_memory_bytes", 2.0**30))
                                 for part, share in (("q1", 0.9), ("median", 1.0), ("q3", 1.2))}})  # fmt: skip
    return pd.DataFrame(lines)


def test_seconds_and_bytes_are_the_tables_and_the_legend_is_outside_the_data() -> None:
    table = solvers()
    with mpl.rc_context(STYLE):
        figure = growth(table, {"abc": {"processor": "A 9000"}})
    grid = np.array(figure.axes, dtype=object).reshape(2, 2)
    for column, dim in enumerate((2, 16)):
        assert grid[0][column].get_title() == f"d = {dim}"
        for row, name, unit in ((0, "seconds", 1.0), (1, "peak_memory_bytes", 2.0**30)):
            panel = grid[row][column]
            assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
            for line, band, solver in zip(panel.get_lines(), panel.collections, SOLVERS, strict=True):
                part = table[(table["dim"] == dim) & (table["solver"] == solver)].sort_values("n")
                assert list(line.get_xdata()) == [1000, 2000, 4000]
                assert list(line.get_ydata()) == pytest.approx(list(part[f"{name}_median"] / unit))
                corners = band.get_paths()[0].vertices[:, 1]
                assert (corners.min(), corners.max()) == pytest.approx(
                    (part[f"{name}_q1"].min() / unit, part[f"{name}_q3"].max() / unit)
                )
                assert line.get_color() == COLOURS[ORDER.index(solver)]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "otbench, dense", "otbench, sparse", "POT Sinkhorn, certified to 0.7%"
    ]  # fmt: skip
    figure.draw_without_rendering()
    boxes = [panel.get_window_extent() for panel in figure.axes]
    assert not any(legend.get_window_extent().overlaps(box) for box in boxes)
    assert figure.bbox.x0 <= legend.get_window_extent().x0
    assert legend.get_window_extent().x1 <= figure.bbox.x1
    caption = " ".join(figure.get_suptitle().split())
    assert "translation, independent samples" in caption
    assert "A 9000, threads: 2" in caption
    plt.close(figure)


def test_points_are_the_mean_errors_and_lines_have_the_fitted_and_theory_s_slope() -> None:
    sizes, laws = (4096, 64, 256, 1024), {"balls": 0.75, "translation": 0.0}
    table, errors = [], []
    for name, known in laws.items():
        for dim, slope in ((2, -0.5), (8, -0.2)):
            problem = {"problem.name": name, "problem.shift": None if known else 0.0, "problem.dim": dim}
            table.append({**problem, "population_w1": known, "exponent": slope - known / 9, "rate_equal": -1 / dim,
                          "rate_apart": -0.4 if known else np.nan})  # fmt: skip
            errors += [{**problem, "population_w1": known, "sampling.n": n, "error_mean": dim * (1 + known) / n**0.3}
                       for n in sizes]  # fmt: skip
    figure = convergence(pd.DataFrame(table), pd.DataFrame(errors))
    assert [panel.get_title() for panel in figure.axes] == ["balls", "equal laws"]
    for panel, (name, known) in zip(figure.axes, laws.items(), strict=True):
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
        for k, dim in enumerate((2, 8)):
            points, fitted, theory = panel.get_lines()[3 * k : 3 * k + 3]
            assert {line.get_color() for line in (points, fitted, theory)} == {COLOURS[k]}
            assert list(points.get_xdata()) == sorted(sizes)
            assert list(points.get_ydata()) == pytest.approx([dim * (1 + known) / n**0.3 for n in sorted(sizes)])
            (line,) = (line for line in table if (line["problem.name"], line["problem.dim"]) == (name, dim))
            for drawn, slope in ((fitted, line["exponent"]), (theory, -0.4 if known else -1 / dim)):
                assert list(drawn.get_xdata()) == [256, 1024, 4096]
                x, y = np.log(drawn.get_xdata()), np.log(drawn.get_ydata())
                assert np.diff(y) / np.diff(x) == pytest.approx(slope)
            assert np.log(fitted.get_ydata()).mean() == pytest.approx(np.log(points.get_ydata()[1:]).mean())
            assert theory.get_ydata()[0] == pytest.approx(points.get_ydata()[1])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["d = 2", "d = 8", "fitted", "theory's slope"]
    plt.close(figure)
