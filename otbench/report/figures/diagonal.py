"""The picture of dual against primal values, in which every row is under the diagonal."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, plain_ticks

#: The rungs that are drawn: what a critic's own slope proves, and the best dual value of its multiples.
DRAWN = {"slope": "slope", "c_transform": "c-transform"}


def diagonal(frame: pd.DataFrame) -> Figure | None:
    """The bounds that each row proves against the exact W1 of its samples; None where no row has both."""
    rows = frame[(frame["status"] == "ok") & (frame["primal"] > 0)]
    if rows.empty:
        return None
    names = list(rows["critic"].value_counts().index)
    figure, panels = plt.subplots(1, len(DRAWN), figsize=(8, 3.8), sharex=True, sharey=True, layout="constrained")
    low, high = rows["primal"].min() / 1.5, rows["primal"].max() * 1.5
    for panel, (column, label) in zip(panels, DRAWN.items(), strict=True):
        for k, name in enumerate(names):
            part = rows[(rows["critic"] == name) & (rows[column] > 0)]
            panel.plot(part["primal"], part[column], linestyle="none", marker=".", markersize=3, alpha=0.5,
                       color=COLOURS[k % len(COLOURS)], label=name, rasterized=True)  # fmt: skip
        panel.plot([low, high], [low, high], color="black", linewidth=0.8)
        panel.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low / 30, high), title=f"{label} bound",
                  xlabel="primal: exact W1 of the samples")  # fmt: skip
        plain_ticks(panel.xaxis)
    panels[0].set_ylabel("dual: proven lower bound")
    panels[0].legend(markerscale=4)
    return figure
