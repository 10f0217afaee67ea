"""The picture of how W1 of samples comes to W1 of their laws: mean errors against n, with their slopes and theory's."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from otbench.report.figures.style import COLOURS, MARKERS, describe, few_ticks, lowest, panels
from otbench.results.tables.convergence import FALLS_FROM

#: Panels in a row.
ACROSS_A_PAGE = 3


def convergence(table: pd.DataFrame, errors: pd.DataFrame) -> Figure:
    """Mean |W1(P_n, Q_n) - W1(P, Q)| against n, one panel per problem and one colour per dimension.

    A fitted line goes through the geometric mean of the points that it is fitted to. The dashed line beside it has
    theory's slope, without logarithms, and begins at the first of them.

    Args:
        table: the table of exponents (``otbench.results.tables.convergence``).
        errors: the table of mean errors by size.
    """
    cell = [name for name in table if str(name).startswith("problem.") and name != "problem.dim"]
    dims = sorted(table["problem.dim"].unique())
    both = errors.merge(table.drop(columns="population_w1"), on=[*cell, "problem.dim"])
    problems = list(both.groupby(cell, dropna=False, sort=False))
    named = sorted(set(both["problem.name"].astype(str)))
    across = min(ACROSS_A_PAGE, len(problems))
    down = -(-len(problems) // across)
    figure, grid = panels(down, across, 1.9, sharey=True, sharex=True)
    for panel, (_, rows) in zip(grid.flat, problems, strict=False):
        equal = not rows["population_w1"].gt(0).any()
        panel.set_title("equal laws" if equal else str(rows["problem.name"].iloc[0]))
        for k, dim in enumerate(dims):
            _one(panel, rows[(rows["problem.dim"] == dim) & (rows["error_mean"] > 0)].sort_values("sampling.n"), k)
        panel.set(xscale="log", yscale="log")
        few_ticks(panel.xaxis)
        few_ticks(panel.yaxis)
    lowest(grid, len(problems), "points of a sample")
    figure.supylabel("mean |W1 of samples - W1 of laws|", fontsize=9)
    marks = [Line2D([], [], color=COLOURS[k], marker=MARKERS[k], markersize=4, linewidth=0) for k in range(len(dims))]
    styles = [Line2D([], [], color="black", linewidth=1), Line2D([], [], color="black", linewidth=1, linestyle="--")]
    names = [*(f"d = {dim}" for dim in dims), "fitted", "theory's slope"]
    figure.legend([*marks, *styles], names, loc="outside lower center", ncols=5, columnspacing=1.2)
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 0.5)
    describe(
        figure, f"How fast W1 of independent samples comes to W1 of their laws: {', '.join(named)}",
        "Marks are means over pairs of samples with n points each; no critic is trained. Solid: the fitted power of n;",
        f"dashed: the power that theory gives, without its logarithms, from the first fitted point ({FALLS_FROM}) on.",
        "Of equal laws W1 is 0.",
    )  # fmt: skip
    return figure


def _one(panel: Axes, rows: pd.DataFrame, k: int) -> None:
    """The points of one problem and dimension, their fitted line, and theory's."""
    n, error = rows["sampling.n"].to_numpy(float), rows["error_mean"].to_numpy(float)
    panel.plot(n, error, color=COLOURS[k], marker=MARKERS[k], markersize=4, linewidth=0)
    fitted = n >= FALLS_FROM
    if fitted.sum() < 2:
        return
    exponent, equal, apart = (float(rows[name].iloc[0]) for name in ("exponent", "rate_equal", "rate_apart"))
    middle = np.log(n[fitted]).mean(), np.log(error[fitted]).mean()
    panel.plot(n[fitted], np.exp(middle[1] + exponent * (np.log(n[fitted]) - middle[0])), color=COLOURS[k],
               linewidth=1)  # fmt: skip
    rate = equal if np.isnan(apart) else apart
    panel.plot(n[fitted], error[fitted][0] * (n[fitted] / n[fitted][0]) ** rate, color=COLOURS[k], linewidth=1,
               linestyle="--", alpha=0.6)  # fmt: skip
