"""Methods as descriptions: what they refuse, what they equate, and the baselines' laws."""

import numpy as np
import pytest

from otbench.errors import InputError, UnknownNameError
from otbench.methods import METHODS, Job, WeightClip, method
from otbench.methods.functions import on_union
from otbench.transport.bounds import lower_bounds
from otbench.transport.dense import cost_matrix
from otbench.transport.exact import solve_exact
from otbench.types import Bounds, SamplePair


def ladder(name: str, pair: SamplePair) -> Bounds:
    exact = solve_exact(pair.x, pair.y, pair.a, pair.b)
    recipe = method(name)
    critic = type(recipe).fit([recipe], [Job(pair, 0, exact)], "cpu")[0].critic
    assert critic is not None
    fx, fy, *_ = on_union(critic, pair.x, pair.y)
    _, spectral = critic.constants()
    cost = cost_matrix(pair.x, pair.y)
    return lower_bounds(fx, fy, cost, pair.a, pair.b, spectral_constant=spectral, primal=exact.w1)


def pairs() -> list[SamplePair]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 3)), rng.standard_normal((12, 3)) + 1
    return [SamplePair(x, y), SamplePair(x, y, np.arange(9) / 36, np.arange(12) / 66), SamplePair(x, x + 2.0)]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"clipp": 0.1}, "unknown field of method 'weight_clip' 'clipp': did you mean 'clip'?"),
        ({"optimizer": "adam"}, "unknown field of method .*'optimizer': did you mean 'optimiser'?"),
        ({"clip": "0.1"}, "clip: input should be a valid number.*; got '0.1'"),
        ({"clip": 0.0}, "clip: input should be greater than 0; got 0.0"),
        ({"clip": -0.01}, "clip: input should be greater than 0; got -0.01"),
        ({"clip": float("inf")}, "clip: input should be a finite number; got inf"),
        ({"clip": float("nan")}, "clip: input should be .*; got nan"),
        ({"clip": None}, "clip: input should be a valid number; got None"),
        ({"widths": (64, 32), "depth": 3}, r"depth 3 does not fit widths \[64, 32\]; give one width"),
        ({"widths": 1.5}, "widths: input should be a valid tuple; got 1.5"),
        ({"widths": (64, "32")}, r"widths.1: input should be a valid integer; got '32'"),
        ({"widths": (64, 0)}, r"widths must be at least 1; got \[64, 0\]"),
        ({"widths": True}, "widths: input should be a valid tuple; got True"),
        ({"depth": -1}, "depth"),
        ({"depth": 2**63}, "depth must be at most 1000; got 9223372036854775808"),
        ({"depth": 1.5}, "depth: input should be a valid integer; got 1.5"),
        ({"depth": True}, "depth: input should be a valid integer; got True"),
        ({"betas": (0.9, 1.0)}, r"betas must lie in \[0, 1\); got \[0.9, 1.0\]"),
        ({"betas": (-0.1, 0.9)}, r"betas must lie in \[0, 1\); got \[-0.1, 0.9\]"),
        ({"betas": (0.9,)}, "betas"),
        ({"batch": 0}, 'batch must be at least 1, or "full"; got 0'),
        ({"batch": -5}, 'batch must be at least 1, or "full"; got -5'),
        ({"batch": "all"}, "batch"),
        ({"batch": 1.5}, "batch"),
        ({"steps": -1}, "steps: input should be greater than or equal to 0; got -1"),
        ({"steps": 10.0}, "steps: input should be a valid integer; got 10.0"),
        ({"lr": 0.0}, "lr: input should be greater than 0; got 0.0"),
        ({"eps": 0.0}, "eps: input should be greater than 0; got 0.0"),
        ({"smoothing": 1.0}, "smoothing: input should be less than 1; got 1.0"),
        ({"activation": "gelu"}, "activation: input should be 'relu', 'leaky_relu' or 'tanh'; got 'gelu'"),
        ({"clip_when": "never"}, "clip_when: input should be 'after' or 'before'; got 'never'"),
        ({"dtype": "float16"}, "dtype: input should be 'float32'.*.*'float64'.*; got 'float16'"),
    ],
)
def test_a_field_that_breaks_a_rule_is_refused_in_one_line(fields: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text) as refused:
        method("weight_clip", **fields)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(("method 'weight_clip': ", "unknown field"))


def test_an_unknown_method_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="unknown method 'weight_clipp': did you mean 'weight_clip'"):
        method("weight_clipp")
    known = ", ".join(sorted(METHODS))
    with pytest.raises(UnknownNameError, match=f"unknown method 'xyz': known: {known}"):
        method("xyz")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_frozen_and_knows_its_name(name: str) -> None:
    recipe = method(name)
    assert recipe.name == name
    assert recipe == method(name)
    with pytest.raises(Exception, match="frozen"):
        recipe.name = "other"


@pytest.mark.parametrize(
    ("fields", "widths"),
    [
        ({"widths": 128, "depth": 3}, (128, 128, 128)),
        ({"widths": [128], "depth": 2}, (128, 128)),
        ({"widths": 32}, (32,)),
        ({"depth": 3}, (64, 64, 64)),
        ({"depth": 0}, ()),
        ({"widths": 16, "depth": 0}, ()),
        ({"widths": []}, ()),
        ({"widths": [5, 6], "depth": 2}, (5, 6)),
        ({}, (64, 64)),
    ],
)
def test_one_width_is_repeated_depth_times(fields: dict[str, object], widths: tuple[int, ...]) -> None:
    recipe = method("weight_clip", **fields)
    assert isinstance(recipe, WeightClip)
    assert (recipe.widths, recipe.depth) == (widths, len(widths))


def test_a_method_written_out_and_read_back_is_the_same() -> None:
    recipe = WeightClip(widths=(7, 5), clip=0.3, betas=(0.0, 0.9), batch="full")
    assert method(**recipe.model_dump()) == recipe
    assert recipe.columns("m")["m.widths"] == "7x5"
    assert recipe.columns("m")["m.betas"] == "0x0.9"


def test_only_clip_rate_and_eps_may_differ_within_a_batch() -> None:
    base = WeightClip()
    same = WeightClip(clip=1.0, lr=1.0, lr_unit="clip", eps=1e-30)
    assert same.batch_key() == base.batch_key()
    others = [{"widths": (3,)}, {"activation": "tanh"}, {"steps": 1}, {"batch": "full"}, {"dtype": "float64"},
              {"optimiser": "sgd"}, {"init": "box"}, {"clip_when": "before"}, {"smoothing": 0.5}]  # fmt: skip
    assert all(method("weight_clip", **fields).batch_key() != base.batch_key() for fields in others)


def test_the_rate_is_in_units_of_the_clip_value_where_asked() -> None:
    assert WeightClip(clip=0.04, lr=0.01).rate == 0.01
    assert WeightClip(clip=0.04, lr=0.01, lr_unit="clip").rate == pytest.approx(0.0004)


@pytest.mark.parametrize("pair", pairs())
def test_the_zero_critic_gives_the_nearest_neighbour_bound(pair: SamplePair) -> None:
    found = ladder("zero", pair)
    assert (found.raw, found.slope, found.spectral) == (0, 0, 0)
    assert found.c_transform == found.nearest
    assert found.skill == 0


@pytest.mark.parametrize("pair", pairs())
def test_the_linear_critic_reads_the_distance_of_the_means(pair: SamplePair) -> None:
    found = ladder("linear", pair)
    distance = np.linalg.norm(pair.a @ pair.x - pair.b @ pair.y)
    assert found.raw == pytest.approx(distance, rel=1e-12)
    assert found.raw <= found.spectral + 1e-9 <= found.slope + 2e-9 <= found.primal + 3e-9


@pytest.mark.parametrize("pair", pairs())
def test_the_potential_attains_w1_on_every_rung(pair: SamplePair) -> None:
    found = ladder("potential", pair)
    for rung in (found.raw, found.spectral, found.slope, found.c_transform):
        assert rung == pytest.approx(found.primal, rel=1e-9)
    assert found.skill == pytest.approx(1, abs=1e-6)


def test_the_linear_critic_of_equal_means_is_zero() -> None:
    found = ladder("linear", SamplePair([[0.0], [2.0]], [[1.0]]))
    assert (found.raw, found.slope, found.c_transform) == (0, 0, 1)
