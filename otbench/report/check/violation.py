"""A violation is one broken rule in one row; the comparisons that find them are here as well."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Violation:
    """One broken rule: which it is, in which cell and column, what stands there, and what must.

    ``column`` is empty where a rule is of several columns; its name then tells which.
    """

    rule: str
    cell: str
    observed: str
    bound: str
    column: str = ""

    def __str__(self) -> str:
        where = f"{self.cell}, column {self.column}" if self.column else self.cell
        text = f"{self.rule}: {where}: observed {self.observed}, must be {self.bound}"
        return printable(text)


def printable(text: str) -> str:
    """Text that terminals and XML can hold, whatever a damaged file says."""
    return "".join(c if c.isprintable() else "?" for c in text)


def at_most(rule: str, frame: pd.DataFrame, observed: Any, bound: Any) -> Iterator[Violation]:
    """A violation for every row in which observed > bound; empty values are left to other rules.

    Args:
        rule: what is broken, for messages.
        frame: the rows.
        observed: a column of numbers.
        bound: a column of numbers, or one number for all rows.
    """
    bounds = pd.Series(bound, index=frame.index) if np.isscalar(bound) else bound
    for index in frame.index[(observed > bounds).fillna(False)]:
        yield _beyond(rule, frame.loc[index], observed, index, "<=", bounds.loc[index])


def at_least(rule: str, frame: pd.DataFrame, observed: Any, bound: float) -> Iterator[Violation]:
    """A violation for every row in which observed < bound; empty values are left to other rules."""
    for index in frame.index[(observed < bound).fillna(False)]:
        yield _beyond(rule, frame.loc[index], observed, index, ">=", bound)


def _beyond(rule: str, row: Any, observed: Any, index: Any, sign: str, limit: float) -> Violation:
    """What stands in a row beyond its limit; the column is named where it is one of the row's own."""
    name = str(observed.name)
    column = name if name in row else ""
    return Violation(rule, place(row), f"{float(observed.loc[index]):.12g}", f"{sign} {float(limit):.12g}", column)


def holds(
    rule: str, frame: pd.DataFrame, kept: Any, observed: str, bound: str, column: str = ""
) -> Iterator[Violation]:
    """A violation for every row of ``frame`` whose flag in ``kept`` is not set.

    Args:
        rule: what is broken, for messages.
        frame: the rows.
        kept: a column of flags.
        observed: what is there where the flag is not set.
        bound: what must be there.
        column: where, if it is in one column.
    """
    for index in frame.index[~kept]:
        yield Violation(rule, place(frame.loc[index]), observed, bound, column)


def whole(rule: str, frame: pd.DataFrame, columns: list[str]) -> Iterator[Violation]:
    """A violation for every row without a number in one of ``columns``, naming the first."""
    missing = frame[columns].isna()
    for index in frame.index[missing.any(axis=1)]:
        yield Violation(rule, place(frame.loc[index]), "nothing", "a number", str(missing.loc[index].idxmax()))


def place(row: Any) -> str:
    """A row's cell in a way that a reader can find it: its names, then the start of its key."""
    names = (
        "problem.name", "problem.dim", "method.name", "method.clip", "dataset", "lr", "clip", "iteration", "seed",
    )  # fmt: skip
    words = {"problem.name": "problem", "method.name": "method"}
    told = [name for name in names if name in row and pd.notna(row[name])]
    parts = [f"{words.get(name, name.split('.')[-1])} {row[name]}" for name in told]
    key = str(row["key"])
    return ", ".join(parts) + f" [{key if 'solver' in row else key[:12]}]"  # of a solver's run the key says all
