"""The picture of what clipped critics print and of what that is worth, over the clip value."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import band
from otbench.results.tables.cells import one_of_each, proportional

#: The order of the sampling modes, one row of panels each.
SAMPLING_MODES = ("coupled", "independent", "population")

#: What varies along the axis, from line to line, or from one row of panels to the next.
ACROSS = {"problem.dim", "method.clip", "method.clip_over_c_star", "sampling.mode"}


def clip(frame: pd.DataFrame) -> Figure | None:
    """raw/W1 on the left and slope/W1 on the right against c/c*, one line per dimension, one row per sampling mode:
    medians over seeds alone, with their 95 % intervals.

    Of everything else that varies, overlaps too, it shows the one value that has the most rows, the middle one where
    several have, and names it. It is of critics trained at a rate proportional to c, and None where there is only one
    clip value.
    """
    rows = proportional(frame)
    rows = rows[rows["problem.name"] == rows["problem.name"].mode().iloc[0]] if len(rows) else rows
    rows, told = one_of_each(rows, ACROSS)
    modes = [mode for mode in SAMPLING_MODES if (rows["sampling.mode"] == mode).any()]
    if rows["method.clip"].nunique() < 2:
        return None
    size = (9, 3.4 * len(modes))
    figure, grid = plt.subplots(len(modes), 2, figsize=size, sharex=True, squeeze=False, layout="constrained")
    for panels, mode in zip(grid, modes, strict=True):
        of_mode = rows[rows["sampling.mode"] == mode]
        for k, (dim, part) in enumerate(of_mode.groupby("problem.dim")):
            for axes, column in zip(panels, ("raw_over_w1", "slope_over_w1"), strict=True):
                band(axes, part, "c_over_c_star", column, k, f"d = {dim}")
        for axes, title in zip(panels, ("printed: raw / W1", "worth: raw / largest slope / W1"), strict=True):
            axes.set(xscale="log", title=f"{title}, {mode} samples")
            axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
        panels[0].set_yscale("log")
        panels[1].set_ylim(0, 1.05)
    for axes in grid[-1]:
        axes.set_xlabel("clip value c / c*")
    grid[0][0].legend()
    figure.suptitle(", ".join(filter(None, [rows["problem.name"].iloc[0], told])), fontsize=8)
    return figure

