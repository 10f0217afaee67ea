"""Rules for solvers that grow: their values agree, their intervals hold W1, and no measurement is impossible."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from otbench.report.check.violation import Violation, at_least, at_most, holds, whole
from otbench.transport.certificate import TOLERANCE, ULPS
from otbench.transport.costs import ULP

#: Solvers that prove their value, and those that hold a matrix of all distances.
PROVING, WITH_MATRIX = ("dense", "sparse"), ("dense", "assignment", "sinkhorn")

#: The share of a matrix of at least so many points that a peak of resident memory must show: the first pages of it may
#: have been resident before.
MATRIX_SHOWN, MEASURABLE = 0.9, 1000

#: By how much of itself W1 may differ between two routes, as they round the distances in different places.
DISTANCES_ROUND = 1e-12


def growth_certificates(frame: pd.DataFrame) -> Iterator[Violation]:
    """lower <= value <= upper, in an interval of the width that an exact value may have, or the accuracy asked for."""
    lower, upper = frame["primal_lower"], frame["primal_upper"]
    yield from at_most("lower <= value", frame, lower, frame["primal"])
    yield from at_most("value <= upper", frame, frame["primal"], upper)
    yield from at_least("lower >= 0", frame, lower, 0.0)
    exact = frame[frame["solver"].isin(PROVING)]
    yield from whole("certificate", exact, ["primal_lower", "primal_upper", "longest_move"])
    allowed = np.maximum(TOLERANCE * exact["primal"], ULPS * ULP * exact["longest_move"])
    yield from at_most("interval's width", exact, exact["primal_upper"] - exact["primal_lower"], allowed)
    asked = frame[frame["solver"] == "sinkhorn"]
    yield from whole("interval", asked, ["primal_lower", "primal_upper", "accuracy"])
    width = asked["primal_upper"] - asked["primal_lower"]
    yield from at_most("relative gap", asked, width, asked["accuracy"] * asked["primal_upper"])


def growth_agreement(frame: pd.DataFrame) -> Iterator[Violation]:
    """All solvers of the same points tell one W1: no interval lies beyond another, and a value without an interval lies
    in those of the exact routes, up to rounding."""
    points = [frame[name] for name in ("dim", "n", "seed")]
    least = frame["primal_upper"].groupby(points).transform("min") * (1 + DISTANCES_ROUND)
    yield from at_most("intervals have W1 in common", frame, frame["primal_lower"], least)
    exact = frame[frame["solver"].isin(PROVING)]
    ends = {name: exact[name].reindex(frame.index).groupby(points) for name in ("primal_lower", "primal_upper")}
    low, high = ends["primal_lower"].transform("max"), ends["primal_upper"].transform("min")
    bare = frame[frame["primal_lower"].isna()]
    slack = TOLERANCE * bare["primal"].abs()
    yield from at_most("value <= certified upper", bare, bare["primal"], high[bare.index] + slack)
    below = (low[bare.index] - bare["primal"]).rename("primal")
    yield from at_most("value >= certified lower", bare, below, slack)


def growth_costs(frame: pd.DataFrame) -> Iterator[Violation]:
    """Seconds are positive, a solver with a matrix of n^2 distances holds as many bytes, and the sparse route tells its
    rounds and at least as many pairs as a plan of n points needs."""
    yield from holds("seconds > 0", frame, frame["seconds"] > 0, "0 or less", "above 0", "seconds")
    matrix = frame[frame["solver"].isin(WITH_MATRIX)]
    least = MATRIX_SHOWN * 8.0 * matrix["n"].astype("float64") ** 2
    short = (least - matrix["peak_memory_bytes"].astype("float64")).rename("peak_memory_bytes")
    yield from at_most("bytes of the matrix that are missing", matrix, short.where(matrix["n"] >= MEASURABLE), 0.0)
    sparse = frame[frame["solver"] == "sparse"]
    yield from whole("rounds and pairs", sparse, ["rounds", "pairs"])
    enough = (sparse["pairs"] >= sparse["n"]).fillna(True)
    yield from holds("pairs >= n", sparse, enough, "fewer", "n at least", "pairs")


#: Rules on the frame of solvers that grow.
GROWTH_RULES: dict[str, Callable[[pd.DataFrame], Iterator[Violation]]] = {
    "certificates": growth_certificates, "agreement": growth_agreement, "costs": growth_costs,
}  # fmt: skip
