"""How fast critics train, engine beside engine."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.figures.style import COLOURS, MARKERS


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
