"""The picture of what clipped critics print and of what that is worth, over the clip value."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import band
from otbench.results.tables.cells import most_frequent, proportional


def clip(frame: pd.DataFrame) -> Figure | None:
    """raw/W1 on the left and slope/W1 on the right against c/c*, one line per dimension, with quartiles shaded.

    It is of the problem, sampling mode and widths that have the most rows, trained at a rate proportional to c, and
    None where there is only one clip value.
    """
    rows = most_frequent(proportional(frame))
    rows = rows[rows["method.widths"] == rows["method.widths"].mode().iloc[0]] if len(rows) else rows
    if rows["method.clip"].nunique() < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for k, (dim, part) in enumerate(rows.groupby("problem.dim")):
        for axes, column in ((left, "raw_over_w1"), (right, "slope_over_w1")):
            band(axes, part, "c_over_c_star", column, k, f"d = {dim}")
    for axes, title in ((left, "printed: raw / W1"), (right, "worth: raw / largest slope / W1")):
        axes.set(xscale="log", xlabel="clip value c / c*", title=title)
        axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    left.set_yscale("log")
    right.set_ylim(0, 1.05)
    left.legend()
    return figure
