"""The picture of the losses of GANs and WGANs as two laws move through each other: values and their gradients."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS, describe, few_ticks, legend_below, panels

FAMILIES = {"segments": "parallel segments", "translation": "shifted Gaussians"}


#: The distances at which training is followed.
FOLLOWED = (0.1, 0.3, 1.0)


def losses(table: pd.DataFrame, trained: str) -> Figure:
    """Values, and below them their gradients, against theta after the longest training, one column per family; below
    those the gradients against the steps of training, where several were asked. Medians with their intervals.

    Args:
        table: the table of losses (``otbench.results.tables.saturation``).
        trained: points, rates and steps in words.
    """
    table = table[table["theta"].notna()]
    families = sorted(table["problem.name"].unique())
    longest = table["method.steps"].max() if "method.steps" in table else None
    followed = "method.steps" in table and table["method.steps"].nunique() > 1
    rows_of_panels = 3 if followed else 2
    figure, grid = panels(rows_of_panels, len(families), 1.9)
    for column, name in zip(grid.T, families, strict=True):
        rows = table[table["problem.name"] == name].sort_values("theta")
        if followed:
            _followed(column[2], rows)
            rows = rows[rows["method.steps"] == longest]
        _against_theta(column[0], column[1], rows)
        column[0].set(title=FAMILIES.get(name, name))
    grid[0, 0].set_ylabel("value")
    grid[1, 0].set_ylabel("its gradient in theta")
    if followed:
        grid[2, 0].set_ylabel("|gradient in theta|")
    legend_below(figure, [grid[0, 0], *grid[2:, 0]], 2)
    describe(
        figure, "The losses of GANs and WGANs as two laws move apart by theta: " + " and ".join(
            FAMILIES.get(name, name) for name in families),
        f"{trained}.", "Marks are medians over seeds with their 95 % intervals as bands. Below, the gradients that a"
        " generator would follow; the lowest row follows them over the steps of training." if followed else
        "Marks are medians over seeds with their 95 % intervals as bands.",
    )  # fmt: skip
    return figure


def _against_theta(above: Axes, below: Axes, rows: pd.DataFrame) -> None:
    gan, wgan = rows[rows["critic"] == "discriminator"], rows[rows["critic"] == "weight_clip"]
    above.plot(gan["theta"], gan["population_w1"], color="black", linewidth=1, label="W1, exact")
    _marked(above, wgan, "slope", 0, "clipped critic, raw / largest slope")
    _marked(above, wgan, "c_transform", 2, "clipped critic, c-transform")
    _jensen_shannon(above, gan)
    _marked(above, gan, "js", 1, "discriminator, JS estimate (nats)")
    _marked(below, wgan, "raw_gradient_over_slope", 0, "")
    _marked(below, gan, "js_gradient", 1, "")
    below.axhline(0, color="black", linewidth=0.8, linestyle=":")
    below.set(xlabel="theta", ylim=(-3, 3))  # where W1 is 0 a critic's largest slope is next to nothing


def _followed(panel: Axes, rows: pd.DataFrame) -> None:
    """The size of both gradients against the steps of training, at three distances."""
    for dash, theta in zip((":", "--", "-"), FOLLOWED, strict=True):
        for critic, column, k in (("weight_clip", "raw_gradient_over_slope", 0), ("discriminator", "js_gradient", 1)):
            part = rows[(rows["critic"] == critic) & (rows["theta"].abs().round(9) == theta) & (rows["theta"] > 0)]
            part = part.sort_values("method.steps")
            label = f"discriminator, theta = {theta:g}" if k else "clipped critic, the same" if theta == 1 else None
            panel.plot(part["method.steps"], part[f"{column}_median"].abs(), color=COLOURS[k], linestyle=dash,
                       marker=MARKERS[k], markersize=4, label=label)  # fmt: skip
    panel.set(xscale="log", yscale="log", xlabel="steps of training")
    steps = sorted(rows["method.steps"].unique())
    panel.set_xticks(steps, [str(number) for number in steps])
    panel.xaxis.minorticks_off()
    few_ticks(panel.yaxis)


def _jensen_shannon(axes: Axes, rows: pd.DataFrame) -> None:
    """The closed form, with a gap where it jumps: in a family of singular laws a single point has JS 0."""
    theta, value = rows["theta"].to_numpy(), rows["population_js"].to_numpy(dtype=float)
    if np.ptp(value[theta != 0]) == 0:
        value = np.where(theta == 0, np.nan, value)
    axes.plot(theta, value, color=COLOURS[1], linewidth=1, linestyle="--", label="JS, closed form (nats)")


def _marked(axes: Axes, rows: pd.DataFrame, column: str, k: int, label: str) -> None:
    middle = rows[f"{column}_median"]
    (line,) = axes.plot(rows["theta"], middle, color=COLOURS[k], marker=MARKERS[k], linestyle="none", label=label)
    line.set(markerfacecolor="none", markersize=4)
    low, high = rows[f"{column}_low"], rows[f"{column}_high"]
    axes.fill_between(rows["theta"], low, high, color=COLOURS[k], alpha=0.2, linewidth=0)
