"""The certificate: an interval that holds W1 whatever was rounded, proved by potentials below and by a plan above.

The interval encloses W1 for the costs M and the weights a, b as they stand in float64. This is the least <g, M> over
plans g >= 0 whose rows are at most a, whose columns are at most b, and which move the lighter of the two totals. The
totals differ by rounding alone, and the surplus of the heavier one is not moved. The distances themselves are rounded
to M by a few units in the last place, hence W1 by as much relative to itself, which 1e-9 W1 covers.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otbench.errors import UncertifiedError
from otbench.transport.costs import ULP, Costs, MatrixCosts
from otbench.types import Array, Plan, Proof

#: Width of the interval around an exact value, relative to the value.
TOLERANCE = 1e-9

#: The smallest float64, by which a product below the normal numbers may be wrong.
SMALLEST = 2.0**-1074

#: The width that is allowed in any case, in units in the last place of the largest cost that the plan uses.
ULPS = 16

#: A plan uses a cost where it moves more mass than this: 16 units in the last place of the cost are then below 1e-6 W1.
USED = 2.0**-28

#: The marginal error of an atom that is lighter is judged as if it had this weight, of which 1e-9 is the rounding of 1.
LIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class Below:
    """What potentials u (n,) and v (m,) prove: W1 >= ``lower``.

    ``value`` is a.u + b.v. ``violation`` is the most by which u_i + v_j may exceed M_ij, rounding included.
    ``largest`` is the largest cost max_ij M_ij. ``excess`` (m,) is what v_j must fall by for all to be feasible.
    """

    u: Array
    v: Array
    lower: float
    value: float
    violation: float
    largest: float
    excess: Array | float = 0.0


@dataclass(frozen=True, eq=False)
class Above:
    """What a plan proves: W1 <= ``upper``.

    ``cost`` is the plan's own cost. ``marginal_error`` is the largest error of a row or column sum relative to the
    atom's weight, ``longest_move`` the largest cost that the plan uses.
    """

    plan: Plan
    upper: float
    cost: float
    marginal_error: float
    longest_move: float


#: What stands for a plan where there is none.
NO_PLAN = Plan(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))

#: The remedy where float64 cannot tell W1, as the mass of far points is wrong by more than what the rest moves.
TAKE_OUT = (
    "take points that both samples hold out of both, which leaves what moves as it is, or drop the far points that "
    "carry next to no weight"
)

#: Values below this have fewer digits in float64; the remedy.
SMALL, GROW = 2.0**-960, "multiply the data by 2**200, say: numbers this small have few digits"


def allowed_width(w1: float, longest_move: float) -> float:
    """The widest interval that is accepted around an exact value: 1e-9 W1, or 16 units in the last place of the longest
    move, whichever is larger.

    The second is as much as float64 can tell: the two potentials of an entry (i, j) that moves mass add up to M_ij, so
    that the smallest error of either is a unit in the last place of M_ij. It is above 1e-9 W1 only where less than a
    few millionths of the mass make the longest move, and never above 1e-6 W1 unless W1 is no more than the rounding of
    mass.
    """
    return max(TOLERANCE * w1, ULPS * ULP * longest_move)


def is_exact(below: Below, above: Above) -> bool:
    """Whether the two bounds prove the value that they give."""
    try:
        certify(below, above)
    except UncertifiedError:
        return False
    return True


def certify(below: Below, above: Above | None, w1: float | None = None) -> Proof:
    """The proof that two bounds give of a value.

    Args:
        below: what potentials prove.
        above: what a plan proves; None proves the value as a lower bound alone, with an infinite ``upper``.
        w1: the value; None for the one that the bounds give.

    Raises:
        UncertifiedError: the interval is too wide, the value is not in it, or the potentials' own value or the plan's
            own marginals are not those of a solution.
    """
    if above is None:
        assert w1 is not None
        above = Above(NO_PLAN, math.inf, w1, 0.0, 0.0)
    w1 = _value(below, above) if w1 is None else w1
    allowed = allowed_width(w1, above.longest_move)
    gap = max(abs(w1 - below.value), abs(w1 - above.cost))
    width = (above.upper if above.plan is not NO_PLAN else w1) - below.lower
    remedy = TAKE_OUT if above.upper > SMALL else GROW
    interval = f"[{below.lower:.12g}, {above.upper:.12g}]"
    if not width <= allowed:  # a NaN must not pass
        raise UncertifiedError(f"the interval {interval} around W1", f"{width:.3g} wide", allowed, remedy)
    if not below.lower <= w1 <= above.upper:
        raise UncertifiedError("the value", f"{w1:.12g}", f"in {interval}", "solve these samples again")
    for rule, observed, bound in (
        ("duality gap", gap, allowed + below.violation), ("marginal error", above.marginal_error, TOLERANCE),
    ):  # fmt: skip
        if not observed <= bound:
            raise UncertifiedError(rule, observed, bound, TAKE_OUT)
    return Proof(w1, below.lower, above.upper, above.longest_move, gap, below.violation, above.marginal_error)


def _value(below: Below, above: Above) -> float:
    """The plan's cost, moved into the interval where wrong marginals have put it outside."""
    return min(max(above.cost, below.lower), above.upper)


def from_below(cost: Array | Costs, a: Array, b: Array, u: Array, v: Array) -> Below:
    """The lower bound of W1 that potentials prove; O(n m).

    v_j less the largest excess of u_i + v_j over M_ij is feasible. A plan with the marginals r <= a and c <= b, one of
    which is full, costs at least r.u + c.v (weak duality): this is a.u + b.v less at most the mass that stays, the
    difference of the totals, times the largest potential on its side.

    Rounding: a sum s of two potentials is wrong by at most 2^-53 |s|. It matters where s is near M_ij, and is paid for
    by taking two units in its last place off M_ij. Products are wrong by half a unit, and fsum adds them exactly.

    Args:
        cost: the distances M (n, m), as a matrix or asked for piece by piece.
        a: the weights (n,) of x.
        b: the weights (m,) of y.
        u: potentials (n,) of x, in the unit of M.
        v: potentials (m,) of y.

    Raises:
        UncertifiedError: a potential is not finite.
    """
    for name, potential in (("u", u), ("v", v)):
        if not np.isfinite(potential).all():
            raise UncertifiedError(f"a potential {name}", "not finite", "a number", "solve these samples again")
    with np.errstate(over="ignore", invalid="ignore"):  # potentials that overflow prove nothing, and are refused so
        excess, largest = _costs(cost).excess(u, v)
        repaired = v - excess
        products = np.concatenate([a * u, b * repaired])
    rounding = 2 * ULP * _sum(np.abs(products)) + SMALLEST * len(products)
    over = _sum(np.concatenate([a, -b]))
    stays = max(0.0, over * float(u.max()) if over > 0 else -over * float(repaired.max()))
    lower = max(0.0, _sum(products) - rounding - stays)
    return Below(u, v, lower, _sum(np.concatenate([a * u, b * v])), float(excess.max()), largest, excess)


def from_above(cost: Array | Costs, a: Array, b: Array, plan: Plan, largest: float) -> Above:
    """The upper bound of W1 that a plan with the marginals r and c proves.

    Rows, and then columns, that hold too much are shrunk to a and b, which makes nothing dearer. Of the lighter total
    there is then missing at most sum (a - r)+ + sum (c - b)+. With rows and columns in the other order it is at most
    sum (b - c)+ + sum (r - a)+, hence at most half of |r - a|_1 + |c - b|_1 in the better one. Sent in any way from
    rows to columns with room, it costs at most the largest M_ij between those (Altschuler, Weed, Rigollet 2017,
    Lemma 7).

    Rounding: r_i, a sum of k masses, is wrong by at most (k - 1) 2^-53 r_i, which is added to its error.

    Args:
        cost: the distances M (n, m), as a matrix or asked for piece by piece.
        a: the weights (n,) of x.
        b: the weights (m,) of y.
        plan: the plan.
        largest: the largest cost max_ij M_ij.

    Raises:
        UncertifiedError: it is no plan at all, as its mass is negative or its entries lie outside the samples.
    """
    check_plan(plan, len(a), len(b))
    costs = _costs(cost).at(plan.rows, plan.cols)
    own = _sum(plan.mass * costs)
    row_errors, col_errors = _marginal_errors(plan.rows, plan.mass, a), _marginal_errors(plan.cols, plan.mass, b)
    missing = 0.5 * (_sum(row_errors) + _sum(col_errors)) * (1 + ULP)
    if missing * largest > 0.1 * TOLERANCE * own:  # the closer bound is computed only where it matters
        largest = _dearest_completion(_costs(cost), plan, row_errors, col_errors)
    upper = own * (1 + 2 * ULP) + missing * largest + SMALLEST * len(costs) * (own > 0)
    error = max(float((e / np.maximum(w, LIGHT)).max()) for e, w in ((row_errors, a), (col_errors, b)))
    return Above(plan, upper, own, error, _longest_move(plan.mass, costs, largest if missing > 0 else 0.0))


def check_plan(plan: Plan, n: int, m: int) -> None:
    """Refuse what is no plan at all: entries outside the samples, or negative mass, with which any value is proved."""
    remedy = "pass the solution with the samples it was solved on"
    lengths = {np.shape(part) for part in (plan.rows, plan.cols, plan.mass)}
    if lengths != {(len(plan.mass),)}:
        raise UncertifiedError("the plan's shape", str(sorted(lengths)), "a row, a column and a mass an entry", remedy)
    for name, indices, size in (("row", plan.rows, n), ("column", plan.cols, m)):
        if len(indices) and not 0 <= indices.min() <= indices.max() < size:
            raise UncertifiedError(f"a {name} of the plan", str(indices.max()), f"an index of {size} points", remedy)
    if len(plan.mass) and not plan.mass.min() >= 0:
        raise UncertifiedError("a mass of the plan", f"{plan.mass.min():.3g}", "0 or more", remedy)


def _costs(cost: Array | Costs) -> Costs:
    return MatrixCosts(cost) if isinstance(cost, np.ndarray) else cost


def _marginal_errors(indices: NDArray[np.intp], mass: Array, weights: Array) -> Array:
    """How far the sum of each atom's mass in the plan may be from its weight, the rounding of the sum included."""
    sums = np.bincount(indices, mass, len(weights))
    terms = np.bincount(indices, minlength=len(weights))
    errors: Array = np.abs(sums - weights) + 0.5 * ULP * np.maximum(terms - 1, 0) * sums
    return errors


def _dearest_completion(costs: Costs, plan: Plan, row_errors: Array, col_errors: Array) -> float:
    """The largest cost between a row and a column from which mass may be missing: those whose sums are wrong, and those
    that lose mass when a sum that is wrong is shrunk."""
    rows, cols = row_errors > 0, col_errors > 0
    by_cols, by_rows = plan.rows[cols[plan.cols]], plan.cols[rows[plan.rows]]
    rows[by_cols], cols[by_rows] = True, True
    return costs.dearest(rows, cols)


def _longest_move(mass: Array, costs: Array, completion: float) -> float:
    """The largest cost of an entry that moves more than 2^-28 of the mass.

    Where such entries cost nothing, as between identical samples, it is the largest cost of any entry with mass, or
    ``completion``, the largest cost of completing wrong marginals.
    """
    longest = float(costs.max(where=mass > USED, initial=0.0))
    return longest if longest > 0 else max(completion, float(costs.max(where=mass > 0, initial=0.0)))


def _sum(values: Array) -> float:
    """The exact sum, rounded once; NaN where it leaves float64."""
    try:
        return math.fsum(values.tolist())
    except (OverflowError, ValueError):
        return math.nan
