"""The picture of what clipped critics print and of what that is worth, over the clip value."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS
from otbench.results.tables.cells import cell_columns, most_frequent, proportional

#: What varies along the axis or from line to line.
ACROSS = {"problem.dim", "method.clip", "method.clip_over_c_star"}


def clip(frame: pd.DataFrame) -> Figure | None:
    """raw/W1 on the left and slope/W1 on the right against c/c*, one line per dimension: medians over seeds alone, with
    the range of the seeds shaded.

    Of everything else that varies, overlaps too, it shows the one value that has the most rows, the middle one where
    several have, and names it. It is of critics trained at a rate proportional to c, and None where there is only one
    clip value.
    """
    rows, told = _one_of_each(most_frequent(proportional(frame)))
    if rows["method.clip"].nunique() < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for k, (dim, part) in enumerate(rows.groupby("problem.dim")):
        for axes, column in ((left, "raw_over_w1"), (right, "slope_over_w1")):
            seeds = part.groupby(part["c_over_c_star"].round(9))[column]
            least, median, most = seeds.min(), seeds.median(), seeds.max()
            axes.plot(median.index, median, color=COLOURS[k], marker=MARKERS[k], markersize=4, label=f"d = {dim}")
            axes.fill_between(median.index, least, most, color=COLOURS[k], alpha=0.15, linewidth=0)
    for axes, title in ((left, "printed: raw / W1"), (right, "worth: raw / largest slope / W1")):
        axes.set(xscale="log", xlabel="clip value c / c*", title=title)
        axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    left.set_yscale("log")
    right.set_ylim(0, 1.05)
    left.legend()
    figure.suptitle(told, fontsize=8)
    return figure


def _one_of_each(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows with the most frequent value of every field that varies but those shown, and these values in words."""
    told = [str(rows[name].iloc[0]) for name in ("problem.name", "sampling.mode") if len(rows)]
    for name in cell_columns(rows, "problem.", "sampling.", "method."):
        if name not in ACROSS and rows[name].nunique(dropna=False) > 1:
            most = rows[name].mode(dropna=False)
            value = most.iloc[len(most) // 2]
            rows = rows[rows[name].isna() if pd.isna(value) else rows[name] == value]
            told.append(f"{name.split('.')[1]} = {value}")
    return rows, ", ".join(told)
