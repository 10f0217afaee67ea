"""The picture of the losses of GANs and WGANs as two laws move through each other: values and their gradients."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS

FAMILIES = {"segments": "parallel segments", "translation": "shifted Gaussians"}


def losses(table: pd.DataFrame) -> Figure:
    """Values, and below them their gradients, against theta, one column per family; medians with quartiles shaded."""
    table = table[table["theta"].notna()]
    families = sorted(table["problem.name"].unique())
    size = (4.5 * len(families), 5.8)
    figure, panels = plt.subplots(2, len(families), figsize=size, sharex=True, squeeze=False, layout="constrained")
    for (above, below), name in zip(panels.T, families, strict=True):
        rows = table[table["problem.name"] == name].sort_values("theta")
        gan, wgan = rows[rows["critic"] == "discriminator"], rows[rows["critic"] == "weight_clip"]
        above.plot(gan["theta"], gan["population_w1"], color="black", linewidth=1, label="W1, exact")
        _marked(above, wgan, "slope", 0, "clipped critic, raw / largest slope")
        _marked(above, wgan, "c_transform", 2, "clipped critic, c-transform")
        _jensen_shannon(above, gan)
        _marked(above, gan, "js", 1, "discriminator, JS estimate (nats)")
        above.set(title=FAMILIES.get(name, name))
        _marked(below, wgan, "raw_gradient_over_slope", 0, "")
        _marked(below, gan, "js_gradient", 1, "")
        below.axhline(0, color="black", linewidth=0.8, linestyle=":")
        below.set(xlabel="theta")
    panels[0, 0].set_ylabel("value")
    panels[1, 0].set_ylabel("its gradient in theta")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _jensen_shannon(axes: Axes, rows: pd.DataFrame) -> None:
    """The closed form, with a gap where it jumps: in a family of singular laws a single point has JS 0."""
    theta, value = rows["theta"].to_numpy(), rows["population_js"].to_numpy(dtype=float)
    if np.ptp(value[theta != 0]) == 0:
        value = np.where(theta == 0, np.nan, value)
    axes.plot(theta, value, color=COLOURS[1], linewidth=1, linestyle="--", label="JS, closed form (nats)")


def _marked(axes: Axes, rows: pd.DataFrame, column: str, k: int, label: str) -> None:
    middle = rows[f"{column}_median"]
    (line,) = axes.plot(rows["theta"], middle, color=COLOURS[k], marker=MARKERS[k], linewidth=0.8, label=label)
    line.set(markerfacecolor="none", markersize=5)
    low, high = rows[f"{column}_q1"], rows[f"{column}_q3"]
    axes.fill_between(rows["theta"], low, high, color=COLOURS[k], alpha=0.2, linewidth=0)
