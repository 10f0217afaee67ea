"""Quantiles in which every problem weighs the same, and their intervals over seeds.

A seed fixes the points and the training of a cell. The seeds of one setting (problem, sizes and sampling) are a
stratum: they are drawn again with replacement, every stratum by itself, and all critics of a setting that have one seed
move together, because they share its points. This is the stratified bootstrap of Agarwal et al. 2021 (rliable), by
``scipy.stats.bootstrap`` with percentiles.

Of three or of five seeds the interval of a median at 95 % is the range of the seeds: 5.8 % of all draws of five hold
the least seed three times or more. By the law of the order statistics such a range holds the true median with
probability 1 - 2^(1 - n): 75 % for three seeds and 94 % for five.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from otbench.results.tables.intervals import BOOTSTRAP_LEVEL

#: The number of draws behind an interval over seeds, of quantiles that take long to find.
DRAWS = 299

Weights = NDArray[np.float64]

#: A statistic of rows: from weights (k, ...) of the rows to numbers (m, ...).
Statistic = Callable[[Weights], NDArray[np.float64]]


def weighted_quantile(values: Weights, weights: Weights, share: float) -> Weights:
    """The quantiles (...) of ``values`` (k,) under ``weights`` (k, ...), as ``weighted_quantiles`` has them."""
    quantile: Weights = weighted_quantiles(values, weights, [share])[0]
    return quantile


def weighted_quantiles(values: Weights, weights: Weights, shares: Sequence[float]) -> Weights:
    """Quantiles (s, ...) of ``values`` (k,) under ``weights`` (k, ...): the inverse of the distribution function, and
    the mean of both ends where it has a flat there. With equal weights and share 1/2 it is the median.

    Values that are NaN count for nothing; NaN where all weights are 0.

    Source: Hyndman, Fan 1996, definition 2.
    """
    known = ~np.isnan(values)
    if not known.any():
        return np.full((len(shares), *weights.shape[1:]), np.nan)
    order = np.argsort(values, kind="stable")[: known.sum()]  # NaN is sorted behind all numbers
    ordered, reached = values[order], np.cumsum(weights[order], axis=0)
    total, found = reached[-1], []
    for share in shares:
        first = (reached < share * total * (1 - 1e-12)).sum(0)
        last = np.minimum((reached <= share * total * (1 + 1e-12)).sum(0), len(ordered) - 1)
        found.append(np.where(total > 0, (ordered[first] + ordered[last]) / 2, np.nan))
    return np.stack(found)


def equal_parts(*labels: NDArray[np.object_]) -> Weights:
    """Weights (k,) of mean 1 with which every value of the first label weighs the same, within it every value of the
    second, and so on, down to the rows."""
    frame = pd.DataFrame({str(k): label for k, label in enumerate(labels)})
    weights = np.ones(len(frame))
    outer: list[str] = []
    for name in map(str, frame):
        parts = frame.groupby(outer)[name].transform("nunique") if outer else frame[name].nunique()
        weights = weights / np.asarray(parts, dtype=np.float64)
        outer.append(name)
    rows = frame.groupby(outer)[outer[0]].transform("size").to_numpy(dtype=np.float64)
    return np.asarray(weights / rows * len(frame), dtype=np.float64)


def settings_in(rows: pd.DataFrame) -> NDArray[np.int64]:
    """A number (k,) for the setting of every row: its problem, sizes and sampling."""
    points = [name for name in rows if str(name).startswith(("problem.", "sampling."))]
    return np.asarray(rows.groupby(points, dropna=False, sort=False).ngroup(), dtype=np.int64)


def over_seeds(setting: NDArray[np.int64], seed: NDArray[np.int64], statistic: Statistic) -> tuple[Weights, Weights]:
    """The ends (m,) of the intervals over seeds of the m numbers that ``statistic`` gives of rows with these settings
    and seeds (k,).

    Both are NaN where no setting has two seeds, and where some draw has no such number.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap  # slow to import, and reading results has no need of it

    pairs, column = np.unique(np.stack([setting, seed]), axis=1, return_inverse=True)
    starts, sizes = np.unique(pairs[0], return_index=True, return_counts=True)[1:]
    many = [(start, size) for start, size in zip(starts, sizes, strict=True) if size > 1]
    if not many:
        nothing = np.full(np.shape(statistic(np.ones(len(seed)))), np.nan)
        return nothing, nothing

    def of_draw(*chosen: NDArray[np.int64], axis: int = -1) -> Weights:
        times = np.ones((pairs.shape[1], *chosen[0].shape[:-1]))
        for (start, size), which in zip(many, chosen, strict=True):
            times[start : start + size] = [(which == k).sum(-1) for k in range(size)]
        return statistic(times[column.ravel()])

    with warnings.catch_warnings():  # a number that some draw has not is NaN, which scipy takes for a degenerate sample
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            tuple(np.arange(size) for _, size in many), of_draw, n_resamples=DRAWS, vectorized=True,
            confidence_level=BOOTSTRAP_LEVEL, method="percentile", rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
    return np.asarray(found.low, dtype=np.float64), np.asarray(found.high, dtype=np.float64)


def with_ends(names: Sequence[str], values: Weights, ends: tuple[Weights, Weights]) -> dict[str, float]:
    """Numbers by name, each followed by the ends of its interval as ``_low`` and ``_high``."""
    line: dict[str, float] = {}
    for name, value, low, high in zip(names, values, *ends, strict=True):
        line |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return line
