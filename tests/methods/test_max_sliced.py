"""Max-sliced W1 as a critic: at least every start, at most W1, and exact where one direction tells all."""

import numpy as np
import ot
import pytest
from critics_of_samples import awkward, critic_of, differences, ladder_of_critic, raw_of, steepest, turned

import otbench
from otbench.deadline import TimeLimitError, limited
from otbench.errors import InputError
from otbench.methods import method
from otbench.methods.max_sliced import MaxSliced, _w1_along
from otbench.methods.ridges import Ridges
from otbench.types import Array, SamplePair

KINDS = awkward()


def max_sliced(pair: SamplePair, seed: int = 0, **fields: object) -> Ridges:
    found = critic_of("max_sliced", pair, seed, **{"starts": 4, "steps": 30, **fields})
    assert isinstance(found, Ridges)
    return found


def rounding(pair: SamplePair) -> float:
    points = np.concatenate([pair.x, pair.y])
    return 1e-13 * float(np.abs(points - np.median(points, axis=0)).max())


def arcs() -> SamplePair:
    """Crosses of equal means whose arms differ in length along one oblique direction alone: W1 is largest there."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    arms = np.concatenate([np.eye(4), -np.eye(4)])
    return SamplePair(arms @ turn.T, (arms * [3, 1, 1, 1]) @ turn.T)


@pytest.mark.parametrize("kind", KINDS)
def test_raw_is_w1_along_one_unit_direction_between_the_best_linear_critic_and_w1(kind: str) -> None:
    pair = KINDS[kind]
    critic = max_sliced(pair)
    assert critic.constants() == (None, 1.0)
    assert np.linalg.norm(critic.directions) == pytest.approx(1, rel=1e-14)
    x, y = ((points - critic.origin) @ critic.directions[0] for points in (pair.x, pair.y))
    raw, slack = raw_of(critic, pair), rounding(pair)
    assert raw == pytest.approx(ot.wasserstein_1d(x, y, pair.a, pair.b, p=1), rel=1e-9, abs=slack)
    found = ladder_of_critic(critic, pair)
    assert raw >= np.linalg.norm(pair.a @ (pair.x - critic.origin) - pair.b @ (pair.y - critic.origin)) - slack
    slack += 1e-9 * found.primal
    assert 0 <= found.spectral <= found.slope + slack
    assert found.slope <= found.c_transform + slack <= found.primal + 2 * slack


@pytest.mark.parametrize("kind", KINDS)
def test_no_pair_of_points_is_steeper_than_one(kind: str) -> None:
    pair, rng = KINDS[kind], np.random.default_rng(1)
    critic = max_sliced(pair)
    wide = rng.standard_normal((40, pair.dim)) * rounding(pair) / 1e-13
    assert steepest(critic, np.concatenate([pair.x, pair.y, critic.origin + wide])) <= 1 + 1e-9


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "line" in kind])
def test_on_the_line_it_is_w1_itself(kind: str) -> None:
    pair = KINDS[kind]
    exact = otbench.solve_exact(pair.x, pair.y, pair.a, pair.b).w1
    assert raw_of(max_sliced(pair), pair) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("direction", ["axis", "diagonal"])
@pytest.mark.parametrize("dim", [1, 5, 40])
def test_of_a_translation_it_is_the_length_of_the_shift(dim: int, direction: str) -> None:
    problem = otbench.problem("translation", dim=dim, shift=2.5, direction=direction)
    pair = problem.sample(60, mode="coupled")
    critic = max_sliced(pair)
    assert raw_of(critic, pair) == pytest.approx(2.5, rel=1e-12)
    assert abs(critic.directions @ (pair.x - pair.y)[0]) == pytest.approx(2.5, rel=1e-12)


def test_the_direction_is_found_in_which_alone_the_samples_differ() -> None:
    """The arms' lengths 3 and 1 differ by 2, for two of eight points: W1 = 1/2, all of it along one direction."""
    pair = arcs()
    assert otbench.solve_exact(pair.x, pair.y).w1 == pytest.approx(0.5, rel=1e-12)
    assert raw_of(max_sliced(pair, starts=1, steps=0), pair) < 0.45
    assert raw_of(max_sliced(pair, starts=8, steps=200), pair) == pytest.approx(0.5, rel=1e-6)


def test_an_ascent_beats_the_best_of_many_random_directions() -> None:
    rng = np.random.default_rng(2)
    pair = SamplePair(rng.standard_normal((40, 6)) * [3, 1, 1, 1, 1, 1], rng.standard_normal((50, 6)))
    drawn = ot.max_sliced_wasserstein_distance(pair.x, pair.y, p=1, n_projections=500, seed=0)
    assert raw_of(max_sliced(pair, starts=1, steps=0), pair) < drawn < raw_of(max_sliced(pair, steps=100), pair)


@pytest.mark.parametrize("kind", ["plain", "weighted, one of no weight", "equal means", "on a grid"])
def test_more_starts_and_more_steps_never_lower_it(kind: str) -> None:
    pair = KINDS[kind]
    for field, counts in (("starts", (1, 2, 5, 10)), ("steps", (0, 1, 3, 10, 40))):
        raws = [raw_of(max_sliced(pair, **{field: count}), pair) for count in counts]
        assert (np.diff(raws) >= -rounding(pair)).all()


def test_a_seed_gives_one_critic() -> None:
    pair = KINDS["equal means"]
    one, same, other = max_sliced(pair, steps=0), max_sliced(pair, steps=0), max_sliced(pair, 1, steps=0)
    assert (one.directions == same.directions).all()
    assert (one.directions != other.directions).any()


def test_of_two_opposite_directions_rounding_does_not_choose() -> None:
    """Weights that differ in their last digits: ascents that end in one another's opposites end in the first one."""
    pair, rng = KINDS["plain"], np.random.default_rng(7)
    found = [max_sliced(SamplePair(pair.x, pair.y, pair.a * (1 + 1e-15 * rng.standard_normal(9)))) for _ in range(10)]
    assert min(float(one.directions[0] @ found[0].directions[0]) for one in found) > 0.99


@pytest.mark.parametrize("kind", ["plain", "weighted, one of no weight", "ties", "on a grid"])
def test_exchanged_laws_have_the_same_value(kind: str) -> None:
    """From the difference of the means alone, which points the other way: every step is the mirror of the other's."""
    pair = KINDS[kind]
    one, other = (max_sliced(p, starts=1) for p in (pair, turned(pair)))
    np.testing.assert_allclose(other.directions, -one.directions, atol=1e-9)
    assert raw_of(other, turned(pair)) == pytest.approx(raw_of(one, pair), rel=1e-9)


@pytest.mark.parametrize("exponent", [-300, -1, 10, 300])
def test_a_power_of_two_scales_every_value_and_leaves_the_direction(exponent: int) -> None:
    x, y, weights = KINDS["plain"].x, KINDS["plain"].y, (np.arange(9) / 36, np.arange(12) / 66)
    pair, scaled = SamplePair(x, y, *weights), SamplePair(np.ldexp(x, exponent), np.ldexp(y, exponent), *weights)
    one, other = max_sliced(pair), max_sliced(scaled)
    assert (one.directions == other.directions).all()
    z = np.random.default_rng(3).standard_normal((20, 3))
    assert (other.values(np.ldexp(z, exponent)) == np.ldexp(one.values(z), exponent)).all()


def test_points_that_are_moved_move_the_critic() -> None:
    pair, by = KINDS["plain"], np.array([3.0, -7.0, 0.25])
    one, other = max_sliced(pair, steps=5), max_sliced(SamplePair(pair.x + by, pair.y + by), steps=5)
    z = np.random.default_rng(4).standard_normal((20, 3))
    np.testing.assert_allclose(other.values(z + by), one.values(z), atol=1e-9)


def test_gradients_are_finite_differences() -> None:
    critic = max_sliced(KINDS["plain"])
    z = np.random.default_rng(5).standard_normal((30, 3))
    np.testing.assert_allclose(critic.gradients(z), differences(critic, z, 1e-7), atol=1e-7)


def test_an_ascent_goes_along_the_gradient_of_w1_in_the_direction() -> None:
    pair, rng = KINDS["weighted, one of no weight"], np.random.default_rng(6)
    points, mass = np.concatenate([pair.x, pair.y]), np.concatenate([pair.a, -pair.b])

    def w1(direction: Array) -> float:
        return _w1_along(direction, points, mass)[0]

    for direction in rng.standard_normal((5, 3)):
        value, gradient = _w1_along(direction, points, mass)
        rises = [(w1(direction + 1e-7 * e) - w1(direction - 1e-7 * e)) / 2e-7 for e in np.eye(3)]
        np.testing.assert_allclose(gradient, rises, atol=1e-7)
        assert gradient @ direction == pytest.approx(value, rel=1e-12)


def test_steps_count_as_training_and_stop_at_the_time_limit() -> None:
    assert [method("max_sliced", steps=count).trained for count in (0, 1)] == [False, True]
    assert isinstance(method("max_sliced"), MaxSliced)
    with limited(-1.0), pytest.raises(TimeLimitError):
        max_sliced(KINDS["plain"])


@pytest.mark.parametrize(("fields", "text"), [
    ({"starts": 0}, "starts: input should be greater than or equal to 1; got 0"),
    ({"steps": -1}, "steps: input should be greater than or equal to 0; got -1"),
    ({"rate": 0.0}, "rate: input should be greater than 0; got 0.0"),
    ({"rate": float("nan")}, "rate: input should be"),
    ({"directions": 3}, "unknown field of method 'max_sliced' 'directions'"),
])  # fmt: skip
def test_fields_that_make_no_critic_are_refused_in_one_line(fields: dict[str, object], text: str) -> None:
    with pytest.raises(InputError) as refused:
        method("max_sliced", **fields)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
