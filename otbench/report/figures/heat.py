"""The picture of what clipped critics are worth over clip value and overlap, as one map per dimension."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from otbench.report.figures.captions import recipe
from otbench.report.figures.clip import ACROSS, SAMPLING_MODES
from otbench.report.figures.style import describe, panels
from otbench.results.tables.cells import one_of_each, proportional


def heat(frame: pd.DataFrame) -> Figure | str:
    """The median slope/W1 over clip value, to the right, and population overlap, upwards; or which axis is missing.

    It is of shared mass, whose W1 is the same at every overlap, trained at a rate proportional to c: a column of panels
    per dimension, a row per sampling mode.
    """
    rows = proportional(frame)
    rows, told = one_of_each(rows[rows["problem.name"] == "shared_mass"], {*ACROSS, "problem.overlap"})
    modes = [mode for mode in SAMPLING_MODES if len(_both_axes(rows[rows["sampling.mode"] == mode]))]
    rows = rows[rows["sampling.mode"].isin(modes)]
    if rows.empty:
        return "no shared mass here has two overlaps and two clip values at rates in proportion to c"
    dims = sorted(rows["problem.dim"].unique())
    figure, grid = panels(len(modes), len(dims), 1.5)
    for row, mode in zip(grid, modes, strict=True):
        for k, (panel, dim) in enumerate(zip(row, dims, strict=True)):
            part = rows[(rows["problem.dim"] == dim) & (rows["sampling.mode"] == mode)]
            image = _map(panel, part)
            panel.set(title=f"d = {dim}, {mode}" if k == 0 else f"d = {dim}")
            panel.tick_params(labelleft=k == 0, labelbottom=mode == modes[-1])
        row[0].set_ylabel("overlap")
    for panel in grid[-1]:
        panel.set_xlabel("clip value c")
    figure.colorbar(image, ax=list(grid.ravel()), label="slope / W1", shrink=0.7)
    describe(
        figure, ", ".join(filter(None, ["What a clipped critic proves of W1: shared mass", told])), f"{recipe(rows)}.",
        "Each field is a median over seeds of slope / W1, where slope is raw over the critic's largest slope between",
        "the samples; the overlap is the share of mass that both laws have in common. Rows of panels:",
        f"{' and '.join(modes)} samples.",
    )  # fmt: skip
    return figure


def _both_axes(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, if they differ in overlap and in clip value."""
    return rows[:0] if rows["population_overlap"].nunique() < 2 or rows["method.clip"].nunique() < 2 else rows


def _map(panel: Axes, rows: pd.DataFrame) -> AxesImage:
    wide = rows.pivot_table("slope_over_w1", "population_overlap", "method.clip", aggfunc="median")
    image = panel.imshow(wide, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(wide.to_numpy()):
        label = f"{value:.2f}".removeprefix("0").replace("1.00", "1")
        panel.text(column, row, label, ha="center", va="center", fontsize=8.5,
                   color="black" if value > 0.55 else "white")  # fmt: skip
    panel.set_xticks(range(wide.shape[1]), [f"{c:g}" for c in wide.columns], rotation=90)
    panel.set_yticks(range(wide.shape[0]), [f"{overlap:g}" for overlap in wide.index])
    panel.grid(visible=False)
    return image
