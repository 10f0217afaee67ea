"""An audit of unlike samples with weights, some of them 0, field by field against arithmetic of its own."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from otbench.methods import Job, method
from otbench.methods.audit import audit
from otbench.methods.mlp import Mlp
from otbench.transport.alignment import alignment
from otbench.transport.exact import solve_exact
from otbench.types import Alignment, Array, Plan, SamplePair


def unlike_samples() -> SamplePair:
    """Samples of unlike sizes, laws and weights; two atoms of either side have none."""
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((9, 3)), 0.5 + 1.5 * rng.standard_normal((6, 3))
    a, b = rng.uniform(0.5, 2.0, 9), rng.uniform(0.5, 2.0, 6)
    a[[0, 4]] = b[[2, 5]] = 0.0
    return SamplePair(x, y, a / a.sum(), b / b.sum())


PAIR = unlike_samples()
CLIP = 0.4


def clipped() -> Mlp:
    """Two hidden layers whose parameters lie within CLIP, some of them at it, and that is high on x."""
    rng = np.random.default_rng(17)
    shapes = [(3, 7), (7, 4), (4, 1)]
    weights = [np.clip(rng.normal(0, 0.4, shape), -CLIP, CLIP) for shape in shapes]
    biases = [np.clip(rng.normal(0, 0.3, shape[1]), -CLIP, CLIP) for shape in shapes]
    critic = Mlp(weights, biases, "relu", CLIP)
    raw = PAIR.a @ critic.values(PAIR.x) - PAIR.b @ critic.values(PAIR.y)
    return critic if raw > 0 else Mlp([*weights[:-1], -weights[-1]], [*biases[:-1], -biases[-1]], "relu", CLIP)


def least_cost(cost: Array, a: Array, b: Array) -> tuple[float, Array]:
    n, m = cost.shape
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    found = linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([a, b]), method="highs-ds")
    return float(found.fun), np.asarray(found.x).reshape(n, m)


def test_every_field_of_an_audit_is_what_arithmetic_of_its_own_gives() -> None:
    critic, (x, y, a, b) = clipped(), (PAIR.x, PAIR.y, PAIR.a, PAIR.b)
    bounds = audit(critic, x, y, a, b)
    fx, fy, cost = critic.values(x), critic.values(y), cdist(x, y)
    rows, cols = a > 0, b > 0
    raw = a @ fx - b @ fy
    assert bounds.raw == pytest.approx(raw, rel=1e-9)
    assert bounds.raw_error == pytest.approx(256 * 2.0**-52 * max(np.abs(fx).max(), np.abs(fy).max()))
    slopes = ((fx[:, None] - fy) / cost)[rows][:, cols]
    assert slopes.max() < ((fx[:, None] - fy) / cost).max(), "an atom without mass would bind"
    assert bounds.slope_constant == pytest.approx(slopes.max(), rel=1e-12)
    assert bounds.slope == pytest.approx(raw / slopes.max(), rel=1e-9)
    assert bounds.clip_constant == pytest.approx(CLIP**3 * math.sqrt(3) * 7 * 4)
    assert bounds.clip_bound == pytest.approx(raw / (CLIP**3 * math.sqrt(3) * 7 * 4))
    spectral = math.prod(np.linalg.norm(weights, 2) for weights in critic.weights)
    assert bounds.spectral_constant == pytest.approx(spectral, rel=1e-6)
    assert bounds.spectral == pytest.approx(raw / spectral, rel=1e-6)
    here = cost[rows][:, cols]
    one_sided = b[cols] @ here.min(axis=0), a[rows] @ here.min(axis=1)
    assert bounds.nearest == pytest.approx(max(one_sided))
    primal, plan = least_cost(cost, a, b)
    assert bounds.primal == pytest.approx(primal, rel=1e-9)
    s = bounds.scale
    assert s > 0, "the critic adds something to the bound that needs none"
    of_x = s * (a @ fx) + b[cols] @ (here - s * fx[rows, None]).min(axis=0)
    of_y = -s * (b @ fy) + a[rows] @ (here + s * fy[cols]).min(axis=1)
    assert bounds.c_transform == pytest.approx(max(of_x, of_y), rel=1e-12)
    assert bounds.skill == pytest.approx((bounds.c_transform - max(one_sided)) / (primal - max(one_sided)), rel=1e-6)
    assert bounds.k_eff == pytest.approx(1 / s)
    gradients = critic.gradients(x), critic.gradients(y)
    assert_alignment(bounds.alignment, *gradients, plan)
    assert bounds.saturation is None or 0 < bounds.saturation < 1


def assert_alignment(found: Alignment | None, gx: Array, gy: Array, plan: Array) -> None:
    """Ray by ray of a plan's matrix."""
    assert found is not None
    total = along = 0.0
    for i, j in zip(*np.nonzero(plan > 1e-12), strict=True):
        ray = PAIR.x[i] - PAIR.y[j]
        total += plan[i, j]
        along += plan[i, j] * (gx[i] @ ray) / (np.linalg.norm(gx[i]) * np.linalg.norm(ray))
    assert found.plan_cosine == pytest.approx(along / total, rel=1e-9)
    norms = [np.linalg.norm(g) for gradients, w in ((gx, PAIR.a), (gy, PAIR.b)) for g in gradients[w > 0]]
    told = found.grad_norm_mean, found.grad_norm_min, found.grad_norm_max
    assert told == pytest.approx((sum(norms) / len(norms), min(norms), max(norms)))


def test_gradients_at_atoms_without_mass_of_either_side_count_for_nothing() -> None:
    rng = np.random.default_rng(3)
    gx, gy = rng.standard_normal((9, 3)), rng.standard_normal((6, 3))
    _, plan = least_cost(cdist(PAIR.x, PAIR.y), PAIR.a, PAIR.b)
    rows, cols = np.nonzero(plan > 1e-12)
    sparse = Plan(rows, cols, plan[rows, cols])
    before = alignment(PAIR, sparse, gx, gy)
    assert_alignment(before, gx, gy, plan)
    gx[[0, 4]], gy[[2, 5]] = 1e3, 1e-3
    assert alignment(PAIR, sparse, gx, gy) == before
    gy[0] = 1e3
    assert alignment(PAIR, sparse, gx, gy).grad_norm_max == pytest.approx(1e3 * math.sqrt(3))


def test_known_rays_are_weighed_by_the_mass_of_their_points() -> None:
    """Of x alone: mean |g - r|^2, its least over multiples of g, and which multiple that is."""
    rng = np.random.default_rng(4)
    rays = rng.standard_normal((9, 3))
    rays /= np.linalg.norm(rays, axis=1)[:, None]
    pair = SamplePair(PAIR.x, PAIR.y, PAIR.a, PAIR.b, images=PAIR.x - rays, rays=rays)
    gx, gy = 0.3 * rays + 0.2 * rng.standard_normal((9, 3)), rng.standard_normal((6, 3))
    found = alignment(pair, None, gx, gy)
    mass = PAIR.a
    products, squares = mass @ (gx * rays).sum(axis=1), mass @ (gx**2).sum(axis=1)
    assert found.cosine == pytest.approx(mass @ ((gx * rays).sum(axis=1) / np.linalg.norm(gx, axis=1)))
    assert found.gradient_l2 == pytest.approx(squares - 2 * products + 1)
    assert found.gradient_scale == pytest.approx(products / squares)
    assert found.gradient_l2_repaired == pytest.approx(1 - products**2 / squares)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_critic_of_the_wrong_sign_is_told_so_from_the_size_of_rounding_on(factor: float, dtype: torch.dtype) -> None:
    """256 units in the last place of the largest value, in the precision in which the critic computes."""
    eps = 2.0**-52 if dtype == torch.float64 else 2.0**-23
    size = 256 * eps * 1000.0

    class Constant(torch.nn.Module):
        """1000 but for one step down on x, of about the size of rounding."""

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            low = (z[:, 0] < 0).to(torch.float64)
            return (1000.0 - factor * size * low).to(dtype)

    x, y = [[-1.0], [-2.0]], [[1.0], [2.0]]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        bounds = audit(Constant(), x, y)
    assert bounds.raw_error == pytest.approx(size)
    assert [str(one.message).startswith("otbench.audit: wrong sign") for one in said] == [True] * (factor > 1)


def test_baselines_weigh_their_points_and_leave_those_without_mass_out() -> None:
    exact = solve_exact(PAIR.x, PAIR.y, PAIR.a, PAIR.b)
    job = Job(PAIR, 0, exact)
    (linear,), (potential,) = (method(name).fit([method(name)], [job], "cpu") for name in ("linear", "potential"))
    shift = PAIR.a @ PAIR.x - PAIR.b @ PAIR.y
    np.testing.assert_allclose(linear.values(PAIR.x), PAIR.x @ shift / np.linalg.norm(shift), rtol=1e-12)
    raw = PAIR.a @ potential.values(PAIR.x) - PAIR.b @ potential.values(PAIR.y)
    assert raw == pytest.approx(exact.w1, rel=1e-9)
    there = PAIR.b > 0
    due = (cdist(PAIR.x, PAIR.y[there]) - exact.v[there]).min(axis=1)
    np.testing.assert_allclose(potential.values(PAIR.x), due, rtol=1e-12)
