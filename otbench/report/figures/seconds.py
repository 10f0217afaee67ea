"""The picture of error against seconds: how long a critic takes to what it proves, and the exact solve to W1."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS, plain_ticks
from otbench.results.tables.cells import most_frequent


def seconds(frame: pd.DataFrame, clock: pd.DataFrame) -> Figure | None:
    """1 - slope/W1 of clipped critics after half of their steps and after all, against their training seconds.

    The exact solve is drawn at its own seconds with the error 0. All are medians over clip values, rates and seeds.
    None without timings.
    """
    if clock.empty or "method.steps" not in frame:
        return None
    rows = frame[(frame["critic"] == "weight_clip") & (frame["status"] == "ok")]
    rows = most_frequent(rows).merge(clock.drop(columns="schema").drop_duplicates("key", keep="last"), on="key")
    if rows.empty:
        return None
    rows["half_error"], rows["error"] = 1 - rows["slope_half"] / rows["primal"], 1 - rows["slope_over_w1"]
    figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    for k, (dim, part) in enumerate(rows.groupby("problem.dim")):
        spent = part["seconds_fit"].median()
        place = [spent / 2, spent], [part["half_error"].median(), part["error"].median()]
        axes.plot(*place, color=COLOURS[k], marker=MARKERS[k], markersize=5, label=f"critic, d = {dim}")
        samples = frame[frame["problem.dim"] == dim].merge(clock, on="key")
        whole = samples.groupby(["problem.name", "sampling.mode", "primal"])["seconds_exact"].sum().median()
        axes.plot([whole], [0], color=COLOURS[k], marker=MARKERS[k], markersize=8, fillstyle="none",
                  linestyle="none", label=f"exact, d = {dim}")  # fmt: skip
    axes.set(xscale="log", xlabel="seconds, one thread", ylabel="1 - slope / W1",
             title=f"{rows['problem.name'].iloc[0]}, n = {rows['n'].mode().iloc[0]}")  # fmt: skip
    plain_ticks(axes.xaxis)
    axes.set_ylim(bottom=-0.02)
    axes.legend(ncols=2)
    return figure
