"""The dense route: the cost matrix, POT's network simplex on all of it, and a certificate, or there is no number."""

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from otbench.errors import InputError, UncertifiedError
from otbench.inputs import as_points
from otbench.memory import address_space_is_limited, free_memory
from otbench.transport.certificate import Above, Below, certify, from_above, from_below, is_exact
from otbench.transport.costs import ULP
from otbench.transport.forest import rebuilt
from otbench.transport.pot import MAX_ITERATIONS, OPTIMAL, pot
from otbench.types import Array, ExactSolution, Plan, Proof

#: The most rounds of POT that follow the first one where its proofs are too far apart.
ROUNDS = 6

#: What a solve takes at most, in arrays of n m doubles, as measured: the cost, its scaled copy, its part without atoms
#: of weight 0, POT's plan, and POT's arcs with their costs and flows, which take a little more than three.
MATRICES_IN_A_SOLVE = 7.25

#: Bytes that a process needs besides: the solver's vectors, and what the allocator keeps.
BYTES_BESIDES = 2**25


@contextmanager
def refused_when_full() -> Iterator[None]:
    """Turn a MemoryError into an error of one line, where memory ran out although it seemed enough."""
    try:
        yield
    except MemoryError:
        raise InputError("the samples' cost matrix or plan does not fit in memory: use smaller samples") from None


def cost_matrix(x: Any, y: Any) -> Array:
    """The Euclidean distances M_ij = |x_i - y_j| of two samples, float64 (n, m), in the data's unit.

    x (n, d) and y (m, d) may be anything that becomes a float64 array. Differences are formed before they are squared:
    the quadratic expansion would give 1.3e-7 for a true 4e-9.

    Raises:
        InputError: malformed points or points of two dimensions; a solve would need more memory than there is, which
            is found before anything is allocated; or a distance is beyond the range of float64.
    """
    with refused_when_full():
        x, y = as_points("x", x), as_points("y", y)
        if x.shape[1] != y.shape[1]:
            raise InputError(f"x and y must have the same dimension; got {x.shape[1]} and {y.shape[1]}")
        check_dense_memory(len(x), len(y))
        return distances(x, y)


def distances(x: Array, y: Array) -> Array:
    """``cost_matrix`` of validated points for which there is room."""
    sizes = np.abs(np.concatenate([x, y]))
    largest = sizes.max()
    smallest = sizes.min(where=sizes > 0, initial=largest)
    # squares of differences beyond 1e±154 leave the range of float64; none is smaller than 2^-53 of a point
    if largest < 2.0**400 and (smallest > 2.0**-400 or largest == 0):
        matrix: Array = cdist(x, y)
        return matrix
    if smallest > 2.0**-400 * largest:
        exponent = int(np.frexp(largest)[1])
        matrix = cdist(np.ldexp(x, -exponent), np.ldexp(y, -exponent))
        with np.errstate(over="ignore"):
            return _counted(np.ldexp(matrix, exponent))
    return _counted(np.array([_far_distances(point, y) for point in x]))


def _counted(matrix: Array) -> Array:
    """The distances, refused where float64 cannot hold one."""
    if not np.isfinite(matrix).all():
        raise InputError("x and y hold points farther apart than float64 counts, 1.8e308: divide both by one number")
    return matrix


def _far_distances(point: Array, y: Array) -> Array:
    """|point - y_j| (m,), each difference divided by its largest entry first, so that no square leaves float64."""
    with np.errstate(over="ignore"):
        differences = np.abs(point - y)
        largest = differences.max(axis=1)
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        return np.asarray(scale * np.linalg.norm(differences / scale[:, None], axis=1))


def check_dense_memory(n: int, m: int, solves: int = 1) -> None:
    """InputError where ``solves`` exact solves of n x m points at once need more memory than this process may take.

    POT ends the interpreter when it runs out of memory, so that nothing could be caught later.
    """
    if address_space_is_limited():
        pot()  # its libraries take from the same limit
    needed, available = solves * _bytes_needed(n, m), free_memory()
    if needed > available:
        several = f"{solves} exact solves" if solves > 1 else "an exact solve"
        raise InputError(
            f"{several} of {n} x {m} points need{'s' if solves == 1 else ''} {needed / 2**30:.1f} GiB, "
            f"{available / 2**30:.1f} GiB are free: use smaller samples{' or fewer workers' if solves > 1 else ''}"
        )


def fits(n: int, m: int) -> bool:
    """Whether an exact solve of n x m points by the dense route fits in memory."""
    return _bytes_needed(n, m) <= free_memory()


def _bytes_needed(n: int, m: int) -> float:
    return 8 * n * m * MATRICES_IN_A_SOLVE + BYTES_BESIDES


def solve_cost(cost: Array, a: Array, b: Array) -> ExactSolution:
    """``otbench.solve_exact`` by the dense route, for a given cost matrix (n, m) and validated weights a (n,), b (m,).

    Atoms of weight 0 are left out. They get the largest potential that stays feasible, u_i = min_j M_ij - v_j.
    """
    with refused_when_full():
        start = time.perf_counter()
        rows, cols = np.flatnonzero(a), np.flatnonzero(b)
        if len(rows) == len(a) and len(cols) == len(b):
            return solution_of(*_solve(cost, a, b), None, start)
        below, above = _solve(np.ascontiguousarray(cost[np.ix_(rows, cols)]), a[rows], b[cols])
        u, v = np.zeros(len(a)), np.zeros(len(b))
        u[rows], v[cols] = below.u, below.v
        idle_rows, idle_cols = np.flatnonzero(a == 0), np.flatnonzero(b == 0)
        below_cost = cost * (1 - 4 * ULP)  # feasible whatever the rounding of the sums
        u[idle_rows] = (below_cost[idle_rows][:, cols] - below.v).min(axis=1, initial=np.inf)
        v[idle_cols] = (below_cost[:, idle_cols] - u[:, None]).min(axis=0, initial=np.inf)
        plan = Plan(rows[above.plan.rows], cols[above.plan.cols], above.plan.mass)
        below = from_below(cost, a, b, u, v)
        return solution_of(below, from_above(cost, a, b, plan, below.largest), None, start)


def verify_cost(solution: ExactSolution, cost: Array, a: Array, b: Array) -> ExactSolution:
    """``otbench.verify_exact`` for a given cost matrix (n, m) and validated weights a (n,), b (m,)."""
    start = time.perf_counter()
    below = from_below(cost, a, b, solution.u, solution.v)
    above = from_above(cost, a, b, solution.plan, below.largest) if solution.plan is not None else None
    return solution_of(below, above, solution.w1, start)


def solution_of(
    below: Below, above: Above | None, w1: float | None, start: float, route: str = "dense"
) -> ExactSolution:
    """The solution that two bounds prove; where ``w1`` is None its value is the one that they give.

    Raises:
        UncertifiedError: they do not prove it.
    """
    proof = certify(below, above, w1)
    plan = above.plan if above is not None else None
    seconds = time.perf_counter() - start
    return ExactSolution(**vars(proof), u=below.u, v=below.v, seconds=seconds, plan=plan, route=route)


def interval_of(below: Below, above: Above, start: float) -> ExactSolution:
    """What two bounds prove that do not meet: an interval and no value, with potentials that are feasible."""
    proof = Proof(math.nan, below.lower, above.upper, above.longest_move, math.nan, 0.0, above.marginal_error)
    seconds = time.perf_counter() - start
    v = below.v - below.excess
    return ExactSolution(**vars(proof), u=below.u, v=v, seconds=seconds, plan=above.plan, route="sparse")


def _solve(cost: Array, a: Array, b: Array) -> tuple[Below, Above]:
    """Bounds from below and above for positive weights: as a rule those that POT's first answer gives are tight."""
    plan, u, v = _network_simplex(cost, a, b)
    below = from_below(cost, a, b, u, v)
    above = from_above(cost, a, b, plan, below.largest)
    return (below, above) if is_exact(below, above) else _refined(cost, a, b, below, above)


def _refined(cost: Array, a: Array, b: Array, below: Below, above: Above) -> tuple[Below, Above]:
    """Tighter bounds by further rounds of POT, as many as are needed and ``ROUNDS`` at most.

    POT tells costs apart down to about 1e-15 of the largest. Where all mass moves much less far than that, as beside
    one far point that both samples hold, any plan looks optimal to it. Further rounds therefore cap the costs at four
    times the longest move so far. Potentials of capped costs are feasible for the true ones, and are small, so that
    they round little. A plan that is optimal for capped costs and uses none of those that were capped is optimal; else
    the cap is raised. Each later round solves for the part of the costs that the potentials leave, and adds to them.
    """
    none = np.zeros(len(a)), np.zeros(len(b))
    above = _lower_of(above, from_above(cost, a, b, rebuilt(above.plan, a, b), below.largest))
    cap, (u, v) = 4 * above.longest_move, none
    for _ in range(ROUNDS):
        if is_exact(below, above):
            break
        plan, more_u, more_v = _network_simplex(np.minimum(cost - u[:, None] - v, cap), a, b)
        plan = rebuilt(plan, a, b)
        found = from_below(cost, a, b, u + more_u, v + more_v)
        reached = from_above(cost, a, b, plan, found.largest)
        cap, (u, v) = (8 * cap, none) if reached.longest_move > cap else (cap, (found.u, found.v))
        below = found if found.lower >= below.lower else below
        above = _lower_of(above, reached)
    return below, above


def _lower_of(one: Above, other: Above) -> Above:
    return one if one.upper <= other.upper else other


def _network_simplex(cost: Array, a: Array, b: Array) -> tuple[Plan, Array, Array]:
    """An optimal sparse plan and potentials u (n,), v (m,) from POT.

    POT compares costs with an absolute epsilon: for data of size 1e-12 its plan is 14 % too dear. Costs are therefore
    scaled so that the largest lies in [1, 2), by a power of two, which changes no bit of their digits.
    """
    largest = cost.max()
    exponent = int(np.frexp(largest)[1]) - 1 if largest > 0 else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an early stop is refused below, by its code
        scaled = cost * 2.0**-exponent if abs(exponent) < 1000 else np.ldexp(cost, -exponent)  # the same, faster
        _, log = pot().emd2(a, b, scaled, numItermax=MAX_ITERATIONS, log=True, return_matrix=True)
    if log["result_code"] != OPTIMAL:
        state = str(log["warning"]).splitlines()[0]
        raise UncertifiedError("the solver's state", state, "optimal", "use smaller samples, or report it")
    where = np.flatnonzero(log["G"] != 0)  # twice as fast on flags as on floats
    rows, cols = np.divmod(where, cost.shape[1])
    plan = Plan(rows, cols, log["G"].ravel()[where])
    return plan, np.ldexp(log["u"], exponent), np.ldexp(log["v"], exponent)
