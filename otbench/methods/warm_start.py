"""The exact W1 from the start that a critic gives: its best multiple, with the potentials that this leaves room for."""

import dataclasses
import time
from typing import Any

import numpy as np

from otbench.errors import InputError
from otbench.methods.reading import Readings, read_critic
from otbench.transport import exact
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix
from otbench.transport.potentials import transformed
from otbench.types import Array, Bounds, ExactSolution, Indices, SamplePair

#: Points of either side on which the best scale of a critic is found; of more points a random part is taken. Twice as
#: many take four times as long, and move the scale by a few hundredths.
SCALE_POINTS = 1000


def solve_exact(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    route: exact.Route = "auto",
    time_limit: float | None = None,
    potentials: tuple[Any, Any] | None = None,
    critic: Any = None,
    device: object = "cpu",
) -> ExactSolution:
    """The exact W1 of two weighted samples, with its proof.

    W1 is the least sum_ij g_ij |x_i - y_j| over plans g >= 0 with marginals a and b; POT's network simplex finds it.
    The dense route gives it all n m pairs. The sparse route gives it few, proves by a look through all of them that no
    other would help, and adds those that would; it needs O(n + m) memory. Both give the same value with the same
    certificate. On the line, d = 1, sorting does.

    Args:
        x: points (n, d) in any unit, in anything that becomes a float64 array.
        y: points (m, d).
        a: weights (n,) of x that sum to 1; uniform where they are None.
        b: weights (m,) of y, likewise.
        route: "dense", "sparse", or "auto" for the one that is faster at this size and fits in memory.
        time_limit: seconds after which the sparse route stops with what it has proved; a round of it that has begun is
            finished, and the reading of a critic comes before. The solution is then an interval: ``w1`` is NaN,
            ``is_exact`` false.
        potentials: potentials u (n,), v (m,) from which the sparse route starts, feasible or not, in place of those of
            a coarser problem.
        critic: a critic f whose potentials it starts from instead: a torch.nn.Module, any function of a float64 numpy
            array (n, d), or a critic that otbench trained, large on x and small on y. They are s f and its c-transform,
            with s >= 0 the best scale, found on at most 1000 points of either side. No critic changes the value; a good
            one saves time, a bad one costs some.
        device: where the sparse route multiplies while it looks through all pairs: "cpu", "cuda" or "cuda:N". Its
            verdicts, in float64, and POT are of the CPU wherever that is.

    Returns:
        The value in the data's unit, an interval that holds W1 whatever was rounded, the potentials and the plan. Its
        ``seconds`` include the reading of a critic.

    Raises:
        InputError: malformed samples, weights or options, a device that is none, or samples that do not fit in memory
            by this route; a critic beside potentials or the dense route, which has no start; a critic that has
            diverged, or that ``otbench.audit`` would refuse.
        UncertifiedError: no interval was found that is at most 1e-9 W1 wide, or 16 units in the last place of the
            longest move.

    Source: Bonneel et al. 2011 (network simplex); Flamary et al. 2021 (POT); Villani 2009, Def. 5.2 (c-transforms).
    """
    there = "cpu" if device == "cpu" else _checked(device)
    if critic is None:
        return exact.solve_exact(x, y, a, b, route=route, time_limit=time_limit, potentials=potentials, device=there)
    if potentials is not None:
        raise InputError("give potentials or a critic to start from, not both")
    exact.check_options(route, time_limit, there)
    if route == "dense":
        raise InputError('a critic needs the sparse route, as POT starts from no potentials: drop route="dense"')
    pair, begun = SamplePair(x, y, a, b), time.perf_counter()
    start, _ = potentials_of(read_critic(critic, pair.x, pair.y, pair.a, pair.b, None, gradients=False), there)
    solved = exact.solve_pair(pair, route, time_limit, start, there)
    if not solved.is_exact and time_limit is None:
        solved = exact.solve_pair(pair, route, device=there)  # no round came to an end from there
    return dataclasses.replace(solved, seconds=time.perf_counter() - begun)


def _checked(device: object) -> str:
    from otbench.methods.training.device import check_device  # loads torch, which numpy's looks do without

    return check_device(device)


def potentials_of(read: Readings, device: str = "cpu") -> tuple[tuple[Array, Array], float]:
    """The potentials (n,), (m,) that a critic gives to start from, and its best scale s.

    They are v, the c-transform of s f, and the c-transform of v, which is at least s f. The critic's values count from
    their median, so that a large constant costs no digits.
    """
    scale = ladder_on_part(read, *some_points(read.pair, SCALE_POINTS)).scale
    with np.errstate(over="ignore"):
        u = scale * (read.fx - np.median(read.fx))
    return transformed(read.pair, u if np.isfinite(u).all() else np.zeros(len(u)), device), scale


def ladder_on_part(read: Readings, rows: Indices, cols: Indices) -> Bounds:
    """The ladder of a critic on some of the points at which it was read."""
    part = part_of(read.pair, rows, cols)
    return Ladder(cost_matrix(part.x, part.y), part.a, part.b).bounds(read.fx[rows], read.fy[cols])


def some_points(pair: SamplePair, most: int) -> tuple[Indices, Indices]:
    """The points of either side that have mass, or ``most`` of them, the same ones every time."""
    rng = np.random.default_rng(0)
    rows, cols = (
        there if len(there) <= most else np.sort(rng.choice(there, most, replace=False))
        for there in (np.flatnonzero(pair.a), np.flatnonzero(pair.b))
    )
    return rows, cols


def part_of(pair: SamplePair, rows: Indices, cols: Indices) -> SamplePair:
    """Some points of two samples, their weights in proportion."""
    a, b = pair.a[rows], pair.b[cols]
    return SamplePair(pair.x[rows], pair.y[cols], a / a.sum(), b / b.sum())
