"""The solvers whose growth is measured: each takes two samples to W1, and to an interval that holds it if it can."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from otbench.errors import UncertifiedError
from otbench.transport.certificate import TOLERANCE, from_below
from otbench.transport.dense import cost_matrix
from otbench.transport.envelope import ROWS_AT_ONCE
from otbench.transport.exact import solve_pair
from otbench.transport.pot import LARGEST_SCALING, MAX_ITERATIONS, OPTIMAL, pot
from otbench.types import Array, SamplePair

Solver = Literal["dense", "sparse", "lazy", "assignment", "sinkhorn"]

#: The first regularisation of Sinkhorn's iterations as a share of the mean distance; each level halves it.
FIRST_REG = 0.125

#: The most levels, and the most iterations of one; tens of iterations are enough as a rule.
LEVELS, ITERATIONS_A_LEVEL = 20, 1000

#: A level ends where the column sums of its plan are wrong by this share of the mass, about: what rounding the plan to
#: the exact marginals then adds to its cost is small beside one per cent.
MARGINAL_ERROR = 1e-3


@dataclass(frozen=True)
class Solved:
    """A value of W1, and what its solver tells of it; None where it tells no such thing.

    ``primal_lower`` and ``primal_upper`` hold W1, ``longest_move`` is the largest distance that the plan uses. The
    sparse route has ``rounds`` and ``pairs``, Sinkhorn ``iterations`` over all levels and the last ``reg``.
    """

    primal: float
    primal_lower: float | None = None
    primal_upper: float | None = None
    longest_move: float | None = None
    rounds: int | None = None
    pairs: int | None = None
    iterations: int | None = None
    reg: float | None = None


def solve_by(solver: Solver, pair: SamplePair, accuracy: float) -> Solved:
    """W1 of two samples of equal size and weights by the solver of that name; ``accuracy`` is Sinkhorn's."""
    return _sinkhorn(pair, accuracy) if solver == "sinkhorn" else EXACT[solver](pair)


def _dense(pair: SamplePair) -> Solved:
    found = solve_pair(pair, "dense")
    return Solved(found.w1, found.lower, found.upper, found.longest_move)


def _sparse(pair: SamplePair) -> Solved:
    found = solve_pair(pair, "sparse")
    if not found.is_exact:
        raise UncertifiedError("what memory let the solver prove", "an interval", "a value", "free memory")
    return Solved(found.w1, found.lower, found.upper, found.longest_move, found.rounds, found.pairs)


def _lazy(pair: SamplePair) -> Solved:
    """POT's network simplex with distances computed when they are asked for: O(n) memory, and no certificate."""
    value, log = pot().lp.emd2_lazy(
        pair.x, pair.y, pair.a, pair.b, metric="euclidean", numItermax=MAX_ITERATIONS, log=True, return_matrix=False
    )
    if log["result_code"] != OPTIMAL:
        raise UncertifiedError("the solver's state", str(log["warning"]), "optimal", "use smaller samples")
    return Solved(float(value))


def _assignment(pair: SamplePair) -> Solved:
    """scipy's shortest augmenting paths: equal weights make an optimal plan a permutation."""
    from scipy.optimize import linear_sum_assignment  # loads here, not with every declaration

    cost = cost_matrix(pair.x, pair.y)
    rows, cols = linear_sum_assignment(cost)
    return Solved(float(cost[rows, cols].mean()))


#: The solvers that end at an optimal plan.
EXACT: dict[str, Callable[[SamplePair], Solved]] = {
    "dense": _dense, "sparse": _sparse, "lazy": _lazy, "assignment": _assignment,
}  # fmt: skip


def _sinkhorn(pair: SamplePair, accuracy: float) -> Solved:
    """Sinkhorn's iterations by POT, with the regularisation halved until an interval is ``accuracy`` W1 wide.

    Each level starts from the potentials of the one before. Its plan, rounded to the exact marginals, proves the upper
    end, and its potentials, c-transformed, the lower one. The plan's cost is the value.

    Source: Cuturi 2013; Schmitzer 2019 (stabilised, regularisation scaled); Altschuler, Weed, Rigollet 2017, Alg. 2
    (rounding).
    """
    cost = cost_matrix(pair.x, pair.y)
    reg, start, iterations = FIRST_REG * float(cost.mean()), None, 0
    for _ in range(LEVELS):
        plan, log = pot().bregman.sinkhorn_stabilized(
            pair.a, pair.b, cost, reg, numItermax=ITERATIONS_A_LEVEL, warmstart=start, log=True, warn=False,
            tau=LARGEST_SCALING, stopThr=MARGINAL_ERROR / len(pair.b) ** 0.5,  # of the Euclidean length
        )  # fmt: skip
        start, iterations = log["warmstart"], iterations + int(log["n_iter"]) + 1
        value, lower = _rounded_cost(plan, cost, pair.a, pair.b), _lower_bound(cost, pair.a, pair.b, start[0])
        upper = value * (1 + TOLERANCE)  # what the sums of n^2 products round
        if upper - lower <= accuracy * upper:
            return Solved(value, lower, upper, iterations=iterations, reg=reg)
        reg /= 2
    found = (upper - lower) / upper
    raise UncertifiedError("the relative gap of Sinkhorn's plan", found, accuracy, "ask for less accuracy")


def _rounded_cost(plan: Any, cost: Array, a: Array, b: Array) -> float:
    """The cost of a plan (n, m) > 0 once it is rounded to the marginals a and b; the plan is overwritten.

    Rows and columns that hold too much are shrunk, and what is then missing is added as a product of both sides' rests.
    """
    plan *= _at_most_one(a, plan.sum(axis=1))[:, None]
    plan *= _at_most_one(b, plan.sum(axis=0))
    rest_a, rest_b = np.maximum(a - plan.sum(axis=1), 0), np.maximum(b - plan.sum(axis=0), 0)
    missing = float(rest_a.sum())
    own = float(np.vdot(plan, cost))
    return own if missing == 0 else own + float(rest_a @ (cost @ rest_b)) / missing


def _at_most_one(weights: Array, sums: Array) -> Array:
    return np.minimum(1.0, np.divide(weights, sums, out=np.ones_like(sums), where=sums > 0))


def _lower_bound(cost: Array, a: Array, b: Array, u: Array) -> float:
    """What a potential u (n,) of x proves once both sides are made as large as they may be."""
    v = np.full(len(b), np.inf)
    for k in range(0, len(a), ROWS_AT_ONCE):
        np.minimum(v, (cost[k : k + ROWS_AT_ONCE] - u[k : k + ROWS_AT_ONCE, None]).min(axis=0), out=v)
    blocks = (cost[k : k + ROWS_AT_ONCE] for k in range(0, len(a), ROWS_AT_ONCE))
    u = np.concatenate([(block - v).min(axis=1) for block in blocks])
    return from_below(cost, a, b, u, v).lower
