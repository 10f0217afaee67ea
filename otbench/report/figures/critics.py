"""The picture of a contest of critics: what each tells of the samples, of the laws and of the direction."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS

#: The panels: a column of the table and what it is a share of.
PANELS = (
    ("slope_over_w1", "certified of the samples\n(share of their W1)"),
    ("held_out_over_population_w1", "told of the laws, held out\n(share of their W1)"),
    ("fresh_cosine", "direction on fresh points\n(cosine with the true gradient)"),
)


def critics(table: pd.DataFrame) -> Figure:
    """A row per critic, the best of the laws on top; a mark per dimension, means over problems with 95 % intervals.

    The budget is the largest number of steps.

    Args:
        table: the table of critics (``otbench.results.tables.critics``).
    """
    steps = table["budget"].str.endswith("_steps")
    budget = max(table[steps]["budget"], key=lambda text: int(text.split("_")[0]))
    lines = table[(table["problem.name"] == "all") & (table["budget"] == budget)]
    order = lines.groupby("label")["held_out_over_population_w1"].mean().sort_values().index
    figure, panels = plt.subplots(1, 3, figsize=(9.5, 0.32 * len(order) + 1.4), sharey=True, layout="constrained")
    for axes, (name, title) in zip(panels, PANELS, strict=True):
        _panel(axes, lines, name, list(order))
        axes.set(title=title, xlim=(min(-0.02, lines[f"{name}_low"].min() - 0.02), 1.05))
        axes.axvline(1.0, color="black", linewidth=0.8)
    panels[0].set_yticks(range(len(order)), [_shown(label) for label in order])
    problems = ", ".join(sorted(set(table["problem.name"]) - {"all"}))
    title = f"Equal training: {budget.replace('_', ' ')}; means over {problems}, with 95 % intervals"
    figure.suptitle(title, fontsize=9)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _shown(label: str) -> str:
    """A critic's name in words: gradient_penalty[one_sided=True] is "gradient penalty, one sided=True"."""
    return label.replace("[", ", ").removesuffix("]").replace("_", " ")


def _panel(axes: Axes, lines: pd.DataFrame, name: str, order: list[str]) -> None:
    dims = sorted(lines["problem.dim"].unique())
    for k, dim in enumerate(dims):
        rows = lines[lines["problem.dim"] == dim].set_index("label").reindex(order)
        height = [row + 0.6 * ((len(dims) - 1 - k) / max(1, len(dims) - 1) - 0.5) for row in range(len(order))]
        axes.hlines(height, rows[f"{name}_low"], rows[f"{name}_high"], color=COLOURS[k], linewidth=1.2)
        axes.plot(rows[name], height, color=COLOURS[k], marker=MARKERS[k], markersize=4, linestyle="none",
                  label=f"d = {dim}")  # fmt: skip
