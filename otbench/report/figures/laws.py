"""The picture of whom a dual value certifies: what critics prove of samples and of their laws, by sample size."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from otbench.report.figures.captions import rate
from otbench.report.figures.style import COLOURS, describe, legend_below, panels
from otbench.results.tables.cells import one_of_each

#: What is drawn of which critic: the column of the table, the critic, how the line looks, and its name.
DRAWN_BOUNDS: Any = (
    ("upper", "zero", {"color": "black", "linestyle": "--"}, "W1 of the samples (upper bound)"),
    ("slope", "weight_clip", {"color": COLOURS[1], "linestyle": ":"}, "clipped, of the samples"),
    ("held_out", "weight_clip", {"color": COLOURS[1]}, "clipped, held out"),
    ("held_out", "potential", {"color": COLOURS[0], "marker": "^"}, "exact potential, held out"),
    ("held_out", "linear", {"color": COLOURS[2], "marker": "v"}, "linear, held out"),
)

#: The markers of clip values, from the least on.
OF_CLIPS = ("o", "s", "D", "P", "X")

#: Dimensions that are drawn: the least, the middle and the greatest of more.
DIMS_SHOWN = 3


def laws(table: pd.DataFrame) -> Figure | str:
    """Bounds over the points of a sample, one row of panels per problem and one column per dimension, with intervals.

    They are over W1 of the laws, and in the data's unit where the laws are equal; laws whose W1 is not known are left
    out. Clipped critics are of one network, and of them there is a line with its own marker for every clip value.

    Args:
        table: the table of laws (``otbench.results.tables.laws``).
    """
    table = table[table["population_w1"].notna()]
    if table["sampling.n"].nunique() < 2:
        return "no law whose W1 is known was sampled in two sizes"
    table = table.assign(title=_titles(table))
    table = table[table.groupby(["title", "sampling.fresh"])["sampling.n"].transform("nunique") > 1]
    if table.empty:
        return "no problem whose W1 is known was sampled in two sizes with as many points held out"
    clipped, network = one_of_each(table[table["critic"] == "weight_clip"], {"method.clip", "method.lr"}, "method.")
    table = pd.concat([table[table["critic"] != "weight_clip"], clipped])
    titles, every = list(dict.fromkeys(table["title"])), sorted(table["problem.dim"].unique())
    dims = every if len(every) <= DIMS_SHOWN else [every[0], every[len(every) // 2], every[-1]]
    clips = sorted(clipped["method.clip"].dropna().unique())
    figure, grid = panels(len(titles), len(dims), 1.25, sharex=True)
    for row, title in zip(grid, titles, strict=True):
        for panel, dim in zip(row, dims, strict=True):
            _panel(panel, table[(table["title"] == title) & (table["problem.dim"] == dim)], clips)
        row[0].set_ylabel(title)
    for panel, dim in zip(grid[0], dims, strict=True):
        panel.set_title(f"d = {dim}")
    for panel in grid[-1]:
        panel.set_xlabel("points of a sample")
    legend_below(figure, grid.flat, 2)
    left = [f"d = {', '.join(map(str, set(every) - set(dims)))}"] if len(every) > len(dims) else []
    left += [f"clipped critics with other {network.split(' = ')[0]}"] if network else []
    seeds = f" over {_several(table['seeds'])} seeds" if "seeds" in table else ""
    describe(
        figure, "Whom a dual value certifies: bounds over W1 of the laws, against the size of the samples",
        f"Clipped critics: {network.replace('.0', '') or 'one network'}, {rate(clipped)}. A critic's raw on",
        f"{_several(table['sampling.fresh'])} points held out, over a constant known everywhere, is an estimate of a",
        "lower bound of W1 of the laws (solid, 1); what it proves of the samples (dotted) is none. Of equal laws the",
        f"unit is the data's, and W1 is 0. Marks are medians{seeds}, bands their 95 % intervals.",
        f"Not shown: {'; '.join(left)}." if left else "",
    )  # fmt: skip
    return figure


def _titles(table: pd.DataFrame) -> "pd.Series[str]":
    return table["problem.name"].where(table["population_w1"] > 0, "equal laws").str.replace("_", " ")


def _several(column: "pd.Series[Any]") -> str:
    return " or ".join(f"{value:g}" for value in sorted(column.dropna().unique()))


def _panel(panel: Axes, rows: pd.DataFrame, clips: list[float]) -> None:
    cell = [name for name in rows if str(name).startswith("method.")]
    for column, critic, look, label in DRAWN_BOUNDS:
        for _, line in rows[rows["critic"] == critic].groupby(cell, dropna=False):
            ordered = line.sort_values("sampling.n")
            own: dict[str, Any] = {}
            if critic == "weight_clip":
                clip = ordered["method.clip"].iloc[0]
                own = {"marker": OF_CLIPS[clips.index(clip) % len(OF_CLIPS)]}
                label = f"{label.split(', c = ')[0]}, c = {clip:g}"
            unit = ordered["population_w1"].where(ordered["population_w1"] > 0, 1.0)
            middle = ordered["upper"] if column == "upper" else ordered[f"{column}_median"]
            panel.plot(ordered["sampling.n"], middle / unit, **look, **own, markersize=3, linewidth=1, label=label)
            if column != "upper":
                low, high = ordered[f"{column}_low"] / unit, ordered[f"{column}_high"] / unit
                panel.fill_between(ordered["sampling.n"], low, high, color=look["color"], alpha=0.12, linewidth=0)
    panel.axhline(1.0 if (rows["population_w1"] > 0).any() else 0.0, color="black", linewidth=0.8)
    panel.set_xscale("log", base=2)
    panel.yaxis.set_major_locator(MaxNLocator(3))
