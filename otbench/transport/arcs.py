"""POT's network simplex on some of the pairs of two samples, with a priced way out for every atom."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from otbench.errors import UncertifiedError
from otbench.transport.pot import MAX_ITERATIONS, OPTIMAL, pot
from otbench.transport.pricing import Arcs
from otbench.types import Array, Plan


@dataclass(frozen=True, eq=False)
class Restricted:
    """An optimal plan on some pairs, potentials that are optimal for them, the mass of either side that no pair takes
    at the price of its way out, and the largest cost that POT was given, to which its comparisons are relative."""

    plan: Plan
    u: Array
    v: Array
    idle_x: Array
    idle_y: Array
    largest: float


def solve_on(arcs: Arcs, a: Array, b: Array, u: Array, v: Array, out_x: Array, out_y: Array) -> Restricted:
    """The optimal plan on ``arcs`` alone, where mass of x_i may leave for ``out_x``[i] and of y_j for ``out_y``[j].

    Costs are given to POT less u_i + v_j, which changes no plan and leaves small numbers, so that POT's comparisons,
    which are relative to the largest cost, are sharp. The ways out keep the problem feasible whatever the arcs are.
    They also keep the potentials near: none rises by more than its way out costs. A dummy source and a dummy sink of
    mass 1 each, joined by an arc that costs nothing, take what leaves.

    Args:
        arcs: the pairs; repeated ones do no harm.
        a: positive weights (n,).
        b: positive weights (m,).
        u: potentials (n,) to start from, feasible or not.
        v: potentials (m,), likewise.
        out_x: the most by which each u_i may rise (n,), > 0.
        out_y: the most by which each v_j may rise (m,), > 0.

    Raises:
        UncertifiedError: POT stopped in another state than that of an optimum.

    Source: du Merle, Villeneuve, Desrosiers, Hansen 1999 (stabilised column generation); Bonneel et al. 2011.
    """
    n, m = len(a), len(b)
    rows = np.concatenate([arcs.rows, np.arange(n), np.full(m + 1, n)])
    cols = np.concatenate([arcs.cols, np.full(n, m), np.arange(m + 1)])
    costs = np.concatenate([arcs.costs - u[arcs.rows] - v[arcs.cols], out_x, out_y, [0.0]])
    scale = float(costs.max())
    plan, log = _on_arcs(np.append(a, 1.0), np.append(b, 1.0), rows, cols, costs / scale)
    moved_u, moved_v = log["u"] * scale, log["v"] * scale
    inner = (plan.row < n) & (plan.col < m)
    found = Plan(plan.row[inner].astype(np.intp), plan.col[inner].astype(np.intp), plan.data[inner])
    idle_x, idle_y = np.zeros(n), np.zeros(m)
    for at, idle, index in ((plan.col == m, idle_x, plan.row), (plan.row == n, idle_y, plan.col)):
        outer = at & ~((plan.row == n) & (plan.col == m))
        idle[index[outer]] = plan.data[outer]
    return Restricted(found, u + (moved_u[:n] + moved_u[n]), v + (moved_v[:m] - moved_u[n]), idle_x, idle_y, scale)


def _on_arcs(a: Array, b: Array, rows: Any, cols: Any, costs: Array) -> tuple[Any, dict[str, Any]]:
    from scipy.sparse import coo_array

    matrix = coo_array((costs, (rows, cols)), shape=(len(a), len(b)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a state that is none of an optimum is refused below, by its code
        plan, log = pot().emd(
            a, b, matrix, numItermax=MAX_ITERATIONS, log=True, center_dual=False, check_marginals=False
        )
    if log["result_code"] != OPTIMAL:
        raise UncertifiedError(
            "the solver's state on some pairs", str(log["warning"]).splitlines()[0], "optimal", 'use route="dense"'
        )
    return plan, log
