"""The tables of generators in training: their curves and how they end; ``tracking`` has what follows W1 along them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from otbench.results.schema import GeneratorColumns, names_of
from otbench.results.store import Row
from otbench.results.tables.cells import typed_frame
from otbench.results.tables.intervals import medians_over_seeds

#: The columns that tell one arm from another: GANs that differ in nothing but the seed.
GAN = ["dataset", "lr", "clip", "n_critic"]

#: The numbers that may tell how far a generator has come: the column that holds each. ``printed`` is the critic's loss
#: on its last minibatches with the sign of a distance, and all others are read on held-out points: ``raw`` is the same
#: there, ``spectral`` and ``slope`` are raw divided by the product of the layers' spectral norms and by the largest
#: slope between the points. ``nearest`` needs no critic, and ``clock`` not even the points: it is the iteration with a
#: minus sign, a number that falls as W1 should. These two are what the others must beat.
NUMBERS = {
    "printed": "printed_w1", "raw": "raw", "spectral": "spectral", "slope": "slope", "c_transform": "c_transform",
    "nearest": "nearest", "clock": "clock",
}  # fmt: skip


def curve_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The records in order, with derived columns.

    ``slope`` is raw / slope_constant and ``spectral`` (raw - raw_error) / spectral_constant, 0 where these are not
    above 0 or the constant is infinite. ``printed_w1`` is -printed, the number that people read as the distance, and
    ``clock`` is -iteration.
    """
    frame = typed_frame(rows, names_of(GeneratorColumns))
    frame = frame.astype({"modes": "float64"})
    frame = frame.sort_values([*GAN, "seed", "iteration"], key=_in_order, ignore_index=True)
    derived = {
        "slope": _quotient(frame, frame["raw"], "slope_constant"),
        "spectral": _quotient(frame, frame["raw"] - frame["raw_error"], "spectral_constant"),
        "printed_w1": -frame["printed"],
        "clock": -frame["iteration"].astype("float64"),
    }
    return frame.assign(**derived)


def _in_order(column: "pd.Series[float]") -> "pd.Series[float]":
    """Numbers of critic steps as numbers, and "converged" after them."""
    if column.name != "n_critic":
        return column
    return pd.to_numeric(column, errors="coerce").fillna(np.inf)


def _quotient(frame: pd.DataFrame, raw: "pd.Series[float]", constant: str) -> "pd.Series[float]":
    positive = (raw > 0) & (frame[constant] > 0)
    quotient: pd.Series[float] = (raw / frame[constant]).where(positive, 0.0).where(frame["status"] == "ok")
    return quotient


def generator(frame: pd.DataFrame) -> pd.DataFrame:
    """The curves of every arm over the iterations: medians over seeds with their intervals (``medians_over_seeds``)."""
    columns = ["primal", "printed_w1", "raw", "spectral", "slope", "c_transform", "nearest", "modes"]
    return summary(frame, [*GAN, "iteration"], columns)


def ends(frame: pd.DataFrame) -> pd.DataFrame:
    """How the runs of every arm end and what they cost: medians over seeds with their intervals.

    ``final_w1`` and ``modes`` are those of the last reading, ``lowest_w1`` is the least of all, and ``floor`` is W1 of
    two samples of the data. ``stopped`` is 1 where W1 did not change at all from the last reading but one to the
    last, as where a critic has died, and else 0. ``half_share`` is the median over the readings of |raw after half of
    a critic's training| / |raw after all of it|, of critics that are trained afresh: 1 where the second half changed
    nothing. The seconds are those of all steps, and of one exact solve.
    """
    measured = ["final_w1", "lowest_w1", "modes", "floor", "stopped", "half_share", "seconds_critic",
                "seconds_generator", "seconds_exact"]  # fmt: skip
    return summary(last_readings(frame), GAN, measured)


def last_readings(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per run: its last reading, and what is said of all its readings together."""
    share = (frame["raw_half"] / frame["raw"]).abs().where(frame["raw"] != 0)
    keys = [*GAN, "seed"]
    moved = frame.groupby(keys, sort=False)["primal"].diff()
    grouped = frame.assign(half_share=share, stopped=(moved == 0).astype("float64")).groupby(keys, sort=False)
    last = grouped.tail(1).set_index(keys)
    columns = {
        "final_w1": last["primal"],
        "lowest_w1": grouped["primal"].min(),
        "half_share": grouped["half_share"].median(),
        "seconds_critic": grouped["seconds_critic"].sum(),
        "seconds_generator": grouped["seconds_generator"].sum(),
        "seconds_exact": grouped["seconds_exact"].median(),
    }
    return last.assign(**columns).reset_index()


def summary(frame: pd.DataFrame, keys: list[str], columns: Sequence[str]) -> pd.DataFrame:
    """The median of each column over the seeds of every group, with the ends ``_low`` and ``_high`` of its interval,
    after the number of seeds and of how many of them diverged."""
    grouped = frame.assign(diverged=frame["status"] != "ok").groupby(keys, sort=False)
    counts = grouped["diverged"].agg(seeds="size", diverged="sum")
    joined: pd.DataFrame = counts.join(medians_over_seeds(frame, keys, columns)).reset_index()
    return joined
