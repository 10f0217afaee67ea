"""The limits of exact solves and their proof: just inside each is accepted, just beyond is refused."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist

import otbench.transport.dense as dense
from otbench.errors import InputError, UncertifiedError
from otbench.transport.bounds import lower_bounds
from otbench.transport.certificate import NO_PLAN, Above, Below, certify, from_above
from otbench.transport.dense import check_dense_memory, cost_matrix
from otbench.transport.exact import solve_exact
from otbench.transport.forest import rebuilt
from otbench.types import Plan, skill

ULP = 2.0**-52


def below(**facts: float) -> Below:
    return Below(**({"u": None, "v": None, "lower": 2.0, "value": 2.0, "violation": 0.0, "largest": 9.0} | facts))  # type: ignore[arg-type]


def above(**facts: Any) -> Above:
    plan = Plan(np.zeros(1, int), np.zeros(1, int), np.ones(1))
    return Above(**({"plan": plan, "upper": 2.0, "cost": 2.0, "marginal_error": 0.0, "longest_move": 3.0} | facts))


#: What is proved where the share t of the room is used up.
PROOFS: dict[str, Callable[[float], tuple[Below, Above]]] = {
    "1e-9 of the value": lambda t: (below(lower=2 - t * 2e-9, value=2.0), above()),
    "16 units in the last place of the longest move": lambda t: (
        below(lower=1e-9, value=1e-9), above(cost=1e-9, upper=1e-9 + t * 16 * ULP, longest_move=1.0)
    ),
    "the potentials' own value": lambda t: (below(value=2 + t * 2e-9), above()),
    "the potentials' own value less their violation": lambda t: (below(value=2 + t * 7e-9, violation=5e-9), above()),
    "the plan's own cost": lambda t: (below(), above(cost=2 - t * 2e-9)),
    "the plan's marginals": lambda t: (below(), above(marginal_error=t * 1e-9)),
}  # fmt: skip


@pytest.mark.parametrize("limit", PROOFS)
def test_a_proof_is_accepted_to_its_limit_and_no_further(limit: str) -> None:
    assert certify(*PROOFS[limit](0.99)).w1 == pytest.approx(PROOFS[limit](0.99)[1].cost, rel=2e-9)
    with pytest.raises(UncertifiedError):
        certify(*PROOFS[limit](1.01))


def test_without_a_plan_the_value_is_a_lower_bound_of_the_same_width() -> None:
    assert certify(below(lower=2 - 1.98e-9), None, 2.0).upper == math.inf
    with pytest.raises(UncertifiedError):
        certify(below(lower=2 - 2.02e-9), None, 2.0)
    assert not len(NO_PLAN.mass)


@pytest.mark.parametrize("weight", [1e-3, 1e-6, 1e-8])
def test_a_lighter_atom_than_a_millionth_is_judged_as_if_it_had_a_millionth(weight: float) -> None:
    """2e-12 of its mass is missing: a share of 2e-12 over the weight, but over a millionth where it has less."""
    weights, cost = np.array([1 - weight, weight]), np.eye(2)[::-1]
    mass = weights - np.array([0.0, 2e-12 * weight])
    found = from_above(cost, weights, weights, Plan(np.arange(2), np.arange(2), mass), 1.0)
    assert found.marginal_error == pytest.approx(2e-12 * weight / max(weight, 1e-6), rel=1e-3, abs=ULP)


def test_a_move_counts_as_long_where_it_carries_more_than_a_crumb() -> None:
    crumb = 2.0**-28
    for mass, longest in ((crumb, 1.0), (crumb * (1 + ULP), 5.0)):
        weights = np.array([1 - mass, mass])
        plan = Plan(np.arange(2), np.arange(2), weights)
        assert from_above(np.array([[1.0, 9.0], [9.0, 5.0]]), weights, weights, plan, 9.0).longest_move == longest


def test_a_solve_is_refused_from_the_first_byte_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven and a quarter arrays of n m doubles and 32 MiB for every solve at once."""
    for n, m, solves in ((300, 500, 1), (300, 500, 3), (7, 11, 2)):
        needed = solves * (8 * n * m * 7.25 + 32 * 2**20)
        monkeypatch.setattr(dense, "free_memory", partial(math.ceil, needed))
        check_dense_memory(n, m, solves)
        monkeypatch.setattr(dense, "free_memory", partial(math.ceil, needed - 1))
        with pytest.raises(InputError, match="use smaller samples"):
            check_dense_memory(n, m, solves)
    monkeypatch.setattr(dense, "free_memory", lambda: 33 * 2**20)
    cost_matrix(np.zeros((90, 1)), np.zeros((190, 1)))
    with pytest.raises(InputError, match="use smaller samples"):
        cost_matrix(np.zeros((190, 1)), np.zeros((190, 1)))


def test_the_solver_may_take_as_many_steps_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """POT's own limit of 100 000 is reached by samples of some thousands of points, which take minutes here."""
    allowed, real = [], ot.emd2

    def solve(*arguments: Any, **named: Any) -> Any:
        allowed.append(named["numItermax"])
        return real(*arguments, **named)

    monkeypatch.setattr(ot, "emd2", solve)
    rng = np.random.default_rng(0)
    solve_exact(rng.standard_normal((20, 2)), rng.standard_normal((30, 2)))
    assert min(allowed) >= 10**9


@pytest.mark.parametrize("exponent", [-600, -401, -399, 0, 399, 401, 600])
@pytest.mark.parametrize("spread", [0, 399, 401])
def test_distances_are_right_on_both_sides_of_where_squares_leave_float64(exponent: int, spread: int) -> None:
    """Points of size 2^exponent, one of them 2^-spread of that: a power of two changes no digit of a distance."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(1, 2, (4, 3)), rng.uniform(1, 2, (5, 3))
    x[0] = 2.0**-spread * x[0]
    due = cdist(np.where(np.arange(4)[:, None] == 0, x if spread == 0 else 0.0, x), y)
    found = np.ldexp(cost_matrix(np.ldexp(x, exponent), np.ldexp(y, exponent)), -exponent)
    np.testing.assert_allclose(found, due, rtol=4 * ULP)


def test_where_next_to_nothing_is_left_to_add_there_is_no_skill() -> None:
    for room, known in ((0.99e-6, False), (1.01e-6, True)):
        assert math.isnan(skill(2.0, 2.0 * (1 - room), 2.0)) != known


@pytest.mark.parametrize("times", [0.9, 3.0])
def test_what_constants_of_weights_prove_is_less_by_the_rounding_of_the_values(times: float) -> None:
    """256 units in the last place of the largest value, 1000: a rise of less proves nothing, one of 3 proves 2."""
    error = 256 * ULP * 1000.0
    fx, fy = np.full(3, 1000.0), np.full(2, 1000.0 - times * error)
    found = lower_bounds(fx, fy, np.ones((3, 2)), clip_constant=2.0, spectral_constant=0.5)
    assert found.raw == pytest.approx(times * error, rel=1e-3)
    assert found.raw_error == pytest.approx(error)
    proved = max(0.0, times - 1) * error
    assert (found.clip_bound, found.spectral) == pytest.approx((proved / 2, proved / 0.5), rel=1e-2)


@pytest.mark.parametrize("side", ["x", "y", "both"])
def test_atoms_without_mass_of_one_side_alone_bind_nothing(side: str) -> None:
    """The ladder of the points that have mass is the same whatever stands beside them."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((6, 2)), 1 + rng.standard_normal((5, 2))
    a, b = rng.uniform(1, 2, 6), rng.uniform(1, 2, 5)
    fx, fy = rng.standard_normal(6), rng.standard_normal(5) - 1
    if side != "y":
        a[2], fx[2], x[2] = 0.0, 50.0, y[1] + 1e-3
    if side != "x":
        b[3], fy[3], y[3] = 0.0, -50.0, x[0] + 1e-3
    a, b, cost = a / a.sum(), b / b.sum(), cdist(x, y)
    rows, cols = a > 0, b > 0
    alone = lower_bounds(fx[rows], fy[cols], cost[rows][:, cols], a[rows], b[cols])
    found = lower_bounds(fx, fy, cost, a, b)
    for name in ("raw", "slope_constant", "slope", "scale", "c_transform", "nearest"):
        assert getattr(found, name) == pytest.approx(getattr(alone, name), rel=1e-12), name


@pytest.mark.parametrize(("exponent", "kept"), [(-16, True), (-20, True), (-47, True), (-49, False)])
def test_an_entry_is_a_crumb_below_2_to_the_minus_48_of_its_lighter_atom(exponent: int, kept: bool) -> None:
    """What is left of a plan is worked out again, so that a light entry that is none keeps its mass to the last bit."""
    light = 2.0**exponent / 2
    a, b = np.array([0.5, 0.5]), np.array([0.5 + light, 0.5 - light])
    plan = Plan(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([0.5, light, 0.5 - light]))
    found = rebuilt(plan, a, b)
    assert len(found.mass) == (3 if kept else 2)
    if kept:
        assert found.mass.tolist() == [0.5, b[0] - 0.5, b[1]]
