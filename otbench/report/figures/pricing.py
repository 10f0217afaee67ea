"""The picture of starts: what is missing before any round, against what a solve from there costs."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS, plain_ticks
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
    figure, panels = plt.subplots(
        1, len(dims), figsize=(3.2 * len(dims) + 0.6, 3.8), squeeze=False, sharey=True, layout="constrained"
    )
    for axes, dim in zip(panels[0], dims, strict=True):
        for k, start in enumerate(starts):
            _marks(axes, table[(table["dim"] == dim) & (table["start"] == start)], k, start)
        axes.axhline(1.0, color="black", linestyle=":", linewidth=0.8)
        axes.set(xscale="log", yscale="log", title=f"d = {dim}", xlabel="(W1 - bound of the start) / W1")
        plain_ticks(axes.yaxis)
    panels[0, 0].set_ylabel("seconds / those of the start\nfrom a coarser problem")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _marks(axes: Axes, lines: pd.DataFrame, k: int, start: str) -> None:
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]
    across, up = lines["start_gap_median"].clip(lower=SMALLEST_GAP), lines["over_subsample_median"]
    axes.vlines(across, lines["over_subsample_low"], lines["over_subsample_high"], color=colour, linewidth=0.8)
    axes.plot(across, up, color=colour, marker=marker, markersize=5, linestyle="none", label=start)
    given_up = lines["stopped"] > 0
    axes.plot(across[given_up], up[given_up], color="white", marker=marker, markersize=2.5, linestyle="none")
