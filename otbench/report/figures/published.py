"""The picture of the published benchmark: the cosine of every method's critic, ours beside theirs, over dimension."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, describe, legend_below, lowest, panels
from otbench.results.tables.published_methods import PUBLISHED_METHODS

#: How far the pairs of one dimension, of few funnels to many, lie from its place to either side.
APART = 0.3

#: Panels in a row.
ACROSS_PANELS = 4


def published(table: pd.DataFrame) -> Figure | str:
    """The cosine with the true gradient of every pair, a panel per published method; or that none is published.

    Dimensions lie side by side, and within one its pairs from few funnels to many. Ours are medians over seeds with
    their intervals, and theirs, of one training, are rings. Of several settings of ours each has its mark.

    Args:
        table: the table of methods (``otbench.results.tables.published``).
    """
    critics = table[table["critic"]]
    names = [known.name for known in PUBLISHED_METHODS if (critics["method"] == known.name).any()]
    if not (critics["by"] == "published").any():
        return "no published scores lie beside these rows (otbench run published --scores FILE)"
    dims, funnels = sorted(critics["dim"].unique()), sorted(critics["funnels"].unique())
    shift = dict(zip(funnels, np.linspace(-APART, APART, len(funnels)) if len(funnels) > 1 else [0.0], strict=True))
    critics = critics.assign(place=critics["dim"].map(dims.index) + critics["funnels"].map(shift))
    across = min(ACROSS_PANELS, len(names))
    down = -(-len(names) // across)
    figure, grid = panels(down, across, 1.5, sharex=True, sharey=True)
    for panel, name in zip(grid.flat, names, strict=False):
        _panel(panel, critics[critics["method"] == name])
        panel.set_title(name)
        panel.set_xticks(range(len(dims)), [str(dim) for dim in dims])
    for row in grid:
        row[0].set_ylabel("cosine")
    lowest(grid, len(names), "dimension")
    legend_below(figure, grid.flat, 2)
    describe(
        figure, "Cosine with the true gradient of every method of the published W1 benchmark (Korotin et al. 2022)",
        f"Pairs of {', '.join(map(str, funnels))} funnels from left to right within each dimension. Rings: the",
        "published score, of one training. Squares: trained again here by the published recipe (fresh samples at each",
        "step, rate and c as published), medians over seeds with 95 % intervals.",
    )  # fmt: skip
    return figure


def _panel(panel: Axes, rows: pd.DataFrame) -> None:
    theirs, ours = rows[rows["by"] == "published"], rows[rows["by"] == "otbench"]
    panel.plot(theirs["place"], theirs["cos"], "o", markersize=5, markerfacecolor="none", color="black",
               label="published")  # fmt: skip
    if len(ours):
        ends = (ours["cos"] - ours["cos_low"]).fillna(0.0), (ours["cos_high"] - ours["cos"]).fillna(0.0)
        panel.errorbar(ours["place"], ours["cos"], np.stack(ends), fmt="s", markersize=2.5, color=COLOURS[1],
                       linewidth=1, label="re-trained here, 95 % over seeds")  # fmt: skip
    panel.axhline(0, color="black", linewidth=0.8)
