"""A violation: one broken rule of one row, and the comparisons that find them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

#: Relative rounding allowance of every comparison: the certificate's own.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Violation:
    """One broken rule: which, in which cell and column, what stands there and what should.

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
        return "".join(c if c.isprintable() else "?" for c in text)  # it goes to terminals and into XML


def at_most(rule: str, frame: pd.DataFrame, observed: Any, bound: Any) -> Iterator[Violation]:
    """A violation for every row where observed > bound; empty values are other rules' business."""
    bounds = pd.Series(bound, index=frame.index) if np.isscalar(bound) else bound
    for index in frame.index[(observed > bounds).fillna(False)]:
        yield _beyond(rule, frame.loc[index], observed, index, "<=", bounds.loc[index])


def at_least(rule: str, frame: pd.DataFrame, observed: Any, bound: float) -> Iterator[Violation]:
    """A violation for every row where observed < bound; empty values are other rules' business."""
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
    """A violation for every row whose flag in ``kept`` is not set."""
    for index in frame.index[~kept]:
        yield Violation(rule, place(frame.loc[index]), observed, bound, column)


def whole(rule: str, frame: pd.DataFrame, columns: list[str]) -> Iterator[Violation]:
    """A violation for every row without a number in one of ``columns``, naming the first."""
    missing = frame[columns].isna()
    for index in frame.index[missing.any(axis=1)]:
        yield Violation(rule, place(frame.loc[index]), "nothing", "a number", str(missing.loc[index].idxmax()))


def place(row: Any) -> str:
    """A cell a reader can find: its names, then the start of its key."""
    names = (
        "problem.name", "problem.dim", "method.name", "method.clip", "dataset", "lr", "clip", "iteration", "seed",
    )  # fmt: skip
    words = {"problem.name": "problem", "method.name": "method"}
    told = [name for name in names if name in row and pd.notna(row[name])]
    parts = [f"{words.get(name, name.split('.')[-1])} {row[name]}" for name in told]
    return ", ".join(parts) + f" [{str(row['key'])[:12]}]"
