"""Views: the pictures that the page offers of an experiment, each a choice of a table, axes, colour and rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pandas as pd

from otbench.files import PACKAGE, read_toml
from otbench.results.store import SEEDS

#: How a filter's text asks for a value exactly; alone it asks for an empty cell.
EXACTLY = "="

#: Columns that say what a line is of and have no prefix ``problem.``, ``sampling.`` or ``method.``.
NAMING = frozenset({
    "critic", "label", "budget", "dim", "n", "funnels", "problem", "method", "by", "setting", "solver", "dataset", "lr",
    "clip", "n_critic", "number", "among", "machine", "device", "threads", "target", "given", "left_out", "value",
    "theta", "start", "depth", "steps", "width", "batch", "engine", "critics", "kind", "iteration", "clip_over_c_star",
    "accuracy", "optimiser", *SEEDS,
})  # fmt: skip


@dataclass(frozen=True)
class View:
    """A picture, as ``views.toml`` says it: ``y`` against ``x``, a colour per value of ``colour``, of some rows."""

    title: str
    caption: str
    table: str
    x: str
    y: str
    colour: str
    where: Mapping[str, object] = field(default_factory=dict)
    log: str = ""


ROWS_TABLE = "rows"

@cache
def _views() -> tuple[View, ...]:
    return tuple(View(**view) for view in read_toml(PACKAGE / "report" / "page" / "views.toml")["view"])


def identity_columns(table: pd.DataFrame) -> list[str]:
    """The columns that say what a line is of."""
    known = NAMING - {"n"} if "sampling.n" in table else NAMING
    return [str(c) for c in table if str(c).startswith(("problem.", "sampling.", "method.")) or c in known]


def offered(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The views of tables that have what they show, as the page takes them: with the text of every filter."""
    return [told for view in _views() if view.table in tables and (told := _told(view, tables[view.table]))]


def _told(view: View, table: pd.DataFrame) -> dict[str, Any] | None:
    """A view with its filters, None where the table has not what it shows, or not two places along its axis."""
    if not {view.x, view.y, view.colour, *view.where} <= set(table):
        return None
    rows = table[table[view.x].notna() & table[view.y].notna()]
    filters = {}
    for name, value in view.where.items():
        values = value if isinstance(value, list) else [value]
        rows = rows[pd.Series([_same(entry, values) for entry in rows[name]], rows.index, dtype=bool)]
        filters[name] = ", ".join(map(filter_text, values))
    for name, values in _pinned(rows, view).items():
        filters[name] = ", ".join(map(filter_text, values))
        rows = _among(rows, name, values)
    if rows[view.x].nunique() < 2:
        return None
    return {"title": view.title, "caption": view.caption, "table": view.table, "x": view.x, "y": view.y,
            "colour": view.colour, "log": view.log, "filters": filters}  # fmt: skip


def _pinned(rows: pd.DataFrame, view: View) -> dict[str, list[Any]]:
    """The most frequent value of every identity column that still varies, one after another; of a field of the methods
    that of every colour, as critics that lack the field must not be left out."""
    found: dict[str, list[Any]] = {}
    # names first: fields that other problems or methods lack then follow
    for name in sorted(identity_columns(rows), key=lambda name: not name.endswith("name")):
        if name in {view.x, view.colour, *SEEDS} or rows[name].nunique(dropna=False) < 2 or _follows(rows, name, view):
            continue
        parts = [part for _, part in rows.groupby(view.colour)] if name.startswith("method.") else [rows]
        values = [(most := part[name].mode(dropna=False)).iloc[len(most) // 2] for part in parts]
        found[name] = list({filter_text(value): value for value in values}.values())
        rows = _among(rows, name, found[name])
    return found


def _among(rows: pd.DataFrame, name: str, values: list[Any]) -> pd.DataFrame:
    """The rows that have one of some values in a column."""
    known = [value for value in values if not pd.isna(value)]
    return rows[rows[name].isin(known) | (rows[name].isna() & (len(known) < len(values)))]


def _follows(rows: pd.DataFrame, name: str, view: View) -> bool:
    """Whether a column says nothing beyond the axes: it has one value wherever they have theirs."""
    return int(rows.groupby([view.x, view.colour], dropna=False)[name].nunique(dropna=False).max()) == 1


def _same(entry: Any, values: list[Any]) -> bool:
    """Whether an entry of a table is one of some values, which files may write as text."""
    return not pd.isna(entry) and any(entry == value or str(entry) == str(value) for value in values)


def filter_text(value: Any) -> str:
    """The text of a filter for exactly this value."""
    if pd.isna(value):
        return EXACTLY
    return f"{EXACTLY}{float(value):.7g}" if isinstance(value, float) else f"{EXACTLY}{value}"
