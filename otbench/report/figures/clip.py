"""The picture of what clipped critics print and of what that is worth, over the clip value."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import band
from otbench.results.tables.cells import one_overlap, proportional

#: The order of the sampling modes, one row of panels each.
SAMPLING_MODES = ("coupled", "independent", "population")


def clip(frame: pd.DataFrame) -> Figure | None:
    """raw/W1 on the left and slope/W1 on the right against c/c*, one line per dimension, one row per sampling mode.

    It is of the problem and widths with the most rows, at one overlap, trained at a rate proportional to c; medians
    over seeds with their 95 % intervals. None where there is only one clip value.
    """
    rows = proportional(frame)
    for name in ("problem.name", "method.widths"):
        rows = rows[rows[name] == rows[name].mode().iloc[0]] if len(rows) else rows
    rows, where = one_overlap(rows)
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
        axes.set_xlabel(f"clip value c / c* ({rows['problem.name'].iloc[0]}{where})")
    grid[0][0].legend()
    return figure
