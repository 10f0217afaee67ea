"""The picture of generators in training: printed values, what they are worth, the exact W1, and how runs end."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, band
from otbench.results.tables.gan import runs

#: The clip values whose runs are drawn, or the nearest ones: the WGAN paper's, and ten and a hundred times as much.
CLIPS_SHOWN = (0.01, 0.1, 1.0)

DATASETS = {"ring": "ring of 8 Gaussians", "swiss_roll": "swiss roll", "digits": "digits (64-d)"}


def generator(frame: pd.DataFrame) -> Figure:
    """One row of panels per data set: three runs over their iterations, and the last W1 against the clip value.

    The runs are of three clip values, the first seed and the largest rate, with their rank correlations with W1. The
    last W1 has one line per rate, with quartiles over seeds shaded. What is printed has a unit of its own, and is drawn
    with its largest value at the top of the panel.
    """
    datasets, clips = list(frame["dataset"].drop_duplicates()), frame["clip"].unique().astype(float)
    chosen = [clips[np.abs(np.log(clips / wish)).argmin()] for wish in CLIPS_SHOWN]
    one = frame[(frame["seed"] == frame["seed"].min()) & (frame["lr"] == frame["lr"].max())]
    ends = runs(frame)
    size = (10.5, 2.3 * len(datasets) + 0.5)
    figure, panels = plt.subplots(len(datasets), 4, figsize=size, squeeze=False, layout="constrained")
    for row, name in zip(panels, datasets, strict=True):
        part = one[one["dataset"] == name]
        top = 1.05 * float(part[part["clip"].isin(chosen)]["primal"].max())
        for axes, clip in zip(row, chosen, strict=False):
            _run(axes, part[part["clip"] == clip], top)
            ranks = runs(part[part["clip"] == clip]).iloc[0]
            printed, slope = (_rank(ranks[name]) for name in ("rank_printed", "rank_slope"))
            axes.set_title(f"c = {clip:g}\nrank correlation: printed {printed}, / slope {slope}", fontsize=8)
        row[0].set_ylabel(DATASETS.get(name, name))
        _ends(row[3], ends[ends["dataset"] == name])
    for axes in panels[-1, :3]:
        axes.set_xlabel("iteration")
    panels[-1, 3].set_xlabel("clip value c")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    figure.legend(*panels[0, 3].get_legend_handles_labels(), loc="outside lower right", ncols=3)
    return figure


def _rank(correlation: float) -> str:
    return "none" if np.isnan(correlation) else f"{correlation:.2f}"


def _run(axes: Axes, rows: pd.DataFrame, top: float) -> None:
    printed = rows["printed_w1"]
    largest = float(printed.abs().max()) or 1.0
    axes.plot(rows["iteration"], rows["primal"], color="black", label="W1, exact")
    axes.plot(rows["iteration"], rows["slope"], color=COLOURS[0], label="raw / largest slope")
    printed = printed / largest * top
    axes.plot(rows["iteration"], printed, color=COLOURS[1], linewidth=0.8, label="printed, in a unit of its own")
    axes.set_ylim(min(0.0, float(printed.min())), top)


def _ends(axes: Axes, rows: pd.DataFrame) -> None:
    for k, (lr, part) in enumerate(rows.groupby("lr")):
        band(axes, part, "clip", "final_w1", k + 2, f"rate {lr:g}")
    axes.axhline(rows["floor"].median(), color="black", linestyle=":", linewidth=0.8, label="two samples of the data")
    axes.set(xscale="log", ylim=(0, None))
    axes.set_title("W1 at the end", fontsize=8)
