"""Two results folders side by side: which numbers changed beyond rounding and beyond the spread of seeds."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.results.folder import Stored
from otbench.results.rounding import NOISE, ROUNDING, round_alike
from otbench.results.store import SEEDS
from otbench.results.tables.bracketed import RATIO_ENDS, TRUTH
from otbench.results.tables.cells import cell_columns
from otbench.results.tables.gan import GAN
from otbench.types import Array

#: Critics that are there to be held against others: what runs have in common when they have nothing to compare.
BASELINES = ("zero", "linear", "potential", "sinkhorn", "sliced", "max_sliced", "untrained")

#: Columns of curves that are the machine's, not the GAN's.
CLOCKS = ("seconds_critic", "seconds_generator", "seconds_exact")

#: Changed numbers that are listed.
LISTED = 40


@dataclass
class Comparison:
    """How many cells, or readings of curves, are in A, in B and in both, what became of their numbers, and a line for
    every one that changed."""

    cells: tuple[int, int, int]
    alike: bool
    unit: str = "cells"
    numbers: int = 0
    equal: int = 0
    within: int = 0
    changed: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The comparison in words."""
        yield "{} {unit} in A, {} in B, {} in both".format(*self.cells, unit=self.unit)
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
    """Every measured or derived number of the cells in both folders, or of the readings of GANs in training, grouped
    over seeds.

    A number changed where any seed's values differ beyond ROUNDING and the medians over seeds lie further apart
    than the larger standard deviation over seeds; with one seed, beyond ROUNDING. Versions of otbench may differ.
    Columns that are sizes of rounding themselves are left out, and where the solver of any W1 was stopped the ends of
    intervals, which are as near as the machine is fast.

    Raises:
        InputError: what is not comparable, and why.
    """
    left, right = _comparable(a), _comparable(b)
    if _what(a) != _what(b):
        raise InputError(f"A holds {_what(a)}, B {_what(b)}: nothing was compared")
    shared = _identity(left, right)
    both = left.merge(right, on=shared, suffixes=("", " B"))
    _refuse_too_little(left, right, both, shared)
    unit = {"generator": "readings of curves", "convergence": "samples"}.get(a.kind, "cells")
    found = Comparison((len(left), len(right), len(both)), round_alike(a.meta, b.meta), unit)
    groups = [name for name in shared if name not in SEEDS]
    left_out = {"schema", *NOISE, *CLOCKS}
    if not found.alike:
        left_out |= {"longest_move"}  # of another optimal plan, perhaps
    if TRUTH in left or TRUTH in right:
        left_out |= {"primal_lower", "primal_upper", "longest_move"}
        left_out |= {name for name in map(str, left) if name.endswith(RATIO_ENDS)}
    numeric = [c for c in left.columns if f"{c} B" in both and c not in left_out]
    numeric = [c for c in numeric if all(pd.api.types.is_numeric_dtype(frame[c]) for frame in (left, right))]
    shown = [name for name in groups if both[name].nunique(dropna=False) > 1]
    for _, rows in both.groupby(groups, dropna=False, sort=False):
        place = ", ".join(f"{name} = {rows[name].iloc[0]}" for name in shown if pd.notna(rows[name].iloc[0])) or "all"
        _statuses(rows, place, found)
        for name in numeric:
            a_values, b_values = (rows[c].to_numpy(float, na_value=np.nan) for c in (name, f"{name} B"))
            _number(name, a_values, b_values, place, found)
    if not found.numbers and not found.changed:
        raise InputError(f"{len(both)} rows are in both folders, none with a number in both: nothing was compared")
    return found


def _refuse_too_little(left: pd.DataFrame, right: pd.DataFrame, both: pd.DataFrame, shared: list[str]) -> None:
    """InputError where the folders share no cell, or baselines alone, or where their cells cannot be told apart."""
    if both.empty:
        raise InputError(f"no cell is in both folders, so nothing was compared: {_apart(left, right, shared)}")
    if "critic" in both:
        ours, theirs = (frame[~frame["critic"].isin(BASELINES)] for frame in (left, right))
        if (len(ours) or len(theirs)) and both["critic"].isin(BASELINES).all():
            raise InputError(
                f"{len(both)} rows are in both folders, all of baselines, and no other critic is, so none was "
                f"compared: {_apart(ours, theirs, shared)}"
            )
    for frame, name in ((left, "A"), (right, "B")):
        if frame.duplicated(shared).any():
            reason = f"cells of {name} differ in columns the other folder does not have"
            raise InputError(f"{reason}; run both with one otbench")


def _comparable(stored: Stored) -> pd.DataFrame:
    """The rows, or the curves with the plan they are of as a column; InputError for times, which are a machine's."""
    if stored.is_timed:
        table = f"tables/{stored.kind}.csv"
        raise InputError(f"times of two machines are not compared: merge the folders and read {table}")
    if stored.kind != "generator":
        return stored.frame
    return stored.frame.assign(plan=stored.frame["key"].str.extract(r" plan=(\w+)", expand=False))


def _what(stored: Stored) -> str:
    return {"generator": "curves of GANs in training", "convergence": "samples of laws"}.get(stored.kind, "cells")


def _number(name: str, a: Array, b: Array, place: str, found: Comparison) -> None:
    """One column of one group: one value per seed on either side."""
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
    """The columns that say what a cell, or a reading of a GAN, is in both folders; versions of problems and methods may
    differ."""
    if "plan" in left:
        return [*GAN, "plan", "iteration", "n", "seed"]
    known = set(cell_columns(right))
    return [name for name in cell_columns(left) if name in known and not name.endswith(".version")]


def _apart(left: pd.DataFrame, right: pd.DataFrame, shared: list[str]) -> str:
    """The first column that has no value in common."""
    for name in shared:
        ours, theirs = (sorted(set(frame[name].dropna().astype(str)))[:3] for frame in (left, right))
        if set(left[name].dropna()).isdisjoint(right[name].dropna()) and (ours or theirs):
            return f"{name} is {', '.join(ours) or 'nothing'} in A and {', '.join(theirs) or 'nothing'} in B"
    return "they combine the same values differently"
