"""The picture of two errors that differ: what sampling adds to W1, and what a critic leaves of it."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS, band
from otbench.results.tables.cells import one_of_each


def errors(frame: pd.DataFrame) -> Figure | None:
    """The sampling error |primal - population W1| / population W1 and the critic's (primal - slope) / primal against
    the dimension; medians over seeds with their 95 % intervals.

    Both are of independent samples of one size, of one law whose W1 is known, and of one method, that with the
    most rows. None where there are fewer than two dimensions.
    """
    rows = frame[(frame["sampling.mode"] == "independent") & (frame["population_w1"] > 0) & (frame["status"] == "ok")]
    rows = rows[rows["problem.name"] == rows["problem.name"].mode().iloc[0]] if len(rows) else rows
    rows, where = one_of_each(rows, {"problem.dim"}, "problem.", "sampling.")
    trained, _ = one_of_each(rows[rows["critic"] == "weight_clip"], {"problem.dim", "method.clip"}, "method.")
    if not trained.get("method.clip_over_c_star", pd.Series(dtype=object)).notna().any():
        trained, _ = one_of_each(trained, {"problem.dim"}, "method.")
    if trained["problem.dim"].nunique() < 2:
        return None
    figure, axes = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    once = rows.drop_duplicates(["problem.dim", "population_overlap", "primal"])
    sampling = once.assign(error=once["sampling_error"].abs() / once["population_w1"])
    band(axes, sampling, "problem.dim", "error", 0, "sampling: |W1 of samples - W1 of laws| / W1 of laws")
    left = trained.assign(error=1 - trained["slope_over_w1"])
    band(axes, left, "problem.dim", "error", 1, "clipped critic: 1 - slope / W1 of samples")
    best = 1 - trained.groupby("problem.dim")["c_transform_over_w1"].median()
    axes.plot(best.index, best, color=COLOURS[2], marker=MARKERS[2], markersize=4, label="the same, c-transform")
    name = ", ".join(filter(None, [str(rows["problem.name"].iloc[0]), where]))
    axes.set(xscale="log", yscale="log", xlabel="dimension", ylabel="relative error",
             title=f"{name}, n = {rows['n'].iloc[0]} points a side")  # fmt: skip
    dims = sorted(rows["problem.dim"].unique())
    axes.set_xticks(dims, [str(dim) for dim in dims])
    axes.minorticks_off()
    axes.legend()
    return figure
