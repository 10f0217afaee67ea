"""The picture of how W1 of samples comes to W1 of their laws: mean errors against n, with their slopes and theory's."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from otbench.report.figures.style import COLOURS, MARKERS
from otbench.results.tables.convergence import FALLS_FROM


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
    panels = list(both.groupby(cell, dropna=False, sort=False))
    size = (2.5 * len(panels), 3.4)
    figure, grid = plt.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained", sharey=True)
    for panel, (_, rows) in zip(grid[0], panels, strict=True):
        equal = not rows["population_w1"].gt(0).any()
        panel.set_title("equal laws" if equal else str(rows["problem.name"].iloc[0]))
        for k, dim in enumerate(dims):
            _one(panel, rows[(rows["problem.dim"] == dim) & (rows["error_mean"] > 0)].sort_values("sampling.n"), k)
        panel.set(xscale="log", yscale="log", xlabel="points of a sample")
    grid[0][0].set_ylabel("mean |W1 of samples - W1 of laws|")
    marks = [Line2D([], [], color=COLOURS[k], marker=MARKERS[k], markersize=4, linewidth=0) for k in range(len(dims))]
    styles = [Line2D([], [], color="black", linewidth=1), Line2D([], [], color="black", linewidth=1, linestyle="--")]
    names = [*(f"d = {dim}" for dim in dims), "fitted", "theory's slope"]
    figure.legend([*marks, *styles], names, loc="outside lower center", ncols=5)
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
