"""The picture of how solvers of W1 grow: seconds and bytes against the points of a sample."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS, describe, few_ticks, legend_below, panels
from otbench.results.tables.growth import ORDER

#: How a solver is called in the legend.
SOLVER_NAMES = {
    "dense": "otbench, dense", "sparse": "otbench, sparse", "lazy": "POT emd2_lazy",
    "assignment": "scipy linear_sum_assignment", "sinkhorn": "POT Sinkhorn, certified to {:.1%}",
}  # fmt: skip


def growth(table: pd.DataFrame, machines: Mapping[str, Any]) -> Figure:
    """Median seconds, and below them median peak bytes, against n, one panel per dimension and one line per solver.

    The bands are quartiles of the samples. Lines of several machines look alike, and the title names all of them.

    Args:
        table: the table of solvers (``otbench.results.tables.growth``).
        machines: the facts of every machine in it, as in meta.json.
    """
    dims = sorted(table["dim"].unique())
    figure, grid = panels(2, len(dims), 1.8, sharex=True, sharey="row")
    names = {name: text.format(table["gap"].max()) for name, text in SOLVER_NAMES.items()}
    for column, dim in enumerate(dims):
        here = table[table["dim"] == dim]
        _lines(grid[0][column], here, "seconds", 1.0, names)
        _lines(grid[1][column], here, "peak_memory_bytes", 2.0**30, names)
        grid[0][column].set_title(f"d = {dim}")
        grid[1][column].set_xlabel("points of a sample")
    grid[0][0].set_ylabel("seconds")
    grid[1][0].set_ylabel("peak memory, GiB")
    legend_below(figure, grid[0], 2)
    told = dict.fromkeys(str(machines.get(name, {}).get("processor", name)) for name in table["machine"])
    threads = ", ".join(str(n) for n in sorted(table["threads"].unique()))
    describe(
        figure, "How solvers of W1 grow with n, the points of a sample: translation, independent samples",
        f"Medians over samples, bands their quartiles; {', '.join(told)}, threads: {threads}. No critic is trained.",
    )
    return figure


def _lines(panel: Axes, rows: pd.DataFrame, name: str, unit: float, names: Mapping[str, str]) -> None:
    for (_, solver), part in rows.groupby(["machine", "solver"], sort=False):
        part, k = part.sort_values("n"), ORDER.index(str(solver))
        x = part["n"].to_numpy(float)
        middle, low, high = (part[f"{name}_{end}"] / unit for end in ("median", "q1", "q3"))
        panel.plot(x, middle, color=COLOURS[k], marker=MARKERS[k], markersize=4, label=names[str(solver)])
        panel.fill_between(x, low, high, color=COLOURS[k], alpha=0.2, linewidth=0)
    panel.set(xscale="log", yscale="log")
    few_ticks(panel.xaxis)
    few_ticks(panel.yaxis)
