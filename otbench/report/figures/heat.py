"""The picture of what clipped critics are worth over clip value and overlap, as one map per dimension."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from otbench.results.tables.cells import proportional


def heat(frame: pd.DataFrame) -> Figure | None:
    """The median slope/W1 over clip value, to the right, and population overlap, upwards; None without both axes.

    It is of coupled shared mass, whose W1 is the same at every overlap, trained at a rate proportional to c.
    """
    rows = proportional(frame)
    rows = rows[(rows["problem.name"] == "shared_mass") & (rows["sampling.mode"] == "coupled")]
    if rows["population_overlap"].nunique() < 2 or rows["method.clip"].nunique() < 2:
        return None
    dims = sorted(rows["problem.dim"].unique())
    figure, grid = plt.subplots(1, len(dims), figsize=(2.4 * len(dims), 2.8), layout="constrained", squeeze=False)
    for panel, dim in zip(grid[0], dims, strict=True):
        part = rows[rows["problem.dim"] == dim]
        wide = part.pivot_table("slope_over_w1", "population_overlap", "method.clip", aggfunc="median")
        image = panel.imshow(wide, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(wide.to_numpy()):
            label = f"{value:.2f}".removeprefix("0").replace("1.00", "1")
            colour = "black" if value > 0.55 else "white"
            panel.text(column, row, label, ha="center", va="center", fontsize=7, color=colour)
        panel.set_xticks(range(wide.shape[1]), [f"{c:g}" for c in wide.columns], rotation=90)
        panel.set_yticks(range(wide.shape[0]), [f"{overlap:g}" for overlap in wide.index])
        panel.set(title=f"d = {dim}", xlabel="clip value c")
        panel.grid(visible=False)
    grid[0][0].set_ylabel("overlap of the supports")
    figure.colorbar(image, ax=list(grid[0]), label="slope / W1")
    return figure
