"""Intervals of published medians: percentile bootstrap over the seeds of the points."""

import warnings
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from otbench.types import Array

#: Resamples of the seeds, and the level of an interval. The resamples are the same for all cells and on all machines.
RESAMPLES, BOOTSTRAP_LEVEL = 999, 0.95

#: Numbers that are resampled at once, which bounds memory.
NUMBERS_AT_ONCE = 2**23


def median_intervals(frame: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """The percentile-bootstrap interval of each column's median, for every combination of ``keys``.

    A resample draws as many seeds as there are, with replacement, each with all its rows: critics that were trained on
    the same points are no independent witnesses. With k <= 5 seeds of one row each a 95 % interval is the range of the
    values. There is none of a single seed.

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
    seeds = frame["seed"].to_numpy()
    groups = grouped.ngroup().to_numpy()
    order = np.argsort(groups, kind="stable")
    batches: dict[tuple[int, int], list[tuple[int, Array]]] = defaultdict(list)
    for place, rows in enumerate(np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)):
        units, counts = np.unique(seeds[rows], return_counts=True)
        block = np.full((len(units), max(counts), len(columns)), np.nan)
        for unit, seed in enumerate(units):
            block[unit, : counts[unit]] = numbers[rows[seeds[rows] == seed]]
        batches[len(units), int(max(counts))].append((place, block))
    found = np.full((2, grouped.ngroups, len(columns)), np.nan)
    for (count, each), blocks in batches.items():
        step = max(1, NUMBERS_AT_ONCE // (RESAMPLES * count * each * max(1, len(columns))))
        for k in range(0, len(blocks), step):
            places = [place for place, _ in blocks[k : k + step]]
            found[:, places] = _interval(np.stack([block for _, block in blocks[k : k + step]], axis=2))
    index = grouped.size().index
    low, high = (pd.DataFrame(part, index, list(columns)) for part in found)
    return low.add_suffix("_low").join(high.add_suffix("_high"))


def _interval(values: Array) -> Array:
    """The ends (2, groups, columns) of the intervals of medians of values (seeds, rows, groups, columns)."""
    from scipy.stats import DegenerateDataWarning, bootstrap  # a second to import, and only medians need it

    if len(values) < 2:
        return np.full((2, *values.shape[2:]), np.nan)

    def medians(drawn: Array, axis: int = -1) -> Array:
        resampled = values[drawn]  # (resamples, seeds, rows, groups, columns), or without the first axis
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value has no median
            median = np.nanmedian if np.isnan(values).any() else np.median  # which is several times as fast
            middle = median(resampled, axis=(-4, -3))
        return np.moveaxis(middle, 0, -1) if middle.ndim == values.ndim - 1 else middle

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # the values of some columns are all equal, or missing
        found = bootstrap(
            (np.arange(len(values)),), medians, n_resamples=RESAMPLES, confidence_level=BOOTSTRAP_LEVEL,
            method="percentile", vectorized=True, rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
    return np.stack([found.low, found.high])
