"""The picture of the knife's edge: the printed value against the clip value, by depth, and what it is worth."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, MARKERS
from otbench.results.tables.clip_sweeps import NEAR, is_sweep

#: How the two learning rates are drawn.
ARMS = {"clip": ("-", "rate in proportion to c"), "absolute": ("--", "rate 5e-5")}


def edge(frame: pd.DataFrame) -> Figure | None:
    """raw/W1, slope/W1 and the mean gradient norm against c/c*, one colour per depth and one dash per learning rate.

    They are medians over dimensions and seeds, of the problem with the most rows. None where no clip value is swept.
    """
    if not is_sweep(frame):
        return None
    rows = frame[(frame["critic"] == "weight_clip") & (frame["status"] == "ok") & (frame["method.init"] == "torch")]
    rows = rows[rows["method.clip_over_c_star"].notna() & (rows["method.clip_parameters"] == "all")]
    rows = rows[(rows["method.eps"] == rows["method.eps"].mode().iloc[0])]
    rows = rows[rows["problem.name"] == rows["problem.name"].mode().iloc[0]]
    same = rows.groupby("problem.dim")["method.depth"].transform("nunique")
    rows = rows[(same == same.max()) & (rows["method.widths"].map(lambda text: set(str(text).split("x"))) == {"64"})]
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    columns = {"raw_over_w1": "printed: raw / W1", "slope_over_w1": "worth: raw / largest slope / W1",
               "grad_norm_mean": "heard: mean gradient norm"}  # fmt: skip
    for k, (depth, deep) in enumerate(rows.groupby("method.depth")):
        for arm, (dash, label) in ARMS.items():
            medians = deep[deep["method.lr_unit"] == arm].groupby("method.clip_over_c_star")[list(columns)].median()
            for panel, column in zip(panels, columns, strict=True):
                text = f"{depth} hidden, {label}" if arm == "clip" or k == 0 else None
                panel.plot(medians.index, medians[column], color=COLOURS[k], marker=MARKERS[k], markersize=3.5,
                           linestyle=dash, label=text)  # fmt: skip
    for panel, title in zip(panels, columns.values(), strict=True):
        panel.set(xscale="log", xlabel="clip value c / c*", title=title)
        panel.axhline(1, color="black", linewidth=0.8, linestyle=":")
    for panel in (panels[0], panels[2]):
        panel.set(yscale="log", ylim=(1e-6, 1e6))
        panel.axhspan(1 / NEAR, NEAR, color="black", alpha=0.12, linewidth=0)
    panels[1].set_ylim(0, 1.05)
    panels[1].legend(fontsize=7, loc="lower left")
    return figure
