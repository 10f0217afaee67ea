"""The picture of two errors that differ: what sampling adds to W1, and what a critic leaves of it."""

import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.captions import of_one_problem, recipe
from otbench.report.figures.style import COLOURS, MARKERS, band, describe, few_ticks, legend_below, panels
from otbench.results.tables.cells import one_of_each


def errors(frame: pd.DataFrame) -> Figure | str:
    """The sampling error |primal - population W1| / population W1 and the critic's (primal - slope) / primal against
    the dimension; medians over seeds with their 95 % intervals.

    Both are of independent samples of one size, of one law whose W1 is known, and of one method, that with the
    most rows. Where there are fewer than two dimensions it says so.
    """
    rows = frame[(frame["sampling.mode"] == "independent") & (frame["population_w1"] > 0) & (frame["status"] == "ok")]
    if rows.empty:
        return "no row here is of independent samples of laws whose W1 is known and above 0"
    rows, words, left = of_one_problem(rows, {"problem.dim"}, "problem.", "sampling.")
    trained, _ = one_of_each(rows[rows["critic"] == "weight_clip"], {"problem.dim", "method.clip"}, "method.")
    if not trained.get("method.clip_over_c_star", pd.Series(dtype=object)).notna().any():
        trained, _ = one_of_each(trained, {"problem.dim"}, "method.")
    if trained["problem.dim"].nunique() < 2:
        return f"clipped critics of independent samples of {words} have fewer than two dimensions"
    figure, ((axes,),) = panels(1, 1, 2.0, width=3.6)
    once = rows.drop_duplicates(["problem.dim", "population_overlap", "primal"])
    sampling = once.assign(error=once["sampling_error"].abs() / once["population_w1"])
    band(axes, sampling, "problem.dim", "error", 0, "sampling")
    rest = trained.assign(error=1 - trained["slope_over_w1"])
    band(axes, rest, "problem.dim", "error", 1, "clipped critic, slope")
    best = 1 - trained.groupby("problem.dim")["c_transform_over_w1"].median()
    axes.plot(best.index, best, color=COLOURS[2], marker=MARKERS[2], markersize=4, label="clipped critic, c-transform")
    axes.set(xscale="log", yscale="log", xlabel="dimension", ylabel="relative error")
    dims = sorted(rows["problem.dim"].unique())
    axes.set_xticks(dims, [str(dim) for dim in dims])
    axes.xaxis.minorticks_off()
    few_ticks(axes.yaxis)
    legend_below(figure, [axes], 1)
    critic = f"c = {c:g}" if (c := trained["method.clip"].iloc[0]) == trained["method.clip"].iloc[-1] else "c = c*"
    describe(
        figure, f"What sampling adds to W1, and what a critic leaves of it: {words}",
        f"{recipe(trained)}, {critic}, independent samples.",
        "Sampling: |W1 of samples - W1 of laws| / W1 of laws. Critic: 1 - bound / W1 of the samples.",
        "Marks are medians over seeds, bands their 95 % intervals.", left,
    )  # fmt: skip
    return figure
