"""What the proof of an exact value must satisfy, re-derived from the columns of rows and of records alike."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from otbench.report.check.violation import Violation, at_least, at_most, holds
from otbench.transport.certificate import TOLERANCE, ULP, ULPS

#: The columns of an exact value and its proof.
PROOF = ["primal", "primal_lower", "primal_upper", "longest_move", "gap", "violation", "marginal_error"]

#: Rounding of sums over critics' values, in units of the data's spread: a few hundred additions deep.
ROUNDING = 256 * ULP


def proved(frame: pd.DataFrame) -> Iterator[Violation]:
    """lower <= primal <= upper; upper - lower <= 1e-9 primal, or 16 units in the last place of the longest move, which
    is at least the mean one, primal; the duality gap within that and the violation, which the lower bound has paid;
    marginals to 1e-9."""
    width = frame["primal_upper"] - frame["primal_lower"]
    longest = frame["longest_move"]
    allowed = np.maximum(TOLERANCE * frame["primal"], ULPS * ULP * longest)
    yield from at_most("interval's width", frame, width, allowed)
    yield from at_most("lower <= primal", frame, frame["primal_lower"], frame["primal"])
    yield from at_most("primal <= upper", frame, frame["primal"], frame["primal_upper"])
    yield from at_least("lower >= 0", frame, frame["primal_lower"], 0.0)
    yield from at_most("primal <= longest move", frame, frame["primal"], longest * (1 + TOLERANCE))
    yield from at_most("gap", frame, frame["gap"].abs(), allowed + frame["violation"])
    yield from at_least("violation >= 0", frame, frame["violation"], 0.0)
    yield from at_most("marginal error", frame, frame["marginal_error"].abs(), TOLERANCE)
    yield from holds("certificate", frame, frame["status"] != "refused", "refused", "certified")


def rounding(frame: pd.DataFrame) -> "pd.Series[float]":
    """What a bound may be above another by rounding: 1e-9 W1, the certificate's own, and where W1 is small beside the
    data, as between identical samples, the rounding of critics' values, which are of the data's size; in its unit."""
    size = frame["spread"] if "spread" in frame else frame["longest_move"]
    slack: pd.Series[float] = TOLERANCE * frame["primal"] + ROUNDING * size.fillna(0.0)
    return slack
