"""Records of generators in training → tables: the curves, and how well each number tracks W1; pure functions."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from otbench.results.schema import GeneratorColumns, names_of
from otbench.results.store import Row
from otbench.results.tables.cells import typed_frame

#: What tells one GAN from another, seeds apart.
GAN = ["dataset", "lr", "clip"]

QUARTILES = {"median": 0.5, "q1": 0.25, "q3": 0.75}


def curve_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The records in order, with ``slope`` = raw / slope_constant, 0 where raw <= 0 or the constant is infinite, and
    ``printed_w1`` = -printed: the number people read as the distance."""
    frame = typed_frame(rows, names_of(GeneratorColumns))
    frame = frame.astype({"modes": "float64"}).sort_values([*GAN, "seed", "iteration"], ignore_index=True)
    slope = (frame["raw"] / frame["slope_constant"]).where((frame["raw"] > 0) & (frame["slope_constant"] > 0), 0.0)
    return frame.assign(slope=slope.where(frame["status"] == "ok"), printed_w1=-frame["printed"])


def generator(frame: pd.DataFrame) -> pd.DataFrame:
    """The curves: per data set, rate, clip value and iteration, medians and quartiles over seeds."""
    columns = ["primal", "printed_w1", "raw", "slope_constant", "slope", "c_transform", "nearest", "modes", "floor"]
    return _summary(frame, [*GAN, "iteration"], columns)


def tracking(frame: pd.DataFrame) -> pd.DataFrame:
    """Per data set, rate and clip value: Spearman's rank correlation with the exact W1 over training of what is
    printed, of raw, slope and c-transform on held-out points; W1 and modes at the end; seconds. Medians and quartiles
    over seeds.

    ``rank_nearest`` is that of the nearest-neighbour bound, which needs no critic: a c-transform that tracks W1 no
    better owes its critic nothing. The correlation is over the readings after iteration 0, where no loss has been
    printed yet. ``final_w1`` is at the last reading, ``lowest_w1`` over all; ``floor`` is W1 of two samples of the data
    themselves.
    """
    measured = ["rank_printed", "rank_raw", "rank_slope", "rank_c_transform", "rank_nearest", "final_w1", "lowest_w1",
                "modes", "floor", "seconds_critic", "seconds_generator", "seconds_exact"]  # fmt: skip
    return _summary(runs(frame), GAN, measured)


def runs(frame: pd.DataFrame) -> pd.DataFrame:
    """A line a GAN: its rank correlations, its end and its seconds (of training in all, of one exact solve)."""
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
