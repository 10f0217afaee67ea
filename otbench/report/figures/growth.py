"""The picture of how solvers of W1 grow: seconds and bytes against the points of a sample."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from otbench.report.figures.style import COLOURS, MARKERS
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
    size = (max(7.8, 2.6 * len(dims) + 0.6), 5.0)
    figure, grid = plt.subplots(2, len(dims), figsize=size, sharex=True, sharey="row", squeeze=False,
                                layout="constrained")  # fmt: skip
    names = {name: text.format(table["gap"].max()) for name, text in SOLVER_NAMES.items()}
    for column, dim in enumerate(dims):
        here = table[table["dim"] == dim]
        _lines(grid[0][column], here, "seconds", 1.0, names)
        _lines(grid[1][column], here, "peak_memory_bytes", 2.0**30, names)
        grid[0][column].set_title(f"d = {dim}")
        grid[1][column].set_xlabel("points of a sample")
    grid[0][0].set_ylabel("seconds")
    grid[1][0].set_ylabel("peak memory, GiB")
    named = {label: line for panel in grid[0] for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=3)
    told = dict.fromkeys(str(machines.get(name, {}).get("processor", name)) for name in table["machine"])
    threads = ", ".join(str(n) for n in sorted(table["threads"].unique()))
    figure.suptitle(f"translation, independent samples; {', '.join(told)}, threads: {threads}", fontsize=9)
    return figure


def _lines(panel: Axes, rows: pd.DataFrame, name: str, unit: float, names: Mapping[str, str]) -> None:
    for (_, solver), part in rows.groupby(["machine", "solver"], sort=False):
        part, k = part.sort_values("n"), ORDER.index(str(solver))
        x = part["n"].to_numpy(float)
        middle, low, high = (part[f"{name}_{end}"] / unit for end in ("median", "q1", "q3"))
        panel.plot(x, middle, color=COLOURS[k], marker=MARKERS[k], markersize=4, label=names[str(solver)])
        panel.fill_between(x, low, high, color=COLOURS[k], alpha=0.2, linewidth=0)
    panel.set(xscale="log", yscale="log")
    panel.xaxis.set_minor_formatter(NullFormatter())
