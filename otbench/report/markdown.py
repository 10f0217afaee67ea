"""Tables as text: CSV, Markdown, JSON and LaTeX of any table, and those that a text quotes."""

import html
import json
from typing import Any, Literal

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.report.headline import headline
from otbench.report.latex import latex_table
from otbench.report.short import short
from otbench.results.folder import Stored
from otbench.results.store import SEEDS, Results
from otbench.results.table_files import write_table
from otbench.results.tables.cells import cell_columns, to_csv
from otbench.results.tables.intervals import median_intervals
from otbench.results.tables.published_methods import CLIPPED, PUBLISHED_CLIP

FormatName = Literal["csv", "markdown", "json", "latex"]

#: What the lines of the quoted table of clip values are, and how they are headed.
LINES = {"sampling.mode": "samples", "problem.overlap": "overlap", "method.clip": "clip c"}

#: What a paper's table shows of critics: few columns, what is printed, and what it is worth of samples and of laws.
PAPER = ("raw_over_w1", "slope_over_w1", "c_transform_over_w1", "held_out_over_population_w1")

#: What a number's own column is called after its name, and those of its interval's ends.
MIDDLE_AND_ENDS = ("", "_low", "_high")

#: How the files of a format end.
SUFFIXES: dict[FormatName, str] = {"csv": "csv", "markdown": "md", "json": "json", "latex": "tex"}


def by_clip(frame: pd.DataFrame, intervals: bool = False) -> pd.DataFrame:
    """raw/W1 and slope/W1 per sampling mode, overlap and clip value, one column per dimension: what is printed against
    what it is worth.

    Medians over seeds, and over nothing else, of the trained clipped critics whose learning rate is in proportion to
    the clip value, so that the box is reached at every clip value; of the problem with the most rows, and the cells
    that every dimension has. The last column is the widest interval of the line's medians, relative to its median
    (``otbench.results.tables.intervals``); with ``intervals`` every median has its own instead, as columns ``_low`` and
    ``_high``.

    Raises:
        InputError: there is no such critic, or they differ in something else too.
    """
    rows = frame[frame["critic"] == "weight_clip"]
    rows = rows[rows["method.lr_unit"] == "clip"] if len(rows) else rows
    if rows.empty:
        raise InputError("no trained clipped critic here has lr_unit = \"clip\"; quote another experiment's table")
    rows = rows[rows["problem.name"] == rows["problem.name"].mode().iloc[0]]
    line = [name for name in LINES if name in rows and rows[name].notna().any()]
    pooled = [name for name in cell_columns(rows) if name not in {*line, "problem.dim", *SEEDS}]
    if differ := [name for name in pooled if rows[name].nunique(dropna=False) > 1]:
        raise InputError(f"the quoted table would pool cells that differ in {', '.join(differ)}; quote their numbers")
    shown = {"raw_over_w1": "raw/W1", "slope_over_w1": "slope/W1"}
    grouped = rows.groupby([*line, "problem.dim"], sort=True)
    medians = grouped[list(shown)].median()
    ends = median_intervals(rows, [*line, "problem.dim"], list(shown)).reindex(medians.index)
    if intervals:
        return _with_ends(medians, ends, shown, line)
    widths = [(ends[f"{name}_high"] - ends[f"{name}_low"]) / medians[name].abs() for name in shown]
    wide = medians.unstack("problem.dim").dropna()
    table: pd.DataFrame = wide.set_axis([f"{shown[name]}, d={dim}" for name, dim in wide.columns], axis=1)
    widest = pd.concat(widths, axis=1).max(axis=1).groupby(line).max()
    table["widest interval"] = [f"{100 * widest[index]:.0f} %" for index in table.index]
    table.index = table.index.set_names([LINES[name] for name in line])
    return table.reset_index()


def _with_ends(
    medians: pd.DataFrame, ends: pd.DataFrame, shown: dict[str, str], line: list[str]
) -> pd.DataFrame:
    """Medians beside the ends of their intervals, a column of each per dimension."""
    whole = medians.unstack("problem.dim").dropna()
    pairs: Any = whole.keys().to_list()
    wide = medians.join(ends).unstack("problem.dim").loc[whole.index]
    table = pd.DataFrame({
        f"{shown[name]}, d={dim}{end}": wide[f"{name}{end}", dim]
        for name, dim in pairs
        for end in MIDDLE_AND_ENDS
    })
    table.index = table.index.set_names([LINES[name] for name in line])
    return table.reset_index()


def gap(gradients: pd.DataFrame, published: pd.DataFrame, intervals: bool = False) -> pd.DataFrame:
    """What weight clipping loses to scale and to shape, one line per dimension of its lines in ``published``: medians
    over pairs.

    Our own numbers, of the critic re-trained as published, have their intervals over seeds, in brackets or with
    ``intervals`` as columns ``_low`` and ``_high``; the published ones are of one training and have none.

    Raises:
        InputError: there is no such line.
    """
    clipped = published[published["method"] == CLIPPED]
    if clipped.empty:
        raise InputError(f"no critic here was clipped to {PUBLISHED_CLIP}, as published; quote another table")
    ours = {"cosine": "cosine", "l2": "gradient_l2", "of it scale": "gradient_l2_of_scale",
            "shape": "gradient_l2_repaired"}  # fmt: skip
    theirs = {"published": "published_cos", "published l2": "published_l2", "best method's": "best_published_cos"}
    of_clip = gradients[np.isclose(gradients["method.clip"].astype("float64"), PUBLISHED_CLIP)]
    lines = of_clip[of_clip["method.steps"] == of_clip["method.steps"].max()].set_index("problem.dim")
    medians = clipped.groupby("dim")[list(theirs.values())].median()
    lines, of_theirs = lines.loc[medians.index], {name: medians[column] for name, column in theirs.items()}
    order = ["cosine", "published", "l2", "published l2", "of it scale", "shape", "best method's"]
    if intervals:
        both = of_theirs | {f"{name}{end}": lines[f"{column}{end}"]
                            for name, column in ours.items() for end in MIDDLE_AND_ENDS}  # fmt: skip
        names = [f"{name}{end}" for name in order for end in MIDDLE_AND_ENDS if f"{name}{end}" in both]
        return pd.DataFrame(both)[names].rename_axis("d").reset_index()
    told = {name: _with_interval(lines, column) for name, column in ours.items()}
    table = pd.DataFrame(told | of_theirs)
    return table[order].rename_axis("d").reset_index()


def _with_interval(lines: pd.DataFrame, column: str) -> "pd.Series[str]":
    """Numbers as text, with their intervals in brackets."""
    low, high = lines[f"{column}_low"].map(short), lines[f"{column}_high"].map(short)
    found: pd.Series[str] = lines[column].map(short) + " [" + low + ", " + high + "]"
    return found


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table."""
    texts = table.map(short).map(_inert).rename(columns=lambda name: _inert(str(name)))
    text: str = texts.to_markdown(index=False, disable_numparse=True)
    return text + "\n"


def _inert(text: str) -> str:
    """Text that neither ends a cell nor starts a tag on the page it gets to."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def records(table: pd.DataFrame) -> list[dict[str, object]]:
    """The lines of a table as JSON can hold them: full precision, null where there is no number, "inf" for infinity."""
    plain = table.astype(object).where(table.notna(), None).replace([np.inf, -np.inf], ["inf", "-inf"])
    return [{str(name): value for name, value in line.items()} for line in plain.to_dict("records")]


def as_text(name: str, table: pd.DataFrame, format: FormatName) -> bytes:
    """A table's file in one format; ``name`` says whether a CSV has full precision (``to_csv``)."""
    if format == "csv":
        return to_csv(name, table)
    if format == "json":
        return (json.dumps(records(table), indent=1, allow_nan=False) + "\n").encode()
    if format == "markdown":
        return markdown(table).encode()
    if name == "matrix":  # a paper has no use for a line per cell and a column per field: it gets the headline
        table = headline(table, [column for column in PAPER if table[column].notna().any()], intervals=True)
    return latex_table(table).encode()


def write_tables(folder: Results | Stored, format: FormatName) -> int:
    """Write every table of a results folder in one format; how many files changed."""
    stored = Stored(folder) if isinstance(folder, Results) else folder
    where, suffix = stored.results.tables, SUFFIXES[format]
    return sum(write_table(where, name, suffix, as_text(name, table, format)) for name, table in stored.tables.items())
