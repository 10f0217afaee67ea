"""A violation is one broken rule in one row; the comparisons that find them are here as well."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Violation:
    """One broken rule: which it is, in which cell, what was observed there, and what it must be."""

    rule: str
    cell: str
    observed: str
    bound: str

    def __str__(self) -> str:
        text = f"{self.rule}: {self.cell}: observed {self.observed}, must be {self.bound}"
        return "".join(c if c.isprintable() else "?" for c in text)  # it goes to terminals and into XML


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
        seen, limit = float(observed.loc[index]), float(bounds.loc[index])
        yield Violation(rule, place(frame.loc[index]), f"{seen:.12g}", f"<= {limit:.12g}")


def holds(rule: str, frame: pd.DataFrame, kept: Any, observed: str, bound: str) -> Iterator[Violation]:
    """A violation for every row of ``frame`` whose flag in ``kept`` is not set.

    Args:
        rule: what is broken, for messages.
        frame: the rows.
        kept: a column of flags.
        observed: what is there where the flag is not set.
        bound: what must be there.
    """
    for index in frame.index[~kept]:
        yield Violation(rule, place(frame.loc[index]), observed, bound)


def place(row: Any) -> str:
    """A row's cell in a way that a reader can find it: its names, then the start of its key."""
    names = (
        "problem.name", "problem.dim", "method.name", "method.clip", "dataset", "lr", "clip", "iteration", "seed",
    )  # fmt: skip
    parts = [f"{name.split('.')[-1]} {row[name]}" for name in names if name in row and pd.notna(row[name])]
    return ", ".join(parts) + f" [{str(row['key'])[:12]}]"
