"""The picture of the knife's edge: the printed value against the clip value, by depth, and what it is worth."""

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from otbench.report.figures.captions import recipe
from otbench.report.figures.style import COLOURS, MARKERS, describe, few_ticks, legend_below, panels
from otbench.results.tables.clip_sweeps import NEAR, is_sweep, sweeps

#: How the two learning rates are drawn.
ARMS = {"clip": ("-", "rate in proportion to c"), "absolute": ("--", "rate 5e-5")}


def edge(frame: pd.DataFrame) -> Figure | str:
    """raw/W1, slope/W1 and the mean gradient norm against c/c*, one colour per depth and one dash per learning rate.

    They are medians over dimensions and seeds, of the problem with the most rows, with the range over both shaded. Thin
    lines behind them are every sweep of every problem at a rate in proportion to c, medians over its seeds: how far the
    one problem speaks for the others. Where no clip value is swept it says so.
    """
    if not is_sweep(frame):
        return "no clip value is swept here in units of c* (method field clip_over_c_star)"
    everyone = [part[part["status"] == "ok"] for named, part in sweeps(frame) if named["method.lr_unit"] == "clip"]
    rows = frame[(frame["critic"] == "weight_clip") & (frame["status"] == "ok") & (frame["method.init"] == "torch")]
    rows = rows[rows["method.clip_over_c_star"].notna() & (rows["method.clip_parameters"] == "all")]
    rows = rows[(rows["method.eps"] == rows["method.eps"].mode().iloc[0])]
    rows = rows[rows["problem.name"] == rows["problem.name"].mode().iloc[0]]
    same = rows.groupby("problem.dim")["method.depth"].transform("nunique")
    rows = rows[(same == same.max()) & (rows["method.widths"].map(lambda text: set(str(text).split("x"))) == {"64"})]
    figure, (row,) = panels(1, 3, 2.3, sharex=True)
    columns = {"raw_over_w1": "printed:\nraw / W1", "slope_over_w1": "worth:\nslope / W1",
               "grad_norm_mean": "passed on: mean\nnorm of gradients"}  # fmt: skip
    for k, (depth, deep) in enumerate(rows.groupby("method.depth")):
        for arm, (dash, label) in ARMS.items():
            grouped = deep[deep["method.lr_unit"] == arm].groupby("method.clip_over_c_star")[list(columns)]
            medians, least, most = grouped.median(), grouped.min(), grouped.max()
            for panel, column in zip(row, columns, strict=True):
                text = f"dashed: {label}" if k == 0 else None
                if arm == "clip":
                    text = f"{depth} hidden layer{'s' if depth > 1 else ''}"
                panel.plot(medians.index, medians[column], color=COLOURS[k], marker=MARKERS[k], markersize=3.5,
                           linestyle=dash, label=text)  # fmt: skip
                panel.fill_between(medians.index.astype(float), least[column].astype(float), most[column].astype(float),
                                   color=COLOURS[k], alpha=0.12, linewidth=0)  # fmt: skip
    for panel, (column, title) in zip(row, columns.items(), strict=True):
        curves = [part.groupby("ratio")[column].median().astype(float) for part in everyone]
        points = [np.stack([curve.index, curve], axis=1) for curve in curves]
        panel.add_collection(LineCollection(points, colors="0.7", linewidths=0.5, zorder=0, label="every sweep"))
        panel.set(xscale="log", xlabel="clip value c / c*", title=title)
        panel.axhline(1, color="black", linewidth=0.8, linestyle=":")
        few_ticks(panel.xaxis)
    for panel in (row[0], row[2]):
        panel.set(yscale="log", ylim=(1e-6, 1e6))
        few_ticks(panel.yaxis, 5)
        panel.axhspan(1 / NEAR, NEAR, color="black", alpha=0.12, linewidth=0)
    row[1].set_ylim(0, 1.05)
    legend_below(figure, row, 3)
    name = str(rows["problem.name"].iloc[0]).replace("_", " ")
    describe(
        figure, f"What clipped critics print, are worth and pass on: {name}, by depth", f"{recipe(rows)}.",
        "Marks are medians over dimensions and seeds, bands the range over both. Thin grey lines: every sweep of every",
        "problem at a rate in proportion to c, medians over seeds. Grey strip: within a factor 2 of 1.",
    )  # fmt: skip
    return figure
