"""The tables of sweeps of the clip value: how steeply the printed value depends on it, and what it is worth."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from otbench.results.tables.cells import cell_columns
from otbench.results.tables.rule_intervals import (
    Statistic,
    Weights,
    over_seeds,
    settings_in,
    weighted_quantile,
    with_ends,
)

#: The columns that tell one sweep from another, besides seeds and the clip value itself.
SWEEP = [
    "problem.name", "problem.dim", "method.depth", "method.widths", "method.lr_unit", "method.eps", "method.init",
    "method.biases", "method.clip_parameters",
]  # fmt: skip

#: A printed value within this factor of W1 is near enough to be called W1.
NEAR = 2.0

#: Printed values are compared at this ratio c/c*.
TWICE = 2.0

#: What a critic prints, and what it proves.
WORTH = ["raw_over_w1", "slope_over_w1"]

#: The numbers of a sweep that come with an interval over its seeds.
CURVE = ["exponent", "edge_factor", "c_over_c_star_at_w1", "raw_over_w1_at_twice"]


def is_sweep(frame: pd.DataFrame) -> bool:
    """Whether rows sweep the clip value in units of c*."""
    name = "method.clip_over_c_star"
    return name in frame and frame[name].nunique() > 2


def sweeps(frame: pd.DataFrame) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """Every sweep: what tells it from the others, and its rows, which have c/c* as ``ratio`` and a ``setting``."""
    rows = frame[(frame["critic"] == "weight_clip") & frame["method.clip_over_c_star"].notna()]
    rows = rows.assign(ratio=rows["method.clip_over_c_star"].astype(float), setting=settings_in(rows))
    varying = [name for name in cell_columns(rows, "problem.", "sampling.") if name not in SWEEP]
    varying = [name for name in varying if rows[name].nunique() > 1 and not name.endswith(".version")]
    for arm, part in rows.groupby([*SWEEP, *varying], dropna=False, sort=False):
        if part["ratio"].nunique() > 2:
            yield dict(zip([*SWEEP, *varying], arm, strict=True)), part


def exponents(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per sweep: how raw grows with c, where it passes W1, and what the critics are worth.

    ``exponent`` is that of raw against c over 0.1 c* to 10 c*, the median over seeds; in theory it is the number of
    layers, and without biases, with a start that scales, it is so by homogeneity: a check of the engine, no finding.
    ``edge_factor`` is the factor of c within which 1/2 <= raw/W1 <= 2, ``c_over_c_star_at_w1`` is where raw = W1, and
    ``raw_over_w1_at_twice`` is raw/W1 at 2 c*, all of the medians over seeds, between two points of the sweep along the
    logarithms; each has the ends of its interval over seeds (``rule_intervals``). Over the whole sweep there are the
    least and the most of the medians of slope/W1 and of cosine, and the share of dead critics, which have no gradient
    or raw <= 0.
    """
    return pd.DataFrame([named | _sweep(part) for named, part in sweeps(frame)])


def worth(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per point of a sweep: the medians over seeds of raw/W1 and of slope/W1, with intervals over seeds."""
    lines: list[dict[str, object]] = []
    for named, part in sweeps(frame):
        rows = part[part["status"] == "ok"]
        curves = [medians(rows, column) for column in WORTH]
        if len(rows):
            both = _stacked(*curves)
            values, ends = both(np.ones(len(rows))), _ends(rows, both)
            at = enumerate(rows.groupby("ratio").size().items())
            for k, (ratio, critics) in at:
                point = slice(k, None, len(values) // len(WORTH))
                told = with_ends(WORTH, values[point], (ends[0][point], ends[1][point]))
                lines.append(named | {"clip_over_c_star": ratio, "critics": critics} | told)
    return pd.DataFrame(lines)


def medians(rows: pd.DataFrame, column: str) -> Statistic:
    """The medians (r, ...) of a column of a sweep at each of its r ratios, under weights (k, ...) of the rows."""
    values = rows[column].to_numpy(dtype=np.float64, na_value=np.nan)
    points = [np.flatnonzero(rows["ratio"] == ratio) for ratio in np.unique(rows["ratio"])]
    return lambda weights: np.stack([weighted_quantile(values[at], weights[at], 0.5) for at in points])


def ratios(rows: pd.DataFrame) -> Weights:
    """The r values of c/c* of a sweep, in rising order."""
    return np.unique(rows["ratio"].to_numpy(dtype=np.float64))


def crossing(at: Weights, curves: Weights, level: float) -> Weights:
    """The c/c* (...,) at which rising curves (r, ...) over ``at`` (r,) first pass ``level``, between two points along
    the logarithms; NaN where they do not."""
    x, y = np.log(at), _log(curves)
    above = y >= np.log(level)
    k = above.argmax(axis=0)[None]
    low, high = (np.take_along_axis(y, np.maximum(k - step, 0), axis=0)[0] for step in (1, 0))
    left, right = x[np.maximum(k[0] - 1, 0)], x[k[0]]
    with np.errstate(invalid="ignore", divide="ignore"):
        passed: Weights = np.exp(left + (np.log(level) - low) * (right - left) / (high - low))
    return np.where(above.any(axis=0) & (k[0] > 0), passed, np.nan)


def at_ratio(at: Weights, curves: Weights, ratio: float) -> Weights:
    """The values (...,) of curves (r, ...) at a ratio between two of ``at``, along the logarithms; else NaN."""
    k = int(np.searchsorted(at, ratio))
    if k in (0, len(at)):
        return np.full(curves.shape[1:], np.nan)
    x, y = np.log(at), _log(curves)
    value: Weights = np.exp(y[k - 1] + (np.log(ratio) - x[k - 1]) * (y[k] - y[k - 1]) / (x[k] - x[k - 1]))
    return value


def _log(curves: Weights) -> Weights:
    """The logarithm, and NaN of what is not positive."""
    positive: Weights = np.log(np.where(curves > 0, curves, np.nan))
    return positive


def _stacked(*parts: Statistic) -> Statistic:
    return lambda weights: np.concatenate([part(weights) for part in parts])


def _sweep(rows: pd.DataFrame) -> dict[str, object]:
    ok = rows[rows["status"] == "ok"]
    by_ratio = ok.groupby("ratio")[["slope_over_w1", "plan_cosine"]].median()
    dead = (rows["status"] != "ok") | ~(rows["grad_norm_max"] > 0) | ~(rows["raw"] > 0)
    curve = _curve(ok)
    return {
        "layers": float(rows["method.depth"].iloc[0] + 1),
        "seeds": float(rows["seed"].nunique()),
        **with_ends(CURVE, curve(np.ones(len(ok))), _ends(ok, curve)),
        "slope_over_w1_least": float(by_ratio["slope_over_w1"].min()),
        "slope_over_w1_most": float(by_ratio["slope_over_w1"].max()),
        "cosine_least": float(by_ratio["plan_cosine"].min()),
        "cosine_most": float(by_ratio["plan_cosine"].max()),
        "dead_share": float(dead.mean()),
    }


def _curve(rows: pd.DataFrame) -> Statistic:
    """The numbers of ``CURVE`` of one sweep's rows."""
    seed, x, y = (rows[name].to_numpy(dtype=np.float64) for name in ("seed", "ratio", "raw"))
    seeds = [np.flatnonzero(seed == one) for one in np.unique(seed)]
    steep = np.array([_exponent(x[part], y[part]) for part in seeds])
    at, raw = ratios(rows), medians(rows, "raw_over_w1")

    def numbers(weights: Weights) -> Weights:
        curves = raw(weights)
        low, one, high = (crossing(at, curves, level) for level in (1 / NEAR, 1.0, NEAR))
        by_seed = np.stack([weights[part].mean(0) for part in seeds])
        return np.stack([weighted_quantile(steep, by_seed, 0.5), high / low, one, at_ratio(at, curves, TWICE)])

    return numbers


def _exponent(ratio: Weights, raw: Weights) -> float:
    """The least-squares slope of log raw on log c where raw > 0, over 0.1 c* to 10 c*."""
    inside = (raw > 0) & (ratio > 0.099) & (ratio < 10.01)
    if len(np.unique(ratio[inside])) < 2:
        return np.nan
    return float(np.polyfit(np.log(ratio[inside]), np.log(raw[inside]), 1)[0])


def _ends(rows: pd.DataFrame, statistic: Statistic) -> tuple[Weights, Weights]:
    return over_seeds(rows["setting"].to_numpy(), rows["seed"].to_numpy(dtype=np.int64), statistic)
