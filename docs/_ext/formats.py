"""The format of rows, records and tables, column by column, from the schema and from the committed results."""

import inspect
import re
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from otbench.results import schema
from otbench.results.folder import STUDY_TABLES, TABLES
from otbench.results.meanings import meaning, meanings
from otbench.results.tables import (
    cells,
    clip_sweeps,
    critics,
    crossings,
    gradients,
    laws,
    paired,
    published,
    published_reproduced,
    published_sweep,
    rule_held_out,
    transfer,
)

RESULTS = Path(__file__).parents[2] / "results"

#: The functions that make the tables of a matrix, whose docstrings say what one line is.
MAKERS: dict[str, Any] = {
    "matrix": cells.frame_of, "agreement": cells.agreement, "clip": cells.clip, "laws": laws.laws,
    "paired": paired.paired, "critics": critics.critics, "exact": cells.exact, "timing": cells.timing,
    "saturation": cells.losses, "exponents": clip_sweeps.exponents, "worth": clip_sweeps.worth,
    "crossings": crossings.crossings, "crossing_law": crossings.crossing_law, "rule": rule_held_out.rule_table,
    "held_out": rule_held_out.held_out, "transfer": transfer.transfer, "published": published.published,
    "reproduced": published_reproduced.reproduced, "sweep": published_sweep.sweep,
    "gradients": gradients.gradients, "methods": published.methods,
}  # fmt: skip

#: Types of the schema as a reader of JSON knows them.
WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", types.NoneType: "null"}

#: Columns whose name begins so are parameters of the cell.
CELL = ("problem.", "sampling.", "method.")


def rows() -> str:
    """The columns of a row, in their order, then those that ``otbench.load`` derives."""
    derived = [name for name in headers()["matrix"] if name not in schema.names_of(schema.RowColumns)]
    return "\n".join([
        "### Stored, in `rows.jsonl`", "", *_typed(schema.RowColumns), "",
        "### Derived, in the table `matrix` and by `otbench.load`", "",
        *_listed(derived, "matrix"), "",
        "### Of the times, in `timing.jsonl`", "", *_typed(schema.TimingColumns), "",
    ])  # fmt: skip


def records() -> str:
    """The columns of the records of every kind of study."""
    parts = []
    for kind, of in {
        "generator": schema.GeneratorColumns, "growth": schema.GrowthColumns, "pricing": schema.PricingColumns,
        "convergence": schema.ConvergenceColumns, "times": schema.MeasurementColumns,
    }.items():  # fmt: skip
        parts += [f"### {kind}", "", prose(of), "", *_typed(of), ""]
    return "\n".join(parts)


def tables() -> str:
    """A section per table: what one line is, by the function that makes it, and its columns."""
    made = MAKERS | {name: maker for of in STUDY_TABLES.values() for name, maker in of.items() if name not in TABLES}
    parts = []
    for name, maker in made.items():
        if name not in headers():  # made of rows that none of the committed results holds
            continue
        parts += [f"## {name}", "", prose(maker), "", *_listed(headers()[name], name), ""]
    return "\n".join(parts)


def prose(of: Any) -> str:
    """What a docstring says before its arguments, as Markdown: code stays code, other signs stand for themselves."""
    text = inspect.cleandoc(of.__doc__ or "")
    for heading in ("Args:", "Returns:", "Raises:"):
        text = text.partition(f"\n\n{heading}")[0]
    parts = text.split("``")
    parts[::2] = [re.sub(r"([*|_])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


@cache
def headers() -> dict[str, list[str]]:
    """The columns of every committed table, over all experiments that have it."""
    found: dict[str, dict[str, None]] = {}
    for file in sorted(RESULTS.glob("*/tables/*.csv*")):
        columns = pd.read_csv(file, nrows=0).columns
        found.setdefault(file.name.split(".")[0], {}).update(dict.fromkeys(map(str, columns)))
    return {name: list(columns) for name, columns in found.items()}


def _typed(columns: type[BaseModel]) -> list[str]:
    """The columns of a schema as a table with their types."""
    lines = ["| column | type | what it is |", "|---|---|---|"]
    for name, field in columns.model_fields.items():
        shown = field.alias or name
        lines.append(f"| `{shown}` | {' or '.join(dict.fromkeys(_words(field.annotation)))} | {told(shown)} |")
    return lines


def _listed(columns: list[str], table: str) -> list[str]:
    """Columns as a table: a line for a number with all its endings, and one for the parameters of cells."""
    grouped: dict[str, list[str]] = {}
    for name in columns:
        if not name.startswith(CELL):
            grouped.setdefault(base(name, table), []).append(f"`{name}`")
    lines = ["| column | what it is |", "|---|---|"]
    if any(name.startswith(CELL) for name in columns):
        text = "What the cell is: a parameter of its [problem, sampling or method](catalogue.md)."
        lines.append(f"| `problem.…`, `sampling.…`, `method.…` | {text} |")
    return lines + [f"| {', '.join(names)} | {told(name, table)} |" for name, names in grouped.items()]


def base(column: str, table: str) -> str:
    """The column without an ending that the page explains once for all."""
    known = meanings()
    rest, _, ending = column.rpartition("_")
    return column if column in known["columns"] | known.get(table, {}) or ending not in known["endings"] else rest


def told(column: str, table: str = "") -> str:
    """What a column means, as it stands in a cell of a table of Markdown."""
    return re.sub(r"([*|])", r"\\\1", meaning(column, table) or "")


def _words(annotation: Any) -> Iterator[str]:
    """The types that a column's values may have."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        yield from (f"`{part}`" for part in parts)
    elif origin is typing.Annotated:
        yield from _words(parts[0])
    elif parts:
        for part in parts:
            yield from _words(part)
    else:
        yield WORDS[annotation]
