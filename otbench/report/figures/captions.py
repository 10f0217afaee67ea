"""What captions tell of the rows that a picture shows: problem, sizes, rates, seeds, and what is not shown."""

from typing import Any

import pandas as pd

from otbench.results.tables.cells import one_of_each

#: Fields that a title leaves out, as they are told elsewhere in it or mean nothing to a reader.
UNSAID = ("sha256", "n", "widths", "eps", "clip_parameters", "biases", "lr", "lr_unit", "steps")

#: How pictures call sampling modes; data of one's own have none.
AS_GIVEN = "given"


def values(column: "pd.Series[Any]") -> str:
    """The one value of a column, or the least and the greatest."""
    found = sorted(column.dropna().unique())
    if not found:
        return "?"
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in (found[0], found[-1])]
    return texts[0] if len(found) == 1 else f"{texts[0]} to {texts[1]}"


def rate(rows: pd.DataFrame) -> str:
    """The learning rates of critics in words: "rate 0.01 c" where it is in proportion to the clip value."""
    if "method.lr" not in rows or rows["method.lr"].isna().all():
        return ""
    told, rows = [], rows[rows["method.lr"].notna()]
    units = rows["method.lr_unit"] if "method.lr_unit" in rows else pd.Series(None, rows.index, dtype=object)
    for unit, part in rows.groupby(units, dropna=False):
        told.append(values(part["method.lr"]) + (" c" if unit == "clip" else ""))
    return "rate " + " or ".join(dict.fromkeys(told))


def recipe(rows: pd.DataFrame) -> str:
    """Points of a sample, rate, steps, widths and seeds of the rows that a picture shows."""
    parts = [f"n = {values(rows['n'])}", rate(rows)]
    if "method.steps" in rows and rows["method.steps"].notna().any():
        parts.append(f"{values(rows['method.steps'].astype('Float64').astype(float))} steps")
    if "method.widths" in rows and rows["method.widths"].dropna().nunique() == 1:
        parts.append(f"hidden layers {rows['method.widths'].dropna().iloc[0]}")
    count = rows["seed"].nunique()
    return ", ".join([*filter(None, parts), f"{count} seed{'' if count == 1 else 's'}"])


def of_one_problem(rows: pd.DataFrame, across: set[str], *prefixes: str) -> tuple[pd.DataFrame, str, str]:
    """The rows of the problem with the most rows, with one value of all that varies but ``across``.

    Returns:
        The rows, the problem and what was chosen in words, and a sentence on what is not shown, "" where nothing is.
    """
    name = rows["problem.name"].mode().iloc[0]
    others = sorted(set(rows["problem.name"]) - {name})
    shown, told = one_of_each(rows[rows["problem.name"] == name], across, *prefixes)
    chosen = [part for part in told.split(", ") if part]
    left = [f"the problems {', '.join(others)}"] if others else []
    left += ["other values of " + ", ".join(part.split(" = ")[0] for part in chosen)] if chosen else []
    problem = "your samples" if name == "arrays" else str(name).replace("_", " ")
    words = ", ".join([problem, *(part for part in chosen if part.split(" = ")[0] not in UNSAID)])
    return shown, words, f"Not shown: {'; '.join(left)}." if left else ""


def modes(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a sampling mode each, ``AS_GIVEN`` where points were given and not sampled."""
    return rows.assign(**{"sampling.mode": rows["sampling.mode"].astype(object).fillna(AS_GIVEN)})
