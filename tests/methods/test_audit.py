"""Audit of a critic of one's own: modules, functions and otbench's critics by one ladder."""

import doctest
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import otbench
from otbench.errors import InputError, UncertifiedError
from otbench.methods import WeightClip, method
from otbench.methods.audit import audit
from otbench.methods.mlp import Mlp
from otbench.types import Array, Bounds, SamplePair

RUNGS = ("clip_bound", "spectral", "slope", "c_transform", "primal")


@pytest.fixture(scope="module")
def pair() -> SamplePair:
    return otbench.problem("shared_mass", dim=2, overlap=0.25).sample(40, 30, seed=1)


@pytest.fixture(scope="module")
def own(pair: SamplePair) -> Mlp:
    recipe = method("weight_clip", widths=(8, 8), steps=60, batch=16, clip=0.1, lr=0.01)
    assert isinstance(recipe, WeightClip)
    critic = otbench.train(pair, recipe).critic
    assert isinstance(critic, Mlp)
    return critic


def as_module(critic: Mlp) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weights, bias in zip(critic.weights, critic.biases, strict=True):
        linear = nn.Linear(*weights.shape, dtype=torch.float64)
        linear.load_state_dict({"weight": torch.from_numpy(weights.T), "bias": torch.from_numpy(bias)})
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def assert_ladder(bounds: Bounds) -> None:
    known = [value for name in RUNGS if (value := getattr(bounds, name)) is not None]
    assert all(low <= high + 1e-12 for low, high in itertools.pairwise(known))
    assert known[0] >= 0


def test_a_module_a_function_and_otbench_s_own_critic_get_the_same_ladder(pair: SamplePair, own: Mlp) -> None:
    module = as_module(own)
    direct, as_torch = audit(own, pair.x, pair.y), audit(module, pair.x, pair.y, clip=own.clip)
    as_function = audit(own.values, pair.x, pair.y)
    for name in ("raw", "slope_constant", "slope", "c_transform", "nearest", "primal"):
        assert getattr(as_torch, name) == pytest.approx(getattr(direct, name), rel=1e-9), name
        assert getattr(as_function, name) == getattr(direct, name), name
    for name in ("clip_constant", "clip_bound", "spectral_constant", "spectral", "plan_cosine", "skill"):
        assert getattr(as_torch, name) == pytest.approx(getattr(direct, name), rel=1e-6), name
    assert (as_function.clip_bound, as_function.spectral, as_function.alignment) == (None, None, None)
    for bounds in (direct, as_torch, as_function):
        assert bounds.raw > 0
        assert_ladder(bounds)


def test_saturation_is_the_share_of_parameters_at_the_clip(pair: SamplePair, own: Mlp) -> None:
    flat = np.concatenate([p.ravel() for p in (*own.weights, *own.biases)])
    found = audit(as_module(own), pair.x, pair.y, clip=0.1).saturation
    assert found == pytest.approx((np.abs(flat) >= 0.0999).mean(), abs=1e-12)
    assert 0 < (found or 0) < 1
    assert audit(as_module(own), pair.x, pair.y).saturation is None


@pytest.mark.parametrize("column", [True, False])
def test_a_function_may_return_a_vector_or_a_column(column: bool, pair: SamplePair) -> None:
    bounds = audit(lambda z: -z[:, :1] if column else -z[:, 0], pair.x, pair.y)
    assert bounds.raw == pytest.approx(pair.y[:, 0].mean() - pair.x[:, 0].mean())
    assert_ladder(bounds)


def test_weights_move_the_ladder(pair: SamplePair) -> None:
    a = np.arange(1.0, 41.0)
    bounds = audit(lambda z: -z[:, 0], pair.x, pair.y, a / a.sum())
    assert bounds.primal == pytest.approx(otbench.solve_exact(pair.x, pair.y, a / a.sum()).w1, rel=1e-12)
    assert bounds.raw == pytest.approx(pair.y[:, 0].mean() - pair.x[:, 0] @ a / a.sum())
    assert_ladder(bounds)


def test_a_module_is_read_in_float64_and_evaluation_mode_and_left_as_it_was(pair: SamplePair) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    first, second = audit(module, pair.x, pair.y), audit(module, pair.x, pair.y)
    assert first == second
    assert module.training
    for name, value in module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert first.raw_error < 1e-12


def test_a_module_of_another_kind_has_no_constants_but_gradients(pair: SamplePair) -> None:
    class Norm(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return (z**2).sum(dim=1).sqrt()

    bounds = audit(Norm(), pair.x, pair.y)
    assert (bounds.clip_constant, bounds.spectral_constant) == (None, None)
    assert bounds.unknown == "`Norm` is not known: `pow`"
    assert str(bounds).endswith("; no constant: `Norm` is not known: `pow`")
    assert bounds.alignment is not None
    assert bounds.alignment.grad_norm_max == pytest.approx(1.0)
    assert_ladder(bounds)


def test_equal_samples_are_at_distance_zero_with_no_skill(pair: SamplePair) -> None:
    bounds = audit(lambda z: z[:, 0], pair.x, pair.x)
    assert bounds.primal == 0
    assert (bounds.slope, bounds.c_transform, bounds.nearest) == (0, 0, 0)
    assert bounds.skill is None


def broken(kind: str) -> Callable[[Array], Array]:
    def function(z: Array) -> Array:
        values = z[:, 0].copy()
        values[3] = {"NaN": np.nan, "infinite": np.inf}[kind]
        return values

    return function


@pytest.mark.parametrize("kind", ["NaN", "infinite"])
def test_a_critic_that_is_not_finite_has_diverged(kind: str, pair: SamplePair) -> None:
    with pytest.raises(InputError, match="NaN or infinite at some of the points: it has diverged"):
        audit(broken(kind), pair.x, pair.y)


def test_a_module_that_is_not_finite_has_diverged(pair: SamplePair) -> None:
    module = nn.Linear(2, 1)
    nn.init.constant_(module.weight, float("nan"))
    with pytest.raises(InputError, match="diverged"):
        audit(nn.Sequential(module), pair.x, pair.y)


@pytest.mark.parametrize(
    ("critic", "got"),
    [
        (lambda z: z, r"\(70, 2\)"),
        (lambda z: 1.0, r"\(\)"),
        (lambda z: z[:5, 0], r"\(5,\)"),
        (lambda z: z[:, 0][None], r"\(1, 70\)"),
        (nn.Linear(2, 2), r"\(70, 2\)"),
    ],
)
def test_a_critic_of_the_wrong_shape_is_refused(critic: object, got: str, pair: SamplePair) -> None:
    points = len(np.unique(np.concatenate([pair.x, pair.y]), axis=0))
    assert points == 70
    with pytest.raises(InputError, match=rf"one value a point, shape \(70,\) or \(70, 1\); got {got}"):
        audit(critic, pair.x, pair.y)


@pytest.mark.parametrize("critic", [None, 3.0, "critic", [1, 2], np.zeros((2, 1))])
def test_what_cannot_be_called_is_no_critic(critic: object, pair: SamplePair) -> None:
    with pytest.raises(InputError, match=rf"a critic must be a torch.nn.Module or .*; got {type(critic).__name__}"):
        audit(critic, pair.x, pair.y)


@pytest.mark.parametrize("clip", [0.001, 0.0, -0.1, float("nan"), float("inf")])
def test_a_clip_value_that_is_not_the_critic_s_is_refused(clip: float, pair: SamplePair, own: Mlp) -> None:
    with pytest.raises(InputError, match=r"clip") as refused:
        audit(as_module(own), pair.x, pair.y, clip=clip)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.zeros(3), np.zeros((3, 1)), r"x must have shape \(points, dimensions\)"),
        (np.zeros((3, 2)), np.zeros((3, 1)), "same dimension; got 2 and 1"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "x must be finite; row 0"),
        (np.zeros((0, 2)), np.zeros((3, 2)), "at least one point"),
        ([["a"]], [[1.0]], "array of real numbers"),
    ],
)
def test_malformed_samples_are_refused(x: object, y: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        audit(lambda z: z[:, 0], x, y)


def test_the_example_on_the_package_s_first_page_is_true() -> None:
    outcome = doctest.testmod(otbench)
    assert (outcome.attempted, outcome.failed) == (3, 0)


def test_lists_are_samples_too(tmp_path: Path) -> None:
    bounds = audit(lambda z: z[:, 0], [[1.0], [2.0]], [[0.0], [1.0]])
    assert (bounds.raw, bounds.primal, bounds.slope) == (1.0, 1.0, 1.0)


def test_what_train_returns_is_a_critic_to_audit():
    pair = otbench.problem("translation", dim=3).sample(64, mode="coupled")
    fitted = otbench.train(pair, otbench.WeightClip(widths=(8,), steps=50), seed=0)
    direct, through = otbench.audit(fitted.critic, pair.x, pair.y), otbench.audit(fitted, pair.x, pair.y)
    assert through.raw == direct.raw
    assert through.clip_bound == direct.clip_bound
    assert through.saturation == fitted.saturation


def test_a_diverged_critic_has_nothing_to_audit():
    pair = otbench.problem("translation", dim=3).sample(64, mode="coupled")
    method = otbench.WeightClip(widths=(8,), clip=1e38, lr=1e30, optimiser="sgd", steps=9)
    with pytest.raises(otbench.InputError, match="this critic has diverged: "):
        otbench.audit(otbench.train(pair, method, seed=0), pair.x, pair.y)


@pytest.mark.parametrize("name", otbench.__all__)
def test_a_public_name_is_the_same_object_every_time_and_no_module(name):
    first = getattr(otbench, name)
    assert callable(first)
    assert getattr(otbench, name) is first


def test_an_audit_without_a_value_of_w1_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that gives up where all pairs do not fit has an interval, which is no W1 to be held against."""
    monkeypatch.setattr("otbench.transport.rounds.MOST_ROUNDS", 0)
    monkeypatch.setattr("otbench.transport.exact.DENSE_PAIRS", 1)
    monkeypatch.setattr("otbench.transport.exact.fits", lambda n, m: False)
    pair = otbench.problem("balls", dim=3).sample(40)
    with pytest.raises(UncertifiedError, match=r"^exact solution refused: W1 is in \[.*, must be a number"):
        audit(lambda z: z[:, 0], pair.x, pair.y)
