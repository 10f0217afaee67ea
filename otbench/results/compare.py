"""Two results folders side by side: which numbers changed beyond rounding and beyond the spread of seeds."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.results.folder import Stored
from otbench.results.rounding import NOISE, ROUNDING, round_alike
from otbench.results.tables.cells import cell_columns
from otbench.types import Array

#: Changed numbers that are listed.
LISTED = 40


@dataclass
class Comparison:
    """How many cells are in both, what became of their numbers, and a line for every one that changed."""

    cells: tuple[int, int, int]
    alike: bool
    numbers: int = 0
    equal: int = 0
    within: int = 0
    changed: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The comparison in words."""
        yield "{} cells in A, {} in B, {} in both".format(*self.cells)
        if not self.alike:
            yield "their machines round differently, which training amplifies: trained critics differ in later digits"
        yield (
            f"{self.numbers} numbers compared: {self.equal} equal to rounding, {self.within} different within "
            f"the spread of seeds, {len(self.changed)} changed"
        )
        yield from self.changed[:LISTED]
        if len(self.changed) > LISTED:
            yield f"... and {len(self.changed) - LISTED} more"


def compare_results(a: Stored, b: Stored) -> Comparison:
    """Every measured or derived number of the cells in both folders, grouped over seeds.

    A number changed where any seed's values differ beyond ROUNDING and the medians over seeds lie further apart
    than the larger standard deviation over seeds; with one seed, beyond ROUNDING. Versions of otbench may differ.
    Columns that are sizes of rounding themselves are left out.

    Raises:
        InputError: what is not comparable, and why.
    """
    if a.is_study or b.is_study:
        raise InputError("times of two machines are not compared: merge the folders and read tables/timing.csv")
    left, right = a.frame, b.frame
    shared = _identity(left, right)
    both = left.merge(right, on=shared, suffixes=("", " B"))
    if both.empty:
        raise InputError(f"no cell is in both folders: {_apart(left, right, shared)}")
    for frame, name in ((left, "A"), (right, "B")):
        if frame.duplicated(shared).any():
            reason = f"cells of {name} differ in columns the other folder does not have"
            raise InputError(f"{reason}; run both with one otbench")
    found = Comparison((len(left), len(right), len(both)), round_alike(a.meta, b.meta))
    groups = [name for name in shared if name != "seed"]
    numeric = [c for c in left.columns if f"{c} B" in both and pd.api.types.is_numeric_dtype(left[c])]
    numeric = [c for c in numeric if c not in {"schema", *NOISE} and pd.api.types.is_numeric_dtype(right[c])]
    shown = [name for name in groups if both[name].nunique(dropna=False) > 1]
    for _, rows in both.groupby(groups, dropna=False, sort=False):
        place = ", ".join(f"{name} = {rows[name].iloc[0]}" for name in shown if pd.notna(rows[name].iloc[0])) or "all"
        _statuses(rows, place, found)
        for name in numeric:
            a_values, b_values = (rows[c].to_numpy(float, na_value=np.nan) for c in (name, f"{name} B"))
            _number(name, a_values, b_values, place, found)
    return found


def _number(name: str, a: Array, b: Array, place: str, found: Comparison) -> None:
    """One column of one group: a value a seed on either side."""
    known = ~(np.isnan(a) | np.isnan(b))
    if known.any():
        a, b = a[known], b[known]
        found.numbers += len(a)
        differ = np.abs(a - b) > ROUNDING * np.maximum(np.abs(a), np.abs(b))
        spread = max(np.std(a, ddof=1), np.std(b, ddof=1)) if len(a) > 1 else 0.0
        apart = abs(np.median(b) - np.median(a))
        found.equal += int((~differ).sum())
        if differ.any() and apart > max(spread, ROUNDING * abs(np.median(a))):
            seeds = f"spread of {len(a)} seeds {spread:.3g}" if len(a) > 1 else "one seed"
            found.changed += [f"{name}: {place}: {np.median(a):.6g} → {np.median(b):.6g}, {seeds}"]
        else:
            found.within += int(differ.sum())


def _statuses(rows: pd.DataFrame, place: str, found: Comparison) -> None:
    other = rows[rows["status"] != rows["status B"]]
    for old, new in other[["status", "status B"]].drop_duplicates().itertuples(index=False):
        count = int(((other["status"] == old) & (other["status B"] == new)).sum())
        found.changed.append(f"status: {place}: {old} → {new}, {count} of {len(rows)} seeds")


def _identity(left: pd.DataFrame, right: pd.DataFrame) -> list[str]:
    """The columns that say what a cell is in both folders; versions of problems and methods may differ."""
    known = set(cell_columns(right))
    return [name for name in cell_columns(left) if name in known and not name.endswith(".version")]


def _apart(left: pd.DataFrame, right: pd.DataFrame, shared: list[str]) -> str:
    """The first column that has no value in common."""
    for name in shared:
        ours, theirs = (sorted(set(frame[name].dropna().astype(str)))[:3] for frame in (left, right))
        if set(left[name].dropna()).isdisjoint(right[name].dropna()) and (ours or theirs):
            return f"{name} is {', '.join(ours) or 'nothing'} in A and {', '.join(theirs) or 'nothing'} in B"
    return "they combine the same values differently"
