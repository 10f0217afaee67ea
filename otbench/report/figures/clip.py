"""The picture of what clipped critics print and of what that is worth, over the clip value."""

import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.captions import AS_GIVEN, modes, of_one_problem, recipe
from otbench.report.figures.style import band, describe, few_ticks, legend_below, panels

#: The order of the sampling modes, one row of panels each.
SAMPLING_MODES = ("coupled", "independent", "population", AS_GIVEN)

#: What varies along the axis, from line to line, or from one row of panels to the next.
ACROSS = {"problem.dim", "method.clip", "method.clip_over_c_star", "sampling.mode"}


def clipped(frame: pd.DataFrame) -> pd.DataFrame | str:
    """The trained clipped critics of one kind of rate, in proportion to c where that has two clip values or more, so
    that all reach their box; or why there are none."""
    rows = frame[(frame["critic"] == "weight_clip") & (frame["status"] == "ok")]
    if rows.empty:
        return "no clipped critic was trained here"
    for unit in ("clip", "absolute"):
        of_unit = rows[rows["method.lr_unit"] == unit]
        if of_unit["method.clip"].nunique() > 1:
            return modes(of_unit)
    return "no two clip values here have one kind of rate"


def clip(frame: pd.DataFrame) -> Figure | str:
    """raw/W1 on the left and slope/W1 on the right against c/c*, one line per dimension, one row per sampling mode:
    medians over seeds alone, with their 95 % intervals.

    Of everything else that varies, overlaps too, it shows the one value that has the most rows, the middle one where
    several have, and names it. Where nothing varies it says why there is no picture.
    """
    rows = clipped(frame)
    if isinstance(rows, str):
        return rows
    rows, words, left = of_one_problem(rows, ACROSS)
    if rows["method.clip"].nunique() < 2:
        return f"clipped critics of {words} have one clip value"
    shown = [mode for mode in SAMPLING_MODES if (rows["sampling.mode"] == mode).any()]
    figure, grid = panels(len(shown), 2, 1.9, sharex=True)
    for pair, mode in zip(grid, shown, strict=True):
        of_mode = rows[rows["sampling.mode"] == mode]
        for k, (dim, part) in enumerate(of_mode.groupby("problem.dim")):
            for axes, column in zip(pair, ("raw_over_w1", "slope_over_w1"), strict=True):
                band(axes, part, "c_over_c_star", column, k, f"d = {dim}")
        for axes, title in zip(pair, ("printed: raw / W1", "worth: slope / W1"), strict=True):
            axes.set(xscale="log", title=f"{title}, {mode}")
            axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
        pair[0].set_yscale("log")
        few_ticks(pair[0].yaxis)
        pair[1].set_ylim(0, 1.05)
    for axes in grid[-1]:
        axes.set_xlabel("clip value c / c*")
        few_ticks(axes.xaxis)
    legend_below(figure, grid.flat, 4)
    describe(
        figure, f"What clipped critics print, and what it is worth: {words}", f"{recipe(rows)}.",
        "Marks are medians over seeds, bands their 95 % intervals (of 5 seeds and fewer the range);",
        "slope is raw over the critic's largest slope between the samples. Dotted: W1.", left,
    )  # fmt: skip
    return figure
