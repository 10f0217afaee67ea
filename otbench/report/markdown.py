"""Tables for people: the headline in a terminal, Markdown and LaTeX of any table."""

import html
from typing import Literal

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.files import write_atomically
from otbench.results.folder import Stored
from otbench.results.store import Results
from otbench.results.tables.cells import most_frequent, to_csv

#: The headline: what a clipped critic prints and what it is worth, a line a dimension and clip value.
HEADLINE = {
    "problem.dim": "dim",
    "rate": "lr",
    "method.clip": "clip c",
    "c_over_c_star": "c/c*",
    "raw_over_w1": "raw/W1",
    "clip_bound_over_w1": "raw/K(c)/W1",
    "slope_over_w1": "slope/W1",
    "c_transform_over_w1": "c-transform/W1",
    "nearest_over_w1": "nearest/W1",
    "skill": "skill",
    "cosine": "cosine",
}


def headline(frame: pd.DataFrame) -> pd.DataFrame:
    """Medians over everything else of trained clipped critics per dimension, learning rate and clip value, as text
    cells; of the problem and sampling mode with the most rows."""
    rows = most_frequent(frame[(frame["critic"] == "weight_clip") & (frame["status"] == "ok")])
    if rows.empty:
        return pd.DataFrame(columns=list(HEADLINE.values()))
    unit = np.where(rows["method.lr_unit"] == "clip", " c", "")
    rows = rows.assign(rate=rows["method.lr"].map("{:g}".format) + unit)
    keys = ["problem.dim", "rate", "method.clip"]
    table = rows.groupby(keys)[list(HEADLINE)[len(keys) :]].median().reset_index().rename(columns=HEADLINE)
    for name in table.columns[2:]:
        table[name] = table[name].map(short)
    return table


def by_clip(frame: pd.DataFrame) -> pd.DataFrame:
    """raw/W1 and slope/W1 per clip value, a column a dimension: what is printed against what it is worth.

    Medians over everything else of the trained clipped critics whose learning rate is in proportion to the clip
    value, so that the box is reached at every clip value; of the problem and sampling mode with the most rows.
    """
    rows = frame[frame["critic"] == "weight_clip"]
    rows = rows[rows["method.lr_unit"] == "clip"] if len(rows) else rows
    if rows.empty:
        raise InputError("no trained clipped critic here has lr_unit = \"clip\"; quote another experiment's table")
    rows = most_frequent(rows)
    parts: dict[str, pd.Series[float]] = {}
    for column, label in (("raw_over_w1", "raw/W1"), ("slope_over_w1", "slope/W1")):
        wide = rows.pivot_table(column, "method.clip", "problem.dim", aggfunc="median")
        parts |= {f"{label}, d={dim}": wide[dim] for dim in wide}
    return pd.DataFrame(parts).rename_axis("clip c").reset_index()


def gap(published: pd.DataFrame) -> pd.DataFrame:
    """What weight clipping loses to scale and to shape, a line a dimension: medians over the pairs of a dimension."""
    columns = {
        "cos": "cosine", "published_cos": "published", "l2": "l2", "published_l2": "published l2",
        "scale": "of it scale", "l2_repaired": "shape", "sweep_clip": "best c", "sweep_cos": "its cosine",
        "best_published_cos": "best method's",
    }  # fmt: skip
    rows = published.assign(scale=published["l2"] - published["l2_repaired"])
    return rows.groupby("dim")[list(columns)].median().rename(columns=columns).rename_axis("d").reset_index()


def short(value: object) -> str:
    """Three significant digits; an empty cell where there is no number."""
    if value is None or value is pd.NA or value != value:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table."""
    texts = table.map(short).map(_inert).rename(columns=lambda name: _inert(str(name)))
    text: str = texts.to_markdown(index=False, disable_numparse=True)
    return text + "\n"


def _inert(text: str) -> str:
    """Text that neither ends a cell nor starts a tag on the page it gets to."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def latex(table: pd.DataFrame) -> str:
    """A booktabs tabular, special characters escaped."""
    styled = table.map(short).style.hide(axis="index").format(escape="latex")
    styled = styled.format_index(escape="latex", axis=1)
    return str(styled.to_latex(hrules=True))


def write_tables(folder: Results, format: Literal["csv", "markdown", "latex"]) -> int:
    """Write every table of a results folder in one format; how many files changed."""
    changed = 0
    for name, table in Stored(folder).tables.items():
        if format == "csv":
            data, suffix = to_csv(name, table), "csv"
        elif format == "markdown":
            data, suffix = markdown(table).encode(), "md"
        else:
            data, suffix = latex(table).encode(), "tex"
        file = folder.tables / f"{name}.{suffix}"
        if not file.is_file() or file.read_bytes() != data:
            write_atomically(file, data)
            changed += 1
    return changed
