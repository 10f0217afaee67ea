"""Rules for measured times and memory: what no machine can measure, and what every engine must hold."""

from collections.abc import Iterator

import pandas as pd

from otbench.report.check.violation import Violation
from otbench.results.tables.timing import scaling


def measurements(frame: pd.DataFrame) -> Iterator[Violation]:
    """Times are positive with quartiles in order, and no engine is much faster than the device's matrix products.

    Every training tells its peak memory, None where it could not be measured, which is enough for the parameters.
    """
    for name in [str(c).removesuffix("_median") for c in frame if str(c).endswith("_median")]:
        q1, median, q3 = (frame[f"{name}_{part}"].astype(float) for part in ("q1", "median", "q3"))
        for index in frame.index[(q1 <= 0) | (q1 > median) | (median > q3)]:
            seen = f"{q1[index]:.3g}, {median[index]:.3g}, {q3[index]:.3g}"
            yield Violation(f"quartiles of {name}", str(frame["key"][index]), seen, "positive and in order")
    rows = scaling(frame)
    for index in rows.index[rows["share_of_product_rate"] > 1.5]:
        share = f"{rows['share_of_product_rate'][index]:.3g}"
        yield Violation("share of the product rate", str(rows.loc[index, "engine"]), share, "<= 1.5")
    yield from _compiled(frame)
    timed = frame[frame["seconds_per_step_median"].notna()] if "seconds_per_step_median" in frame else frame[:0]
    yield from _memory(timed[(timed["kind"] == "training") & (timed["schema"] > 1)])


def _compiled(frame: pd.DataFrame) -> Iterator[Violation]:
    """A training that is said to be compiled was, or has no time and says why not; so it is from records on that tell
    it."""
    if "compiled" not in frame:
        return
    told = frame[frame["engine"].astype("string").str.contains("compiled").fillna(False) & frame["compiled"].notna()]
    reasons = told["reason"].notna() if "reason" in told else pd.Series(False, told.index)
    timed = told["seconds_per_step_median"].notna() if "seconds_per_step_median" in told else reasons
    for index in told.index[~told["compiled"].astype(bool) & (timed | ~reasons)]:
        yield Violation("compiled", str(frame["key"][index]), "not compiled", "or a reason and no time")


def _memory(trainings: pd.DataFrame) -> Iterator[Violation]:
    """The peak memory holds at least the float32 parameters of all critics.

    A parameter has 4 bytes and takes 12 operations per point of a sample, so that flop / (3 batch) are their bytes.
    """
    rule = "peak memory"
    if "peak_memory_bytes" not in trainings and len(trainings):
        yield Violation(rule, "of every training", "no column peak_memory_bytes", "told, or null: measure again")
        return
    if not len(trainings):
        return
    parameters = trainings["flop_per_step"].astype(float) / (3 * trainings["batch"].astype(float))
    told = trainings["peak_memory_bytes"].astype(float)
    for index in trainings.index[told < parameters]:
        yield Violation(rule, str(trainings["key"][index]), f"{told[index]:.0f}", f">= {parameters[index]:.0f} bytes")
