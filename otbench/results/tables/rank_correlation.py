"""Rank correlations: Spearman's, the partial one, and Kendall's, of a number that should follow another."""

import math
from typing import Any

import numpy as np

from otbench.types import Array


def spearman(number: Any, truth: Any) -> float:
    """Spearman's rank correlation of a number with the truth; ties share their mean rank.

    A number that does not vary tells nothing and has correlation 0. NaN where the truth does not vary, or where fewer
    than three pairs are known. Pairs in which either is NaN are left out.

    Source: Spearman 1904.
    """
    known = _known(number, truth)
    if known is None:
        return math.nan
    (own, cross), (_, spread) = _products(*known)
    return _ratio(cross, own, spread)


def partial(number: Any, truth: Any, given: Any) -> float:
    """The partial rank correlation of a number with the truth given a third: what is left of Spearman's where the
    ranks of both are taken relative to their regression on the third one's ranks.

    0 where that leaves nothing of the number, NaN where it leaves nothing of the truth, or where fewer than four
    triples are known.

    Source: Kendall 1942.
    """
    known = _known(number, truth, given)
    if known is None or len(known[0]) < 4:
        return math.nan
    table = _products(*known)
    (own, cross, own_given), (_, spread, spread_given), (_, _, size) = table
    # of whole numbers, so that nothing is rounded before the last step
    return _ratio(cross * size - own_given * spread_given, own * size - own_given**2, spread * size - spread_given**2)


def kendall(number: Any, truth: Any) -> float:
    """Kendall's tau-b: the share of pairs in the right order less the share in the wrong one, corrected for ties.

    0 and NaN as for ``spearman``.

    Source: Kendall 1945.
    """
    known = _known(number, truth)
    if known is None:
        return math.nan
    signs = np.array([np.sign(column[:, None] - column).ravel() for column in known]).astype(np.int64)
    (own, cross), (_, spread) = (signs @ signs.T).tolist()
    return _ratio(cross, own, spread)


def _known(*columns: Any) -> list[Array] | None:
    """The columns where all are known; None where that is fewer than three times."""
    table = np.array([np.asarray(column, dtype=np.float64) for column in columns])
    table = table[:, ~np.isnan(table).any(axis=0)]
    return list(table) if table.shape[1] >= 3 else None


def _products(*columns: Array) -> list[list[int]]:
    """The sums of products of the columns' centred ranks, as whole numbers: all are 4 times the number of entries too
    large."""
    # of n entries, as many are smaller as the least rank less 1, and as many not larger as the largest rank
    doubled = np.array([(c < c[:, None]).sum(axis=1) + (c <= c[:, None]).sum(axis=1) + 1 for c in columns])
    sums = doubled.sum(axis=1)
    table: list[list[int]] = (doubled.shape[1] * doubled @ doubled.T - np.outer(sums, sums)).tolist()
    return table


def _ratio(cross: int, own: int, spread: int) -> float:
    """cross / sqrt(own spread), 0 where ``own`` is 0 and NaN where ``spread`` is."""
    if spread == 0:
        return math.nan
    return cross / (math.sqrt(own) * math.sqrt(spread)) if own > 0 else 0.0
