"""W1 of large samples: atoms, levels and rounds of the sparse route, and the interval that proves what they found."""

import math
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from otbench.memory import free_memory
from otbench.transport.arcs import Restricted
from otbench.transport.atoms import Support, atoms, spread_rows
from otbench.transport.certificate import Above, Below, from_above, from_below, is_exact
from otbench.transport.dense import BYTES_BESIDES
from otbench.transport.line import solve_line
from otbench.transport.pricing import PointCosts
from otbench.transport.products import Multiply, on_host
from otbench.transport.rounds import COARSE_ENOUGH, Limits, Rounds, Standing
from otbench.transport.start import SMALL_PROBLEM, coarser, dense_potentials, extended
from otbench.types import Array, Plan

#: What a pair takes, in bytes, in the lists of pairs and in POT, and a point besides: its pairs of ``MOST_A_ROW`` while
#: they are looked for, and a few vectors. With ``BYTES_BESIDES`` no solve of results/growth took more.
BYTES_A_PAIR, BYTES_A_POINT = 250, 4000

#: Points lie on one line where none is farther from it than this share of the largest coordinate.
ON_A_LINE = 1e-13


class Found(NamedTuple):
    """Bounds from below and above, whether the rounds came to their end, how many rounds and pairs it took, and how
    many pairs all rounds had together."""

    below: Below
    above: Above
    done: bool
    rounds: int
    pairs: int
    pairs_in_all: int


def bytes_needed(n: int, m: int, d: int) -> int:
    """What the sparse route needs of memory for n and m points of dimension d, about, to get through."""
    return (n + m) * (24 * d + BYTES_A_POINT) + 40 * (n + m) * BYTES_A_PAIR + BYTES_BESIDES


def solve_sparse(
    x: Array,
    y: Array,
    a: Array,
    b: Array,
    until: float = math.inf,
    start: tuple[Array, Array] | None = None,
    multiply: Multiply = on_host,
) -> Found:
    """Bounds of W1 of points x (n, d), y (m, d) with weights a (n,), b (m,), O(n) in memory.

    ``until`` is a time on the monotonic clock at which it stops with what it has. ``start`` are potentials (n,), (m,)
    to start from in place of those of a coarser problem. ``multiply`` says who looks through all pairs.
    """
    exponent = power_of_two(x, y)
    x, y = np.ldexp(x, -exponent), np.ldexp(y, -exponent)
    of_x, of_y = atoms(x, a), atoms(y, b)
    if start is not None:
        start = _of_atoms(np.ldexp(start[0], -exponent), of_x), _of_atoms(np.ldexp(start[1], -exponent), of_y)
    costs = PointCosts(of_x.points, of_y.points, multiply)
    limits = Limits(until, free_memory() // (2 * BYTES_A_PAIR))
    rounds = Rounds(costs, of_x.weights, of_y.weights, limits)
    if costs.shape == (1, 1):
        standing = _of_two_atoms(costs, of_x.weights)
    else:
        standing = rounds.run(*(start_of(costs, of_x.weights, of_y.weights, limits) if start is None else start))
    whole = PointCosts(x, y, multiply)
    below, above = _bounds(whole, of_x, of_y, a, b, costs, standing)
    if standing.done and not is_exact(below, above):
        standing = rounds.sharpened(standing)
        below, above = _bounds(whole, of_x, of_y, a, b, costs, standing)
    return Found(_scaled_below(below, exponent), _scaled_above(above, exponent), standing.done, standing.rounds,
                 standing.pairs, standing.pairs_in_all)  # fmt: skip


def _of_two_atoms(costs: PointCosts, weight: Array) -> Standing:
    """One atom each: all mass goes from the one to the other."""
    only, none = np.zeros(1, np.intp), np.zeros(1)
    distance = costs.at(only, only)
    last = Restricted(Plan(only, only, weight), distance, none, none, none, float(distance[0]))
    return Standing(distance, none, last, done=True)


def prove(
    x: Array, y: Array, a: Array, b: Array, u: Array, v: Array, plan: Plan | None, multiply: Multiply = on_host
) -> tuple[Below, Above | None]:
    """What potentials u (n,), v (m,) and a plan prove of W1 of points x (n, d), y (m, d), O(n) in memory."""
    exponent = power_of_two(x, y)
    costs = PointCosts(np.ldexp(x, -exponent), np.ldexp(y, -exponent), multiply)
    below = from_below(costs, a, b, np.ldexp(u, -exponent), np.ldexp(v, -exponent))
    above = None if plan is None else _scaled_above(from_above(costs, a, b, plan, below.largest), exponent)
    return _scaled_below(below, exponent), above


def power_of_two(x: Array, y: Array) -> int:
    """The power of two by which all coordinates are at most 1 when they are divided by it."""
    return int(np.frexp(max(np.abs(x).max(), np.abs(y).max()))[1])


def start_of(costs: PointCosts, a: Array, b: Array, limits: Limits) -> tuple[Array, Array]:
    """Potentials to start from: optimal ones where all points lie on one line, else those of coarser problems."""
    on_a_line = _line_potentials(costs, a, b)
    return first_potentials(costs, a, b, limits) if on_a_line is None else on_a_line


def first_potentials(costs: PointCosts, a: Array, b: Array, limits: Limits) -> tuple[Array, Array]:
    """Nearly optimal potentials u (n,), v (m,), from the next coarser problem, and so on."""
    n, m = costs.shape
    if n * m <= SMALL_PROBLEM:
        return dense_potentials(costs, a, b)
    coarse, ax, by = coarser(costs, a, b)
    u, v = first_potentials(coarse, ax, by, limits)
    if coarse.shape[0] * coarse.shape[1] > SMALL_PROBLEM:
        v = Rounds(coarse, ax, by, limits).run(u, v, COARSE_ENOUGH).v
    return extended(costs, coarse, v)


def _line_potentials(costs: PointCosts, a: Array, b: Array) -> tuple[Array, Array] | None:
    """Optimal potentials where all points lie on a line of any direction, where every pair is nearly tight; or None."""
    points = np.concatenate([costs.x, costs.y])
    far = points[np.argmax(np.abs(points - points[0]).max(axis=1))] - points[0]
    if not far.any():
        return None
    along = far / np.linalg.norm(far)
    here = (points - points[0]) @ along
    if np.abs(points - points[0] - here[:, None] * along).max() > ON_A_LINE:
        return None
    n = len(costs.x)
    _, u, v = solve_line(here[:n], here[n:], a, b)
    return u, v


def _bounds(
    whole: PointCosts, of_x: Support, of_y: Support, a: Array, b: Array, costs: PointCosts, now: Standing
) -> tuple[Below, Above]:
    """What the potentials and the plan of the atoms prove of the points."""
    u, v = _of_points(costs, now, of_x, of_y, whole)
    plan = _whole_plan(costs, now, of_x.weights, of_y.weights)
    if of_x.merged:
        plan = spread_rows(plan, of_x, a)
    if of_y.merged:
        turned = spread_rows(Plan(plan.cols, plan.rows, plan.mass), of_y, b)
        plan = Plan(turned.cols, turned.rows, turned.mass)
    below = from_below(whole, a, b, u, v)
    return below, from_above(whole, a, b, plan, below.largest)


def _whole_plan(costs: PointCosts, now: Standing, a: Array, b: Array) -> Plan:
    """The last plan, where the mass that it leaves idle is coupled in the order of the widest axis."""
    if now.last is None:
        inner, idle_x, idle_y = Plan(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)), a, b
    else:
        inner, idle_x, idle_y = now.last.plan, now.last.idle_x, now.last.idle_y
    rows, cols = np.flatnonzero(idle_x), np.flatnonzero(idle_y)
    if not len(rows) or not len(cols):
        return inner
    axis = int(np.argmax(np.ptp(costs.x, axis=0)))
    here, there = idle_x[rows] / idle_x.sum(), idle_y[cols] / idle_y.sum()
    outer, _, _ = solve_line(costs.x[rows, axis], costs.y[cols, axis], here, there)
    parts = (inner.rows, rows[outer.rows]), (inner.cols, cols[outer.cols]), (inner.mass, outer.mass * idle_x.sum())
    return Plan(*(np.concatenate(part) for part in parts))


def _of_atoms(potential: Array, found: Support) -> Array:
    """A potential of the sample's points at its atoms; coincident points share the least."""
    least = np.full(len(found.weights), np.inf)
    known = found.of >= 0
    np.minimum.at(least, found.of[known], potential[known])
    return least


def _of_points(
    costs: PointCosts, now: Standing, of_x: Support, of_y: Support, whole: PointCosts
) -> tuple[Array, Array]:
    """Potentials of all points from those of the atoms. Points without mass get the largest that stays feasible."""
    if not (of_x.merged or of_y.merged):
        return now.u, now.v
    u, v = now.u[of_x.of], now.v[of_y.of]
    lost_x, lost_y = np.flatnonzero(of_x.of < 0), np.flatnonzero(of_y.of < 0)
    u[lost_x] = _largest(whole.x[lost_x], costs.y, now.v)
    v[lost_y] = _largest(whole.y[lost_y], costs.x, now.u)
    if len(lost_x) and len(lost_y):
        v[lost_y] = np.minimum(v[lost_y], _largest(whole.y[lost_y], whole.x[lost_x], u[lost_x]))
    return u, v


def _largest(points: Array, others: Array, potential: Array) -> Array:
    """min_j |z_i - w_j| - v_j of points z (k, d) and w (m, d), a little less."""
    step = max(1, 2**22 // len(others))
    parts = [(cdist(points[k : k + step], others) * (1 - 1e-15) - potential).min(axis=1)
             for k in range(0, len(points), step)]  # fmt: skip
    return np.concatenate([np.empty(0), *parts])


def _scaled_below(below: Below, exponent: int) -> Below:
    value, violation, largest = (_scaled(part, exponent) for part in (below.value, below.violation, below.largest))
    lower = _scaled(below.lower, exponent)
    if 0 < lower < 2.0**-1000:
        lower = math.nextafter(lower, 0.0)
    u, v, excess = (np.ldexp(part, exponent) for part in (below.u, below.v, below.excess))
    return Below(u, v, lower, value, violation, largest, excess)


def _scaled_above(above: Above, exponent: int) -> Above:
    upper = _scaled(above.upper, exponent)
    if 0 < upper < 2.0**-1000:
        upper = math.nextafter(upper, math.inf)
    return Above(above.plan, upper, _scaled(above.cost, exponent), above.marginal_error,
                 _scaled(above.longest_move, exponent))  # fmt: skip


def _scaled(number: float, exponent: int) -> float:
    with np.errstate(over="ignore"):
        return float(np.ldexp(number, exponent))
