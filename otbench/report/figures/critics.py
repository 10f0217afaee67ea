"""The picture of a contest of critics: what each tells of the samples, of the laws and of the direction."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS, describe, legend_below, panels

#: Characters of a name that fit one line.
LONG = 20

#: The panels: a column of the table and what it is a share of.
PANELS = (
    ("slope_over_w1", "of the samples,\nshare of W1"),
    ("held_out_over_population_w1", "of the laws,\nshare of W1"),
    ("fresh_cosine", "cosine with the\ntrue gradient"),
)


def critics(table: pd.DataFrame, points: str) -> Figure:
    """A row per critic, the best of the laws on top; a mark per dimension, means over problems with 95 % intervals.

    The budget is the largest number of steps.

    Args:
        table: the table of critics (``otbench.results.tables.critics``).
        points: how many points a sample has.
    """
    steps = table["budget"].str.endswith("_steps")
    budget = max(table[steps]["budget"], key=lambda text: int(text.split("_")[0]))
    lines = table[(table["problem.name"] == "all") & (table["budget"] == budget)]
    order = lines.groupby("label")["held_out_over_population_w1"].mean().sort_values().index
    figure, (row,) = panels(1, 3, 0.32 * len(order) + 0.6, sharey=True)
    for axes, (name, title) in zip(row, PANELS, strict=True):
        _panel(axes, lines, name, list(order))
        axes.set(title=title, xlim=(min(-0.02, lines[f"{name}_low"].min() - 0.02), 1.05))
        axes.axvline(1.0, color="black", linewidth=0.8)
    row[0].set_yticks(range(len(order)), [_shown(label) for label in order])
    problems = ", ".join(sorted(set(table["problem.name"]) - {"all"}))
    legend_below(figure, row, 4)
    describe(
        figure, f"What each critic tells: means over {problems}",
        f"n = {points}, {budget.replace('_', ' ')} each, the rate chosen among several on a seed of",
        "its own. Left: raw over the critic's largest slope between the samples, over their W1. Middle: raw on points",
        "held out over a constant known everywhere, over W1 of the laws. Right: on points held out, where the true",
        "gradient is known. Lines are 95 % intervals over problems and seeds.",
    )  # fmt: skip
    return figure


def _shown(label: str) -> str:
    """A critic's name in words: gradient_penalty[one_sided=True] is "gradient penalty, one sided=True"."""
    words = label.replace("[", ",\n" if len(label) > LONG else ", ").removesuffix("]").replace("_", " ")
    return words.replace("=True", "").replace("one sided=False", "two sided")


def _panel(axes: Axes, lines: pd.DataFrame, name: str, order: list[str]) -> None:
    dims = sorted(lines["problem.dim"].unique())
    for k, dim in enumerate(dims):
        rows = lines[lines["problem.dim"] == dim].set_index("label").reindex(order)
        height = [row + 0.6 * ((len(dims) - 1 - k) / max(1, len(dims) - 1) - 0.5) for row in range(len(order))]
        axes.hlines(height, rows[f"{name}_low"], rows[f"{name}_high"], color=COLOURS[k], linewidth=1.2)
        axes.plot(rows[name], height, color=COLOURS[k], marker=MARKERS[k], markersize=4, linestyle="none",
                  label=f"d = {dim}")  # fmt: skip
