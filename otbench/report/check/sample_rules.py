"""Rules for what is known of samples without a critic: their closed forms, and that all methods saw the same points."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from otbench.report.check.proof_rules import PROOF, rounding
from otbench.report.check.violation import Violation, at_least, at_most, holds, place
from otbench.results.rounding import NOISE, OF_THE_PLAN, OF_THE_SOLVER, ROUND_OFF, ROUNDING
from otbench.results.tables.bracketed import is_limited, roof
from otbench.results.tables.cells import cell_columns
from otbench.transport.certificate import TOLERANCE

#: Rows that have these to the last bit are of one solution.
SOLUTION = ("primal", "primal_lower", "primal_upper")

#: The standard errors by which a closed form on a sample may differ from the population's value.
SIGMAS = 6.0


def closed_forms(frame: pd.DataFrame) -> Iterator[Violation]:
    """|W1 - coupled W1| is at most the sampling floor, which is 0 of coupled samples, and the coupled W1 is within 6
    standard errors of the population's.

    Where W1 is an interval, it is the distance of the coupled W1 from the interval; the floor may then be unknown.
    """
    slack = rounding(frame)
    low, high = frame["primal"].fillna(frame["primal_lower"]), roof(frame)
    error = np.maximum(low - frame["coupled_w1"], frame["coupled_w1"] - high)
    floor = frame["sampling_floor"] * (1 + TOLERANCE)
    yield from at_most("|primal - coupled W1| <= sampling floor", frame, error, floor + slack)
    coupled = frame["sampling.mode"] != "independent"  # "population" reads its critics on coupled points, if it can
    stopped = (frame["status"] == "refused") | (is_limited(frame) & ~coupled)
    known = frame[["coupled_w1", "coupled_stderr", "population_w1"]].notna()
    whole_form = known.all(axis=1) & (frame["sampling_floor"].notna() | stopped)
    unpaired = ~coupled | ((frame["sampling.mode"] == "population") & ~known["population_w1"])
    there = whole_form | (~known["coupled_w1"] & unpaired)
    yield from holds("closed form", frame, there, "missing in part", "whole, or absent")
    floor = frame["sampling_floor"].where(coupled)
    yield from at_most("floor is 0 when coupled", frame, floor.abs(), 0.0)
    told = (frame["coupled_w1"] > 0) | ~(frame["population_overlap"] > 0)  # where nothing moved, a sample tells nothing
    error = (frame["coupled_w1"] - frame["population_w1"]).abs().where(told)
    both = np.hypot(frame["coupled_stderr"], frame["population_stderr"].fillna(0.0))
    tolerance = SIGMAS * both + slack
    yield from at_most("|coupled W1 - population W1| <= 6 standard errors", frame, error, tolerance)
    yield from at_least("standard error >= 0", frame, frame["coupled_stderr"], 0.0)


def same_points(frame: pd.DataFrame) -> Iterator[Violation]:
    """All methods of a sample saw the same points: what is known of those is equal, up to the rounding of machines.

    An optimal plan is one of several, and one value among the rows that have one solution to the last bit.
    What a solver that may be stopped has proved of them is the machine's, and has a rule of its own (``intervals``).
    """
    points = [*cell_columns(frame, "problem.", "sampling."), "seed"]
    shared = [
        "n", "m", *(name for name in PROOF if name not in {*NOISE, *OF_THE_PLAN}), "coincident", "coupled_w1",
        "coupled_stderr", "ray_cosine", "sampling_floor", "nearest", "population_w1", "population_overlap",
        "population_js", "population_kl",
    ]  # fmt: skip
    yield from _one_value(frame, points, shared)
    yield from _one_value(frame, [*points, *SOLUTION], [name for name in PROOF if name in OF_THE_PLAN])


def _one_value(frame: pd.DataFrame, of: list[str], names: Iterable[str]) -> Iterator[Violation]:
    """Every row that agrees in the columns ``of`` has the same values in the columns ``names``."""
    which = frame.groupby(of, dropna=False, sort=False).ngroup()
    groups = frame.assign(first=frame.index).groupby(which)
    least, most, known = (groups[list(names)].agg(how) for how in ("min", "max", "count"))
    first, size, spread = groups["first"].first(), groups.size(), groups["spread"].max()
    limited = is_limited(frame).groupby(which).any()
    for name in names:
        room = np.maximum(ROUNDING * most[name].abs(), ROUND_OFF * spread)
        equal = ((most[name] - least[name] <= room) & (known[name] == size)) | (known[name] == 0)
        equal |= limited & (name in OF_THE_SOLVER)
        for index, low, high in zip(first[~equal], least.loc[~equal, name], most.loc[~equal, name], strict=True):
            yield Violation(f"one {name} per sample", place(frame.loc[index]), f"{low} to {high}", "one value", name)
