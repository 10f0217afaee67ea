"""The picture of starts: what is missing before any round, against what a solve from there costs."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS, describe, few_ticks, legend_below, panels, plain_ticks
from otbench.results.tables.pricing import pricing as table_of

#: The smallest gap that is drawn: below it is the rounding of float32, in which starts are computed.
SMALLEST_GAP = 1e-7


def pricing(frame: pd.DataFrame) -> Figure:
    """A panel per dimension: gap before any round against the seconds over those of the start from a coarser problem.

    A mark is a start on one problem and size, medians over seeds with the interval of the ratio; it is hollow where a
    start was given up, whose ratio is at least that large. Above the dotted line a start saves nothing.
    """
    table = table_of(frame)
    dims, starts = sorted(table["dim"].unique()), list(table["start"].drop_duplicates())
    figure, (row,) = panels(1, len(dims), 2.6, sharey=True)
    for axes, dim in zip(row, dims, strict=True):
        for k, start in enumerate(starts):
            _marks(axes, table[(table["dim"] == dim) & (table["start"] == start)], k, start)
        axes.axhline(1.0, color="black", linestyle=":", linewidth=0.8)
        axes.set(xscale="log", yscale="log", title=f"d = {dim}", xlabel="gap of the start")
        plain_ticks(axes.yaxis)
        few_ticks(axes.xaxis)
    row[0].set_ylabel("seconds / those of the start\nfrom a coarser problem")
    legend_below(figure, row, 3)
    describe(
        figure, f"What a start saves an exact solver of W1: {', '.join(sorted(set(table['problem'])))}, n ="
        f" {table['n'].min():g} to {table['n'].max():g}",
        "Gap: (W1 - bound of the start) / W1. Marks are medians over seeds on one problem and size, lines the",
        "intervals of the ratio; a hollow mark's start was given up. Below the dotted line a start saves seconds.",
        "clipped_0.1 is a critic clipped to c = 0.1, trained at its own rate.",
    )  # fmt: skip
    return figure


def _marks(axes: Axes, lines: pd.DataFrame, k: int, start: str) -> None:
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]
    across, up = lines["start_gap_median"].clip(lower=SMALLEST_GAP), lines["over_subsample_median"]
    axes.vlines(across, lines["over_subsample_low"], lines["over_subsample_high"], color=colour, linewidth=0.8)
    axes.plot(across, up, color=colour, marker=marker, markersize=5, linestyle="none", label=start)
    given_up = lines["stopped"] > 0
    axes.plot(across[given_up], up[given_up], color="white", marker=marker, markersize=2.5, linestyle="none")
