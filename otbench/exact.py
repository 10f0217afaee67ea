"""The exact side: cost matrix, POT's network simplex, and the certificate without which there is no number."""

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
from otbench.types import Array, ExactSolution, Plan, SamplePair

#: Relative size of gap, violation and marginal error above which a solution is refused.
TOLERANCE = 1e-9

#: POT stops early at 100 000 simplex steps by default, with a warning and a cost up to 2.5 % too high.
MAX_ITERATIONS = 10**12

#: Bytes a solve takes at most, in arrays of n m doubles, as measured: the cost, its scaled copy, its part without atoms
#: of weight 0, POT's plan, and its arcs with their costs and flows, a little more than three.
MATRICES_IN_A_SOLVE = 7.25

#: Bytes that a process needs besides: the solver's vectors, and what the allocator keeps.
BYTES_BESIDES = 2**25


@contextmanager
def _refused_when_full() -> Iterator[None]:
    """Memory that runs out although it seemed enough is one line."""
    try:
        yield
    except MemoryError:
        raise InputError("the samples' cost matrix or plan does not fit in memory: use smaller samples") from None


@_refused_when_full()
def cost_matrix(x: Any, y: Any) -> Array:
    """M_ij = |x_i - y_j|_2, float64 (n, m), in the data's unit.

    Differences are formed before squaring: the quadratic expansion reads a true 4e-9 as 1.3e-7.

    Raises:
        InputError: malformed or unequal points; the solve would need more memory than there is, said before allocating.
    """
    x, y = as_points("x", x), as_points("y", y)
    if x.shape[1] != y.shape[1]:
        raise InputError(f"x and y must have the same dimension; got {x.shape[1]} and {y.shape[1]}")
    check_memory(len(x), len(y))
    # squares of differences beyond 1e±154 leave the range of float64: such data are scaled, by a power of two
    exponent = int(np.frexp(max(np.abs(x).max(), np.abs(y).max()))[1])
    if abs(exponent) < 400:
        matrix: Array = cdist(x, y)
        return matrix
    return np.ldexp(cdist(np.ldexp(x, -exponent), np.ldexp(y, -exponent)), exponent)


def check_memory(n: int, m: int, solves: int = 1) -> None:
    """InputError when so many exact solves of n x m points at once would need more memory than this process may take.

    POT ends the interpreter where memory runs out under it, so that there is nothing to catch later.
    """
    if address_space_is_limited():
        _pot()  # its libraries take from the same limit
    needed, available = solves * (8 * n * m * MATRICES_IN_A_SOLVE + BYTES_BESIDES), free_memory()
    if needed > available:
        several = f"{solves} exact solves" if solves > 1 else "an exact solve"
        raise InputError(
            f"{several} of {n} x {m} points need{'s' if solves == 1 else ''} {needed / 2**30:.1f} GiB, "
            f"{available / 2**30:.1f} GiB are free: use smaller samples{' or fewer workers' if solves > 1 else ''}"
        )


def solve_exact(x: Any, y: Any, a: Any = None, b: Any = None) -> ExactSolution:
    """The empirical W1 of two weighted samples, with proof.

    min over plans g >= 0 with marginals a (n,) and b (m,) of sum_ij g_ij |x_i - y_j|, by POT's
    network simplex; x (n, d) and y (m, d) in any unit, weights uniform unless given.

    Raises:
        InputError: malformed samples or weights, or a cost matrix that does not fit in memory.
        UncertifiedError: gap, violation or marginal error above 1e-9 max(1, w1).

    Source: Bonneel et al. 2011 (network simplex); Flamary et al. 2021 (POT).
    """
    pair = SamplePair(x, y, a, b)
    return solve_cost(cost_matrix(pair.x, pair.y), pair.a, pair.b)


@_refused_when_full()
def solve_cost(cost: Array, a: Array, b: Array) -> ExactSolution:
    """``solve_exact`` on a given cost matrix (n, m) and validated weights; atoms of weight 0 are left out and
    get the largest potential that stays feasible, u_i = min_j M_ij - v_j."""
    start = time.perf_counter()
    rows, cols = np.flatnonzero(a), np.flatnonzero(b)
    whole = len(rows) == len(a) and len(cols) == len(b)
    core = cost if whole else np.ascontiguousarray(cost[np.ix_(rows, cols)])
    plan, core_u, core_v = _network_simplex(core, a[rows], b[cols])
    u, v = np.zeros(len(a)), np.zeros(len(b))
    u[rows], v[cols] = core_u, core_v
    if not whole:
        idle_rows, idle_cols = np.flatnonzero(a == 0), np.flatnonzero(b == 0)
        u[idle_rows] = (cost[idle_rows][:, cols] - core_v).min(axis=1, initial=np.inf)
        v[idle_cols] = (cost[:, idle_cols] - u[:, None]).min(axis=0, initial=np.inf)
        plan = Plan(rows[plan.rows], cols[plan.cols], plan.mass)
    return _certified(cost, a, b, u, v, plan, None, start)


def verify_exact(solution: ExactSolution, x: Any, y: Any, a: Any = None, b: Any = None) -> ExactSolution:
    """Re-prove a stored value from its potentials, without solving; O(n m).

    Feasible potentials prove that no plan is cheaper than a.u + b.v = w1; the stored plan proves that w1 is
    reached. A solution whose ``plan`` is None is held to the first half alone: w1 is then proved as a lower
    bound. Returns the solution with the certificate just computed.

    Raises:
        UncertifiedError: the potentials or the plan do not prove ``solution.w1`` on these samples.
        InputError: malformed samples, or potentials of other lengths than the samples.
    """
    pair = SamplePair(x, y, a, b)
    if (len(solution.u), len(solution.v)) != (len(pair.x), len(pair.y)):
        raise InputError(
            f"potentials of lengths {len(solution.u)} and {len(solution.v)} cannot prove a value "
            f"on {len(pair.x)} and {len(pair.y)} points: pass the samples it was solved on"
        )
    return verify_cost(solution, cost_matrix(pair.x, pair.y), pair.a, pair.b)


def verify_cost(solution: ExactSolution, cost: Array, a: Array, b: Array) -> ExactSolution:
    """``verify_exact`` on a given cost matrix (n, m) and validated weights."""
    start = time.perf_counter()
    return _certified(cost, a, b, solution.u, solution.v, solution.plan, solution.w1, start)


def _network_simplex(cost: Array, a: Array, b: Array) -> tuple[Plan, Array, Array]:
    """Optimal sparse plan and potentials from POT.

    POT compares costs with an absolute epsilon: at a spread of 1e-12 its plan is 14 % too dear. Costs are
    therefore scaled to a largest entry in [1, 2), by a power of two, so that no bit of them changes.
    """
    largest = cost.max()
    exponent = int(np.frexp(largest)[1]) - 1 if largest > 0 else 0
    pot = _pot()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an early stop is refused below, by its code
        scaled = cost * 2.0**-exponent if abs(exponent) < 1000 else np.ldexp(cost, -exponent)  # the same, faster
        _, log = pot.emd2(a, b, scaled, numItermax=MAX_ITERATIONS, log=True, return_matrix=True)
    if log["result_code"] != 1:  # POT's OPTIMAL; its warning text says which other state it is
        state = str(log["warning"]).splitlines()[0]
        raise UncertifiedError("the solver's state", state, "optimal", "use smaller samples, or report it")
    where = np.flatnonzero(log["G"] != 0)  # twice as fast on flags as on floats
    rows, cols = np.divmod(where, cost.shape[1])
    plan = Plan(rows, cols, log["G"].ravel()[where])
    return plan, np.ldexp(log["u"], exponent), np.ldexp(log["v"], exponent)


def _pot() -> Any:
    """POT, imported at the first solve: a second that reading a result never pays."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # POT 0.9.7: optional backends
        import ot
    return ot


def _certified(
    cost: Array, a: Array, b: Array, u: Array, v: Array, plan: Plan | None, w1: float | None, start: float
) -> ExactSolution:
    """The solution with its certificate, or UncertifiedError; ``w1`` None means the plan's own cost."""
    largest, violation = _largest_and_violation(cost, u, v)
    dual = float(a @ u + b @ v)
    marginal_error = 0.0
    if plan is not None:
        _check_plan(plan, len(a), len(b))
        primal = float(plan.mass @ cost[plan.rows, plan.cols])
        row_sums = np.bincount(plan.rows, plan.mass, len(a))
        col_sums = np.bincount(plan.cols, plan.mass, len(b))
        marginal_error = float(max(np.abs(row_sums - a).max(), np.abs(col_sums - b).max()))
        w1 = primal if w1 is None else w1
        gap = max(abs(w1 - dual), abs(w1 - primal))
    else:
        assert w1 is not None
        gap = abs(w1 - dual)
    # data of a tiny spread would pass an absolute 1e-9 with any answer: never above 1e-9 of the largest cost
    limit = TOLERANCE * min(max(1.0, w1), largest) if largest > 0 else TOLERANCE
    for rule, observed, bound in (
        ("duality gap", gap, limit),
        ("dual violation", violation, limit),
        ("marginal error", marginal_error, TOLERANCE),
    ):
        if not observed <= bound:  # a NaN must not pass
            raise UncertifiedError(rule, observed, bound)
    return ExactSolution(w1, u, v, gap, violation, marginal_error, time.perf_counter() - start, plan)


def _check_plan(plan: Plan, n: int, m: int) -> None:
    """Refuse what is no plan at all: entries outside the samples, or negative mass, which proves any value."""
    remedy = "pass the solution with the samples it was solved on"
    lengths = {np.shape(part) for part in (plan.rows, plan.cols, plan.mass)}
    if lengths != {(len(plan.mass),)}:
        raise UncertifiedError("the plan's shape", str(sorted(lengths)), "a row, a column and a mass an entry", remedy)
    for name, indices, size in (("row", plan.rows, n), ("column", plan.cols, m)):
        if len(indices) and not 0 <= indices.min() <= indices.max() < size:
            raise UncertifiedError(f"a {name} of the plan", str(indices.max()), f"an index of {size} points", remedy)
    if len(plan.mass) and not plan.mass.min() >= 0:
        raise UncertifiedError("a mass of the plan", f"{plan.mass.min():.3g}", "0 or more", remedy)


def _largest_and_violation(cost: Array, u: Array, v: Array) -> tuple[float, float]:
    """max M_ij and max(0, max u_i + v_j - M_ij), a block of rows at a time so that each stays in cache."""
    largest = violation = 0.0
    step = max(1, 65536 // cost.shape[1])
    for k in range(0, len(cost), step):
        block = cost[k : k + step]
        largest = max(largest, float(block.max()))
        violation = max(violation, float((u[k : k + step, None] + v - block).max()))
    return largest, violation
