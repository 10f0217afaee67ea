"""The picture of whom a dual value certifies: what critics prove of samples and of their laws, by sample size."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS

#: What is drawn of which critic: the column of the table, the critic, how the line looks, and its name.
DRAWN_BOUNDS: Any = (
    ("upper", "zero", {"color": "black", "linestyle": "--"}, "exact W1 of the samples (upper bound)"),
    ("slope", "weight_clip", {"color": COLOURS[1], "linestyle": ":"}, "clipped, of the samples: raw / slope"),
    ("held_out", "weight_clip", {"color": COLOURS[1]}, "clipped, held out"),
    ("held_out", "potential", {"color": COLOURS[0]}, "exact potential of the sample, held out"),
    ("held_out", "linear", {"color": COLOURS[2]}, "linear, held out"),
)


def laws(table: pd.DataFrame) -> Figure | None:
    """Bounds over the points of a sample, one row of panels per dimension and one column per problem, with intervals.

    They are over W1 of the laws, and in the data's unit where the laws are equal; laws whose W1 is not known are left
    out. There is a line per cell: of the clipped critics one for every depth and clip value. None where no law was
    sampled in two sizes.

    Args:
        table: the table of laws (``otbench.results.tables.laws``).
    """
    table = table[table["population_w1"].notna()]
    if table["sampling.n"].nunique() < 2:
        return None
    table = table.assign(title=table["problem.name"].where(table["population_w1"] > 0, "equal laws"))
    table = table[table.groupby(["title", "sampling.fresh"])["sampling.n"].transform("nunique") > 1]
    if table.empty:
        return None
    titles, dims = list(dict.fromkeys(table["title"])), sorted(table["problem.dim"].unique())
    size = (2.5 * len(titles), 2.1 * len(dims))
    figure, grid = plt.subplots(
        len(dims), len(titles), figsize=size, sharex=True, squeeze=False, layout="constrained"
    )
    for panels, dim in zip(grid, dims, strict=True):
        for panel, title in zip(panels, titles, strict=True):
            _panel(panel, table[(table["title"] == title) & (table["problem.dim"] == dim)])
        panels[0].set_ylabel(f"d = {dim}\nbound / W1 of the laws")
    for panel, title in zip(grid[0], titles, strict=True):
        panel.set_title(title)
    for panel in grid[-1]:
        panel.set_xlabel("points of a sample")
    handles, labels = grid[0][0].get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=3)
    return figure


def _panel(panel: Axes, rows: pd.DataFrame) -> None:
    cell = [name for name in rows if str(name).startswith("method.")]
    for column, critic, look, label in DRAWN_BOUNDS:
        for _, line in rows[rows["critic"] == critic].groupby(cell, dropna=False):
            ordered = line.sort_values("sampling.n")
            unit = ordered["population_w1"].where(ordered["population_w1"] > 0, 1.0)
            middle = ordered["upper"] if column == "upper" else ordered[f"{column}_median"]
            panel.plot(ordered["sampling.n"], middle / unit, **look, linewidth=1.2, label=label)
            if column != "upper":
                low, high = ordered[f"{column}_low"] / unit, ordered[f"{column}_high"] / unit
                panel.fill_between(ordered["sampling.n"], low, high, color=look["color"], alpha=0.12, linewidth=0)
    panel.axhline(1.0 if (rows["population_w1"] > 0).any() else 0.0, color="black", linewidth=0.8)
    panel.set_xscale("log", base=2)
