"""The picture of how fast critics train, one engine beside another."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS


def speed(frame: pd.DataFrame) -> Figure:
    """Critic-steps per second against critics in the batch, one panel per shape; the plain loop is a dashed line."""
    shapes = list(frame.groupby(["batch", "width"]))
    size = (2.6 * len(shapes), 3.2)
    figure, grid = plt.subplots(1, len(shapes), figsize=size, sharey=True, layout="constrained", squeeze=False)
    panels = list(grid[0])
    for panel, ((batch, width), rows) in zip(panels, shapes, strict=True):
        for (_, device), part in rows[rows["engine"] == "plain"].groupby(["machine", "device"]):
            rate = part["critic_steps_per_second"].median()
            panel.axhline(rate, color="black", linestyle="--", linewidth=1, label=f"plain loop, {device}")
        for k, (_, part) in enumerate(rows[rows["engine"] != "plain"].groupby(["machine", "device", "engine"])):
            part = part.sort_values("critics")
            label = f"{part['engine'].iloc[0]}, {part['device'].iloc[0]}"
            rates = part["critic_steps_per_second"]
            panel.plot(part["critics"], rates, color=COLOURS[k], marker=MARKERS[k], label=label)
        title = f"2 x {width} units, batch {batch} + {batch}"
        panel.set(xscale="log", yscale="log", xlabel="critics in the batch")
        panel.set_title(title, fontsize=8)
    panels[0].set_ylabel("critic-steps a second")
    panels[0].legend()
    return figure
