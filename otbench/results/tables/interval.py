"""The median over seeds with its interval, by the bootstrap over seeds."""

import math
from functools import cache

import numpy as np

from otbench.types import Array

#: The level of the intervals, and the number of resamples by which they are found.
LEVEL, RESAMPLES = 0.95, 999


def median_interval(values: Array) -> Array:
    """The medians of the rows of ``values`` (k, seeds) and the ends of their intervals, as (k, 3).

    The interval is the percentile bootstrap's at the level 0.95: seeds are drawn again with replacement, by a generator
    whose seed is fixed, so that the same values give the same bits. The median is an order statistic, so that the
    places 1 ... n stand for all values, and are drawn once for every n; an end between two places is interpolated.
    Entries that are NaN are left out. One value alone has no interval, and none has no median: those are NaN.

    Of five values the interval is their whole range, which covers the median of a continuous law with probability
    15/16. Of fewer it is the range as well and covers less: 3/4 of three values.

    Source: Efron 1979; Agarwal et al. 2021 (intervals over the seeds of a benchmark).
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
    from scipy.stats import bootstrap  # loads here, not with every reading of results

    ends = bootstrap(
        (np.arange(count),), np.median, confidence_level=LEVEL, n_resamples=RESAMPLES, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(ends.low), float(ends.high)


def _at(ordered: Array, place: float) -> Array:
    """The values at a place between the first and the last of each row."""
    below, above = ordered[:, math.floor(place)], ordered[:, math.ceil(place)]
    return below + (place - math.floor(place)) * (above - below)
