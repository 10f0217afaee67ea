"""The picture of how fast critics train, one engine beside another."""

import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS, describe, few_ticks, legend_below, lowest, panels

#: Panels in a row.
SHAPES_ACROSS = 3


def speed(frame: pd.DataFrame) -> Figure:
    """Critic-steps per second against critics in the batch, one panel per shape; the plain loop is a dashed line.

    Every dtype of the products has lines of its own.
    """
    lines = ["machine", "device", "engine", *(["dtype"] if "dtype" in frame else [])]
    shapes = list(frame.groupby(["batch", "width"]))
    across = min(SHAPES_ACROSS, len(shapes))
    figure, grid = panels(-(-len(shapes) // across), across, 1.8, sharex=True, sharey=True)
    for panel, ((batch, width), rows) in zip(grid.flat, shapes, strict=False):
        for _, part in rows[rows["engine"] == "plain"].groupby(["machine", "device"]):
            rate = part["critic_steps_per_second"].median()
            panel.axhline(rate, color="black", linestyle="--", linewidth=1, label=f"plain loop, {_device(part)}")
        for k, (_, part) in enumerate(rows[rows["engine"] != "plain"].groupby(lines, dropna=False)):
            part = part.sort_values("critics")
            label = f"{part['engine'].iloc[0]}, {_device(part)}{_rounding(part)}"
            rates = part["critic_steps_per_second"]
            colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
            panel.plot(part["critics"], rates, color=colour, marker=marker, markersize=4, label=label)
        panel.set(xscale="log", yscale="log", title=f"2 x {width} units,\nbatch {batch} + {batch}")
        few_ticks(panel.xaxis)
        few_ticks(panel.yaxis)
    lowest(grid, len(shapes), "critics in the batch")
    figure.supylabel("critic-steps per second", fontsize=9)
    legend_below(figure, grid.flat, 3)
    describe(
        figure, "How fast clipped critics train together, beside the plain loop of one critic",
        "Marks are medians over repeats. A batch is minibatch points of either sample; clip value, rate and n do not",
        "change the time of a step.",
    )  # fmt: skip
    return figure


def _device(rows: pd.DataFrame) -> str:
    """What a line was measured on: a GPU by its name."""
    name = rows["device_name"].iloc[0] if "device_name" in rows else None
    return name if isinstance(name, str) else str(rows["device"].iloc[0])


def _rounding(rows: pd.DataFrame) -> str:
    """The dtype of a line's products, in words; nothing of float32, which is what older rows are of too."""
    dtype = rows["dtype"].iloc[0] if "dtype" in rows else None
    return f", {dtype}" if isinstance(dtype, str) and dtype != "float32" else ""
