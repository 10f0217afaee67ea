"""The exact W1 of two samples with its certificate, by the route that suits their size."""

import dataclasses
import math
import time
from contextlib import suppress
from typing import Any, Literal, get_args

import numpy as np

from otbench.errors import InputError, UncertifiedError
from otbench.inputs import as_values
from otbench.memory import free_memory
from otbench.transport.certificate import Above, Below, from_above, from_below, is_exact
from otbench.transport.curves import along_curves
from otbench.transport.dense import (
    check_dense_memory,
    cost_matrix,
    fits,
    interval_of,
    refused_when_full,
    solution_of,
    solve_cost,
    verify_cost,
)
from otbench.transport.line import LineCosts, solve_line
from otbench.transport.products import multiplier
from otbench.transport.sparse import Found, bytes_needed, prove, solve_sparse
from otbench.types import Array, ExactSolution, Plan, SamplePair

Route = Literal["auto", "dense", "sparse"]

#: Samples of at most this many pairs are solved with all of them. As results/growth has it, shifted Gaussians of 1000
#: points take the sparse route as long at d = 16 and longer at d = 2 and 128; of 2000 it takes less than half at
#: d = 16 and 128, and more in the plane; of 4000 it takes half there too.
DENSE_PAIRS, DENSE_PAIRS_IN_THE_PLANE = 1500 * 1500, 2500 * 2500

#: The same where points of the plane lie along curves, on which mass that is left over moves on from one to the next:
#: of 3000 points the sparse route takes 1.1 to 1.3 times as long as all pairs, of 5000 0.8 to 0.9 times on circles and
#: 1.0 to 1.1 times on segments.
DENSE_PAIRS_ALONG_CURVES = 4000 * 4000

#: Points this much smaller than the largest are beyond what one unit for all of them can tell: the dense route has one
#: for each pair.
FINEST = 2.0**-400

#: Points beyond this are left to the dense route, which scales them: sums of them could leave float64.
LARGEST_ON_THE_LINE = 2.0**1000


def solve_exact(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    route: Route = "auto",
    time_limit: float | None = None,
    potentials: tuple[Any, Any] | None = None,
    device: str = "cpu",
) -> ExactSolution:
    """``otbench.solve_exact`` without a critic, whose docstring says what its arguments, its value and its errors are.

    The dense route gives POT all n m pairs. The sparse route gives it few, proves by a look through all of them that no
    other would help, and adds those that would; it needs O(n + m) memory. On the line, d = 1, sorting does.
    """
    pair = SamplePair(x, y, a, b)
    start = as_potentials(potentials, pair)
    check_options(route, time_limit, device)
    if start is not None and route == "dense":
        raise InputError('potentials are for the sparse route to start from: drop route="dense"')
    return solve_pair(pair, route, time_limit, start, device)


def check_options(route: Any, time_limit: Any, device: str) -> None:
    """InputError for a route or a time limit that ``solve_exact`` does not know, or for options that exclude each
    other."""
    if route not in get_args(Route):
        raise InputError(f"route must be one of {', '.join(get_args(Route))}; got {route!r}")
    if time_limit is not None and not time_limit > 0:
        raise InputError(f"time_limit must be a number of seconds above 0, or None; got {time_limit!r}")
    if time_limit is not None and route == "dense":
        raise InputError('time_limit needs the sparse route, as POT cannot be stopped half-way: drop route="dense"')
    if device != "cpu" and route == "dense":
        raise InputError('a device is for the sparse route, which looks through all pairs on it: drop route="dense"')


def solve_pair(
    pair: SamplePair,
    route: Route = "auto",
    time_limit: float | None = None,
    start: tuple[Array, Array] | None = None,
    device: str = "cpu",
) -> ExactSolution:
    """``solve_exact`` of validated samples."""
    begun = time.perf_counter()
    if route == "auto" and pair.dim == 1 and time_limit is None and start is None:
        solved = _on_the_line(pair, begun)
        if solved is not None:
            return solved
    sparse = route == "sparse" or (route == "auto" and (time_limit is not None or start is not None or suits(pair)))
    if not sparse:
        return solve_cost(cost_matrix(pair.x, pair.y), pair.a, pair.b)
    check_sparse_memory(*_sizes(pair), pair.dim)
    with refused_when_full():
        until = math.inf if time_limit is None else time.monotonic() + time_limit
        found = solve_sparse(pair.x, pair.y, pair.a, pair.b, until, start, multiplier(device))
    given_up = not is_exact(found.below, found.above) and time_limit is None
    if given_up and route == "auto" and fits(*_sizes(pair)):
        return solve_cost(cost_matrix(pair.x, pair.y), pair.a, pair.b)
    return _told(found, begun)


def refuse_interval(solution: ExactSolution) -> None:
    """UncertifiedError where the solver gave up, for memory or after its last round, and a value is needed."""
    if not solution.is_exact:
        seen = f"in [{solution.lower:.12g}, {solution.upper:.12g}], where the solver gave up"
        raise UncertifiedError("W1", seen, "a number", "use smaller samples, or allow an interval by a time limit")


def verify_exact(solution: ExactSolution, x: Any, y: Any, a: Any = None, b: Any = None) -> ExactSolution:
    """Prove a stored value again from its potentials and its plan, without solving; O(n m) in time, not in memory.

    Feasible potentials prove that no plan is cheaper than a.u + b.v = w1, and the stored plan proves that w1 is
    reached. Where the solution has no plan, only the first half is proved, and ``upper`` is infinite.

    Args:
        solution: what ``solve_exact`` returned, possibly without its plan.
        x: the points (n, d) it was solved on.
        y: the points (m, d).
        a: the weights (n,) of x; uniform where they are None.
        b: the weights (m,) of y, likewise.

    Returns:
        The solution with the certificate that was just computed, in the data's unit.

    Raises:
        UncertifiedError: the potentials or the plan do not prove ``solution.w1`` on these samples.
        InputError: malformed samples, or potentials of other lengths than the samples.

    Source: Villani 2009, Thm 5.10 (weak duality).
    """
    pair = SamplePair(x, y, a, b)
    if (len(solution.u), len(solution.v)) != _sizes(pair):
        raise InputError(
            f"potentials of lengths {len(solution.u)} and {len(solution.v)} cannot prove a value "
            f"on {len(pair.x)} and {len(pair.y)} points: pass the samples it was solved on"
        )
    if not solution.is_exact:
        remedy = "solve without a limit, or read its lower and upper"
        raise UncertifiedError("the value", "not there, as the solver was stopped", "a number", remedy)
    return verify_pair(solution, pair)


def verify_pair(solution: ExactSolution, pair: SamplePair, device: str = "cpu") -> ExactSolution:
    """``verify_exact`` of validated samples, or of a solution that is an interval, which is then proved again."""
    begun = time.perf_counter()
    stored, multiply = (solution.u, solution.v, solution.plan), multiplier(device)
    if not solution.is_exact:
        below, above = prove(pair.x, pair.y, pair.a, pair.b, *stored, multiply)
        assert above is not None, "an interval has a plan"
        return interval_of(below, above, begun)
    if pair.dim == 1:
        with suppress(UncertifiedError):  # sums along the line round more than single differences do
            proof = _line_proof(pair, solution.u, solution.v, solution.plan)
            return solution_of(*proof, solution.w1, begun, "line")
    if solution.route != "sparse" and not suits(pair):
        return verify_cost(solution, cost_matrix(pair.x, pair.y), pair.a, pair.b)
    below, above = prove(pair.x, pair.y, pair.a, pair.b, *stored, multiply)
    return solution_of(below, above, solution.w1, begun, "sparse")


def suits(pair: SamplePair) -> bool:
    """Whether samples are too large, and too little like curves, for the dense route to be the better one, and no point
    is so small beside the largest that one unit for all of them loses it."""
    n, m = _sizes(pair)
    if n * m <= _most_pairs(pair.dim):
        return False
    curves = pair.dim == 2 and n * m <= DENSE_PAIRS_ALONG_CURVES and along_curves(pair.x) and along_curves(pair.y)
    if curves and fits(n, m):
        return False
    sizes = np.abs(np.concatenate([pair.x, pair.y]))
    return not fits(n, m) or bool(sizes.min(where=sizes > 0, initial=np.inf) > FINEST * sizes.max())


def _most_pairs(d: int) -> int:
    return DENSE_PAIRS_IN_THE_PLANE if d <= 2 else DENSE_PAIRS


def as_potentials(potentials: tuple[Any, Any] | None, pair: SamplePair) -> tuple[Array, Array] | None:
    """Potentials to start from, validated."""
    if potentials is None:
        return None
    if not isinstance(potentials, tuple | list) or len(potentials) != 2:
        raise InputError("potentials must be a pair (u, v), one number for each point of x and of y")
    u, v = as_values("potentials u", potentials[0]), as_values("potentials v", potentials[1])
    if (len(u), len(v)) != _sizes(pair):
        raise InputError(f"potentials must have {len(pair.x)} and {len(pair.y)} numbers; got {len(u)} and {len(v)}")
    return u, v


def _on_the_line(pair: SamplePair, begun: float) -> ExactSolution | None:
    """The solution by sorting; None where the rounding of sums along the line leaves too wide an interval."""
    if max(np.abs(pair.x).max(), np.abs(pair.y).max()) > LARGEST_ON_THE_LINE:
        return None
    plan, u, v = solve_line(pair.x[:, 0], pair.y[:, 0], pair.a, pair.b)
    below, above = _line_proof(pair, u, v, plan)
    if above is None or not is_exact(below, above):
        return None
    return solution_of(below, above, None, begun, "line")


def _line_proof(pair: SamplePair, u: Array, v: Array, plan: Plan | None) -> tuple[Below, Above | None]:
    costs = LineCosts(pair.x[:, 0], pair.y[:, 0])
    below = from_below(costs, pair.a, pair.b, u, v)
    return below, None if plan is None else from_above(costs, pair.a, pair.b, plan, below.largest)


def _told(found: Found, begun: float) -> ExactSolution:
    """The exact solution, or where the rounds were stopped the interval that they proved."""
    if found.done or is_exact(found.below, found.above):
        solved = solution_of(found.below, found.above, None, begun, "sparse")
    else:
        solved = interval_of(found.below, found.above, begun)
    return dataclasses.replace(solved, rounds=found.rounds, pairs=found.pairs, pairs_in_all=found.pairs_in_all)


def check_memory(n: int, m: int, d: int, solves: int = 1) -> None:
    """InputError where ``solves`` exact solves at once of n and m points of dimension d, each by the route that
    ``solve_exact`` takes, need more memory than this process may take."""
    if n * m <= _most_pairs(d):
        check_dense_memory(n, m, solves)
    else:
        check_sparse_memory(n, m, d, solves)


def check_sparse_memory(n: int, m: int, d: int, solves: int = 1) -> None:
    """The same by the sparse route."""
    needed, available = solves * bytes_needed(n, m, d), free_memory()
    if needed > available:
        raise InputError(
            f"{f'{solves} solves' if solves > 1 else 'a solve'} by the sparse route of {n} and {m} points of dimension "
            f"{d} need{'s' if solves == 1 else ''} about {needed / 2**30:.1f} GiB, {available / 2**30:.1f} GiB are "
            f"free: use smaller samples{' or fewer workers' if solves > 1 else ''}"
        )


def _sizes(pair: SamplePair) -> tuple[int, int]:
    return len(pair.x), len(pair.y)
