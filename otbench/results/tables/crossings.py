"""Where the printed value passes W1: over all sweeps of the clip value, and by a law held against what it has not seen.

The law has theory's exponents and one constant k. With a rate in proportion to c every layer keeps half of what aligned
weights could do, so that raw / W1 is about (c / 2 c*)^L / s, and raw = W1 at

    c / c* = 2 s^(1/L),   s = k d^((1 - q)/2) / a^q

with q the share of W1 that a shift makes up and a how far the shift points along a diagonal (``scale_rule``). For a
shift along an axis a = 1/sqrt d, and for a radial change q = 0: then s = k sqrt d, the dimension drops out of c, and
raw = W1 near c = 2 (k / prod h)^(1/L).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from otbench.results.tables.clip_sweeps import NEAR, TWICE, at_ratio, crossing, medians, ratios, sweeps
from otbench.results.tables.rule_intervals import (
    Statistic,
    Weights,
    equal_parts,
    over_seeds,
    weighted_quantile,
    with_ends,
)
from otbench.results.tables.scale_rule import families, settings_of

#: The numbers of a line that have intervals over seeds.
PASSING = ["crossed", "c_over_c_star_at_w1", "raw_over_w1_at_twice", "near_twice_share", "half_lost_share"]

#: The errors of the law, and of one ratio c/c* for all.
LAW = [f"{of}{which}_factor" for of in ("law_", "flat_") for which in ("median", "p90", "most")]


def crossings(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per learning rate and problem, and one over all problems, in which each problem weighs the same.

    Of the medians over seeds of every sweep there are: in how many raw passes W1 (``crossed``), and the median, least
    and most of c/c* where it does; the median, least and most of raw/W1 at 2 c*, and the share of sweeps in which it is
    within a factor 2 of 1 (``near_twice``, counted, and as a share); and of the sweeps of two hidden layers, the least
    and most of slope/W1 at any clip value, and in how many it falls below 1/2 somewhere (``half_lost``).
    """
    lines: list[dict[str, object]] = []
    found = [(named, part[part["status"] == "ok"]) for named, part in sweeps(frame)]
    for unit in dict.fromkeys(str(named["method.lr_unit"]) for named, _ in found):
        of_unit = [(named, part) for named, part in found if named["method.lr_unit"] == unit]
        problems = list(dict.fromkeys(str(named["problem.name"]) for named, _ in of_unit))
        for problem in ["all", *problems]:
            chosen = [part for named, part in of_unit if problem in ("all", named["problem.name"])]
            lines.append({"method.lr_unit": unit, "problem": problem} | _passing(chosen))
    return pd.DataFrame(lines)


def _passing(parts: list[pd.DataFrame]) -> dict[str, object]:
    """One line of ``crossings``, of sweeps."""
    rows, places = _pooled(parts)
    at_w1, at_twice, flat = (_by_sweep(parts, places, of) for of in (_at_w1, _at_twice, _least_slope))
    two = np.array([part["method.depth"].iloc[0] == 2 for part in parts])
    problems = np.array([part["problem.name"].iloc[0] for part in parts], dtype=object)
    weights = equal_parts(problems)

    def numbers(times: Weights) -> Weights:
        passed, printed, least = at_w1(times), at_twice(times), flat(times)[two]
        near = (printed >= 1 / NEAR) & (printed <= NEAR)
        lost = equal_parts(problems[two]) @ (least < 0.5) / max(1, two.sum()) if two.any() else printed[0] * np.nan
        middles = [_quantile(values, weights, 0.5) for values in (passed, printed)]
        return np.stack([(~np.isnan(passed)).sum(0), *middles, weights @ near / len(parts), lost])

    once = np.ones(len(rows))
    passed, printed, least = at_w1(once), at_twice(once), flat(once)[two]
    shallow = [part for part, which in zip(parts, two, strict=True) if which]
    most = [part.groupby("ratio")["slope_over_w1"].median().max() for part in shallow]
    return {
        "settings": int(rows["problem_setting"].nunique()), "sweeps": len(parts),
        **with_ends(PASSING, numbers(once), _ends(rows, numbers)),
        "c_over_c_star_at_w1_least": _least(passed), "c_over_c_star_at_w1_most": -_least(-passed),
        "raw_over_w1_at_twice_least": _least(printed), "raw_over_w1_at_twice_most": -_least(-printed),
        "near_twice": int(((printed >= 1 / NEAR) & (printed <= NEAR)).sum()),
        "two_layers": int(two.sum()), "slope_over_w1_least": _least(least),
        "slope_over_w1_most": -_least(-np.array(most, dtype=np.float64)), "half_lost": int((least < 0.5).sum()),
    }  # fmt: skip


def crossing_law(frame: pd.DataFrame) -> pd.DataFrame:
    """How far the law for c/c* at raw = W1 is off on families of problems that its constant k has not seen, with a rate
    in proportion to c; and how far is one ratio c/c* for all, the median of the same sweeps (``flat``).

    An error is a factor, of which there are the median, the 90 % quantile and the most. In "all" every family weighs
    the same, and in it every problem; the constant there is of all families.
    """
    found = [part[part["status"] == "ok"] for named, part in sweeps(frame) if named["method.lr_unit"] == "clip"]
    parts = [part for part in found if not np.isnan(_at_w1(part)(np.ones(len(part)))[0])]
    family = np.array([families(part)[0] for part in parts], dtype=object)
    if len(np.unique(family)) < 2:
        return pd.DataFrame()
    rows, places = _pooled(parts)
    layers, shape = np.transpose([_shape(part) for part in parts])
    weights = equal_parts(family, np.array([part["problem.name"].iloc[0] for part in parts], dtype=object))
    at_w1 = _by_sweep(parts, places, _at_w1)
    whole = np.log(at_w1(np.ones(len(rows))))
    constant, flat = np.zeros(len(parts)), np.zeros(len(parts))
    told = layers * (whole - np.log(TWICE)) - shape
    lines: list[dict[str, object]] = []
    for part in np.unique(family):
        inside = family != part
        constant[~inside] = weighted_quantile(told[inside], weights[inside], 0.5)
        flat[~inside] = weighted_quantile(whole[inside], weights[inside], 0.5)
    law = np.log(TWICE) + (constant + shape) / layers
    for value in [*np.unique(family), "all"]:
        which = (family == value) | (value == "all")
        seen = (family != value) | (value == "all")

        def numbers(times: Weights, which: NDArray[np.bool_] = which, seen: NDArray[np.bool_] = seen) -> Weights:
            passed = np.log(at_w1(times))
            constants = (layers * (passed.T - np.log(TWICE)) - shape).T[seen]
            off = [np.abs((passed[which].T - rule[which]).T) for rule in (law, flat)]
            errors = [_quantile(error, weights[which], share) for error in off for share in (0.5, 0.9, 1)]
            return np.exp([_quantile(constants, weights[seen], 0.5), *errors])

        lines.append({
            "left_out": "family", "value": str(value), "sweeps": int(which.sum()),
            **with_ends(["constant", *LAW], numbers(np.ones(len(rows))), _ends(rows, numbers)),
        })  # fmt: skip
    return pd.DataFrame(lines)


def _shape(rows: pd.DataFrame) -> tuple[float, float]:
    """The layers of a sweep's critics, and log (s / k) of its samples."""
    setting = settings_of(rows)
    share, diagonality = float(np.median(setting.shift_share)), float(np.median(setting.diagonality))
    shape = 0.5 * (1 - share) * np.log(setting.dim[0]) - share * np.log(diagonality)
    return float(rows["method.depth"].iloc[0] + 1), float(shape)


def _at_w1(rows: pd.DataFrame) -> Statistic:
    """c/c* where the medians of raw pass W1, (1, ...)."""
    at, raw = ratios(rows), medians(rows, "raw_over_w1")
    return lambda weights: crossing(at, raw(weights), 1.0)[None]


def _at_twice(rows: pd.DataFrame) -> Statistic:
    at, raw = ratios(rows), medians(rows, "raw_over_w1")
    return lambda weights: at_ratio(at, raw(weights), TWICE)[None]


def _least_slope(rows: pd.DataFrame) -> Statistic:
    slope = medians(rows, "slope_over_w1")
    return lambda weights: slope(weights).min(0)[None]


def _pooled(parts: list[pd.DataFrame]) -> tuple[pd.DataFrame, list[slice]]:
    """The rows of all sweeps below each other, with the number of the problem's setting, and each sweep's place."""
    rows = pd.concat(parts, ignore_index=True)
    problem = [name for name in rows if str(name).startswith("problem.") and name != "problem.version"]
    rows["problem_setting"] = rows.groupby(problem, dropna=False, sort=False).ngroup()
    ends = np.cumsum([len(part) for part in parts])
    return rows, [slice(end - len(part), end) for end, part in zip(ends, parts, strict=True)]


def _by_sweep(
    parts: list[pd.DataFrame], places: list[slice], of: Callable[[pd.DataFrame], Statistic]
) -> Statistic:
    """A number of every sweep (s, ...), from weights of the rows of all."""
    each = [of(part) for part in parts]
    return lambda weights: np.concatenate([one(weights[place]) for one, place in zip(each, places, strict=True)])


def _quantile(values: Weights, weights: Weights, share: float) -> Weights:
    """The quantile (...) of values (s, ...), draw by draw, under weights (s,)."""
    if values.ndim == 1:
        return weighted_quantile(values, weights, share)
    return np.array([weighted_quantile(column, weights, share) for column in values.T])


def _least(values: Weights) -> float:
    known = values[~np.isnan(values)]
    return float(known.min()) if len(known) else np.nan


def _ends(rows: pd.DataFrame, statistic: Statistic) -> tuple[Weights, Weights]:
    return over_seeds(rows["setting"].to_numpy(), rows["seed"].to_numpy(dtype=np.int64), statistic)
