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
from otbench.transport.certificate import ULP, Above, Below, certify, from_above, from_below, is_exact
from otbench.transport.forest import rebuilt
from otbench.transport.memory import address_space_is_limited, free_memory
from otbench.types import Array, ExactSolution, Plan, SamplePair

#: Further rounds of POT where the first proofs are too far apart.
ROUNDS = 6

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
        InputError: malformed or unequal points; the solve would need more memory than there is, said before allocating;
            a distance beyond the range of float64.
    """
    x, y = as_points("x", x), as_points("y", y)
    if x.shape[1] != y.shape[1]:
        raise InputError(f"x and y must have the same dimension; got {x.shape[1]} and {y.shape[1]}")
    check_memory(len(x), len(y))
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
    """Distances that float64 can count."""
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
        UncertifiedError: no interval around W1 was found that is as narrow as ``certificate.allowed_width``.

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
    if len(rows) == len(a) and len(cols) == len(b):
        return _solution(*_solve(cost, a, b), None, start)
    below, above = _solve(np.ascontiguousarray(cost[np.ix_(rows, cols)]), a[rows], b[cols])
    u, v = np.zeros(len(a)), np.zeros(len(b))
    u[rows], v[cols] = below.u, below.v
    idle_rows, idle_cols = np.flatnonzero(a == 0), np.flatnonzero(b == 0)
    below_cost = cost * (1 - 4 * ULP)  # feasible whatever the rounding of the sums
    u[idle_rows] = (below_cost[idle_rows][:, cols] - below.v).min(axis=1, initial=np.inf)
    v[idle_cols] = (below_cost[:, idle_cols] - u[:, None]).min(axis=0, initial=np.inf)
    plan = Plan(rows[above.plan.rows], cols[above.plan.cols], above.plan.mass)
    below = from_below(cost, a, b, u, v)
    return _solution(below, from_above(cost, a, b, plan, below.largest), None, start)


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
    below = from_below(cost, a, b, solution.u, solution.v)
    above = from_above(cost, a, b, solution.plan, below.largest) if solution.plan is not None else None
    return _solution(below, above, solution.w1, start)


def _solution(below: Below, above: Above | None, w1: float | None, start: float) -> ExactSolution:
    """The certified solution of these proofs; ``w1`` None means the value they give.

    Raises:
        UncertifiedError: they do not prove it.
    """
    proof = certify(below, above, w1)
    plan = above.plan if above is not None else None
    return ExactSolution(**vars(proof), u=below.u, v=below.v, seconds=time.perf_counter() - start, plan=plan)


def _solve(cost: Array, a: Array, b: Array) -> tuple[Below, Above]:
    """Proofs from below and above on positive weights: POT's own where they are tight, which is the rule."""
    plan, u, v = _network_simplex(cost, a, b)
    below = from_below(cost, a, b, u, v)
    above = from_above(cost, a, b, plan, below.largest)
    return (below, above) if is_exact(below, above) else _refined(cost, a, b, below, above)


def _refined(cost: Array, a: Array, b: Array, below: Below, above: Above) -> tuple[Below, Above]:
    """Tighter proofs by further rounds of POT, as many as it takes and at most ``ROUNDS``.

    POT tells costs apart down to about 1e-15 of the largest: where all that moves moves much less far, as beside one
    far point that both samples hold, its plan is as good as any. Further rounds cap costs at four times the longest
    move so far. Potentials of capped costs are feasible for the true ones, and small, so that they round little; a
    plan that is optimal for capped costs and uses none of them is optimal, else the cap is raised. Rounds after that
    solve what the potentials leave of the costs, and add to them.
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
