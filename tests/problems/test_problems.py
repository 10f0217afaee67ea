"""Closed forms against independent routes, and coupled and independent sampling against the exact solver."""

import numpy as np
import pytest
from families import FAMILIES, OWN_DIMS, SIGMAS, cases
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from otbench.problems import PROBLEMS, problem
from otbench.transport.exact import solve_exact

WITHOUT_CLOSED_FORM = {"digits", "mnist", "arrays"}
SINGULAR = {"spheres", "segments"}
WITHOUT_OVERLAP = {
    name for name, (fields, *_) in FAMILIES.items()
    if problem(name, dim=OWN_DIMS.get(name, (2,))[0], **fields).population_overlap is None
}  # fmt: skip
DISTRIBUTIONS = {
    "normal": stats.norm, "uniform": stats.uniform, "laplace": stats.laplace,
    "logistic": stats.logistic, "exponential": stats.expon,
}  # fmt: skip


def potential(name, dim, fields, points):
    """A 1-Lipschitz f with W1 = |E f(X) - E f(Y)|."""
    if name == "funnels":
        return problem(name, dim=dim, **fields).potential(points)
    if name in {"scaling", "spheres", "balls"}:
        return np.linalg.norm(points, axis=1)
    if fields.get("direction") == "diagonal" or name == "patches":
        return points.sum(axis=1) / points.shape[1] ** 0.5
    return points[:, 0]


def log_ratio(name, fields, dim, x):
    """log q(x)/p(x), for x drawn from P."""
    with np.errstate(divide="ignore"):
        if name == "lift":
            left = DISTRIBUTIONS[fields["left"]].logpdf(x[:, 0])
            right = DISTRIBUTIONS[fields["right"]].logpdf(x[:, 0], fields["location"], fields["scale"])
            return right - left
        if name == "scaling":
            sigma, factor = fields.get("sigma", 1.0), fields["factor"]
            return (stats.norm.logpdf(x, 0, factor * sigma) - stats.norm.logpdf(x, 0, sigma)).sum(axis=1)
        if name == "balls":
            return np.full(len(x), dim * np.log(fields["inner"] / fields["outer"]))
        if name in {"shared_mass", "partial_move"}:
            moved, side = 1 - fields["overlap"], fields.get("w1", fields.get("width"))
            t = side / (moved if name == "shared_mass" else 1) / 2 * np.eye(1, dim)
            shared, p, q = ((abs(x - c) <= side / 2).all(axis=1) for c in (0 * t, -t, t))
            base = fields["overlap"] * shared
            return np.log(base + moved * q) - np.log(base + moved * p)
        way = np.eye(1, dim)[0] if fields["direction"] == "axis" else np.full(dim, dim**-0.5)
        m = fields["shift"] * way
        if fields["law"] == "gaussian":
            z = x / fields["scale"]
            return (stats.norm.logpdf(z - m / fields["scale"]) - stats.norm.logpdf(z)).sum(axis=1)
        if fields["law"] == "cube":
            return np.log((abs(x - m) <= fields["scale"] / 2).all(axis=1))
        return np.log(np.linalg.norm(x - m, axis=1) <= fields["scale"])


def test_every_problem_is_either_tested_here_or_has_no_closed_form():
    assert set(FAMILIES) | WITHOUT_CLOSED_FORM == set(PROBLEMS)


@cases(1, 2, 3, 8, 32)
def test_any_closed_form_w1_is_the_mean_length_of_the_coupling(name, dim, fields):
    p = problem(name, dim=dim, **fields)
    pair = p.sample(20_000, mode="coupled")
    assert abs(pair.coupled_w1 - p.population_w1) <= SIGMAS * np.hypot(pair.coupled_stderr, p.population_stderr) + 1e-12


@cases(1, 2, 8, leave_out={"lift"})
def test_any_closed_form_w1_is_the_dual_value_of_its_potential_on_independent_samples(name, dim, fields):
    p = problem(name, dim=dim, **fields)
    pair = p.sample(20_000, 25_000)
    f, g = (potential(name, dim, fields, z) for z in (pair.x, pair.y))
    own = pair.a**2 @ (f - pair.a @ f) ** 2 + pair.b**2 @ (g - pair.b @ g) ** 2
    stderr = np.sqrt(own + p.population_stderr**2)
    assert abs(abs(pair.a @ f - pair.b @ g) - p.population_w1) <= SIGMAS * stderr + 1e-12


@cases(1, leave_out=OWN_DIMS)
def test_any_closed_form_w1_on_the_line_is_that_of_sorted_independent_samples(name, dim, fields):
    p = problem(name, dim=dim, **fields)
    pair = p.sample(100_000)
    observed = stats.wasserstein_distance(pair.x[:, 0], pair.y[:, 0], pair.a, pair.b)
    spread = pair.x.std() + pair.y.std()
    assert abs(observed - p.population_w1) <= SIGMAS * spread / 100_000**0.5


@cases(1, 2, 3, 8, leave_out=SINGULAR | WITHOUT_OVERLAP)
def test_any_closed_form_overlap_is_the_mean_of_the_clipped_density_ratio(name, dim, fields):
    p = problem(name, dim=dim, **fields)
    pair = p.sample(40_000)
    shared = np.minimum(1, np.exp(log_ratio(name, fields, dim, pair.x)))
    stderr = np.sqrt(pair.a**2 @ (shared - pair.a @ shared) ** 2)
    assert abs(pair.a @ shared - p.population_overlap) <= SIGMAS * (stderr + 1 / 40_000)


@pytest.mark.parametrize("way", ["axis", "diagonal"])
@pytest.mark.parametrize("steps", [0, 3, 10, 15])
def test_the_overlap_of_translated_cubes_is_the_share_of_grid_cells_that_stay_inside(way, steps):
    cells, dim = 10, 3
    moved = np.array([steps] + [steps if way == "diagonal" else 0] * (dim - 1))
    grid = np.stack(np.meshgrid(*[np.arange(cells)] * dim), axis=-1).reshape(-1, dim)
    counted = (grid + moved < cells).all(axis=1).mean()
    shift = 2.0 * float(np.linalg.norm(moved)) / cells
    p = problem("translation", dim=dim, law="cube", direction=way, shift=shift, scale=2.0)
    assert p.population_overlap == pytest.approx(counted, abs=1e-12)


@pytest.mark.parametrize("z", [0.0, 0.1, 0.5, 0.999, 1.0, 1.7])
def test_the_overlap_of_balls_is_elementary_geometry_on_the_line_and_in_the_plane(z):
    r = 1.5
    line, plane = (problem("translation", dim=d, law="ball", shift=2 * r * z, scale=r) for d in (1, 2))
    h = min(z, 1.0)
    assert line.population_overlap == pytest.approx(1 - h, abs=1e-12)
    lens = 2 / np.pi * (np.arccos(h) - h * np.sqrt(1 - h**2))
    assert plane.population_overlap == pytest.approx(lens, abs=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 5, 64, 3072])
@pytest.mark.parametrize("factor", [0.1, 0.9, 1 + 1e-6, 4.0])
def test_the_overlap_and_w1_of_scaled_gaussians_are_those_of_chi_square_and_chi(dim, factor):
    sigma = 0.3
    s1, s2 = sorted((sigma, sigma * factor))
    r2 = 2 * dim * np.log(s2 / s1) * s1**2 * s2**2 / (s2**2 - s1**2)
    tv = stats.chi2.cdf(r2 / s1**2, dim) - stats.chi2.cdf(r2 / s2**2, dim)
    p = problem("scaling", dim=dim, sigma=sigma, factor=factor)
    assert p.population_overlap == pytest.approx(1 - tv, abs=1e-8)
    assert p.population_w1 == pytest.approx(abs(factor - 1) * sigma * stats.chi.mean(dim), rel=1e-9)


def test_equal_laws_overlap_wholly_at_no_distance():
    for p in (problem("scaling", dim=3, factor=1.0), problem("translation", dim=3, shift=0.0),
              problem("segments", dim=3, theta=0.0), problem("shared_mass", dim=3, overlap=1.0),
              problem("lift", dim=3, left="normal", right="normal", location=0.0)):  # fmt: skip
        assert (p.population_w1, p.population_overlap) == (0.0, pytest.approx(1.0, abs=1e-8))


@pytest.mark.parametrize("name", sorted(SINGULAR))
def test_laws_on_disjoint_supports_overlap_nowhere(name):
    assert problem(name, dim=4).population_overlap == 0.0


@pytest.mark.parametrize("law", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("location", [-1.0, 1000.0])
def test_the_w1_of_a_translated_law_on_the_line_is_the_translation(law, location):
    p = problem("lift", dim=2, left=law, right=law, location=location)
    assert p.population_w1 == pytest.approx(abs(location), rel=1e-8)


@pytest.mark.parametrize("law", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("scale", [1e-3, 3.0, 1000.0])
def test_the_w1_of_a_law_scaled_about_zero_is_its_first_absolute_moment(law, scale):
    p = problem("lift", dim=2, left=law, right=law, location=0.0, scale=scale)
    first = 2 * integrate.quad(DISTRIBUTIONS[law].sf, 0, np.inf)[0]  # a symmetric law has two such halves
    first /= 1 if DISTRIBUTIONS[law].cdf(0) > 0 else 2
    assert p.population_w1 == pytest.approx(abs(scale - 1) * first, rel=1e-7)


@pytest.mark.parametrize("scale", [1e-3, 0.1, 3.0, 30.0, 1000.0])
def test_the_overlap_of_scaled_normals_is_that_of_the_scaling_problem(scale):
    p = problem("lift", dim=1, left="normal", right="normal", location=0.0, scale=scale)
    assert p.population_overlap == pytest.approx(
        problem("scaling", dim=1, factor=scale).population_overlap, abs=1e-8
    )


@pytest.mark.parametrize("law", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("location", [-0.3, 1.0, 50.0])
def test_the_overlap_of_a_translated_unimodal_law_on_the_line_is_two_tails(law, location):
    p = problem("lift", dim=1, left=law, right=law, location=location)
    shift, sf = abs(location), DISTRIBUTIONS[law].sf
    tails = sf(shift) if law == "exponential" else 2 * sf(DISTRIBUTIONS[law].median() + shift / 2)
    assert p.population_overlap == pytest.approx(tails, abs=1e-8)


@pytest.mark.parametrize(("location", "overlap"), [(0.0, 1 - np.exp(-1)), (1.0, 0.0), (3.0, 0.0)])
def test_the_overlap_of_a_uniform_and_an_exponential_law_is_elementary(location, overlap):
    p = problem("lift", dim=1, left="uniform", right="exponential", location=location)
    assert p.population_overlap == pytest.approx(overlap, abs=1e-8)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("place", range(len(DISTRIBUTIONS)))
def test_the_w1_of_any_two_laws_on_the_line_is_that_of_their_quantiles(place, steps):
    laws = sorted(DISTRIBUTIONS)
    left, right = laws[place], laws[(place + steps) % len(laws)]
    p = problem("lift", dim=1, left=left, right=right, location=0.4, scale=1.7)
    level = (np.arange(200_000) + 0.5) / 200_000
    observed = stats.wasserstein_distance(
        DISTRIBUTIONS[left].ppf(level), DISTRIBUTIONS[right].ppf(level, 0.4, 1.7)
    )
    assert observed == pytest.approx(p.population_w1, abs=2e-5)


@cases(1, 2, 8, 32)
def test_under_coupled_sampling_exact_w1_is_the_mean_length_of_the_coupling(name, dim, fields):
    pair = problem(name, dim=dim, **fields).sample(40, mode="coupled", seed=3)
    assert solve_exact(pair.x, pair.y, pair.a, pair.b).w1 == pytest.approx(pair.coupled_w1, rel=1e-9)


@cases(1, 3, 16)
def test_under_independent_sampling_exact_w1_obeys_the_triangle_through_the_images(name, dim, fields):
    pair = problem(name, dim=dim, **fields).sample(30, 41, seed=3)
    primal = solve_exact(pair.x, pair.y, pair.a, pair.b).w1
    detour = solve_exact(pair.images, pair.y, pair.a, pair.b).w1
    assert abs(primal - pair.coupled_w1) <= detour * (1 + 1e-9)


@cases(2)
@pytest.mark.parametrize("mode", ["coupled", "independent"])
def test_the_same_arguments_give_the_same_bits_and_another_seed_other_points(name, dim, fields, mode):
    one, same, other = (problem(name, dim=dim, **fields).sample(16, mode=mode, seed=s) for s in (7, 7, 8))
    for part in ("x", "y", "a", "b", "images"):
        assert getattr(one, part).tobytes() == getattr(same, part).tobytes()
    assert not (one.x == other.x).all(axis=1).any()


@cases(2)
def test_independent_samples_come_from_two_streams(name, dim, fields):
    pair = problem(name, dim=dim, **fields).sample(50)
    assert pair.coincident() == 0
    assert not (pair.images == pair.y).all(axis=1).any()


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("weights", ["uniform", "mixture"])
def test_shared_mass_keeps_w1_and_shares_what_its_knob_says(overlap, weights):
    p = problem("shared_mass", dim=3, overlap=overlap, w1=1.5, weights=weights)
    assert (p.population_w1, p.population_overlap) == (1.5 if overlap < 1 else 0.0, overlap)
    pair = p.sample(4000, mode="coupled")
    spread = 0 if weights == "mixture" else SIGMAS * (overlap * (1 - overlap) / 4000) ** 0.5
    assert abs(pair.coincident() - overlap) <= spread + 1e-12
    assert abs(pair.coupled_w1 - p.population_w1) <= SIGMAS * pair.coupled_stderr + 1e-12
    small = p.sample(30, mode="coupled")
    exact = solve_exact(small.x, small.y, small.a, small.b).w1
    assert exact == pytest.approx(small.coupled_w1, rel=1e-9, abs=1e-15)
    assert exact == pytest.approx(p.population_w1, rel=1e-9) or weights == "uniform"


def test_drawing_leaves_numpys_global_state_alone():
    before = np.random.get_state()[1].tobytes()
    problem("translation", dim=2).sample(10)
    assert np.random.get_state()[1].tobytes() == before


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(["scaling", "balls", "shared_mass"]))
@settings(max_examples=15, deadline=None)
def test_w1_is_homogeneous_and_invariant_under_rotation_and_common_translation(seed, name):
    pair = problem(name, dim=3).sample(12, 17, seed=seed)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    shift, factor = rng.standard_normal(3), -np.exp(rng.uniform(-5, 5))
    x, y = ((z @ rotation + shift) * factor for z in (pair.x, pair.y))
    expected = -factor * solve_exact(pair.x, pair.y, pair.a, pair.b).w1
    assert solve_exact(x, y, pair.a, pair.b).w1 == pytest.approx(expected, rel=1e-9)
