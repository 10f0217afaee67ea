"""The laws of every problem at negative, zero, tiny and huge values of its fields; what leaves the range is refused."""

import itertools

import numpy as np
import pytest
from families import FAMILIES, OWN_DIMS, SIGMAS

from otbench.errors import InputError
from otbench.problems import PROBLEMS, problem

SIZES = [1e-100, 1e-8, 1.0, 1e8, 1e100]
SIGNED = [*(-size for size in SIZES), 0.0, *SIZES]
RANGES = {
    "translation": [
        {"law": law, "direction": way, "shift": shift, "scale": scale}
        for law in ("gaussian", "cube", "ball") for way in ("axis", "diagonal")
        for shift in SIGNED for scale in SIZES
    ],
    "scaling": [{"sigma": s, "factor": f} for s in SIZES for f in (1e-12, 0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0, 1e12)],
    "spheres": [{"inner": low, "outer": high} for low, high in itertools.combinations(SIZES, 2)],
    "balls": [{"inner": low, "outer": high} for low, high in itertools.combinations(SIZES, 2)],
    "segments": [{"theta": theta} for theta in SIGNED],
    "shared_mass": [
        {"overlap": overlap, "w1": w1, "weights": weights}
        for overlap in (0.0, 0.5, 1 - 1e-9, 1.0) for w1 in SIZES for weights in ("uniform", "mixture")
    ],
    "partial_move": [
        {"overlap": overlap, "width": width, "weights": weights}
        for overlap in (0.0, 0.5, 1 - 1e-9, 1.0) for width in SIZES for weights in ("uniform", "mixture")
    ],
    "lift": [
        {"left": left, "right": right, "location": location, "scale": scale}
        for left, right, location, scale in (
            ("normal", "laplace", -1e8, 1e-8), ("exponential", "uniform", -1.0, 1e8),
            ("logistic", "logistic", 0.0, 1.0),
            ("normal", "normal", 1e-8, 1e-8), ("uniform", "logistic", 1e8, 1e8),
        )
    ],
    "funnels": [
        {"funnels": count, "half_width": width, "power": power, "bias_scale": bias}
        for count, width, bias in ((1, 1e-100, 0.0), (5, 1e-8, 0.0), (5, 1.0, 1.0), (7, 2.5, 0.0), (3, 1e6, 1e5))
        for power in (1.0, 1.5, 8.0, 32.0)
    ],
    "patches": [
        {"comparison": kind, "brightness": level, "photograph": photograph, "blur": 0.25, "pixels": 0, "noise": 1.0}
        for kind, level in (("same", 1.0), ("moved", 1.0), *(("brighter", b) for b in (-1.0, 0.0, 1e-6, 1.0)))
        for photograph in ("china", "flower")
    ],
}  # fmt: skip

#: What a shift may be of the sample's own size, and less: below, x + shift is x in the last places.
FELT = 1e-6


families = pytest.mark.parametrize("name", RANGES)


def made(name, fields):
    return problem(name, dim=OWN_DIMS.get(name, (3,))[0], **fields)


def lost(fields):
    """Whether a translation is lost in the rounding of the points it moves."""
    return 0 < abs(fields.get("shift", 0.0)) < FELT * fields.get("scale", 0.0)


def test_every_family_with_laws_is_here():
    assert set(RANGES) == set(FAMILIES)


@families
def test_the_coupling_is_as_long_as_w1_and_runs_along_the_rays(name):
    for fields in RANGES[name]:
        if not lost(fields):
            the_coupling_keeps_its_laws(made(name, fields))


def the_coupling_keeps_its_laws(p):
    pair = p.sample(200, mode="coupled", seed=5)
    stderr = np.hypot(pair.coupled_stderr, p.population_stderr)
    moved = pair.coupled_w1 > 0 or p.population_overlap in (None, 0.0)  # else too little mass moves to be drawn
    assert not moved or abs(pair.coupled_w1 - p.population_w1) <= SIGMAS * stderr + 1e-9 * p.population_w1, p
    assert p.population_w1 >= 0, p
    if pair.rays is not None and pair.coupled_w1 > 0:
        lengths = np.linalg.norm(pair.rays, axis=1)
        assert np.logical_or(np.abs(lengths - 1) <= 1e-12, lengths == 0).all(), p
        assert 0.99 <= pair.ray_cosine <= 1 + 1e-12, p


@families
def test_divergences_keep_their_ranges_and_inequalities(name):
    for p in (made(name, fields) for fields in RANGES[name]):
        overlap, js, kl = p.population_overlap, p.population_js, p.population_kl
        tv = 1 if overlap is None else 1 - overlap
        assert -1e-9 <= tv <= 1 + 1e-9, p
        if js is not None:
            assert tv**2 / 2 - 1e-9 <= js <= tv * np.log(2) + 1e-9, p
            assert kl >= 2 * tv**2 - 1e-9, p


@pytest.mark.parametrize("shift", [-7.0, -1e-3, 1e-3, 7.0])
@pytest.mark.parametrize("law", ["gaussian", "cube", "ball"])
def test_a_shift_and_its_negative_are_equally_far(law, shift):
    one, other = (problem("translation", dim=3, law=law, shift=s) for s in (shift, -shift))
    for name in ("population_w1", "population_overlap", "population_js", "population_kl"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("name", ["translation", "segments"])
@pytest.mark.parametrize("size", [-2.0, -1e-6, 1e-6, 2.0])
def test_the_derivative_of_the_points_is_that_of_their_difference_quotient(name, size):
    field = {"translation": "shift", "segments": "theta"}[name]
    one, other = (problem(name, dim=3, **{field: value}) for value in (size, size + 1))
    here, there = (p.coupling(np.random.default_rng(0), 9)[1] for p in (one, other))
    np.testing.assert_allclose(one.velocity(here), there - here, atol=1e-12)


@pytest.mark.parametrize(("name", "field"), [
    ("translation", "shift"), ("translation", "scale"), ("scaling", "sigma"), ("scaling", "factor"),
    ("spheres", "outer"), ("balls", "inner"), ("segments", "theta"), ("shared_mass", "w1"), ("lift", "location"),
    ("lift", "scale"), ("funnels", "half_width"), ("funnels", "power"), ("funnels", "bias_scale"),
])  # fmt: skip
@pytest.mark.parametrize("value", [1e101, 1e308, float("inf"), float("nan")])
def test_a_value_whose_squares_leave_float64_is_refused_in_one_line(name, field, value):
    with pytest.raises(InputError) as error:
        problem(name, dim=3, **{field: value})
    assert "\n" not in str(error.value)


def test_no_field_of_a_family_is_left_out():
    settled = {"name", "dim", "pair_seed", "origin", "sha256"}
    for name, family in RANGES.items():
        assert set(PROBLEMS[name].model_fields) - settled == set(family[0])
