"""A violation: one broken rule of one row, and the comparisons that find them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Violation:
    """One broken rule: which, where, what was seen, what was allowed."""

    rule: str
    cell: str
    observed: str
    bound: str

    def __str__(self) -> str:
        text = f"{self.rule}: {self.cell}: observed {self.observed}, must be {self.bound}"
        return "".join(c if c.isprintable() else "?" for c in text)  # it goes to terminals and into XML


def at_most(rule: str, frame: pd.DataFrame, observed: Any, bound: Any) -> Iterator[Violation]:
    """A violation for every row where observed > bound; empty values are other rules' business."""
    bounds = pd.Series(bound, index=frame.index) if np.isscalar(bound) else bound
    for index in frame.index[(observed > bounds).fillna(False)]:
        seen, limit = float(observed.loc[index]), float(bounds.loc[index])
        yield Violation(rule, place(frame.loc[index]), f"{seen:.12g}", f"<= {limit:.12g}")


def holds(rule: str, frame: pd.DataFrame, kept: Any, observed: str, bound: str) -> Iterator[Violation]:
    """A violation for every row whose flag in ``kept`` is not set."""
    for index in frame.index[~kept]:
        yield Violation(rule, place(frame.loc[index]), observed, bound)


def place(row: Any) -> str:
    """A cell a reader can find: its names, then the start of its key."""
    names = (
        "problem.name", "problem.dim", "method.name", "method.clip", "dataset", "lr", "clip", "iteration", "seed",
    )  # fmt: skip
    parts = [f"{name.split('.')[-1]} {row[name]}" for name in names if name in row and pd.notna(row[name])]
    return ", ".join(parts) + f" [{str(row['key'])[:12]}]"
