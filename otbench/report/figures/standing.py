"""The picture of critics of one's own among those of the literature."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.style import COLOURS, SMALL_LETTERS, STYLE, describe, panels, save

#: What stands where a critic has no score.
WITHOUT_A_MARK = {"laws": "no constant", "direction": "no gradient"}


def standing(table: pd.DataFrame, is_of_laws: bool, about: str) -> Figure:
    """A row per critic, the best of the laws on top, and one's own marked: of the samples, of the laws, the direction.

    Args:
        table: that of a ``Contest``.
        is_of_laws: whether the laws' scores are shares of their own W1, and not of that of the held-out points.
        about: what is said of points and training.
    """
    rows = table.iloc[::-1].reset_index(drop=True)
    figure, (row,) = panels(1, 3, 0.22 * len(rows) + 0.7, sharey=True)
    held_out = "of the laws,\nshare of W1" if is_of_laws else "held out, share of W1\nof the held-out points"
    titles = {"samples": "of the samples,\nshare of W1", "laws": held_out, "direction": "cosine with the\nexact plan"}
    for axes, (name, title) in zip(row, titles.items(), strict=True):
        _panel(axes, rows, name)
        low, high = rows[f"{name}_low"].min(), rows[f"{name}_high"].max()  # NaN where no critic has the score
        axes.set(title=title, xlim=(min(-0.05, low - 0.05), max(1.05, high + 0.05)))
        axes.axvline(1.0, color="black", linewidth=0.8)
    row[0].set_yticks(range(len(rows)), list(rows["critic"]))
    for letters, own in zip(row[0].get_yticklabels(), rows["own"], strict=True):
        letters.set(fontweight="bold" if own else "normal", color=COLOURS[1] if own else "black")
    several = "critics" if rows["own"].sum() > 1 else "critic"
    describe(
        figure, f"Your {several} among those of the literature, the best of the laws on top", about,
        "Left: raw over the critic's largest slope between the samples. Middle: raw on points held out over a constant",
        "that holds everywhere. Right: its gradients along the exact plan of the samples. Lines are ranges over seeds,",
        "and in the middle 95 % intervals of the held-out means as well.",
    )  # fmt: skip
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    for own, colour, marker in ((False, COLOURS[0], "o"), (True, COLOURS[1], "D")):
        some = rows[(rows["own"] == own) & rows[name].notna()]
        axes.hlines(some.index, some[f"{name}_low"], some[f"{name}_high"], color=colour, linewidth=1.2)
        axes.plot(some[name], some.index, color=colour, marker=marker, markersize=5, linestyle="none")
    for place in rows.index[rows[name].isna()]:
        axes.text(0, place, WITHOUT_A_MARK[name], fontsize=SMALL_LETTERS, verticalalignment="center", color="dimgray")


def draw_standing(table: pd.DataFrame, is_of_laws: bool, about: str, file: Path) -> list[Path]:
    """Write the picture as SVG and PNG beside each other."""
    with mpl.rc_context(STYLE):
        return save(standing(table, is_of_laws, about), file)
