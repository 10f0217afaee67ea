"""Rows whose W1 is an interval and no value, as their solver was stopped: what can be said of them, and what cannot."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

#: What is appended to a ratio's name for its two ends: over the upper and over the lower end of W1.
RATIO_ENDS = ("_least", "_most")

#: The column that says of every row whether its W1 is "exact" or an "interval"; only where some are intervals.
TRUTH = "truth"


def is_interval(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Marks the rows that have an interval of W1 and no value."""
    marked: pd.Series[bool] = frame["primal"].isna() & frame["primal_lower"].notna() & frame["primal_upper"].notna()
    return marked


def is_limited(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Marks the rows whose cell lets the solver of W1 be stopped."""
    limit = frame.get("sampling.exact_seconds", pd.Series(np.nan, frame.index))
    marked: pd.Series[bool] = limit.notna()
    return marked


def roof(frame: pd.DataFrame) -> "pd.Series[float]":
    """W1, or the upper end of its interval: what a lower bound of W1 is at most."""
    top: pd.Series[float] = frame["primal"].fillna(frame.get("primal_upper", np.nan))
    return top


def ratio_ends(frame: pd.DataFrame, rungs: pd.DataFrame) -> pd.DataFrame:
    """``truth``, and of every rung over W1 its two ends; no columns where every W1 is exact.

    W1 lies between ``primal_lower`` and ``primal_upper``, so that a rung's share of it lies between ``RUNG_over_w1``
    with the ends ``_least`` and ``_most``; where W1 is exact both are the ratio. A rung that is a lower bound is no
    more than all of W1, whatever the interval is.

    Args:
        frame: the rows.
        rungs: columns of numbers by the names of the rungs, ``raw`` among them, which bounds nothing.
    """
    some = is_interval(frame)
    if not some.any():
        return pd.DataFrame(index=frame.index)
    found = pd.DataFrame({TRUTH: np.where(some, "interval", np.where(roof(frame).notna(), "exact", ""))}, frame.index)
    high, low = roof(frame), frame["primal"].fillna(frame["primal_lower"])
    for name, value in rungs.items():
        bottom = low if name == "raw" else low.where(~some, np.maximum(low, value))
        ends = (value / high).where(high > 0), (value / bottom).where(bottom > 0)
        found[f"{name}_over_w1{RATIO_ENDS[0]}"] = np.minimum(*ends)
        found[f"{name}_over_w1{RATIO_ENDS[1]}"] = np.maximum(*ends)
    return found


def with_ends(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Columns, each followed by its two ends where the frame has them."""
    return [name for column in columns for name in (column, *(f"{column}{end}" for end in RATIO_ENDS)) if name in frame]


def in_exact_lines(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The frame with W1 and what is relative to it emptied in lines of ``keys`` in which some W1 is an interval: the
    rows whose W1 is exact are those that were quick to solve, and no fair part of their line."""
    if TRUTH not in frame:
        return frame
    some = is_interval(frame).groupby([frame[name] for name in keys], dropna=False).transform("any")
    relative = [name for name in frame if str(name).endswith("_over_w1") or name in ("primal", "skill")]
    return frame.assign(**{str(name): frame[name].where(~some) for name in relative})


def counted(grouped: Any) -> dict[str, "pd.Series[int]"]:
    """How many rows of each line have an interval, as a column ``intervals``; none where the frame has no such row."""
    if TRUTH not in grouped.obj:
        return {}
    return {"intervals": grouped[TRUTH].agg(lambda truth: int((truth == "interval").sum()))}
