"""The ladder of lower bounds: every theorem of science.md §3, against dense formulas and linear programs."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_ladders import Instance, breaks, instances, law, make, ordinary
from scipy.optimize import linprog

from otbench.methods.functions import McShane
from otbench.methods.mlp import Mlp
from otbench.transport.bounds import lower_bounds
from otbench.transport.dense import cost_matrix
from otbench.types import Array, Bounds


def dense_dual(s: Array, fx: Array, fy: Array, cost: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """D_x(s) and D_y(s) by their formulas over the supports, for many s at once."""
    rows, cols = a > 0, b > 0
    fx, fy, cost, a, b = fx[rows], fy[cols], cost[np.ix_(rows, cols)], a[rows], b[cols]
    by_x = s * (a @ fx) + (cost[None] - s[:, None, None] * fx[None, :, None]).min(axis=1) @ b
    by_y = -s * (b @ fy) + (cost[None] + s[:, None, None] * fy[None, None, :]).min(axis=2) @ a
    return by_x, by_y


def kinks(f: Array, cost: Array) -> Array:
    """Every s > 0 at which two lines M_ij - s f_i and M_kj - s f_k of one column meet."""
    slopes = (f[:, None] - f)[:, :, None]
    rises = cost[:, None, :] - cost[None, :, :]
    met = np.divide(rises, slopes, out=np.zeros_like(rises), where=slopes != 0).ravel()
    return met[met > 0]


def best_dual_by_linear_program(f: Array, cost: Array, a: Array, b: Array) -> float:
    """max over s >= 0 and w of s a.f + b.w subject to w_j + s f_i <= M_ij on the supports."""
    rows, cols = a > 0, b > 0
    f, cost, a, b = f[rows], cost[np.ix_(rows, cols)], a[rows], b[cols]
    n, m = cost.shape
    table = np.zeros((n * m, 1 + m))
    table[:, 0] = np.repeat(f, m)
    table[np.arange(n * m), 1 + np.tile(np.arange(m), n)] = 1.0
    limits = [(0, None), *[(None, None)] * m]
    solved = linprog(-np.concatenate([[a @ f], b]), A_ub=table, b_ub=cost.ravel(), bounds=limits)
    assert solved.status == 0
    return float(-solved.fun)


@law
@given(instances(), st.floats(1, 3), st.floats(1, 3))
def test_every_critic_climbs_the_ladder_below_w1(case: Instance, loose: float, looser: float) -> None:
    constant = case.bounds().slope_constant
    known = {}
    if 0 < constant < np.inf:
        known = {"spectral_constant": loose * constant, "clip_constant": loose * looser * constant}
    assert breaks(case.bounds(**known), case.slack) == []


@law
@given(ordinary, st.integers(0, 2**32 - 1), st.sampled_from([(), (4,), (5, 3)]))
def test_every_network_with_its_own_constants_climbs_the_ladder(
    case: Instance, seed: int, widths: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    sizes = (case.x.shape[1], *widths, 1)
    weights = tuple(rng.uniform(-1, 1, shape) for shape in pairwise(sizes))
    critic = Mlp(weights, tuple(rng.uniform(-1, 1, w.shape[1]) for w in weights), "relu", 1.0)
    clip, spectral = critic.constants()
    own = replace(case, fx=critic.values(case.x), fy=critic.values(case.y))
    assert breaks(own.bounds(clip_constant=clip, spectral_constant=spectral), case.slack) == []


@law
@given(instances())
def test_any_critic_divided_by_its_slope_is_below_w1(case: Instance) -> None:
    found = case.bounds()
    if found.slope_constant < np.inf:
        assert found.raw <= found.slope_constant * (case.w1 + case.slack)
    assert found.slope <= case.w1 + case.slack


@law
@given(instances())
def test_a_critic_that_points_the_wrong_way_proves_nothing_by_scaling(case: Instance) -> None:
    raw = case.bounds().raw
    wrong = case if raw <= 0 else replace(case, fx=-case.fx, fy=-case.fy)
    found = wrong.bounds(clip_constant=2.0, spectral_constant=1.0)
    assert (found.clip_bound, found.spectral, found.slope) == (0.0, 0.0, 0.0)
    assert found.raw == -abs(raw)
    assert found.c_transform >= found.nearest


@law
@given(instances(sizes=(1e-9, 1.0, 1e9)), st.floats(-3, 3))
def test_both_duals_at_any_scale_are_valid_bounds(case: Instance, exponent: float) -> None:
    spread = np.ptp(np.concatenate([case.fx, case.fy])) or 1.0
    s = np.array([10.0**exponent / spread])
    by_x, by_y = dense_dual(s, case.fx, case.fy, case.cost, case.a, case.b)
    rounding = 1e-13 * 10**exponent
    assert by_x.item() <= case.w1 + case.slack + rounding
    assert by_y.item() <= case.w1 + case.slack + rounding
    assert case.bounds().c_transform >= max(by_x.item(), by_y.item()) - case.slack - rounding


@law
@given(ordinary)
def test_the_c_transform_rung_is_the_dense_maximum_over_all_kinks(case: Instance) -> None:
    s = np.concatenate([[0.0], kinks(case.fx, case.cost), kinks(-case.fy, case.cost.T)])
    by_x, by_y = dense_dual(s, case.fx, case.fy, case.cost, case.a, case.b)
    rounding = 1e-14 * s.max() * max(np.abs(case.fx).max(), np.abs(case.fy).max())
    assert case.bounds().c_transform == pytest.approx(
        max(by_x.max(), by_y.max()), rel=1e-9, abs=case.slack + rounding
    )


@law
@given(ordinary)
def test_the_c_transform_rung_is_the_value_of_the_linear_program(case: Instance) -> None:
    of_x = best_dual_by_linear_program(case.fx, case.cost, case.a, case.b)
    of_y = best_dual_by_linear_program(-case.fy, case.cost.T, case.b, case.a)
    assert case.bounds().c_transform == pytest.approx(max(of_x, of_y), rel=1e-6, abs=1e-6)


@law
@given(instances())
def test_swapping_the_samples_and_the_sign_changes_nothing(case: Instance) -> None:
    swapped = Instance(case.y, case.x, case.b, case.a, -case.fy, -case.fx, case.cost.T.copy())
    here, there = case.bounds(), swapped.bounds()
    assert there.c_transform == pytest.approx(here.c_transform, rel=1e-12, abs=case.slack)
    assert there.nearest == here.nearest
    assert there.slope_constant == here.slope_constant
    size = np.abs(np.concatenate([case.fx, case.fy])).max()
    assert there.raw == pytest.approx(here.raw, rel=1e-12, abs=1e-14 * size)


@law
@given(ordinary, st.integers(-300, 300))
def test_multiplying_the_critic_scales_k_eff_and_leaves_the_bounds(case: Instance, power: int) -> None:
    factor = 2.0**power
    here = case.bounds(spectral_constant=1.0, clip_constant=2.0)
    there = replace(case, fx=factor * case.fx, fy=factor * case.fy).bounds(
        spectral_constant=factor, clip_constant=2 * factor
    )
    assert there.raw == factor * here.raw
    for rung in ("clip_bound", "spectral", "slope", "c_transform", "nearest"):
        assert getattr(there, rung) == pytest.approx(getattr(here, rung), rel=1e-12, abs=case.slack)
    if here.k_eff is None:
        assert there.k_eff is None
    else:
        assert there.k_eff == pytest.approx(factor * here.k_eff, rel=1e-9)


@law
@given(ordinary, st.floats(-1e3, 1e3))
def test_adding_a_constant_changes_no_bound(case: Instance, constant: float) -> None:
    here = case.bounds()
    there = replace(case, fx=case.fx + constant, fy=case.fy + constant).bounds()
    assert there.c_transform == pytest.approx(here.c_transform, rel=1e-8, abs=case.slack)
    if np.isfinite([here.slope_constant, there.slope_constant]).all():
        assert there.slope == pytest.approx(here.slope, rel=1e-8, abs=1e-8)


@law
@given(ordinary, st.integers(0, 2**32 - 1), st.sampled_from([0.0123, 1.0, -7e5]))
def test_rounding_noise_around_a_constant_is_never_sold_as_a_bound(
    case: Instance, seed: int, constant: float
) -> None:
    rng = np.random.default_rng(seed)
    noisy = [constant + np.spacing(constant) * rng.integers(0, 3, k) for k in (len(case.fx), len(case.fy))]
    assert breaks(replace(case, fx=noisy[0], fy=noisy[1]).bounds(), case.slack) == []


def test_one_far_point_lifted_by_one_rounding_unit_is_not_sold_as_a_bound() -> None:
    x, y = np.zeros((7, 1)), np.zeros((7, 1))
    x[6] = 1.0
    for constant in np.linspace(0.5, 3.0, 50):
        fx, fy = np.full(7, constant), np.full(7, constant)
        fx[6] += np.spacing(constant)
        found = lower_bounds(fx, fy, cost_matrix(x, y), primal=1 / 7)
        assert breaks(found, 1e-9) == []


def test_the_chain_check_sees_a_slope_that_is_ten_per_cent_too_small() -> None:
    case = make(np.random.default_rng(0), 6, 5, 2, False, False, 1.0)
    best = replace(case, fx=case.exact.u, fy=-case.exact.v).bounds()
    assert breaks(best, case.slack) == []
    faulty = replace(best, slope=best.raw / (0.9 * best.slope_constant))
    assert breaks(faulty, case.slack) == ["slope > c_transform"]
    assert "raw > S W1" in breaks(replace(best, slope_constant=0.9 * best.slope_constant), case.slack)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"c_transform": 2.0}, "c_transform > primal"),
        ({"nearest": 0.9, "c_transform": 0.8}, "nearest > c_transform"),
        ({"clip_bound": 0.5}, "clip_bound > spectral"),
        ({"spectral": 0.7}, "spectral > slope"),
        ({"raw": -1.0}, "slope is not 0"),
    ],
)
def test_the_chain_check_sees_every_planted_fault(fault: dict[str, float], name: str) -> None:
    sound = Bounds(
        raw=1.0, raw_error=0.0, slope_constant=2.0, slope=0.5, scale=1.0, c_transform=0.8, nearest=0.3,
        clip_constant=5.0, clip_bound=0.2, spectral_constant=2.5, spectral=0.4, primal=1.0,
    )  # fmt: skip
    assert breaks(sound, 0.0) == []
    assert name in breaks(replace(sound, **fault), 0.0)


@law
@given(ordinary)
def test_the_exact_potential_attains_w1_on_every_rung(case: Instance) -> None:
    critic = McShane(case.y[case.b > 0], case.exact.v[case.b > 0])
    best = replace(case, fx=critic.values(case.x), fy=critic.values(case.y))
    found = best.bounds(spectral_constant=1.0, clip_constant=1.0)
    for rung in ("raw", "clip_bound", "spectral", "slope", "c_transform"):
        assert getattr(found, rung) == pytest.approx(case.w1, rel=1e-9, abs=1e-9)
