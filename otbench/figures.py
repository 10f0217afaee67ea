"""Tables → pictures: what a clipped critic prints against what it is worth, and how fast critics train."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.errors import InputError
from otbench.rows import Results, write_atomically
from otbench.stored import Stored
from otbench.tables import most_frequent
from otbench.timetables import scaling

#: Okabe and Ito's palette: told apart by colour-blind readers; lines also differ by marker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE: Any = {
    "figure.dpi": 100,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "svg.hashsalt": "otbench",  # the same identifiers, hence the same bytes, every time
    "svg.fonttype": "path",
}


def write_figures(results: Results) -> list[Path]:
    """Every figure of a results folder as SVG and PNG; the same rows give the same SVG bytes."""
    stored = Stored(results)
    drawn = {"speed": (speed, scaling(stored.frame))} if stored.measurements else {"clip": (clip, stored.frame)}
    files = []
    with mpl.rc_context(STYLE):
        for name, (draw, frame) in drawn.items():
            files += _save(draw, frame, results.folder / "figures" / name)
    return files


def clip(frame: pd.DataFrame) -> Figure:
    """raw/W1 (left) and slope/W1 (right) against c/c*, a line a dimension, quartiles shaded.

    Of the problem and sampling mode with the most rows, trained with a rate in proportion to c.
    """
    rows = frame[frame["critic"] == "weight_clip"]
    rows = most_frequent(rows[rows["method.lr_unit"] == "clip"] if len(rows) else rows)
    if rows.empty:
        raise InputError('no trained clipped critic here has lr_unit = "clip"; run another experiment')
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for k, (dim, part) in enumerate(rows.groupby("problem.dim")):
        for axes, column in ((left, "raw_over_w1"), (right, "slope_over_w1")):
            _band(axes, part, "c_over_c_star", column, k, f"d = {dim}")
    for axes, title in ((left, "printed: raw / W1"), (right, "worth: raw / largest slope / W1")):
        axes.set(xscale="log", xlabel="clip value c / c*", title=title)
        axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    left.set_yscale("log")
    right.set_ylim(0, 1.05)
    left.legend()
    return figure


def speed(frame: pd.DataFrame) -> Figure:
    """Critic-steps a second against critics in the batch, a panel a width; the plain loop as a dashed line."""
    widths = sorted(frame["width"].unique())
    figure, panels = plt.subplots(1, len(widths), figsize=(2.6 * len(widths), 3.2), sharey=True, layout="constrained")
    for panel, width in zip([panels] if len(widths) == 1 else panels, widths, strict=True):
        rows = frame[frame["width"] == width]
        for (_, device), part in rows[rows["engine"] == "plain"].groupby(["machine", "device"]):
            rate = part["critic_steps_per_second"].median()
            panel.axhline(rate, color="black", linestyle="--", linewidth=1, label=f"plain loop, {device}")
        for k, (_, part) in enumerate(rows[rows["engine"] != "plain"].groupby(["machine", "device", "engine"])):
            part = part.sort_values("critics")
            label = f"{part['engine'].iloc[0]}, {part['device'].iloc[0]}"
            rate = part["critic_steps_per_second"]
            panel.plot(part["critics"], rate, color=COLOURS[k], marker=MARKERS[k], label=label)
        panel.set(xscale="log", yscale="log", xlabel="critics in the batch", title=f"2 x {width} hidden units")
    (panels if len(widths) == 1 else panels[0]).set_ylabel("critic-steps a second")
    (panels if len(widths) == 1 else panels[0]).legend()
    return figure


def _band(axes: Axes, rows: pd.DataFrame, x: str, y: str, k: int, label: str) -> None:
    """Median line and quartile band of y over rows of equal x."""
    grouped = rows.groupby(rows[x].round(9))[y]
    q1, median, q3 = (grouped.quantile(level) for level in (0.25, 0.5, 0.75))
    axes.plot(median.index, median, color=COLOURS[k], marker=MARKERS[k], markersize=4, label=label)
    axes.fill_between(median.index, q1, q3, color=COLOURS[k], alpha=0.15, linewidth=0)


def _save(draw: Callable[[pd.DataFrame], Figure], frame: pd.DataFrame, stem: Path) -> list[Path]:
    figure, files = draw(frame), []
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        files.append(stem.with_suffix(f".{suffix}"))
        write_atomically(files[-1], buffer.getvalue())
    plt.close(figure)
    return files
