"""Rules for the proof of an exact value, on the columns of rows and of records alike."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from otbench.report.check.violation import Violation, at_least, at_most, holds
from otbench.results.schema import stored_fields
from otbench.results.tables.bracketed import roof
from otbench.transport.bounds import VALUE_ROUNDING
from otbench.transport.certificate import TOLERANCE, ULPS
from otbench.transport.costs import ULP
from otbench.types import Proof

#: The columns of an exact value and its proof.
PROOF = list(stored_fields(Proof))


def proved(frame: pd.DataFrame) -> Iterator[Violation]:
    """lower <= primal <= upper, in an interval no wider than 1e-9 primal or 16 units in the last place of the longest
    move.

    The longest move is at least as long as the mean one, primal. The duality gap is at most the allowed width and the
    violation, for which the lower bound has paid. Marginal errors are at most 1e-9.
    """
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
    """By how much rounding may lift one bound above another, in the data's unit.

    It is 1e-9 W1, as in the certificate, or of the upper end where W1 is an interval, and the rounding of critics'
    values, which are of the data's size: this matters where W1 is small beside the data, as between identical samples.
    """
    size = frame["spread"] if "spread" in frame else frame["longest_move"]
    slack: pd.Series[float] = TOLERANCE * roof(frame) + VALUE_ROUNDING * size.fillna(0.0)
    return slack
