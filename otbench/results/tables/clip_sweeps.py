"""The table of sweeps of the clip value: how steeply the printed value depends on it, and what it is worth."""

import numpy as np
import pandas as pd

#: The columns that tell one sweep from another, besides seeds and the clip value itself.
SWEEP = [
    "problem.name", "problem.dim", "method.depth", "method.widths", "method.lr_unit", "method.eps", "method.init",
    "method.biases", "method.clip_parameters",
]  # fmt: skip

#: A printed value within this factor of W1 is near enough to be called W1.
NEAR = 2.0


def is_sweep(frame: pd.DataFrame) -> bool:
    """Whether rows sweep the clip value in units of c*."""
    name = "method.clip_over_c_star"
    return name in frame and frame[name].nunique() > 2


def exponents(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per sweep: how raw grows with c, where it passes W1, and what the critics are worth.

    ``exponent`` is that of raw against c over 0.1 c* to 10 c*, median, least and largest over seeds; in theory it is
    the number of layers. ``edge_factor`` is the factor of c within which 1/2 <= raw/W1 <= 2, and
    ``c_over_c_star_at_w1`` is where raw = W1. Over the whole sweep there are the ranges of slope/W1 and of cosine, and
    the share of dead critics, which have no gradient or raw <= 0.
    """
    rows = frame[(frame["critic"] == "weight_clip") & frame["method.clip_over_c_star"].notna()]
    rows = rows.assign(ratio=rows["method.clip_over_c_star"].astype(float))
    varying = [str(name) for name in rows if str(name).startswith("problem.") and name not in SWEEP]
    varying = [name for name in varying if rows[name].nunique() > 1 and name != "problem.version"]
    lines = []
    for arm, part in rows.groupby([*SWEEP, *varying], dropna=False, sort=False):
        if part["ratio"].nunique() > 2:
            named: dict[str, object] = dict(zip([*SWEEP, *varying], arm, strict=True))
            lines.append(named | _sweep(part))
    return pd.DataFrame(lines)


def _sweep(rows: pd.DataFrame) -> dict[str, object]:
    by_seed = [_exponent(part) for _, part in rows.groupby("seed")]
    ok = rows[rows["status"] == "ok"]
    medians = ok.groupby("ratio")[["raw_over_w1", "slope_over_w1", "cosine"]].median()
    low, one, high = (_crossing(medians["raw_over_w1"], level) for level in (1 / NEAR, 1.0, NEAR))
    dead = (rows["status"] != "ok") | ~(rows["grad_norm_max"] > 0) | ~(rows["raw"] > 0)
    return {
        "layers": float(rows["method.depth"].iloc[0] + 1),
        "seeds": float(len(by_seed)),
        "exponent": float(np.nanmedian(by_seed)) if np.isfinite(by_seed).any() else np.nan,
        "exponent_low": float(np.min(by_seed)),
        "exponent_high": float(np.max(by_seed)),
        "edge_factor": high / low,
        "c_over_c_star_at_w1": one,
        "slope_over_w1_low": float(medians["slope_over_w1"].min()),
        "slope_over_w1_high": float(medians["slope_over_w1"].max()),
        "cosine_low": float(medians["cosine"].min()),
        "cosine_high": float(medians["cosine"].max()),
        "dead_share": float(dead.mean()),
    }


def _exponent(rows: pd.DataFrame) -> float:
    """The least-squares slope of log raw on log c where raw > 0."""
    rows = rows[(rows["raw"] > 0) & rows["ratio"].between(0.099, 10.01)]
    if rows["ratio"].nunique() < 2:
        return np.nan
    return float(np.polyfit(np.log(rows["ratio"]), np.log(rows["raw"].astype(float)), 1)[0])


def _crossing(curve: "pd.Series[float]", level: float) -> float:
    """The c/c* at which a rising curve first passes ``level``, between two points along the logarithms; NaN where it
    does not."""
    curve = curve[curve > 0]
    above = np.flatnonzero(curve.to_numpy() >= level)
    if not len(above) or above[0] == 0:
        return np.nan
    x, y = np.log(curve.index.to_numpy(dtype=float)), np.log(curve.to_numpy(dtype=float))
    k = int(above[0])
    return float(np.exp(x[k - 1] + (np.log(level) - y[k - 1]) * (x[k] - x[k - 1]) / (y[k] - y[k - 1])))
