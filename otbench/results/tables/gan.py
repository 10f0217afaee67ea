"""The tables of generators in training: their curves, and how well each number tracks W1 along them."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from otbench.results.schema import GeneratorColumns, names_of
from otbench.results.store import Row
from otbench.results.tables.cells import typed_frame

#: The columns that tell one GAN from another, besides the seed.
GAN = ["dataset", "lr", "clip"]

QUARTILES = {"median": 0.5, "q1": 0.25, "q3": 0.75}


def curve_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The records in order, with two derived columns.

    ``slope`` is raw / slope_constant, and 0 where raw <= 0 or the constant is infinite. ``printed_w1`` is -printed, the
    number that people read as the distance.
    """
    frame = typed_frame(rows, names_of(GeneratorColumns))
    frame = frame.astype({"modes": "float64"}).sort_values([*GAN, "seed", "iteration"], ignore_index=True)
    slope = (frame["raw"] / frame["slope_constant"]).where((frame["raw"] > 0) & (frame["slope_constant"] > 0), 0.0)
    return frame.assign(slope=slope.where(frame["status"] == "ok"), printed_w1=-frame["printed"])


def generator(frame: pd.DataFrame) -> pd.DataFrame:
    """The curves of every data set, rate and clip value over the iterations; medians and quartiles over seeds."""
    columns = ["primal", "printed_w1", "raw", "slope_constant", "slope", "c_transform", "nearest", "modes", "floor"]
    return _summary(frame, [*GAN, "iteration"], columns)


def tracking(frame: pd.DataFrame) -> pd.DataFrame:
    """How well each number tracks the exact W1 in training, by data set, rate and clip value; medians and quartiles.

    The columns ``rank_...`` are Spearman's rank correlations with W1 of what is printed, and of raw, slope and
    c-transform on held-out points, over the readings after iteration 0, where no loss has been printed yet.
    ``rank_nearest`` is that of the nearest-neighbour bound, which needs no critic: a c-transform that tracks W1 no
    better owes nothing to its critic. ``final_w1`` and ``modes`` are those of the last reading, ``lowest_w1`` is the
    least of all, and ``floor`` is W1 of two samples of the data.
    """
    measured = ["rank_printed", "rank_raw", "rank_slope", "rank_c_transform", "rank_nearest", "final_w1", "lowest_w1",
                "modes", "floor", "seconds_critic", "seconds_generator", "seconds_exact"]  # fmt: skip
    return _summary(runs(frame), GAN, measured)


def runs(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per GAN: its rank correlations, its last reading, the seconds of its training and of an exact solve."""
    lines = []
    for arm, part in frame.groupby([*GAN, "seed"], sort=False):
        later = part[part["iteration"] > 0]
        last = part.iloc[-1]
        lines.append({
            **dict(zip([*GAN, "seed"], arm, strict=True)),
            "status": last["status"],
            "rank_printed": spearman(later["printed_w1"], later["primal"]),
            "rank_raw": spearman(later["raw"], later["primal"]),
            "rank_slope": spearman(later["slope"], later["primal"]),
            "rank_c_transform": spearman(later["c_transform"], later["primal"]),
            "rank_nearest": spearman(later["nearest"], later["primal"]),
            "final_w1": last["primal"],
            "lowest_w1": part["primal"].min(),
            "modes": last["modes"],
            "floor": last["floor"],
            "seconds_critic": part["seconds_critic"].sum(),
            "seconds_generator": part["seconds_generator"].sum(),
            "seconds_exact": part["seconds_exact"].median(),
        })  # fmt: skip
    return pd.DataFrame(lines)


def spearman(first: "pd.Series[float]", second: "pd.Series[float]") -> float:
    """Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank; NaN of a constant."""
    both = pd.DataFrame({"first": first, "second": second}).astype("float64").dropna().rank()
    centred = both - both.mean()
    size = float(np.sqrt((centred["first"] ** 2).sum() * (centred["second"] ** 2).sum()))
    return float((centred["first"] * centred["second"]).sum() / size) if size > 0 else float("nan")


def _summary(frame: pd.DataFrame, keys: list[str], columns: Sequence[str]) -> pd.DataFrame:
    grouped = frame.groupby(keys, sort=False)
    counts = grouped["status"].agg(seeds="size", diverged=lambda status: int((status != "ok").sum()))
    parts = {name: grouped[list(columns)].quantile(q) for name, q in QUARTILES.items()}
    wide = pd.DataFrame({f"{c}_{name}": part[c] for c in columns for name, part in parts.items()})
    joined: pd.DataFrame = counts.join(wide).reset_index()
    return joined


#: The tables of a generator folder by file name.
CURVE_TABLES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"generator": generator, "tracking": tracking}
