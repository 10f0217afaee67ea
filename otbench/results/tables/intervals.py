"""Intervals of published medians: percentile bootstrap over the seeds of the points."""

import math
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from otbench.types import Array

#: Resamples of the seeds, and the level of an interval. The resamples are the same for all cells and on all machines.
RESAMPLES, BOOTSTRAP_LEVEL = 999, 0.95


def medians_over_seeds(frame: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """``NAME_median`` of each column for every combination of ``keys``, followed by its interval as ``NAME_low`` and
    ``NAME_high``; arguments and index as of ``median_intervals``."""
    medians = frame.groupby(list(keys), dropna=False, sort=False)[list(columns)].median() + 0.0  # no zero is written -0
    found = medians.add_suffix("_median").join(median_intervals(frame, keys, columns))
    return found[[f"{name}_{part}" for name in columns for part in ("median", "low", "high")]]


def median_intervals(frame: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """The percentile-bootstrap interval of each column's median, for every combination of ``keys``.

    A resample draws as many seeds as there are, with replacement, each with all its rows: critics that were trained on
    the same points are no independent witnesses.

    Args:
        frame: rows with their ``seed``; values that are missing are left out of medians.
        keys: columns whose combinations are the cells.
        columns: columns of numbers.

    Returns:
        A frame indexed as ``frame.groupby(keys)`` is, with columns ``NAME_low`` and ``NAME_high``.

    Source: Efron, Tibshirani 1993, ch. 13 (percentile intervals); Agarwal et al. 2021 (seeds as strata).
    """
    grouped = frame.groupby(list(keys), dropna=False, sort=False)
    numbers = frame[list(columns)].to_numpy(np.float64, na_value=np.nan)
    group, place = grouped.ngroup().to_numpy(), grouped.cumcount().to_numpy()
    values = np.full((grouped.ngroups, place.max(initial=-1) + 1, len(columns)), np.nan)
    values[group, place] = numbers
    found = np.empty((2, grouped.ngroups, len(columns)))
    for column in range(len(columns)):
        found[:, :, column] = median_interval(values[:, :, column])[:, 1:].T
    seeds = frame["seed"].to_numpy()
    for clustered in np.unique(group[pd.DataFrame({"group": group, "seed": seeds}).duplicated()]):
        rows = group == clustered
        found[:, clustered] = _of_clusters(seeds[rows], numbers[rows])
    index = grouped.size().index
    low, high = (pd.DataFrame(part, index, list(columns)) for part in found)
    return low.add_suffix("_low").join(high.add_suffix("_high"))


def median_interval(values: Array) -> Array:
    """The medians of the rows of ``values`` (k, seeds) and the ends of their intervals, as (k, 3).

    The median is an order statistic, so that the places 1 ... n stand for all values, and are resampled once for every
    n; an end between two places is interpolated. Entries that are NaN are left out. One value alone has no interval,
    and none has no median: those are NaN.

    Of five values the interval is their whole range, which covers the median of a continuous law with probability
    15/16. Of fewer it is the range as well and covers less: 3/4 of three values.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=1)  # NaN last
    counts = (~np.isnan(ordered)).sum(axis=1)
    found = np.full((len(ordered), 3), np.nan)
    for count in np.unique(counts[counts > 0]):
        rows = ordered[counts == count, :count]
        ends = _ends(int(count)) if count > 1 else ()
        found[counts == count, : 1 + len(ends)] = np.stack(
            [np.median(rows, axis=1), *(_at(rows, end) for end in ends)], axis=1
        )
    return found


@cache
def _ends(count: int) -> tuple[float, float]:
    """The places of the ends among ``count`` ordered values, counted from 0."""
    ends = _bootstrap(count, np.median)
    return float(ends[0]), float(ends[1])


def _at(ordered: Array, place: float) -> Array:
    """The values at a place between the first and the last of each row."""
    below, above = ordered[:, math.floor(place)], ordered[:, math.ceil(place)]
    return below + (place - math.floor(place)) * (above - below)


def _of_clusters(seeds: Array, numbers: Array) -> Array:
    """The ends (2, columns) of the intervals of medians of numbers (rows, columns), by seeds with all their rows."""
    names, unit, counts = np.unique(seeds, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return np.full((2, numbers.shape[1]), np.nan)
    values = np.full((len(names), counts.max(), numbers.shape[1]), np.nan)
    order = np.argsort(unit, kind="stable")
    values[unit[order], np.concatenate([np.arange(count) for count in counts])] = numbers[order]

    def medians(drawn: Array, axis: int = -1) -> Array:
        # drawn are the seeds of all resamples (resamples, seeds), or of one
        found = _medians_of_known(values[drawn].reshape(*drawn.shape[:-1], -1, numbers.shape[1]))
        return np.moveaxis(found, 0, -1) if found.ndim > 1 else found

    return _bootstrap(len(names), medians)


def _medians_of_known(values: Array) -> Array:
    """The medians (..., columns) of values (..., n, columns) that are no NaN; NaN where all are.

    numpy's own puts masks on them, which takes several times as long.
    """
    ordered, known = np.sort(values, axis=-2), (~np.isnan(values)).sum(axis=-2, keepdims=True)  # NaN last
    middle = [np.take_along_axis(ordered, place, axis=-2) for place in (np.maximum(known - 1, 0) // 2, known // 2)]
    return ((middle[0] + middle[1]) / 2)[..., 0, :]


def _bootstrap(count: int, statistic: Any) -> Array:
    """The ends of the interval of a statistic of the places 0 ... count - 1, drawn with replacement."""
    from scipy.stats import DegenerateDataWarning, bootstrap  # loads here, not with every reading of results

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # the values of some columns are all equal, or missing
        found = bootstrap(
            (np.arange(count),), statistic, n_resamples=RESAMPLES, confidence_level=BOOTSTRAP_LEVEL,
            method="percentile", vectorized=True, rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
    return np.stack([found.low, found.high])
