"""The picture of generators in training: the curves of one choice of arms, and what follows W1 in all of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from otbench.report.figures.style import COLOURS, MARKERS, PAGE_WIDTH, describe
from otbench.results.tables.gan import NUMBERS
from otbench.results.tables.gan import generator as curve_table
from otbench.results.tables.tracking import tracking

#: The clip value whose curves are drawn, or the nearest one: the WGAN paper's.
CLIP_SHOWN = 0.01

DATASETS = {"ring": "ring of 8", "swiss_roll": "swiss roll", "digits": "digits (64-d)"}

LABELS = {"c_transform": "c-transform", "nearest": "no critic"}

#: The curves: column, name, colour and dash; what is printed has a unit of its own.
CURVES = (
    ("primal", "W1, exact", "black", "-"), ("slope", "raw / largest slope", COLOURS[0], "--"),
    ("printed_w1", "printed, in a unit of its own", COLOURS[1], "-"),
)  # fmt: skip


def generator(frame: pd.DataFrame) -> Figure:
    """One row of panels per data set with curves over the iterations, a column per n_critic; below them the verdict on
    all arms, a panel per data set.

    The curves are of one clip value, the WGAN paper's or the nearest one, and of the largest rate: medians over
    seeds, with their intervals shaded. What is printed has a unit of its own, and is drawn with the upper end
    of its largest interval at the height of the panel. The verdict has, for every number, a mark for each arm of
    the data set, with a colour per n_critic and a marker per clip value: the median over seeds of the partial rank
    correlation with W1 given the iteration.
    """
    datasets, critics = list(frame["dataset"].drop_duplicates()), list(frame["n_critic"].drop_duplicates())
    clips, lr = sorted(frame["clip"].unique().astype(float)), frame["lr"].max()
    clip = min(clips, key=lambda value: abs(np.log(value / CLIP_SHOWN)))
    curves, arms = curve_table(frame[(frame["lr"] == lr) & (frame["clip"] == clip)]), tracking(frame)
    figure = plt.figure(figsize=(PAGE_WIDTH, 1.25 * len(datasets) + 3.6), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.25 * len(datasets) + 0.4, 2.6]).flat
    grid = above.subplots(len(datasets), len(critics), squeeze=False, sharex=True, sharey="row")
    for row, name in zip(grid, datasets, strict=True):
        part = curves[curves["dataset"] == name]
        top = 1.05 * float(part["primal_high"].fillna(part["primal_median"]).max())
        for axes, n_critic in zip(row, critics, strict=True):
            _curves(axes, part[part["n_critic"] == n_critic], top)
        row[0].set_ylabel(DATASETS.get(name, name))
    for axes, n_critic in zip(grid[0], critics, strict=True):
        axes.set_title(_critic(n_critic))
    for axes in grid[-1]:
        axes.set_xlabel("iteration")
    (verdicts,) = below.subplots(1, len(datasets), squeeze=False, sharey=True)
    for axes, name in zip(verdicts, datasets, strict=True):
        _verdict(axes, arms[arms["dataset"] == name], critics, clips)
        axes.set_title(DATASETS.get(name, name))
    verdicts[len(datasets) // 2].set_xlabel("partial rank correlation with W1, given the iteration")
    above.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, columnspacing=1.2)
    named = [Line2D([], [], color=COLOURS[k], marker="s", linestyle="none", label=_critic(n_critic).replace("\n", " "))
             for k, n_critic in enumerate(critics)]  # fmt: skip
    named += [Line2D([], [], color="0.3", marker=MARKERS[k], linestyle="none", label=f"c = {value:g}")
              for k, value in enumerate(clips)]  # fmt: skip
    below.legend(handles=named, loc="outside lower center", ncols=4, columnspacing=1.2, handletextpad=0.2)
    rates = " and ".join(f"{rate:g}" for rate in sorted(frame["lr"].unique()))
    describe(
        figure, "Generators in training: what a clipped critic's numbers tell of W1 on points held out",
        f"Above: c = {clip:g}, rate {lr:g}, medians over {frame['seed'].nunique()} seeds, bands their 95 % intervals",
        f"(of 5 seeds the range). Below: a mark per arm, the median over seeds, for every c and the rates {rates}.",
        f"n = {frame['n'].max():g} points a side." if "n" in frame else "",
    )  # fmt: skip
    return figure


def _critic(n_critic: str) -> str:
    return f"n_critic = {n_critic}" if n_critic.isdigit() else "trained afresh"


def _curves(axes: Axes, rows: pd.DataFrame, top: float) -> None:
    printed = rows[[f"printed_w1_{part}" for part in ("median", "low", "high")]]
    unit = (float(printed.abs().max().max()) or 1.0) / top
    for name, label, colour, dash in CURVES:
        size = unit if name == "printed_w1" else 1.0
        middle, low, high = (rows[f"{name}_{part}"] / size for part in ("median", "low", "high"))
        axes.plot(rows["iteration"], middle, color=colour, linewidth=1.0, linestyle=dash, label=label)
        axes.fill_between(rows["iteration"], low, high, color=colour, alpha=0.15, linewidth=0)
    least, most = axes.get_ylim() if axes.get_lines()[3:] else (0.0, top)
    axes.set_ylim(min(least, 0.0, float(printed.min().min()) / unit), max(most, top))
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _verdict(axes: Axes, arms: pd.DataFrame, critics: list[str], clips: list[float]) -> None:
    """The marks of all arms of a data set; the numbers run downwards."""
    numbers = [name for name in NUMBERS if name != "clock"]
    for k, n_critic in enumerate(critics):
        for m, clip in enumerate(clips):
            part = arms[(arms["n_critic"] == n_critic) & (arms["number"] != "clock") & (arms["clip"] == clip)]
            height = part["number"].map({name: at for at, name in enumerate(numbers)}) + 0.18 * (
                k - (len(critics) - 1) / 2
            )
            axes.plot(part["partial_median"], height, color=COLOURS[k % len(COLOURS)],
                      marker=MARKERS[m % len(MARKERS)], linestyle="none", markersize=2.5)  # fmt: skip
    axes.axvline(0, color="black", linestyle=":", linewidth=0.8)
    axes.set_yticks(range(len(numbers)), [LABELS.get(name, name) for name in numbers])
    axes.set(xlim=(-1.05, 1.05), ylim=(len(numbers) - 0.4, -0.6))
