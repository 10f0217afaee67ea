"""Sinkhorn's critic: potentials in the data's unit, 1-Lipschitz extensions, and no number where it stops early."""

import math
import tracemalloc
from functools import partial

import numpy as np
import ot
import pytest
from critics_of_samples import awkward, critic_of, differences, fitted, ladder_of_critic, raw_of, steepest, turned
from scipy.spatial.distance import cdist

import otbench
import otbench.methods.sinkhorn
from otbench.deadline import TimeLimitError, limited
from otbench.errors import InputError
from otbench.methods import method
from otbench.methods.functions import McShane
from otbench.methods.sinkhorn import SoftTransform
from otbench.transport import entropic
from otbench.transport.entropic import EntropicPotentials, entropic_potentials
from otbench.types import Array, SamplePair

KINDS = awkward()

#: Samples whose points are not all one.
APART = {kind: pair for kind, pair in KINDS.items() if kind not in ("one point twice", "one far point")}


def potentials(pair: SamplePair, reg: float, tolerance: float = 1e-9, most: int = 100_000) -> EntropicPotentials:
    """The potentials of the points that have mass."""
    x, a, y, b = on_support(pair)
    return entropic_potentials(x, y, a, b, reg, max_iter=most, tolerance=tolerance)


def on_support(pair: SamplePair) -> tuple[Array, Array, Array, Array]:
    rows, cols = pair.a > 0, pair.b > 0
    return pair.x[rows], pair.a[rows], pair.y[cols], pair.b[cols]


def dual_value(pair: SamplePair, found: EntropicPotentials) -> float:
    _, a, _, b = on_support(pair)
    return float(a @ found.u + b @ found.v)


def size_of(pair: SamplePair) -> float:
    return float(cdist(np.concatenate([pair.x, pair.y]), pair.y).max())


@pytest.mark.parametrize("reg", [0.01, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("apart", [1e-100, 1.0, 3.0, 1e100])
def test_two_points_against_themselves_have_the_value_of_the_closed_form(apart: float, reg: float) -> None:
    """x = y = {0, D}: the plan keeps the share 1/(1 + exp(-D/reg)) in place, so that <u, a> + <v, b> is
    reg (log 2 - log(1 + exp(-D/reg))); the mean cost is D/2."""
    pair = SamplePair([[0.0], [apart]], [[0.0], [apart]])
    found = potentials(pair, reg)
    assert found.reg == pytest.approx(reg * apart / 2, rel=1e-14)
    due = found.reg * (math.log(2) - math.log1p(math.exp(-apart / found.reg)))
    assert dual_value(pair, found) == pytest.approx(due, rel=1e-9)
    assert found.u + found.v == pytest.approx(due, rel=1e-9)


@pytest.mark.parametrize("reg", [0.1, 1.0])
@pytest.mark.parametrize("kind", ["plain", "weighted, one of no weight", "ties", "on a grid", "one point of x"])
def test_potentials_are_those_of_pot_s_iterations_in_the_log_domain_times_the_regularisation(
    kind: str, reg: float
) -> None:
    pair = KINDS[kind]
    x, a, y, b = on_support(pair)
    found, cost = potentials(pair, reg), cdist(x, y)
    assert found.reg == pytest.approx(reg * (a @ cost @ b), rel=1e-12)
    plan, log = ot.bregman.sinkhorn_log(a, b, cost, found.reg, numItermax=100_000, stopThr=1e-12, log=True)
    u, v = found.reg * (log["log_u"] - np.log(a)), found.reg * (log["log_v"] - np.log(b))
    gauge = float(a @ (found.u - u))
    np.testing.assert_allclose(found.u, u + gauge, atol=1e-6)
    np.testing.assert_allclose(found.v, v - gauge, atol=1e-6)
    ours = a[:, None] * b * np.exp((found.u[:, None] + found.v - cost) / found.reg)
    np.testing.assert_allclose(ours, plan, atol=1e-8)
    np.testing.assert_allclose(ours.sum(axis=1), a, rtol=1e-9)


@pytest.mark.parametrize("kind", APART)
def test_the_dual_value_is_above_w1_by_at_most_the_entropy_of_the_weights(kind: str) -> None:
    """W1 <= <plan, M> + reg KL(plan | a x b) at its least, and the exact plan has KL at most the entropy of a and of b.
    The value falls with the regularisation."""
    pair = KINDS[kind]
    exact = otbench.solve_exact(pair.x, pair.y, pair.a, pair.b).w1
    _, a, _, b = on_support(pair)
    entropy = min(-a @ np.log(a), -b @ np.log(b))
    slack = 2e-4 * size_of(pair)  # of potentials that leave an error of 1e-4: the dual problem is concave
    values = []
    for reg in (1.0, 0.2, 0.02):
        found, other = potentials(pair, reg, 1e-4), potentials(turned(pair), reg, 1e-4)
        assert max(found.error, other.error) <= 1e-4
        values.append(dual_value(pair, found))
        assert exact - slack <= values[-1] <= exact + found.reg * entropy + slack
        assert dual_value(turned(pair), other) == pytest.approx(values[-1], abs=slack)
    assert (np.diff(values) <= slack).all()


@pytest.mark.parametrize("extension", ["soft", "hard"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_ladder_is_coherent_and_no_pair_of_points_is_steeper_than_one(kind: str, extension: str) -> None:
    pair, rng = KINDS[kind], np.random.default_rng(1)
    critic = critic_of("sinkhorn", pair, extension=extension)
    assert critic.constants() == (None, 1.0)
    found = ladder_of_critic(critic, pair)
    slack = 1e-9 * found.primal + 1e-13 * size_of(pair)
    assert 0 <= found.spectral <= found.slope + slack
    assert found.slope <= found.c_transform + slack <= found.primal + 2 * slack
    assert found.raw <= found.primal + slack
    wide = pair.y[0] + 3 * size_of(pair) * rng.standard_normal((30, pair.dim))
    assert steepest(critic, np.concatenate([pair.x, pair.y, wide])) <= 1 + 1e-9


@pytest.mark.parametrize("extension", ["soft", "hard"])
@pytest.mark.parametrize("kind", APART)
def test_raw_comes_to_w1_from_below_as_the_regularisation_goes(kind: str, extension: str) -> None:
    """f(y_j) <= -v_j - reg log b_j, as the sum holds the atom itself, so that raw >= dual value - reg entropy(b); of
    McShane's extension it is f(y_j) <= -v_j that holds, and f(x_i) >= u_i + reg min log b."""
    pair = KINDS[kind]
    exact = otbench.solve_exact(pair.x, pair.y, pair.a, pair.b).w1
    _, _, _, b = on_support(pair)
    most = -np.log(b.min()) if extension == "hard" else -b @ np.log(b)
    for reg in (0.1, 0.01, 0.001):
        unit = potentials(pair, reg, most=1).reg
        raw = raw_of(critic_of("sinkhorn", pair, reg=reg, extension=extension, tolerance=1e-4), pair)
        slack = 1e-3 * size_of(pair)
        assert exact - unit * most - slack <= raw <= exact + 1e-9 * size_of(pair)


@pytest.mark.parametrize("seed", range(3))
def test_potentials_are_extended_as_the_soft_transform_says(seed: int) -> None:
    """Written out term by term; at the points of x it is u, and a constant added to v is taken off f."""
    rng = np.random.default_rng(seed)
    pair = SamplePair(rng.standard_normal((7, 2)), rng.standard_normal((5, 2)), None, rng.dirichlet(np.ones(5)))
    critic, found = critic_of("sinkhorn", pair, reg=0.3), potentials(pair, 0.3, 1e-3)
    assert isinstance(critic, SoftTransform)
    z = 3 * rng.standard_normal((20, 2))
    due = [
        -critic.reg * math.log(sum(w * math.exp((v - math.dist(one, y)) / critic.reg)
                                   for y, v, w in zip(pair.y, critic.v, pair.b, strict=True)))
        for one in z
    ]  # fmt: skip
    np.testing.assert_allclose(critic.values(z), due, rtol=1e-12)
    np.testing.assert_allclose(critic.values(pair.x), found.u, rtol=1e-12)
    other = SoftTransform(critic.atoms, critic.v + 7.0, critic.weights, critic.reg)
    np.testing.assert_allclose(other.values(z), critic.values(z) - 7.0, rtol=1e-12)
    np.testing.assert_allclose(other.gradients(z), critic.gradients(z), atol=1e-12)


def test_far_from_all_atoms_and_at_the_least_regularisation_it_is_the_lowest_cone() -> None:
    """The smooth minimum is never below the lowest of the cones, and above it by reg log(1/b) at most."""
    rng = np.random.default_rng(2)
    atoms, v, weights = rng.standard_normal((6, 3)), rng.standard_normal(6), rng.dirichlet(np.ones(6))
    z = np.concatenate([rng.standard_normal((20, 3)), 1e9 * rng.standard_normal((20, 3)), atoms])
    cones = McShane(atoms, v)
    for reg in (1e-300, 1e-12, 1e-3, 1.0):
        soft = SoftTransform(atoms, v, weights, reg)
        rise = soft.values(z) - cones.values(z)
        rounding = 1e-15 * np.abs(cones.values(z)).max()
        assert (rise >= -rounding).all()
        assert (rise <= -reg * np.log(weights.min()) + rounding).all()
    np.testing.assert_allclose(SoftTransform(atoms, v, weights, 1e-12).gradients(z), cones.gradients(z), atol=1e-9)


def test_gradients_are_finite_differences_and_an_atom_adds_none_at_itself() -> None:
    critic = critic_of("sinkhorn", KINDS["weighted, one of no weight"], reg=0.2)
    z = np.random.default_rng(3).standard_normal((20, 3))
    np.testing.assert_allclose(critic.gradients(z), differences(critic, z, 1e-6), atol=1e-7)
    pair = SoftTransform(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([0.0, 4.0]), np.array([0.5, 0.5]), 1.0)
    share = math.exp(4 - 5) / (1 + math.exp(4 - 5))
    np.testing.assert_allclose(pair.gradients(np.zeros((1, 2))), [[-0.6 * share, -0.8 * share]], rtol=1e-12)


def test_gradients_near_an_atom_far_from_the_origin_and_from_the_others_lose_no_digit() -> None:
    """Three atoms, of which those at the median and far from it have no share, as they are dearer."""
    atoms, v = np.array([[1e8, 1e8], [0.0, 0.0], [1e8, 0.0]]), np.array([0.0, -1e9, -1e9])
    critic = SoftTransform(atoms, v, np.full(3, 1 / 3), 1.0)
    (gradient,) = critic.gradients(np.array([[1e8 + 3 * 2.0**-20, 1e8 + 4 * 2.0**-20]]))
    np.testing.assert_allclose(gradient, [0.6, 0.8], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0])
def test_gradients_are_those_of_all_differences_whether_near_or_far(scale: float) -> None:
    """Atoms and points in clusters of every size, some of the points at atoms."""
    rng = np.random.default_rng(8)
    centres = rng.standard_normal((4, 3))
    atoms, z = (np.repeat(centres, 5, axis=0) + scale * rng.standard_normal((20, 3)) for _ in range(2))
    z[:3] = atoms[:3]
    critic = SoftTransform(atoms, scale * rng.standard_normal(20), rng.dirichlet(np.ones(20)), 0.5 * scale)
    rays = z[:, None] - atoms
    lengths = np.linalg.norm(rays, axis=2)
    terms = critic.weights * np.exp((critic.v - lengths + critic.values(z)[:, None]) / critic.reg)
    units = np.divide(rays, lengths[..., None], out=np.zeros_like(rays), where=lengths[..., None] > 0)
    np.testing.assert_allclose(critic.gradients(z), np.einsum("km,kmd->kd", terms, units), atol=1e-12)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 50])
def test_values_are_the_same_in_blocks(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    critic, z = critic_of("sinkhorn", KINDS["plain"]), np.random.default_rng(4).standard_normal((count, 3))
    values, gradients = critic.values(z), critic.gradients(z)
    monkeypatch.setattr(otbench.methods.sinkhorn, "DISTANCES_AT_ONCE", 7 * 12 + 5)
    np.testing.assert_allclose(critic.values(z), values, rtol=1e-14)
    np.testing.assert_allclose(critic.gradients(z), gradients, rtol=1e-13)
    assert critic.values(z).shape == (count,)
    assert critic.gradients(z).shape == (count, 3)


def test_potentials_are_the_same_in_blocks_of_rows_and_of_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = KINDS["weighted, one of no weight"]
    found = potentials(pair, 0.02)
    monkeypatch.setattr(entropic, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(entropic, "ITERATIONS_AT_ONCE", 30)
    again = potentials(pair, 0.02)
    gauge = again.u[0] - found.u[0]
    np.testing.assert_allclose(again.u - gauge, found.u, atol=1e-7)
    np.testing.assert_allclose(again.v + gauge, found.v, atol=1e-7)
    assert again.error <= 1e-9


@pytest.mark.parametrize("exponent", [-300, -1, 10, 300])
@pytest.mark.parametrize("extension", ["soft", "hard"])
def test_a_power_of_two_scales_every_value_and_leaves_every_gradient(extension: str, exponent: int) -> None:
    x, y, weights = KINDS["plain"].x, KINDS["plain"].y, (np.arange(9) / 36, np.arange(12) / 66)
    pair, scaled = SamplePair(x, y, *weights), SamplePair(np.ldexp(x, exponent), np.ldexp(y, exponent), *weights)
    one, other = (critic_of("sinkhorn", p, extension=extension) for p in (pair, scaled))
    z = np.random.default_rng(5).standard_normal((20, 3))
    assert (other.values(np.ldexp(z, exponent)) == np.ldexp(one.values(z), exponent)).all()
    assert (other.gradients(np.ldexp(z, exponent)) == one.gradients(z)).all()


def test_points_that_are_moved_move_the_critic_and_those_without_weight_do_not_count() -> None:
    pair, by = KINDS["weighted, one of no weight"], np.array([3.0, -7.0, 0.1])
    moved = SamplePair(pair.x + by, pair.y + by, pair.a, pair.b)
    one, other = critic_of("sinkhorn", pair), critic_of("sinkhorn", moved)
    z = np.random.default_rng(6).standard_normal((20, 3))
    np.testing.assert_allclose(other.values(z + by), one.values(z), atol=1e-9)
    x, y = pair.x.copy(), pair.y.copy()
    x[pair.a == 0], y[pair.b == 0] = 1e5, -1e5
    np.testing.assert_allclose(critic_of("sinkhorn", SamplePair(x, y, pair.a, pair.b)).values(z), one.values(z))


@pytest.mark.parametrize("most", [1, 2, 25])
def test_iterations_that_end_too_early_leave_no_critic_but_the_error_that_they_reached(most: int) -> None:
    pair = KINDS["plain"]
    found = fitted("sinkhorn", pair, reg=0.001, tolerance=1e-6, max_iter=most)
    assert (found.status, found.critic) == ("diverged", None)
    assert "\n" not in found.reason
    reached = potentials(pair, 0.001, 1e-6, most)
    assert reached.error > 1e-6
    assert reached.iterations <= most
    assert f"after {reached.iterations} iterations the marginals are wrong by {reached.error:.3g}," in found.reason
    with pytest.raises(InputError, match="has diverged: after"):
        found.values(pair.x)
    assert fitted("sinkhorn", pair, reg=0.001, tolerance=1e-3).status == "ok"
    assert fitted("sinkhorn", pair, reg=0.001, tolerance=2.0, max_iter=most).status == "ok"  # no error is larger


@pytest.mark.parametrize("most", [1, 30, 300])
def test_the_error_is_that_of_the_plan_whatever_stopped_the_iterations(most: int) -> None:
    pair = KINDS["weighted, one of no weight"]
    found = potentials(pair, 0.01, 1e-12, most)
    x, a, y, b = on_support(pair)
    plan = a[:, None] * b * np.exp((found.u[:, None] + found.v - cdist(x, y)) / found.reg)
    np.testing.assert_allclose(plan.sum(axis=1), a, rtol=1e-9)
    assert found.error == pytest.approx(np.abs(plan.sum(axis=0) - b).sum(), rel=1e-6, abs=1e-13)


@pytest.mark.parametrize("reg", [1e-300, 1e-12])
def test_a_regularisation_too_small_for_float64_leaves_no_number_or_a_right_one(reg: float) -> None:
    pair = KINDS["plain"]
    found = fitted("sinkhorn", pair, reg=reg, max_iter=2000)
    assert found.status == "diverged" or raw_of(found, pair) == pytest.approx(
        otbench.solve_exact(pair.x, pair.y).w1, rel=1e-2
    )


def test_iterations_are_refused_from_the_first_byte_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = KINDS["plain"]
    needed = 8 * 9 * 12 * 5.25 + 32 * 2**20
    monkeypatch.setattr(entropic, "free_memory", partial(math.ceil, needed))
    assert critic_of("sinkhorn", pair)
    monkeypatch.setattr(entropic, "free_memory", partial(math.ceil, needed - 1))
    monkeypatch.setattr(entropic, "distances", lambda *_: pytest.fail("allocated"))
    with pytest.raises(InputError, match=r"Sinkhorn's iterations on 9 x 12 points need 0.0 GiB, .* smaller samples"):
        fitted("sinkhorn", pair)


def test_iterations_take_no_more_memory_than_was_asked_for() -> None:
    rng = np.random.default_rng(7)
    x, y, weights = rng.standard_normal((700, 2)), rng.standard_normal((700, 2)), np.full(700, 1 / 700)
    entropic_potentials(x, y, weights, weights, 1.0, max_iter=1, tolerance=1.0)  # what is loaded but once
    tracemalloc.start()
    entropic_potentials(x, y, weights, weights, 0.1, max_iter=60, tolerance=1e-15)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 3 < peak / (8 * 700 * 700) < entropic.MATRICES_OF_SINKHORN


def test_points_that_are_all_one_have_a_critic_without_a_rise() -> None:
    pair = SamplePair(np.ones((3, 2)), np.ones((4, 2)))
    critic = critic_of("sinkhorn", pair)
    assert critic.values(np.array([[1.0, 1.0], [1.0, 3.0]])).tolist() == [0.0, 2.0]
    assert raw_of(critic, pair) == 0


def test_a_fit_takes_time_and_stops_at_the_time_limit() -> None:
    assert method("sinkhorn").trained
    assert fitted("sinkhorn", KINDS["plain"]).seconds > 0
    with limited(-1.0), pytest.raises(TimeLimitError):
        fitted("sinkhorn", KINDS["plain"])


@pytest.mark.parametrize(("fields", "text"), [
    ({"reg": 0.0}, "reg: input should be greater than 0; got 0.0"),
    ({"reg": float("inf")}, "reg: input should be a finite number; got inf"),
    ({"extension": "hardest"}, "extension: input should be 'soft' or 'hard'; got 'hardest'"),
    ({"max_iter": 0}, "max_iter: input should be greater than or equal to 1; got 0"),
    ({"tolerance": -1.0}, "tolerance: input should be greater than 0; got -1.0"),
    ({"regularisation": 1.0}, "unknown field of method 'sinkhorn' 'regularisation'"),
])  # fmt: skip
def test_fields_that_make_no_critic_are_refused_in_one_line(fields: dict[str, object], text: str) -> None:
    with pytest.raises(InputError) as refused:
        method("sinkhorn", **fields)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
