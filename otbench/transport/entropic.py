"""Entropic potentials of two samples, by POT's Sinkhorn iterations, and how wrong the marginals are that they leave."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from otbench.deadline import check_deadline
from otbench.errors import InputError
from otbench.memory import free_memory
from otbench.transport.dense import BYTES_BESIDES, distances, refused_when_full
from otbench.transport.envelope import ROWS_AT_ONCE
from otbench.transport.pot import LARGEST_SCALING, pot
from otbench.types import Array

#: The regularisation from which iterations are warmed, in units of the mean cost: each level halves it, down to the one
#: that is asked for, and starts from the potentials of the one before.
WARMEST = 0.125

#: The error of the marginals with which a level before the last one ends.
ON_THE_WAY = 1e-2

#: Iterations between two looks at the time limit.
ITERATIONS_AT_ONCE = 1000

#: What iterations take at most, in arrays of n m doubles, as measured: the cost, POT's kernel, and its plan twice with
#: what computing it holds.
MATRICES_OF_SINKHORN = 5.25


@dataclass(frozen=True, eq=False)
class EntropicPotentials:
    """Potentials u (n,) and v (m,) with the plan a_i b_j exp((u_i + v_j - M_ij)/reg), all in the data's unit.

    u is the soft transform of v, so that the plan's rows sum to a. ``error`` is sum_j |b_j - column sum j|, the share
    of the mass that is in a wrong column, twice. ``reg`` is 0 where all points are one.
    """

    u: Array
    v: Array
    reg: float
    error: float
    iterations: int


def entropic_potentials(
    x: Array, y: Array, a: Array, b: Array, reg: float, *, max_iter: int, tolerance: float
) -> EntropicPotentials:
    """The potentials of min over plans of <plan, M> + reg KL(plan | a x b), up to the error of the marginals that is
    left after ``max_iter`` iterations, which may exceed ``tolerance``.

    Args:
        x: points (n, d).
        y: points (m, d).
        a: weights (n,) of x, all above 0.
        b: weights (m,) of y, all above 0.
        reg: the regularisation, in units of the mean cost sum_ij a_i b_j |x_i - y_j|.
        max_iter: iterations at most, over all levels.
        tolerance: the error of the marginals at which iterations end.

    Raises:
        InputError: the matrices of the iterations do not fit in memory, which is found before they are allocated.

    Source: Cuturi 2013; Schmitzer 2019 (stabilised, with the regularisation scaled).
    """
    check_sinkhorn_memory(len(x), len(y))
    with refused_when_full():
        cost = distances(x, y)
        unit = float(a @ cost @ b)
        if unit == 0:
            return EntropicPotentials(np.zeros(len(x)), np.zeros(len(y)), 0.0, 0.0, 0)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", UserWarning)  # numbers that left float64 are found by the error below
            cost /= unit
            v, iterations = _iterated(cost, a, b, reg, max_iter, tolerance)
            u, error = _rows_made_right(cost, a, b, v, reg)
    return EntropicPotentials(unit * u, unit * v, unit * reg, error, iterations)


def soft_min(lines: Array, weights: Array, reg: float) -> Array:
    """-reg log sum_j w_j exp(-lines_kj / reg) (k,) of lines (k, m) with weights w (m,): their smooth minimum."""
    lowest = lines.min(axis=1)
    found: Array = lowest - reg * logsumexp(log_terms(lines, lowest, weights, reg), axis=1)
    return found


def log_terms(lines: Array, lowest: Array, weights: Array, reg: float) -> Array:
    """log w_j - (lines_kj - lowest_k) / reg (k, m); -inf where that leaves float64, of which the sum has 0."""
    with np.errstate(over="ignore"):
        terms: Array = np.log(weights) - (lines - lowest[:, None]) / reg
    return terms


def check_sinkhorn_memory(n: int, m: int) -> None:
    """InputError where Sinkhorn's iterations on n x m points need more memory than this process may take."""
    needed, available = 8 * n * m * MATRICES_OF_SINKHORN + BYTES_BESIDES, free_memory()
    if needed > available:
        raise InputError(
            f"Sinkhorn's iterations on {n} x {m} points need {needed / 2**30:.1f} GiB, {available / 2**30:.1f} GiB are "
            "free: use smaller samples"
        )


def _iterated(
    cost: Array, a: Array, b: Array, reg: float, max_iter: int, tolerance: float
) -> tuple[Array, int]:
    """The potentials v (m,) after all levels, and the number of iterations."""
    levels = [reg]
    while levels[-1] < WARMEST:
        levels.append(min(2 * levels[-1], WARMEST))
    u = cost.min(axis=1)
    v = (cost - u[:, None]).min(axis=0)  # tight in every row and column, so that no sum of POT's kernel is 0
    done = 0
    for level in reversed(levels):
        accepted = tolerance if level == reg else max(tolerance, ON_THE_WAY)
        u, v, more = _level(cost, a, b, level, (u, v), accepted, max_iter - done)
        done += more
    return v, done


def _level(
    cost: Array, a: Array, b: Array, reg: float, start: tuple[Array, Array], accepted: float, most: int
) -> tuple[Array, Array, int]:
    """The potentials after at most ``most`` iterations at one regularisation, and their number.

    POT's potentials are those of a plan exp((alpha_i + beta_j - M_ij)/reg), without the weights.
    """
    own, enough, done = (reg * np.log(a), reg * np.log(b)), accepted / np.sqrt(len(b)), 0  # POT's error is Euclidean
    u, v = start
    while done < most:
        check_deadline()
        asked = min(ITERATIONS_AT_ONCE, most - done)
        _, log = pot().bregman.sinkhorn_stabilized(
            a, b, cost, reg, numItermax=asked, stopThr=enough, tau=LARGEST_SCALING, log=True, warn=False,
            warmstart=(u + own[0], v + own[1]),
        )  # fmt: skip
        u, v = (found - part for found, part in zip(log["warmstart"], own, strict=True))
        took = int(log["n_iter"]) + 1
        done += took
        if took < asked or log["err"][-1] <= enough:
            break
    return u, v, done


def _rows_made_right(cost: Array, a: Array, b: Array, v: Array, reg: float) -> tuple[Array, float]:
    """u (n,), the soft transform of v, and the error of the plan's column sums; measured here, as POT stops with no
    more than a warning."""
    u, sums = np.empty(len(a)), np.zeros(len(b))
    for k in range(0, len(a), ROWS_AT_ONCE):
        rows = slice(k, k + ROWS_AT_ONCE)
        u[rows] = soft_min(cost[rows] - v, b, reg)
        sums += a[rows] @ np.exp(np.log(b) + (u[rows, None] + v - cost[rows]) / reg)
    return u, float(np.abs(sums - b).sum())
