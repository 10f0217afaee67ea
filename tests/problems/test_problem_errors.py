"""Every rule a problem's description or sample size can break is one line that says so."""

import numpy as np
import pytest

from otbench.errors import InputError, UnknownNameError
from otbench.problems import PROBLEMS, problem

GENERATED = sorted(set(PROBLEMS) - {"digits", "mnist", "patches", "arrays"})


def one_line(caught):
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("translatoin", "translation"), ("scalling", "scaling"), ("sphere", "spheres"), ("ball", "balls"),
     ("segment", "segments"), ("shared-mass", "shared_mass"), ("Lift", "lift"), ("digit", "digits"),
     ("array", "arrays"), ("funnel", "funnels"), ("mnits", "mnist"), ("patch", "patches")],
)  # fmt: skip
def test_an_unknown_problem_is_refused_with_the_nearest_name(typo, meant):
    message = f"unknown problem '{typo}': did you mean '{meant}'\\?"
    with pytest.raises(UnknownNameError, match=message) as caught:
        problem(typo, dim=2)
    one_line(caught)


def test_a_name_near_to_nothing_is_refused_with_all_the_names():
    with pytest.raises(UnknownNameError, match="known: arrays, balls, digits, funnels, lift, ") as caught:
        problem("zzzzzzzz", dim=2)
    assert all(name in one_line(caught) for name in PROBLEMS)


@pytest.mark.parametrize(
    ("name", "typo", "meant"),
    [("translation", "shfit", "shift"), ("translation", "dims", "dim"), ("scaling", "factors", "factor"),
     ("spheres", "iner", "inner"), ("balls", "outter", "outer"), ("segments", "teta", "theta"),
     ("shared_mass", "overlaps", "overlap"), ("lift", "rigth", "right"),
     ("digits", "comparision", "comparison"), ("arrays", "sha", "sha256"),
     ("funnels", "powr", "power"), ("mnist", "digits", "digit"), ("patches", "bluring", "blur")],
)  # fmt: skip
def test_an_unknown_field_is_refused_with_the_nearest_name(name, typo, meant):
    message = f"unknown field of problem '{name}' '{typo}': did you mean '{meant}'\\?"
    with pytest.raises(UnknownNameError, match=message) as caught:
        problem(name, **{typo: 1})
    one_line(caught)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("translation", {"dim": True}, "dim: .*valid integer; got True"),
        ("translation", {"dim": "2"}, "dim: .*valid integer; got '2'"),
        ("translation", {"dim": 2.5}, "dim: .*integer.*; got 2.5"),
        ("translation", {"dim": None}, "dim: .*valid integer; got None"),
        ("translation", {}, "dim: field required"),
        ("translation", {"dim": 2, "shift": "1"}, "shift: .*valid number; got '1'"),
        ("translation", {"dim": 2, "shift": True}, "shift: .*valid number; got True"),
        ("translation", {"dim": 2, "shift": float("nan")}, "shift: .*; got nan"),
        ("translation", {"dim": 2, "shift": float("inf")}, "shift: .*finite number; got inf"),
        ("translation", {"dim": 2, "law": "gausian"}, "law: .*'gaussian', 'cube' or 'ball'; got 'gausian'"),
        ("translation", {"dim": 2, "law": 3}, "law: .*'gaussian', 'cube' or 'ball'; got 3"),
        ("lift", {"dim": 2, "left": "cauchy"}, "left: .*'normal'.*; got 'cauchy'"),
        ("shared_mass", {"dim": 2, "weights": "equal"}, "weights: .*'uniform' or 'mixture'; got 'equal'"),
        ("digits", {"digit": 1.5}, "digit: .*integer.*; got 1.5"),
        ("mnist", {"noise": "0.1"}, "noise: .*valid number; got '0.1'"),
        ("patches", {"dim": "192"}, "dim: input should be 192, 768 or 3072; got '192'"),
        ("patches", {"pixels": 1.0}, "pixels: .*valid integer; got 1.0"),
        ("patches", {"comparison": "halves"}, "comparison: .*'photographs', 'sides', 'same', .*; got 'halves'"),
        ("arrays", {"x": 5, "y": 6}, "x: .*valid string; got 5"),
        ("arrays", {}, "x: field required"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_field_the_rule_and_the_value(name, fields, message):
    with pytest.raises(InputError, match=f"problem '{name}': {message}") as caught:
        problem(name, **fields)
    one_line(caught)


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize("dim", [0, -3])
def test_a_dimension_below_one_is_refused_by_every_problem(name, dim):
    with pytest.raises(InputError, match=f"dim: .*greater than or equal to [12]; got {dim}") as caught:
        problem(name, dim=dim)
    one_line(caught)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("translation", {"shift": -1e101}, r"shift: .*greater than or equal to -10+; got -1e\+101"),
        ("translation", {"scale": 0.0}, "scale: .*greater than or equal to .*; got 0.0"),
        ("scaling", {"sigma": 0.0}, "sigma: .*greater than or equal to .*; got 0.0"),
        ("scaling", {"factor": -2.0}, "factor: .*greater than or equal to 0.0+1; got -2.0"),
        ("spheres", {"inner": 2.0, "outer": 1.0}, "inner must be below outer; got 2 and 1"),
        ("balls", {"inner": 1.0, "outer": 1.0}, "inner must be below outer; got 1 and 1"),
        ("balls", {"inner": 0.0}, "inner: .*greater than or equal to .*; got 0.0"),
        ("segments", {"dim": 1}, "dim: .*greater than or equal to 2; got 1"),
        ("shared_mass", {"overlap": 1.01}, "overlap: .*less than or equal to 1; got 1.01"),
        ("shared_mass", {"overlap": -0.01}, "overlap: .*greater than or equal to 0; got -0.01"),
        ("shared_mass", {"w1": 0.0}, "w1: .*greater than or equal to .*; got 0.0"),
        ("lift", {"scale": 0.0}, "scale: .*greater than or equal to .*; got 0.0"),
        ("funnels", {"power": 0.99}, "power: .*greater than or equal to 1; got 0.99"),
        ("funnels", {"funnels": 0}, "funnels: .*greater than or equal to 1; got 0"),
        ("funnels", {"half_width": 0.0}, "half_width: .*greater than .*; got 0.0"),
        ("funnels", {"half_width": 1e9}, "the map leaves its rays by .*, allowed are 1e-09: bring half_width .* to 1"),
        ("funnels", {"bias_scale": 1e12}, "the map leaves its rays by .*, allowed are 1e-09: bring half_width .* to 1"),
        ("funnels", {"sha256": "0"}, "sha256 names a pair from a file; own pairs have none: leave it out"),
        ("funnels", {"origin": "file"}, 'a pair from a file needs pairs = "FILE.npz" and origin = "file"'),
        ("funnels", {"origin": "own", "pairs": "a.npz"}, 'a pair from a file needs pairs = "FILE.npz" and origin = '),
        ("digits", {"dim": 63}, "dim: .*greater than or equal to 64; got 63"),
        ("digits", {"dim": 64, "digit": 10}, "digit: .*less than or equal to 9; got 10"),
        ("digits", {"dim": 64, "digit": 1, "other": 1}, "two classes must differ; got 1 twice"),
        ("digits", {"dim": 64, "shared": 1.5}, "shared: .*less than or equal to 1; got 1.5"),
        ("digits", {"dim": 64, "noise": 0.0}, "noise: .*greater than 0; got 0.0"),
        ("mnist", {"dim": 64}, "dim: .*greater than or equal to 784; got 64"),
        ("mnist", {"dim": 785}, "dim: .*less than or equal to 784; got 785"),
        ("mnist", {"dim": 784, "digit": 1, "other": 1}, "two classes must differ; got 1 twice"),
        ("patches", {}, "dim: input should be 192, 768 or 3072; got 2"),
        ("patches", {"dim": 192, "noise": 0.0}, "noise: .*greater than 0; got 0.0"),
        ("patches", {"dim": 192, "photograph": "face"}, "photograph: input should be 'china' or 'flower'; got 'face'"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_rule_and_the_value(name, fields, message):
    with pytest.raises(InputError, match=f"problem '{name}': {message}") as caught:
        problem(name, **{"dim": 2, **fields})
    one_line(caught)


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize(("n", "m"), [(0, None), (-1, None), (4, 0)])
def test_a_sample_without_points_is_refused(name, n, m):
    with pytest.raises(InputError, match=r"sample size [nm] must be a whole number of at least 1; got ") as caught:
        problem(name, dim=2).sample(n, m)
    one_line(caught)


@pytest.mark.parametrize("name", GENERATED)
def test_coupled_samples_of_unequal_sizes_are_refused(name):
    with pytest.raises(InputError, match="n must equal m; got 4 and 5") as caught:
        problem(name, dim=2).sample(4, 5, mode="coupled")
    one_line(caught)


@pytest.mark.parametrize("name", ["translation", "shared_mass", "digits"])
def test_an_unknown_mode_is_refused_never_taken_for_another(name):
    with pytest.raises(InputError, match="coupeld"):
        problem(name, dim=64).sample(4, mode="coupeld")


@pytest.mark.parametrize("name", ["translation", "digits"])
@pytest.mark.parametrize("size", [2.5, "5", True])
def test_a_sample_size_that_is_no_integer_is_refused(name, size):
    with pytest.raises(InputError):
        problem(name, dim=64).sample(size)


@pytest.mark.parametrize("name", ["translation", "shared_mass", "digits"])
def test_a_size_counted_by_numpy_gives_the_same_points(name):
    p = problem(name, dim=64)
    assert np.array_equal(p.sample(np.int64(6)).x, p.sample(6).x)


@pytest.mark.parametrize(("n", "m"), [(1, None), (4, 1)])
def test_mixture_weights_need_a_point_for_each_component(n, m):
    with pytest.raises(InputError, match="mixture weights need at least 2 points, one a component") as caught:
        problem("shared_mass", dim=2, weights="mixture").sample(n, m)
    one_line(caught)


def test_a_description_cannot_be_changed_after_it_was_validated():
    with pytest.raises(ValueError, match="frozen"):
        problem("translation", dim=2).shift = -1.0


@pytest.mark.parametrize("n", [2**40, 2**62, np.int64(2**40)])
@pytest.mark.parametrize("name", ["translation", "spheres", "funnels"])
def test_more_points_than_fit_in_memory_are_refused_before_any_is_drawn(name, n):
    subject = problem(name, dim=3)
    message = r"a sample of \d+ \+ \d+ points in 3 dimensions takes [\d.]+ GiB to draw, [\d.]+ GiB are free"
    with pytest.raises(InputError, match=message):
        subject.sample(n)
    with pytest.raises(InputError, match=message):
        subject.fresh(int(n), 2, 0, 0)
