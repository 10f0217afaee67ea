"""The picture of what clipped critics are worth over clip value and overlap, as one map per dimension."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from otbench.report.figures.clip import ACROSS, SAMPLING_MODES
from otbench.results.tables.cells import one_of_each, proportional


def heat(frame: pd.DataFrame) -> Figure | None:
    """The median slope/W1 over clip value, to the right, and population overlap, upwards; None without both axes.

    It is of shared mass, whose W1 is the same at every overlap, trained at a rate proportional to c: a column of panels
    per dimension, a row per sampling mode.
    """
    rows = proportional(frame)
    rows, _ = one_of_each(rows[rows["problem.name"] == "shared_mass"], {*ACROSS, "problem.overlap"})
    modes = [mode for mode in SAMPLING_MODES if len(_both_axes(rows[rows["sampling.mode"] == mode]))]
    rows = rows[rows["sampling.mode"].isin(modes)]
    if rows.empty:
        return None
    dims = sorted(rows["problem.dim"].unique())
    size = (2.4 * len(dims), 2.7 * len(modes))
    figure, grid = plt.subplots(len(modes), len(dims), figsize=size, squeeze=False, layout="constrained")
    for panels, mode in zip(grid, modes, strict=True):
        for panel, dim in zip(panels, dims, strict=True):
            part = rows[(rows["problem.dim"] == dim) & (rows["sampling.mode"] == mode)]
            image = _map(panel, part)
            panel.set(title=f"d = {dim}, {mode}", xlabel="clip value c")
        panels[0].set_ylabel("overlap of the supports")
    figure.colorbar(image, ax=list(grid.ravel()), label="slope / W1")
    return figure


def _both_axes(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, if they differ in overlap and in clip value."""
    return rows[:0] if rows["population_overlap"].nunique() < 2 or rows["method.clip"].nunique() < 2 else rows


def _map(panel: Axes, rows: pd.DataFrame) -> AxesImage:
    wide = rows.pivot_table("slope_over_w1", "population_overlap", "method.clip", aggfunc="median")
    image = panel.imshow(wide, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(wide.to_numpy()):
        label = f"{value:.2f}".removeprefix("0").replace("1.00", "1")
        panel.text(column, row, label, ha="center", va="center", fontsize=7, color="black" if value > 0.55 else "white")
    panel.set_xticks(range(wide.shape[1]), [f"{c:g}" for c in wide.columns], rotation=90)
    panel.set_yticks(range(wide.shape[0]), [f"{overlap:g}" for overlap in wide.index])
    panel.grid(visible=False)
    return image
