"""The picture of what each critic proves: its bounds as shares of the exact W1, a line per critic and clip value."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.captions import modes, of_one_problem, recipe
from otbench.report.figures.style import COLOURS, MARKERS, describe, legend_below, panels
from otbench.results.tables.cells import one_of_each
from otbench.results.tables.intervals import median_intervals

#: The bounds that are drawn, and how they are called.
DRAWN = {
    "nearest_over_w1": "nearest neighbours, no critic", "slope_over_w1": "slope",
    "c_transform_over_w1": "c-transform",
}  # fmt: skip

#: Fields that make a method another one: what else is chosen, as a rate, is chosen for each by itself.
KINDS = ("sides", "one_sided", "reverse")

#: Other fields of methods that have a line for each of their values; of those left one value is shown.
TOLD_APART = ("clip_over_c_star", "clip", "reg")

#: Dimensions that are drawn, and lines of each: the least, the middle and the greatest where there are more.
PANELS_SHOWN, CRITICS_IN_A_LADDER = 3, 24


def ladder(frame: pd.DataFrame) -> Figure | str:
    """Shares of W1 of the samples that each critic proves, a panel per dimension: medians with 95 % intervals over
    seeds; or why there are none."""
    rows = frame[(frame["status"] == "ok") & (frame["primal"] > 0)]
    if rows.empty:
        return "no row here has a critic and samples whose W1 is above 0"
    rows, words, left = of_one_problem(modes(rows), {"problem.dim"}, "problem.", "sampling.")
    named = pd.concat([_labelled(part, kind) for _, each in rows.groupby("critic", sort=False)
                       for kind, part in _kinds(each)])  # fmt: skip
    dims = _some(sorted(named["problem.dim"].unique()), PANELS_SHOWN)
    named = named[named["problem.dim"].isin(dims)]
    ranked = named.groupby("label")["slope_over_w1"].median().sort_values(kind="stable")
    if "method.clip_over_c_star" in named and named["critic"].nunique() == 1:
        ranked = named.groupby("label")["c_over_c_star"].median().sort_values(kind="stable")
    order = _some(list(ranked.index), CRITICS_IN_A_LADDER)
    figure, grid = panels(1, len(dims), 0.19 * len(order) + 0.5, sharey=True)
    for axes, dim in zip(grid[0], dims, strict=True):
        _panel(axes, named[named["problem.dim"] == dim], order)
        axes.set(title=f"d = {dim}", xlabel="share of W1", xlim=(-0.03, 1.05), xticks=[0, 0.5, 1])
    grid[0][0].set_yticks(range(len(order)), order)
    legend_below(figure, grid[0], 3)
    describe(
        figure, f"What each critic proves of W1 of the samples: {words}", f"{recipe(named)}.",
        "Marks are medians over seeds, lines their 95 % intervals. The slope bound divides raw by the critic's largest",
        "slope; the c-transform is the best bound of all multiples of the critic.", left,
    )  # fmt: skip
    return figure


def _some(found: list[Any], most: int) -> list[Any]:
    """At most so many of a list, evenly spread, its ends among them."""
    if len(found) <= most:
        return found
    return [found[round(k * (len(found) - 1) / (most - 1))] for k in range(most)]


def _kinds(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of one critic by what makes it another one, each part with that in words."""
    kinds = [name for name in KINDS if rows.get(f"method.{name}", pd.Series()).nunique() > 1]
    if not kinds:
        return [("", rows)]
    parts = rows.groupby([f"method.{name}" for name in kinds], sort=False)
    return [("".join(f", {name} = {value}" for name, value in zip(kinds, values, strict=True)), part)
            for values, part in parts]  # fmt: skip


def _labelled(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The rows of a critic of one kind, with one value of what varies and is not told apart, and a label for each
    line."""
    apart = [f"method.{name}" for name in TOLD_APART if rows.get(f"method.{name}", pd.Series()).nunique() > 1]
    if "method.clip_over_c_star" in apart:
        apart = [name for name in apart if name != "method.clip"]
        rows = rows[rows["method.clip_over_c_star"].notna()]
    if rows["critic"].iloc[0] == "untrained":  # what a start proves does not depend on c
        apart = []
    rows, _ = one_of_each(rows, {"problem.dim", "method.clip", *apart} if apart else {"problem.dim"}, "method.")
    label = rows["critic"].astype(str).str.replace("_", " ") + kind
    for name in apart:
        short = {"method.clip": "c", "method.clip_over_c_star": "c/c*"}.get(name, name.removeprefix("method."))
        label += f", {short} = " + rows[name].map(_written)
    return rows.assign(label=label)


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _panel(axes: Axes, rows: pd.DataFrame, order: list[Any]) -> None:
    medians = rows.groupby("label")[list(DRAWN)].median().reindex(order)
    ends = median_intervals(rows, ["label"], list(DRAWN)).reindex(order)
    height = range(len(order))
    for k, (column, name) in enumerate(DRAWN.items()):
        colour = COLOURS[(k + 6) % len(COLOURS)]
        axes.hlines(height, ends[f"{column}_low"], ends[f"{column}_high"], color=colour, linewidth=1)
        axes.plot(medians[column], height, color=colour, marker=MARKERS[k] if k else "|", markersize=4 if k else 7,
                  linestyle="none", label=name)  # fmt: skip
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
