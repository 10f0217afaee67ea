"""The sparse route: an optimal plan on few pairs, and a look through all pairs for those that would improve it."""

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from otbench.deadline import check_deadline
from otbench.transport.arcs import Restricted, solve_on
from otbench.transport.pricing import Arcs, PointCosts, joined
from otbench.transport.start import ways_out
from otbench.types import Array

#: How many of its tightest pairs each point brings at the start, and in every round after it. In the plane, where very
#: many pairs are nearly tight, 30 and 20 take 13 rounds for 25 000 points and 80 and 30 take 3.
FIRST_PAIRS, MORE_PAIRS = 30, 20
FIRST_PAIRS_IN_THE_PLANE, MORE_PAIRS_IN_THE_PLANE = 100, 40

#: Rounds after which a problem is given up. Shifted Gaussians take 2 to 5, circles in the plane up to 15.
MOST_ROUNDS = 60

#: What is paid more for a way out that has been taken.
DEARER = 4

#: The round from which on all ways out are made dearer while any is taken.
ALL_DEARER_FROM = 4

#: POT calls a pair optimal whose reduced cost is above this times the number of nodes and the largest cost, below 0.
POT_SLACK = 5e-15

#: A coarse problem is done when at most this share of its points have a violated pair or idle mass.
COARSE_ENOUGH = 1e-3

#: How much nearer the ways out are in the last rounds, which sharpen the potentials, and the number of those.
NEARER, LAST_ROUNDS = 1e-3, 3


@dataclass(frozen=True, eq=False)
class Standing:
    """Where a problem stands: potentials u (n,) and v (m,), the last optimal plan on some pairs, the number of rounds
    and of pairs that it took, and whether no pair is violated and no mass idle. ``last`` is None before any round.
    ``pairs_in_all`` is the sum of the pairs over all rounds."""

    u: Array
    v: Array
    last: Restricted | None = None
    rounds: int = 0
    pairs: int = 0
    pairs_in_all: int = 0
    done: bool = False


@dataclass(frozen=True)
class Limits:
    """When to stop: a time on the monotonic clock, and a number of pairs that memory holds."""

    until: float
    pairs: int


class Rounds:
    """Column generation with stabilised potentials, for points x (n, d), y (m, d) and weights a (n,), b (m,) > 0.

    Every round solves for the pairs at hand (``solve_on``), looks through all pairs for those that are tightest or
    violated for the new potentials, and lets pairs go that are too slack to become violated before the ways out do. A
    way out that is taken is too cheap, and is made dearer. When no pair is violated and no way out is taken, the plan
    on the pairs at hand is optimal among all.

    Source: Lübbecke, Desrosiers 2005 (column generation); du Merle, Villeneuve, Desrosiers, Hansen 1999 (its
    stabilisation by priced ways out); Schmitzer 2016 (sparse multi-scale transport).
    """

    def __init__(self, costs: PointCosts, a: Array, b: Array, limits: Limits) -> None:
        self.costs, self.turned, self.a, self.b, self.limits = costs, costs.turned, a, b, limits
        self.rng = np.random.default_rng(costs.shape)
        plane = costs.dim <= 2
        self.first = FIRST_PAIRS_IN_THE_PLANE if plane else FIRST_PAIRS
        self.more = MORE_PAIRS_IN_THE_PLANE if plane else MORE_PAIRS
        self.out_x, self.out_y = ways_out(costs.x, self.rng), ways_out(costs.y, self.rng)

    def run(self, u: Array, v: Array, share: float = 0.0) -> Standing:
        """From potentials u (n,), v (m,) until at most ``share`` of the points have a violated pair or idle mass."""
        arcs = self.costs.near(*self._around(u, v, self.first))
        now = Standing(u, v)
        for rounds in range(1, MOST_ROUNDS + 1):
            check_deadline()
            if time.monotonic() > self.limits.until or len(arcs.costs) > self.limits.pairs:
                break
            last = solve_on(arcs, self.a, self.b, now.u, now.v, self.out_x, self.out_y)
            now = Standing(last.u, last.v, last, rounds, len(arcs.costs), now.pairs_in_all + len(arcs.costs))
            stuck = self._make_dearer(last, rounds)
            p, q = self._around(now.u, now.v, self.more)
            found = self.costs.near(p, q)
            slack = POT_SLACK * (len(self.a) + len(self.b)) * last.largest
            wrong = stuck + int(np.count_nonzero(_left(found, now) < -slack))
            if wrong <= share * (len(self.a) + len(self.b)):
                new = self.costs.near(now.u - slack / 2, now.v - slack / 2) if share == 0 else found
                if share > 0 or len(new.costs) == 0:
                    return replace(now, done=True)
                found = joined([found, new])
            arcs = joined([self._kept(arcs, now, p, q), found])
        return now

    def sharpened(self, now: Standing) -> Standing:
        """The same potentials to more digits: POT's comparisons are relative to the largest cost, and all costs here
        are differences from the present potentials, at most as large as ways out that are ever nearer."""
        assert now.last is not None
        for _ in range(LAST_ROUNDS):
            self.out_x, self.out_y = self.out_x * NEARER, self.out_y * NEARER
            arcs = self.costs.near(now.u + self.out_x, now.v + self.out_y)
            last = solve_on(arcs, self.a, self.b, now.u, now.v, self.out_x, self.out_y)
            if _is_stuck(last.idle_x, self.a).any() or _is_stuck(last.idle_y, self.b).any():
                break
            pairs = len(arcs.costs)
            now = Standing(last.u, last.v, last, now.rounds + 1, pairs, now.pairs_in_all + pairs, now.done)
        return now

    def _around(self, u: Array, v: Array, wanted: int) -> tuple[Array, Array]:
        """Potentials u + r and v + s such that about ``wanted`` pairs of each point have M_ij <= u_i + r_i + v_j + s_j;
        below u and v where that many are violated."""
        return (
            u + self.costs.room(u, v, wanted, self.rng) / 2,
            v + self.turned.room(v, u, wanted, self.rng) / 2,
        )

    def _make_dearer(self, last: Restricted, rounds: int) -> int:
        """Raise the price of the ways out that were taken, and after some rounds of all; the number of those taken.

        On a circle mass may have to move on along all of it. Then each round moves it by one neighbour, and another way
        out is taken, until all are too dear.
        """
        taken_x, taken_y = _is_stuck(last.idle_x, self.a), _is_stuck(last.idle_y, self.b)
        stuck = int(taken_x.sum() + taken_y.sum())
        for out, taken in ((self.out_x, taken_x), (self.out_y, taken_y)):
            out[taken] *= DEARER
            if stuck and rounds >= ALL_DEARER_FROM:
                out[~taken] *= 2
        return stuck

    def _kept(self, arcs: Arcs, now: Standing, p: Array, q: Array) -> Arcs:
        """Those of ``arcs`` that a look around does not find anyway, and that the next round could violate."""
        outside = arcs.costs > p[arcs.rows] + q[arcs.cols]
        in_reach = _left(arcs, now) <= self.out_x[arcs.rows] + self.out_y[arcs.cols]
        kept = np.flatnonzero(outside & in_reach)
        return Arcs(arcs.rows[kept], arcs.cols[kept], arcs.costs[kept])


def _left(arcs: Arcs, now: Standing) -> Array:
    """M_ij - u_i - v_j of the pairs."""
    return arcs.costs - now.u[arcs.rows] - now.v[arcs.cols]


def _is_stuck(idle: Array, weights: Array) -> NDArray[np.bool_]:
    """Marks the atoms whose mass found no pair, beyond what rounding leaves."""
    marked: NDArray[np.bool_] = idle > np.maximum(1e-6 * weights, 1e-15)
    return marked
