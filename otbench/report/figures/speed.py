"""The picture of how fast critics train, one engine beside another."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS


def speed(frame: pd.DataFrame) -> Figure:
    """Critic-steps per second against critics in the batch, one panel per shape; the plain loop is a dashed line.

    Every dtype of the products has lines of its own.
    """
    lines = ["machine", "device", "engine", *(["dtype"] if "dtype" in frame else [])]
    shapes = list(frame.groupby(["batch", "width"]))
    size = (2.6 * len(shapes), 3.2)
    figure, grid = plt.subplots(1, len(shapes), figsize=size, sharey=True, layout="constrained", squeeze=False)
    panels = list(grid[0])
    for panel, ((batch, width), rows) in zip(panels, shapes, strict=True):
        for _, part in rows[rows["engine"] == "plain"].groupby(["machine", "device"]):
            rate = part["critic_steps_per_second"].median()
            panel.axhline(rate, color="black", linestyle="--", linewidth=1, label=f"plain loop, {_device(part)}")
        for k, (_, part) in enumerate(rows[rows["engine"] != "plain"].groupby(lines, dropna=False)):
            part = part.sort_values("critics")
            label = f"{part['engine'].iloc[0]}, {_device(part)}{_rounding(part)}"
            rates = part["critic_steps_per_second"]
            colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
            panel.plot(part["critics"], rates, color=colour, marker=marker, label=label)
        title = f"2 x {width} units, batch {batch} + {batch}"
        panel.set(xscale="log", yscale="log", xlabel="critics in the batch")
        panel.set_title(title, fontsize=8)
    panels[0].set_ylabel("critic-steps a second")
    panels[0].legend()
    return figure


def _device(rows: pd.DataFrame) -> str:
    """What a line was measured on: a GPU by its name."""
    name = rows["device_name"].iloc[0] if "device_name" in rows else None
    return name if isinstance(name, str) else str(rows["device"].iloc[0])


def _rounding(rows: pd.DataFrame) -> str:
    """The dtype of a line's products, in words; nothing of float32, which is what older rows are of too."""
    dtype = rows["dtype"].iloc[0] if "dtype" in rows else None
    return f", {dtype}" if isinstance(dtype, str) and dtype != "float32" else ""
