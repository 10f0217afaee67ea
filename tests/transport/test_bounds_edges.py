"""The ladder's corners: the concave search, coincident points, dead critics, refused input, alignment."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ladders import Instance, breaks, instances, law, make

from otbench.errors import InputError
from otbench.methods.functions import Affine, McShane
from otbench.transport import bounds as ladder_module
from otbench.transport.alignment import alignment
from otbench.transport.bounds import lower_bounds
from otbench.transport.envelope import ROWS_AT_ONCE, ShrinkingEnvelope, maximise_concave
from otbench.transport.exact import solve_exact
from otbench.types import Alignment, Array, Plan, SamplePair

Evaluate = Callable[[float], tuple[float, float, float]]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 120), st.integers(1, 120))
def test_the_c_transform_search_takes_few_evaluations(seed: int, grid: bool, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    case = make(rng, n, m, 2, grid, False, 1.0)
    calls: list[int] = []

    def counting(evaluate: Evaluate, guess: float) -> tuple[float, float]:
        seen: list[float] = []
        found = maximise_concave(lambda s: (seen.append(s), evaluate(s))[1], guess)
        calls.append(len(seen))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder_module, "maximise_concave", counting)
        case.bounds()
    assert len(calls) == 2
    assert max(calls) <= 60


def lower_envelope(lines: list[tuple[float, float]]) -> Evaluate:
    """min_k (value_k + slope_k s) with its one-sided derivatives, exact for dyadic lines."""

    def evaluate(s: float) -> tuple[float, float, float]:
        values = [value + slope * s for value, slope in lines]
        active = [slope for found, (_, slope) in zip(values, lines, strict=True) if found == min(values)]
        return min(values), float(max(active)), float(min(active))

    return evaluate


@pytest.mark.parametrize("guess", [2.0**-20, 0.3, 0.5, 0.7, 1.0, 1e6])
def test_the_search_stops_exactly_at_the_kink(guess: float) -> None:
    seen: list[float] = []
    envelope = lower_envelope([(0.0, 2.0), (1.25, -0.5)])
    assert maximise_concave(lambda s: (seen.append(s), envelope(s))[1], guess) == (0.5, 1.0)
    assert len(seen) <= 20


@law
@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=30),
    st.floats(1e-3, 1e3),
)
def test_the_search_finds_the_best_crossing_of_any_lines(
    lines: list[tuple[float, float]], guess: float
) -> None:
    lines = [*lines, (30.0, -1.0)]  # bounded above
    envelope, seen = lower_envelope(lines), []
    crossings = [(v - w) / (q - p) for v, p in lines for w, q in lines if p != q]
    best = max(envelope(s)[0] for s in [0.0, *crossings] if s >= 0)
    s, value = maximise_concave(lambda s: (seen.append(s), envelope(s))[1], guess)
    assert value == envelope(s)[0]
    assert value == pytest.approx(best, rel=1e-12, abs=1e-12)
    assert len(seen) <= 60


def test_a_concave_function_that_falls_from_the_start_is_read_at_zero() -> None:
    assert maximise_concave(lower_envelope([(3.0, -1.0), (4.0, 2.0)]), 1.0) == (0.0, 3.0)


def test_a_critic_higher_on_x_than_on_a_coincident_y_has_infinite_slope() -> None:
    cost = np.array([[0.0, 1.0], [1.0, 2.0]])
    found = lower_bounds([2.0, 1.0], [1.0, 0.0], cost, primal=1.0)
    assert (found.slope_constant, found.slope) == (np.inf, 0.0)
    assert breaks(found, 0.0) == []


@pytest.mark.parametrize("lower", [0.0, 1.0])
def test_a_coincident_pair_that_is_not_higher_on_x_is_skipped(lower: float) -> None:
    cost = np.array([[0.0, 1.0], [1.0, 2.0]])
    found = lower_bounds([1.0 - lower, 3.0], [1.0, 0.0], cost)
    assert found.slope_constant == 2.0


def test_an_infinite_slope_on_atoms_without_mass_binds_nothing() -> None:
    cost = np.array([[0.0, 1.0], [1.0, 2.0]])
    found = lower_bounds([9.0, 1.0], [1.0, 0.0], cost, [0, 1], [0.5, 0.5])
    assert found.slope_constant == 0.5


@law
@given(instances())
def test_dead_critics_give_the_nearest_neighbour_bound(case: Instance) -> None:
    rows, cols = case.a > 0, case.b > 0
    core = case.cost[np.ix_(rows, cols)]
    nearest = max(case.b[cols] @ core.min(axis=0), case.a[rows] @ core.min(axis=1))
    for constant in (0.0, 0.0123, -7e5):
        fx, fy = np.full(len(case.fx), constant), np.full(len(case.fy), constant)
        found = lower_bounds(fx, fy, case.cost, case.a, case.b, clip_constant=0.5, spectral_constant=0.1)
        assert found.c_transform == found.nearest == pytest.approx(nearest, rel=1e-14)
        assert (found.clip_bound, found.spectral, found.slope, found.slope_constant) == (0, 0, 0, 0)
        assert (found.scale, found.k_eff) == (0, None)


@pytest.mark.parametrize("values", [(3.0, 1.0), (1.0, 3.0), (2.0, 2.0)])
def test_between_single_points_the_nearest_neighbour_bound_is_w1(values: tuple[float, float]) -> None:
    found = lower_bounds([values[0]], [values[1]], [[5.0]], primal=5.0)
    assert found.c_transform == found.nearest == 5.0
    assert found.slope == (5.0 if values[0] > values[1] else 0.0)
    assert found.skill is None


def test_without_a_distance_there_is_no_skill() -> None:
    assert lower_bounds([0.0], [0.0], [[0.0]], primal=0.0).skill is None
    assert lower_bounds([0.0], [0.0], [[1.0]]).skill is None


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
def test_extreme_values_of_a_critic_do_not_disturb_its_bounds(size: float) -> None:
    case = make(np.random.default_rng(1), 6, 5, 2, False, True, 1.0)
    here = case.bounds()
    there = lower_bounds(size * case.fx, size * case.fy, case.cost, case.a, case.b, primal=case.w1)
    assert there.slope == pytest.approx(here.slope, rel=1e-9)
    assert there.c_transform == pytest.approx(here.c_transform, rel=1e-9)


def test_a_slope_beyond_float64_is_infinite_and_no_error() -> None:
    found = lower_bounds([1e200, 0.0], [0.0, 0.0], [[1e-200, 1.0], [1.0, 1.0]], primal=1.0)
    assert (found.slope_constant, found.slope) == (np.inf, 0.0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([1.0], [2.0, 3.0], [[1.0]]), r"cost must have shape \(1, 2\) to fit fx and fy; got \(1, 1\)"),
        (([[1.0]], [2.0], [[1.0]]), r"fx must be a non-empty vector of critic values; got shape \(1, 1\)"),
        (([1.0], [], [[]]), r"fy must be a non-empty vector of critic values; got shape \(0,\)"),
        (([np.nan], [2.0], [[1.0]]), "fx must be finite; it holds NaN or infinity: the critic has diverged"),
        (([1.0], [np.inf], [[1.0]]), "fy must be finite"),
        (([1.0], [2.0], [[-1.0]]), "cost must be finite and at least 0: use otbench.cost_matrix"),
        (([1.0], [2.0], [[np.nan]]), "cost must be finite and at least 0"),
        (([1.0], [2.0], [[1.0]], [0.5]), "weights a must sum to 1; they sum to 0.5: divide them"),
        (([1.0], [2.0], [[1.0]], None, [-1.0]), "weights b must be finite and at least 0; found -1"),
        (([1.0], [2.0], [[1.0]], [0.5, 0.5]), r"weights a must have shape \(1,\), one per point; got \(2,\)"),
    ],
)
def test_values_that_break_a_rule_are_refused_with_the_rule(arguments: tuple[object, ...], text: str) -> None:
    with pytest.raises(InputError, match=text) as refused:
        lower_bounds(*arguments)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def along(slope: Array, pair: SamplePair, plan: Plan | None = None) -> Alignment:
    critic = Affine(slope)
    plan = plan or solve_exact(pair.x, pair.y, pair.a, pair.b).plan
    return alignment(pair, plan, critic.gradients(pair.x), critic.gradients(pair.y))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_the_exact_potential_of_a_far_translation_is_aligned_and_its_negative_opposed(
    sign: int, size: float
) -> None:
    rng = np.random.default_rng(0)
    x, shift = rng.standard_normal((9, 3)), np.array([30.0, -40.0, 0.0])
    pair = SamplePair(x, x + shift, images=x + shift)
    assert along(-sign * size * shift / 50, pair).plan_cosine == pytest.approx(sign, rel=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_exact_potential_of_separated_pairs_is_aligned_and_its_negative_opposed(sign: int) -> None:
    rng = np.random.default_rng(1)
    x = 100.0 * np.arange(7)[:, None] + rng.standard_normal((7, 2))
    pair = SamplePair(x, x + rng.standard_normal((7, 2)), *2 * [weights := np.arange(1, 8) / 28])
    potential = McShane(pair.y, np.zeros(7))
    plan = solve_exact(pair.x, pair.y, weights, weights).plan
    gx, gy = sign * potential.gradients(pair.x), sign * potential.gradients(pair.y)
    found = alignment(pair, plan, gx, gy)
    assert found.plan_cosine == pytest.approx(sign, rel=1e-12)
    assert (found.grad_norm_min, found.grad_norm_max) == pytest.approx((0.0, 1.0))


def test_a_zero_gradient_counts_as_cosine_zero() -> None:
    pair = SamplePair([[0.0], [1.0]], [[10.0], [11.0]])
    plan = Plan(np.array([0, 1]), np.array([0, 1]), np.array([0.5, 0.5]))
    found = alignment(pair, plan, np.array([[-2.0], [0.0]]), np.zeros((2, 1)))
    assert found.plan_cosine == 0.5
    assert (found.grad_norm_mean, found.grad_norm_min, found.grad_norm_max) == (0.5, 0.0, 2.0)


def test_mass_weighs_the_rays_of_a_plan_that_splits_it() -> None:
    pair = SamplePair([[0.0, 0.0]], [[3.0, 0.0], [0.0, 4.0]], None, [0.25, 0.75])
    assert along(np.array([-1.0, 0.0]), pair).plan_cosine == pytest.approx(0.25)


def test_coincident_atoms_are_left_out_of_the_cosine_and_counted() -> None:
    pair = SamplePair([[0.0], [5.0]], [[0.0], [9.0]])
    found = along(np.array([-1.0]), pair, Plan(np.array([0, 1]), np.array([0, 1]), np.array([0.5, 0.5])))
    assert (found.plan_cosine, found.coincident_atoms) == (1.0, 1)


def test_without_moving_mass_or_without_a_plan_there_is_no_cosine() -> None:
    pair = SamplePair([[0.0], [5.0]], [[5.0], [0.0]])
    assert along(np.array([-1.0]), pair).plan_cosine is None
    assert along(np.array([-1.0]), pair).coincident_atoms == 2
    found = alignment(pair, None, np.ones((2, 1)), np.ones((2, 1)))
    assert (found.plan_cosine, found.coincident_atoms, found.grad_norm_mean) == (None, 0, 1.0)


def test_gradients_at_atoms_without_mass_are_not_counted() -> None:
    pair = SamplePair([[0.0], [1.0]], [[2.0]], [1.0, 0.0])
    found = alignment(pair, None, np.array([[3.0], [100.0]]), np.array([[1.0]]))
    assert (found.grad_norm_mean, found.grad_norm_max) == (2.0, 3.0)


def known(rays: Array, gradients: Array, a: Array | None = None) -> Alignment:
    """Alignment on points whose own plan points elsewhere."""
    x = np.arange(float(rays.size)).reshape(rays.shape)
    pair = SamplePair(x, x + 1.0, a, a, rays=rays)
    return alignment(pair, solve_exact(pair.x, pair.y, a, a).plan, gradients, np.zeros_like(x))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-150, 1e-9, 1.0, 1e9]), st.booleans())
def test_the_scale_that_repairs_the_gradients_is_the_best_of_any(seed: int, size: float, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    rays, gradients = rng.standard_normal((2, 8, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    a = rng.dirichlet(np.ones(8)) if weighted else np.full(8, 1 / 8)
    found = known(rays, size * gradients, a)

    def l2(s: float) -> float:
        return float(a @ ((s * size * gradients - rays) ** 2).sum(axis=1))

    cosines = np.einsum("nd,nd->n", rays, gradients) / np.linalg.norm(gradients, axis=1)
    assert found.cosine == pytest.approx(a @ cosines, rel=1e-9, abs=1e-12)
    assert found.gradient_l2 == pytest.approx(l2(1.0), rel=1e-9)
    assert found.gradient_scale is not None
    assert found.gradient_l2_repaired == pytest.approx(l2(found.gradient_scale), rel=1e-9)
    slope = a @ np.einsum("nd,nd->n", rays, size * gradients)
    scales = [0.0, 0.5 * found.gradient_scale, 1.5 * found.gradient_scale, abs(slope) / size**2]
    assert min(map(l2, scales)) >= found.gradient_l2_repaired * (1 - 1e-12)
    assert (found.gradient_scale > 0) == (slope > 0)


def test_a_gradient_along_the_rays_is_repaired_wholly_one_against_them_and_a_dead_one_not_at_all() -> None:
    rays = np.eye(3)
    for factor, expected in ((50, (49.0**2, 0.0, 0.02)), (-1, (4.0, 1.0, 0.0)), (0, (1.0, 1.0, 0.0))):
        found = known(rays, factor * rays)
        assert (found.gradient_l2, found.gradient_l2_repaired, found.gradient_scale) == pytest.approx(expected)


def test_points_without_a_known_ray_are_left_out_and_without_any_there_are_no_scores() -> None:
    rays = np.array([[1.0, 0.0], [0.0, 0.0]])
    found = known(rays, np.array([[2.0, 0.0], [7.0, 7.0]]))
    assert (found.cosine, found.gradient_l2, found.gradient_scale) == (1.0, 1.0, 0.5)
    none = known(0 * rays, rays)
    assert (none.cosine, none.gradient_l2, none.gradient_l2_repaired) == (None, None, None)


def test_the_plan_of_the_samples_and_the_potential_of_the_problem_have_a_cosine_each() -> None:
    """Each as if the other were not known: rays along one axis, a plan along the other."""
    x = np.array([[0.0, 0.0], [100.0, 0.0]])
    rays, gradients = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[3.0, 4.0], [3.0, 4.0]])
    pair = SamplePair(x, x - [0.0, 5.0], rays=rays)
    found = alignment(pair, solve_exact(pair.x, pair.y).plan, gradients, gradients)
    assert (found.cosine, found.plan_cosine) == pytest.approx((0.6, 0.8))
    without = alignment(SamplePair(pair.x, pair.y), solve_exact(pair.x, pair.y).plan, gradients, gradients)
    assert (without.cosine, without.plan_cosine) == (None, found.plan_cosine)


def test_without_a_known_potential_the_gradient_has_no_l2() -> None:
    pair = SamplePair([[0.0], [1.0]], [[10.0], [11.0]])
    found = along(np.array([-1.0]), pair)
    assert (found.gradient_l2, found.gradient_l2_repaired, found.gradient_scale) == (None, None, None)


def test_the_ladder_tells_what_it_was_given_and_divides_by_the_constant_of_each_rung() -> None:
    """raw = 7, values of at most 8 in size: raw less its rounding over 4 and over 2; without a constant no rung."""
    ladder = ladder_module.Ladder(np.array([[8.0, 9.0]]), np.ones(1), np.array([0.5, 0.5]))
    told = Alignment(cosine=0.25, coincident_atoms=3, grad_norm_mean=0.75, grad_norm_min=0.5, grad_norm_max=1.0)
    fx, fy = np.array([-1.0]), np.array([-8.0, -8.0])
    found = ladder.bounds(fx, fy, clip_constant=4.0, spectral_constant=2.0, primal=8.5, alignment=told, saturation=0.5)
    assert (found.raw, found.primal, found.alignment, found.saturation) == (7.0, 8.5, told, 0.5)
    assert (found.clip_constant, found.spectral_constant, found.slope_constant) == (4.0, 2.0, 7 / 8)
    assert found.raw_error == 8 * 256 * 2.0**-52
    assert (found.clip_bound, found.spectral) == ((7 - found.raw_error) / 4, (7 - found.raw_error) / 2)
    assert found.slope == 8.0
    assert ladder.bounds(fy[:1], np.repeat(fx, 2), clip_constant=4.0).clip_bound == 0.0
    bare = ladder.bounds(fx, fy)
    assert [bare.clip_bound, bare.spectral, bare.primal, bare.alignment, bare.saturation] == [None] * 5


@pytest.mark.parametrize("n", [1, 2, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE - 1])
@pytest.mark.parametrize("s", [0.0, 0.5, 1.0, 2.0, 7.0])
def test_at_a_kink_both_derivatives_are_those_of_the_lines_that_meet_there(n: int, s: float) -> None:
    """Whole numbers, so that many lines of a column are lowest at once: the right derivative is of the steepest."""
    rng = np.random.default_rng([n, int(2 * s)])
    m = 300  # more than a byte counts
    f, cost = rng.integers(-4, 5, n).astype(float), rng.integers(0, 12, (n, m)).astype(float)
    a, b = rng.multinomial(2**20, np.full(n, 1 / n)) / 2**20, rng.multinomial(2**20, np.full(m, 1 / m)) / 2**20
    value, left, right = ShrinkingEnvelope(f, a, b, cost).value_and_shrink(s)
    lines = cost - s * f[:, None]
    lowest = lines == lines.min(axis=0)
    steepest, flattest = (np.where(lowest, f[:, None], fill) for fill in (-np.inf, np.inf))
    assert value == pytest.approx(s * (a @ f) + b @ lines.min(axis=0), rel=1e-12, abs=1e-12)
    assert right == pytest.approx(a @ f - b @ steepest.max(axis=0), rel=1e-12, abs=1e-12)
    if s > 0:
        assert left == pytest.approx(a @ f - b @ flattest.min(axis=0), rel=1e-12, abs=1e-12)
