"""How every picture looks, is described and is saved."""

import io
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from otbench.files import write_atomically
from otbench.results.tables.intervals import median_intervals

#: The palette of Okabe and Ito, which colour-blind readers tell apart; lines also differ by their marker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

#: Inches of the widest picture. Shrunk to a paper's column of 3.3 inches its letters, SMALL_LETTERS high, still have 5
#: points.
PAGE_WIDTH, COLUMN_WIDTH, SMALL_LETTERS = 5.4, 3.3, 8.5

#: Characters of SMALL_LETTERS letters in an inch of a caption.
CHARACTERS = 15.6

STYLE: Any = {
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": SMALL_LETTERS,
    "ytick.labelsize": SMALL_LETTERS,
    "legend.fontsize": SMALL_LETTERS,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "svg.hashsalt": "otbench",  # the same identifiers, hence the same bytes, every time
    "svg.fonttype": "path",
}


def panels(down: int, across: int, height: float, *, width: float = PAGE_WIDTH, **options: Any) -> tuple[Figure, Any]:
    """A figure with a grid (down, across) of panels, each so many inches high."""
    figure, grid = plt.subplots(
        down, across, figsize=(width, height * down), squeeze=False, layout="constrained", **options
    )
    return figure, grid


def describe(figure: Figure, title: str, *sentences: str) -> None:
    """Put a title on top of a figure and below it sentences that tell what is drawn, for which the figure grows."""
    width, height = figure.get_size_inches()
    letters = int(CHARACTERS * width)
    lines = [*textwrap.wrap(title, letters), *textwrap.wrap(" ".join(filter(None, sentences)), letters)]
    figure.set_size_inches(width, height + 0.16 * len(lines) + 0.1)
    figure.suptitle("\n".join(lines), x=0.04 / width, horizontalalignment="left", fontsize=SMALL_LETTERS)


def legend_below(figure: Figure, axes: Iterable[Axes], columns: int) -> None:
    """One legend of all panels below them, where it covers no data, for which the figure grows."""
    named: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.18 * -(-len(named) // columns) + 0.1)
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns, columnspacing=1.2)


def lowest(grid: Any, count: int, label: str) -> None:
    """Of a grid of panels of which the first ``count`` are used: hide the others, write the ticks of every column below
    its lowest panel that is used, and the label of the axis below the middle one."""
    across = grid.shape[1]
    for k, panel in enumerate(grid.flat):
        panel.set_visible(k < count)
        last = k < count <= k + across
        panel.tick_params(labelbottom=last)
        if last and k % across == min(across, count) // 2:
            panel.set_xlabel(label)


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
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
    axes.plot(median.index, median, color=colour, marker=marker, markersize=4, label=label)
    axes.fill_between(median.index, ends[f"{y}_low"], ends[f"{y}_high"], color=colour, alpha=0.2, linewidth=0)


def plain_ticks(axis: Axis) -> None:
    """Put the ticks of a short logarithmic axis at 1, 2 and 5, and write them as 0.2 and not as 2 x 10^-1."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def few_ticks(axis: Axis, ticks: int = 4) -> None:
    """Put a few ticks at powers of ten on a logarithmic axis, none between them; plain ones on an axis of a decade and
    on one that has a single power of ten."""
    low, high = axis.get_view_interval()
    if low > 0 and (np.log10(high / low) < 1.2 or np.floor(np.log10(high)) - np.ceil(np.log10(low)) < 1):
        plain_ticks(axis)
        return
    axis.set_major_locator(LogLocator(numticks=ticks))
    axis.set_minor_locator(NullLocator())


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as SVG and PNG, and close it. The SVG has the title and the caption as text for screen readers."""
    files = []
    title, _, caption = figure.get_suptitle().partition("\n")
    told = {"Date": None, "Title": title or None, "Description": " ".join(caption.split()) or None}
    for suffix, metadata in (("svg", told), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        files.append(stem.with_suffix(f".{suffix}"))
        write_atomically(files[-1], buffer.getvalue())
    plt.close(figure)
    return files
