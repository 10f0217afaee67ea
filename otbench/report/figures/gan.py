"""The picture of generators in training: the curves of one choice of arms, and what follows W1 in all of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS
from otbench.results.tables.gan import GAN, NUMBERS
from otbench.results.tables.gan import generator as curve_table
from otbench.results.tables.tracking import tracking

#: The clip value whose curves are drawn, or the nearest one: the WGAN paper's.
CLIP_SHOWN = 0.01

DATASETS = {"ring": "ring of 8 Gaussians", "swiss_roll": "swiss roll", "digits": "digits (64-d)"}

LABELS = {"c_transform": "c-transform", "nearest": "no critic"}


def generator(frame: pd.DataFrame) -> Figure:
    """One row of panels per data set: curves over the iterations for every n_critic, and the verdict on all arms.

    The curves are of one clip value, the WGAN paper's or the nearest one, and of the largest rate: medians over
    seeds, with their intervals shaded. What is printed has a unit of its own, and is drawn with the upper end
    of its largest interval at the height of the panel. The last panel has, for every number, a mark for each arm of
    the data set: the median over seeds of the partial rank correlation with W1 given the iteration.
    """
    datasets, critics = list(frame["dataset"].drop_duplicates()), list(frame["n_critic"].drop_duplicates())
    clips, lr = frame["clip"].unique().astype(float), frame["lr"].max()
    clip = clips[np.abs(np.log(clips / CLIP_SHOWN)).argmin()]
    curves, arms = curve_table(frame[(frame["lr"] == lr) & (frame["clip"] == clip)]), tracking(frame)
    width = len(critics) + 1
    figure, panels = plt.subplots(
        len(datasets), width, figsize=(2.4 * width + 1.2, 2.3 * len(datasets) + 0.9), squeeze=False,
        layout="constrained", width_ratios=[1.0] * (width - 1) + [1.5],
    )  # fmt: skip
    for row, name in zip(panels, datasets, strict=True):
        part = curves[curves["dataset"] == name]
        top = 1.05 * float(part["primal_high"].fillna(part["primal_median"]).max())
        for axes, n_critic in zip(row, critics, strict=False):
            _curves(axes, part[part["n_critic"] == n_critic], top)
            axes.set_title(_critic(n_critic), fontsize=8)
        row[0].set_ylabel(DATASETS.get(name, name))
        _verdict(row[-1], arms[arms["dataset"] == name], critics)
    for axes in panels[-1, :-1]:
        axes.set_xlabel("iteration")
    seeds, runs = frame["seed"].nunique(), len(frame[GAN].drop_duplicates()) // len(datasets)
    figure.suptitle(
        f"left: c = {clip:g}, rate {lr:g}, medians of {seeds} seeds with their intervals; "
        f"right: all {runs} arms of a data set, medians of {seeds} seeds", fontsize=9,
    )  # fmt: skip
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    figure.legend(*panels[0, -1].get_legend_handles_labels(), loc="outside lower right", ncols=4)
    return figure


def _critic(n_critic: str) -> str:
    return f"n_critic = {n_critic}" if n_critic.isdigit() else "critics trained afresh"


def _curves(axes: Axes, rows: pd.DataFrame, top: float) -> None:
    printed = rows[[f"printed_w1_{part}" for part in ("median", "low", "high")]]
    unit = (float(printed.abs().max().max()) or 1.0) / top
    for name, label, colour, size in (
        ("primal", "W1, exact", "black", 1.0),
        ("slope", "raw / largest slope", COLOURS[0], 1.0),
        ("printed_w1", "printed, in a unit of its own", COLOURS[1], unit),
    ):
        middle, low, high = (rows[f"{name}_{part}"] / size for part in ("median", "low", "high"))
        axes.plot(rows["iteration"], middle, color=colour, linewidth=1.0, label=label)
        axes.fill_between(rows["iteration"], low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_ylim(min(0.0, float(printed.min().min()) / unit), top)


def _verdict(axes: Axes, arms: pd.DataFrame, critics: list[str]) -> None:
    numbers = [name for name in NUMBERS if name != "clock"]
    for k, n_critic in enumerate(critics):
        part = arms[(arms["n_critic"] == n_critic) & (arms["number"] != "clock")]
        across = part["number"].map({name: at for at, name in enumerate(numbers)}) + 0.16 * (k - (len(critics) - 1) / 2)
        axes.plot(
            across, part["partial_median"], color=COLOURS[k % len(COLOURS)], marker=MARKERS[k % len(MARKERS)],
            linestyle="none", markersize=3, label=_critic(n_critic),
        )  # fmt: skip
    axes.axhline(0, color="black", linestyle=":", linewidth=0.8)
    axes.set_xticks(range(len(numbers)), [LABELS.get(name, name) for name in numbers], rotation=30, fontsize=7)
    axes.set_ylim(-1.05, 1.05)
    axes.set_title("partial rank correlation with W1 given the iteration", fontsize=8)
