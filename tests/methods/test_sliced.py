"""Sliced W1 as a critic: against POT and sorting, and the laws of a mean of functions along directions."""

import numpy as np
import ot
import pytest
from critics_of_samples import awkward, critic_of, differences, ladder_of_critic, raw_of, steepest, turned

import otbench
from otbench.errors import InputError
from otbench.methods import method
from otbench.methods.ridges import SUMS_AT_ONCE, Ridges, along
from otbench.transport.line_potential import LinePotential, line_potential, w1_and_derivative
from otbench.types import SamplePair

KINDS = awkward()


def sliced(pair: SamplePair, directions: int = 20, seed: int = 0) -> Ridges:
    found = critic_of("sliced", pair, seed, directions=directions)
    assert isinstance(found, Ridges)
    return found


def size_of(pair: SamplePair) -> float:
    """The unit in which the rounding of a sum along a direction counts."""
    points = np.concatenate([pair.x, pair.y])
    return float(np.abs(points - np.median(points, axis=0)).max())


@pytest.mark.parametrize("kind", KINDS)
def test_raw_is_the_sliced_w1_that_pot_finds_along_the_same_directions(kind: str) -> None:
    pair = KINDS[kind]
    critic = sliced(pair)
    x, y = pair.x - critic.origin, pair.y - critic.origin
    due = ot.sliced_wasserstein_distance(x, y, pair.a, pair.b, p=1, projections=critic.directions.T)
    assert raw_of(critic, pair) == pytest.approx(due, rel=1e-9, abs=1e-13 * size_of(pair))
    np.testing.assert_allclose(np.linalg.norm(critic.directions, axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ladder_is_coherent_and_no_pair_of_points_is_steeper_than_the_constant(kind: str) -> None:
    pair = KINDS[kind]
    critic, rng = sliced(pair), np.random.default_rng(1)
    found = ladder_of_critic(critic, pair)
    slack = 1e-9 * found.primal + 1e-13 * size_of(pair)
    assert 0 <= found.spectral <= found.slope + slack
    assert found.slope <= found.c_transform + slack <= found.primal + 2 * slack
    z = np.concatenate([pair.x, pair.y, critic.origin + 3 * size_of(pair) * rng.standard_normal((30, pair.dim))])
    (_, constant) = critic.constants()
    assert constant <= 1
    assert steepest(critic, z) <= constant * (1 + 1e-9)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "line" in kind])
def test_on_the_line_it_is_w1_itself(kind: str) -> None:
    pair = KINDS[kind]
    critic = sliced(pair, 3)
    assert critic.constants() == (None, 1.0)
    assert raw_of(critic, pair) == pytest.approx(otbench.solve_exact(pair.x, pair.y, pair.a, pair.b).w1, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_exchanged_laws_have_the_critic_of_the_other_sign(kind: str) -> None:
    pair = KINDS[kind]
    one, other = sliced(pair), sliced(turned(pair))
    assert raw_of(other, turned(pair)) == pytest.approx(raw_of(one, pair), rel=1e-9, abs=1e-13 * size_of(pair))
    z = np.concatenate([pair.x, pair.y])
    np.testing.assert_allclose(other.values(z), -one.values(z), rtol=1e-9, atol=1e-13 * size_of(pair))
    np.testing.assert_allclose(other.gradients(z), -one.gradients(z), atol=1e-12)


@pytest.mark.parametrize("exponent", [-300, -1, 10, 300])
def test_a_power_of_two_scales_every_value_and_leaves_every_gradient(exponent: int) -> None:
    x, y, weights = KINDS["plain"].x, KINDS["plain"].y, (np.arange(9) / 36, np.arange(12) / 66)
    pair, scaled = SamplePair(x, y, *weights), SamplePair(np.ldexp(x, exponent), np.ldexp(y, exponent), *weights)
    one, other = sliced(pair), sliced(scaled)
    z = np.random.default_rng(2).standard_normal((20, 3))
    assert (other.values(np.ldexp(z, exponent)) == np.ldexp(one.values(z), exponent)).all()
    assert (other.gradients(np.ldexp(z, exponent)) == one.gradients(z)).all()


def test_points_that_are_moved_move_the_critic() -> None:
    pair, by = KINDS["plain"], np.array([3.0, -7.0, 0.1])
    one, other = sliced(pair), sliced(SamplePair(pair.x + by, pair.y + by))
    z = np.random.default_rng(3).standard_normal((20, 3))
    np.testing.assert_allclose(other.values(z + by), one.values(z), atol=1e-13)
    assert raw_of(one, pair) == pytest.approx(raw_of(other, SamplePair(pair.x + by, pair.y + by)), rel=1e-12)


def test_a_seed_gives_one_critic_and_more_directions_begin_with_the_fewer() -> None:
    pair = KINDS["plain"]
    one, same, other, more = sliced(pair), sliced(pair), sliced(pair, seed=1), sliced(pair, 50)
    assert (one.directions == same.directions).all()
    assert (one.directions != other.directions).all()
    assert (more.directions[:20] == one.directions).all()


def test_many_directions_come_to_the_mean_over_the_sphere() -> None:
    """Of two single points in R^3 |<theta, shift>| is |shift|/2 in the mean; the constant comes to 1/sqrt(3)."""
    pair = SamplePair([[0.0, 0.0, 0.0]], [[0.0, 3.0, 4.0]])
    critic = sliced(pair, 4000)
    raw, (_, constant) = raw_of(critic, pair), critic.constants()
    assert raw == pytest.approx(2.5, abs=6 * 5 / np.sqrt(12 * 4000))
    assert constant == pytest.approx(3**-0.5, rel=0.05)
    assert raw / constant == pytest.approx(5 * np.sqrt(3) / 2, rel=0.05)


def test_gradients_are_finite_differences_and_means_of_both_sides_at_the_points() -> None:
    pair = KINDS["plain"]
    critic, rng = sliced(pair), np.random.default_rng(4)
    z = rng.standard_normal((30, 3))
    np.testing.assert_allclose(critic.gradients(z), differences(critic, z, 1e-7), atol=1e-7)
    points = np.concatenate([pair.x, pair.y])  # central differences are means of both sides at a knot too
    np.testing.assert_allclose(critic.gradients(points), differences(critic, points, 1e-7), atol=1e-7)


def test_a_point_has_the_same_places_alone_and_among_others_that_fill_several_blocks() -> None:
    rng = np.random.default_rng(0)
    directions, points = rng.normal(size=(SUMS_AT_ONCE // 3, 3)), rng.normal(size=(8, 3))  # three at once
    together = along(directions, points)
    np.testing.assert_allclose(together, directions @ points.T, rtol=1e-13, atol=1e-14)
    for k, point in enumerate(points):
        assert np.array_equal(along(directions, point[None])[:, 0], together[:, k])


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_constant_is_attained_where_all_parts_rise(count: int) -> None:
    """Directions e_1, ..., e_k: along the diagonal f rises by 1/sqrt(k) a unit, which is |Theta|_2/sqrt(k)."""
    rising = line_potential(np.array([-9.0, 9.0]), np.array([-1.0, 1.0]))
    critic = Ridges(np.eye(count), np.zeros(count), (rising,) * count)
    (gradient,) = critic.gradients(np.zeros((1, count)))
    assert np.linalg.norm(gradient) == pytest.approx(critic.constants()[1], rel=1e-11)
    assert critic.constants()[1] == pytest.approx(count**-0.5, rel=1e-11)


@pytest.mark.parametrize("seed", range(5))
def test_a_potential_on_the_line_is_optimal_and_constant_outside_its_knots(seed: int) -> None:
    rng = np.random.default_rng(seed)
    where = rng.integers(-4, 5, 20) if seed % 2 else rng.standard_normal(20)
    where, weights = where.astype(float), [rng.dirichlet(np.ones(size)) for size in (8, 12)]
    mass = np.concatenate([weights[0], -weights[1]])
    found = line_potential(where, mass)
    value, derivative = w1_and_derivative(where, mass)
    due = ot.wasserstein_1d(where[:8], where[8:], *weights, p=1)
    assert mass @ found.at(where) == pytest.approx(due, rel=1e-12)
    assert value == pytest.approx(due, rel=1e-12)
    assert derivative @ where == pytest.approx(due, rel=1e-12)  # W1 is homogeneous
    assert (np.diff(found.knots) > 0).all()
    assert (np.diff(found.slopes) != 0).all()
    between = np.diff(found.values) / np.diff(found.knots)
    np.testing.assert_allclose(found.slopes, [0, *between, 0], atol=1e-12)
    low, high = found.knots[[0, -1]]
    assert found.at(np.array([low - 1, high + 1])).tolist() == found.values[[0, -1]].tolist()
    assert found.derivative(np.array([low - 1, high + 1])).tolist() == [0, 0]


def test_where_the_distribution_functions_are_equal_but_for_the_rounding_of_sums_the_potential_is_flat() -> None:
    """Half of the mass of P, half of that of Q, and a gap, twice: nothing has to cross the gap."""
    rng = np.random.default_rng(5)
    for n, m in ((1000, 300), (700, 900), (1111, 1001)):
        where = np.concatenate([rng.random(n), 9 + rng.random(n), 1 + rng.random(m), 10 + rng.random(m)])
        mass = np.concatenate([np.full(2 * n, 0.5 / n), np.full(2 * m, -0.5 / m)])
        assert line_potential(where, mass).derivative(np.array([2.1, 5.0, 8.9])).tolist() == [0, 0, 0]


def test_the_derivative_of_w1_on_the_line_is_its_differences() -> None:
    rng = np.random.default_rng(6)
    where, mass = rng.standard_normal(15), np.concatenate([rng.dirichlet(np.ones(6)), -rng.dirichlet(np.ones(9))])
    _, derivative = w1_and_derivative(where, mass)
    rises = [w1_and_derivative(where + s * e, mass)[0] for e in np.eye(15) for s in (1e-7, -1e-7)]
    np.testing.assert_allclose(derivative, np.subtract(rises[::2], rises[1::2]) / 2e-7, atol=1e-7)


def test_a_mean_of_both_slopes_stands_at_a_knot() -> None:
    tent = LinePotential(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 0.0]))
    assert tent.derivative(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])).tolist() == [0, 0.5, 1, 0.5, 0]
    assert tent.at(np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 9.0])).tolist() == [0, 0, 0.5, 1, 1, 1]


@pytest.mark.parametrize(("fields", "text"), [
    ({"directions": 0}, "directions: input should be greater than or equal to 1; got 0"),
    ({"directions": 2.5}, "directions: input should be a valid integer"),
    ({"direction": 2}, "unknown field of method 'sliced' 'direction': did you mean 'directions'?"),
])  # fmt: skip
def test_fields_that_make_no_critic_are_refused_in_one_line(fields: dict[str, object], text: str) -> None:
    with pytest.raises(InputError) as refused:
        method("sliced", **fields)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
