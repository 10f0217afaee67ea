"""Rules for rows whose W1 is an interval and no value: they were allowed to be, and claim no more than they prove."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from otbench.report.check.proof_rules import rounding
from otbench.report.check.violation import Violation, at_least, at_most, holds, whole
from otbench.results.rounding import ROUND_OFF, ROUNDING
from otbench.results.tables.bracketed import is_interval, is_limited
from otbench.results.tables.cells import cell_columns

#: What would be a number of the exact W1, of its plan or of another exact W1.
OF_A_VALUE = ("gap", "plan_cosine")


def intervals(frame: pd.DataFrame) -> Iterator[Violation]:
    """W1 is an interval only where ``sampling.exact_seconds`` allowed it, and nothing beside it takes it for a value.

    0 <= lower <= upper. Every row of a sample proves an interval that holds its W1, so that all have a point in common,
    however long each was solved for. Potentials are 1-Lipschitz, and prove as much as the lower end, which is theirs
    (Villani 2009, Thm 5.10).
    """
    some = is_interval(frame)
    may = is_limited(frame) | ~some
    yield from holds("W1 is exact", frame, may, "an interval alone", "a value: no exact_seconds are set", "primal")
    rows = frame[some]
    yield from whole("interval", rows, ["longest_move", "violation", "marginal_error"])
    yield from at_most("lower <= upper", rows, rows["primal_lower"], rows["primal_upper"])
    for name in ("primal_lower", "violation", "marginal_error"):
        yield from at_least(f"{name} >= 0", rows, rows[name], 0.0)
    for name in OF_A_VALUE:
        yield from holds("no value beside an interval", rows, rows[name].isna(), "a number", "nothing", name)
    apart = rows[rows["sampling.mode"] == "independent"]
    name = "sampling_floor"
    yield from holds("no value beside an interval", apart, apart[name].isna(), "a number", "nothing", name)
    yield from _one_w1(frame)
    potentials = frame[(frame["status"] == "ok") & (frame["method.name"] == "potential")]
    short: pd.Series[Any] = (potentials["primal_lower"] - potentials["raw"]).rename("raw")
    room = rounding(potentials) + potentials["raw_error"]
    yield from at_most("the potential proves the lower end", potentials, short, room)


def _one_w1(frame: pd.DataFrame) -> Iterator[Violation]:
    """The intervals of one sample have a point in common, up to the rounding of machines."""
    points = [name for name in cell_columns(frame, "problem.", "sampling.") if name != "sampling.exact_seconds"]
    sample = frame.groupby([*points, "seed"], dropna=False)
    least, spread = sample["primal_upper"].transform("min"), sample["spread"].transform("max")
    room = ROUNDING * least + ROUND_OFF * spread
    yield from at_most("intervals of a sample have W1 in common", frame, frame["primal_lower"], least + room)
