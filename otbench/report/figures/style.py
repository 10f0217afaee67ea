"""How every picture looks, is drawn and is saved."""

import io
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from otbench.files import write_atomically
from otbench.results.tables.intervals import median_intervals

#: The palette of Okabe and Ito, which colour-blind readers tell apart; lines also differ by their marker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE: Any = {
    "figure.dpi": 100,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "svg.hashsalt": "otbench",  # the same identifiers, hence the same bytes, every time
    "svg.fonttype": "path",
}


def band(axes: Axes, rows: pd.DataFrame, x: str, y: str, k: int, label: str) -> None:
    """Draw the median of the column y as a line over the column x, with a band of its 95 % interval over seeds.

    Args:
        axes: where it is drawn.
        rows: the rows, with their seeds; they are pooled where x is equal.
        x: the column along the axis.
        y: the column whose medians are drawn.
        k: the number of the line, which decides its colour and marker.
        label: its name in the legend.
    """
    rounded = rows.assign(**{x: rows[x].round(9)}).sort_values(x, kind="stable")
    median, ends = rounded.groupby(x)[y].median(), median_intervals(rounded, [x], [y])
    axes.plot(median.index, median, color=COLOURS[k], marker=MARKERS[k], markersize=4, label=label)
    axes.fill_between(median.index, ends[f"{y}_low"], ends[f"{y}_high"], color=COLOURS[k], alpha=0.2, linewidth=0)


def plain_ticks(axis: Axis) -> None:
    """Put the ticks of a short logarithmic axis at 1, 2 and 5, and write them as 0.2 and not as 2 x 10^-1."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as SVG and PNG, and close it."""
    files = []
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        files.append(stem.with_suffix(f".{suffix}"))
        write_atomically(files[-1], buffer.getvalue())
    plt.close(figure)
    return files
