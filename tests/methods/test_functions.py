"""Critics as functions: values, gradients and Lipschitz constants against torch and against the theorems."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import otbench.problems.min_funnel
from otbench.errors import InputError
from otbench.methods import WeightClip, method
from otbench.methods.accept import as_critic
from otbench.methods.base import Job
from otbench.methods.fitting import fit_together
from otbench.methods.functions import (
    Affine,
    McShane,
    UserFunction,
    clip_constant,
    on_union,
    spectral_constant,
    values_and_gradients,
)
from otbench.methods.mlp import Mlp
from otbench.methods.modules import TorchFunction
from otbench.methods.sinkhorn import SoftTransform
from otbench.transport.exact import solve_exact
from otbench.types import Array, SamplePair

law = settings(max_examples=40, deadline=None)

ACTIVATIONS = {"relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.2), "tanh": nn.Tanh()}


def uniform_mlp(seed: int, sizes: tuple[int, ...], activation: str = "relu", clip: float = 1.0) -> Mlp:
    rng = np.random.default_rng(seed)
    weights = tuple(rng.uniform(-clip, clip, shape) for shape in pairwise(sizes))
    return Mlp(weights, tuple(rng.uniform(-clip, clip, w.shape[1]) for w in weights), activation, clip)


def as_module(critic: Mlp) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weights, bias in zip(critic.weights, critic.biases, strict=True):
        linear = nn.Linear(*weights.shape, dtype=torch.float64)
        linear.load_state_dict({"weight": torch.from_numpy(weights.T), "bias": torch.from_numpy(bias)})
        layers += [linear, ACTIVATIONS[critic.activation]]
    return nn.Sequential(*layers[:-1])


def all_at_the_clip(clip: float, sizes: tuple[int, ...], signs: Array) -> Mlp:
    """Every weight +-clip, the first layer's with the signs of the input, no biases."""
    weights = [np.full(shape, clip) for shape in pairwise(sizes)]
    weights[0] *= signs[:, None]
    return Mlp(tuple(weights), tuple(np.zeros(w.shape[1]) for w in weights), "relu", clip)


def test_gradients_of_one_look_are_the_slopes_of_its_values() -> None:
    rng = np.random.default_rng(0)
    pair = SamplePair(rng.standard_normal((40, 3)), rng.standard_normal((30, 3)) + 1)
    points, v, step = rng.standard_normal((50, 3)), rng.standard_normal(30), 1e-6
    (sliced,) = fit_together([method("sliced")], [Job(pair, 0, None)], "cpu")
    for critic in (McShane(pair.y, v), SoftTransform(pair.y, v, pair.b, 0.3), sliced.critic, Affine(v[:3])):
        values, gradients = values_and_gradients(critic, points)
        np.testing.assert_array_equal(values, critic.values(points))
        moved = [(critic.values(points + step * e) - critic.values(points - step * e)) / (2 * step) for e in np.eye(3)]
        np.testing.assert_allclose(gradients, np.transpose(moved), atol=1e-4)


shapes = st.tuples(st.integers(1, 6), st.lists(st.integers(1, 6), max_size=3)).map(lambda s: (s[0], *s[1], 1))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(), (5,), (5, 3), (4, 6, 3), (3, 3, 3, 3)])
def test_values_and_gradients_are_those_of_torch_and_autograd(
    activation: str, widths: tuple[int, ...]
) -> None:
    critic = uniform_mlp(len(widths), (3, *widths, 1), activation)
    z = np.random.default_rng(9).standard_normal((40, 3))
    points = torch.from_numpy(z.copy()).requires_grad_()
    values = as_module(critic)(points)[:, 0]
    (gradients,) = torch.autograd.grad(values.sum(), points)
    np.testing.assert_allclose(critic.values(z), values.detach(), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(critic.gradients(z), gradients, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_at_a_kink_the_gradient_is_that_of_torch(activation: str) -> None:
    critic = uniform_mlp(0, (2, 4, 1), activation)
    still = Mlp(critic.weights, (np.zeros(4), np.zeros(1)), critic.activation)
    reference = TorchFunction(as_module(still)).gradients(np.zeros((1, 2)))
    np.testing.assert_allclose(still.gradients(np.zeros((1, 2))), reference, rtol=1e-13, atol=1e-15)


@law
@given(shapes, st.floats(1e-3, 2.0), st.integers(0, 2**16))
def test_weights_at_the_clip_with_aligned_input_attain_the_clip_constant(
    sizes: tuple[int, ...], clip: float, seed: int
) -> None:
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], sizes[0])
    critic = all_at_the_clip(clip, sizes, signs)
    (gradient,) = critic.gradients(signs[None])
    known, spectral = critic.constants()
    formula = clip ** (len(sizes) - 1) * np.sqrt(sizes[0]) * np.prod(sizes[1:-1])
    assert np.linalg.norm(gradient) == pytest.approx(formula, rel=1e-12)
    assert known == pytest.approx(formula, rel=1e-12)
    assert spectral == pytest.approx(formula, rel=1e-12)


@law
@given(shapes, st.floats(1e-3, 2.0), st.integers(0, 2**16), st.sampled_from(sorted(ACTIVATIONS)))
def test_no_network_in_the_box_is_steeper_than_its_constants(
    sizes: tuple[int, ...], clip: float, seed: int, activation: str
) -> None:
    critic = uniform_mlp(seed, sizes, activation, clip)
    z = 3 * np.random.default_rng(seed).standard_normal((200, sizes[0]))
    steepest = np.linalg.norm(critic.gradients(z), axis=1).max()
    known, spectral = critic.constants()
    assert known is not None
    assert steepest <= spectral * (1 + 1e-12)
    assert spectral <= known * (1 + 1e-12)


def test_the_steepness_check_sees_a_constant_that_is_too_small() -> None:
    critic = all_at_the_clip(0.5, (3, 4, 1), np.ones(3))
    steepest = np.linalg.norm(critic.gradients(np.ones((1, 3))), axis=1).max()
    assert steepest > 0.99 * clip_constant(0.5, [(3, 4), (4, 1)])


@law
@given(shapes, st.integers(0, 2**16))
def test_the_box_is_steepest_along_the_diagonal_and_sqrt_d_less_so_along_an_axis(
    sizes: tuple[int, ...], seed: int
) -> None:
    e = np.random.default_rng(seed).standard_normal(sizes[0])
    e /= np.linalg.norm(e)
    critic = all_at_the_clip(0.3, sizes, np.sign(e))
    rise = (critic.values(3 * e[None]) - critic.values(2 * e[None])).item()
    known, _ = critic.constants()
    assert rise == pytest.approx(known / np.sqrt(sizes[0]) * np.abs(e).sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("dim", "widths", "certified", "at_hundredth"),
    [
        (2, (512, 512, 512), "0.0085", "1.9"),
        (784, (512, 256), "0.0065", "3.7"),
        (12288, (512, 512, 512), "0.0029", "149"),
    ],
)
def test_published_networks_have_the_constants_of_the_science_page(
    dim: int, widths: tuple[int, ...], certified: str, at_hundredth: str
) -> None:
    published = WeightClip(widths=widths, clip=0.01)
    assert f"{published.certified_clip(dim):.4f}" == certified
    digits = 0 if "." not in at_hundredth else 1
    assert f"{published.lipschitz_constant(dim):.{digits}f}" == at_hundredth


@law
@given(shapes)
def test_the_certified_clip_is_where_the_clip_constant_is_one(sizes: tuple[int, ...]) -> None:
    at = WeightClip(widths=sizes[1:-1]).certified_clip(sizes[0])
    assert method("weight_clip", widths=sizes[1:-1], clip=at).lipschitz_constant(sizes[0]) == pytest.approx(1)


@law
@given(shapes, st.floats(0.01, 10.0), st.sampled_from(["relu", "leaky_relu"]))
def test_scaling_weights_by_c_and_biases_by_powers_of_c_scales_the_critic_by_their_product(
    sizes: tuple[int, ...], c: float, activation: str
) -> None:
    critic = uniform_mlp(1, sizes, activation)
    scaled = Mlp(
        tuple(c * w for w in critic.weights),
        tuple(c ** (layer + 1) * b for layer, b in enumerate(critic.biases)),
        critic.activation,
    )
    z = np.random.default_rng(2).standard_normal((20, sizes[0]))
    factor = c ** len(critic.weights)
    np.testing.assert_allclose(scaled.values(z), factor * critic.values(z), rtol=1e-9, atol=1e-12 * factor)
    np.testing.assert_allclose(scaled.gradients(z), factor * critic.gradients(z), rtol=1e-9)


def test_a_network_outside_its_box_has_no_clip_constant() -> None:
    critic = uniform_mlp(0, (2, 3, 1), clip=1.0)
    assert Mlp(critic.weights, critic.biases, "relu", 0.1).constants()[0] is None
    assert Mlp(critic.weights, critic.biases, "relu", None).constants()[0] is None


@law
@given(st.integers(0, 2**16), st.integers(1, 6), st.integers(1, 6))
def test_mcshane_is_1_lipschitz_and_attains_the_potentials(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 2)), rng.integers(-1, 2, (m, 2)).astype(float)
    exact = solve_exact(x, y)
    critic = McShane(y, exact.v)
    z = 3 * rng.standard_normal((30, 2))
    rises = np.abs(critic.values(z)[:, None] - critic.values(z))
    assert (rises <= np.linalg.norm(z[:, None] - z, axis=2) + 1e-12).all()
    np.testing.assert_allclose(critic.values(x), exact.u, atol=1e-9)
    np.testing.assert_allclose(critic.values(y), -exact.v, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(critic.gradients(z), axis=1), 1.0, rtol=1e-12)
    assert critic.constants() == (None, 1.0)


def test_mcshane_gradients_are_its_finite_differences() -> None:
    rng = np.random.default_rng(3)
    critic, z, step = McShane(rng.standard_normal((4, 3)), rng.standard_normal(4)), rng.random((20, 3)), 1e-6
    rises = [critic.values(z + step * e) - critic.values(z - step * e) for e in np.eye(3)]
    np.testing.assert_allclose(critic.gradients(z), np.stack(rises, 1) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 14, 15, 50])
def test_mcshane_is_the_same_in_blocks_of_points(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven points at once: values and rays are those of all distances together, by differences."""
    monkeypatch.setattr(otbench.problems.min_funnel, "ENTRIES_AT_ONCE", 7 * 5 + 4)
    rng = np.random.default_rng(count)
    atoms, v, z = rng.standard_normal((5, 3)), rng.standard_normal(5), rng.standard_normal((count, 3))
    rays = z[:, None] - atoms
    lengths = np.sqrt((rays**2).sum(axis=2))
    active, rows = (lengths - v).argmin(axis=1), np.arange(count)
    critic = McShane(atoms, v)
    np.testing.assert_allclose(critic.values(z), (lengths - v)[rows, active], atol=1e-12)
    np.testing.assert_allclose(critic.gradients(z), (rays / lengths[:, :, None])[rows, active], atol=1e-12)


def test_an_affine_critic_is_its_slope() -> None:
    critic, z = Affine(np.array([3.0, -4.0])), np.array([[1.0, 0.0], [0.0, 2.0]])
    assert critic.values(z).tolist() == [3.0, -8.0]
    assert critic.gradients(z).tolist() == [[3.0, -4.0]] * 2
    assert critic.constants() == (None, 5.0)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_a_user_function_may_return_a_column_or_a_vector(shape: tuple[int, ...]) -> None:
    critic = UserFunction(lambda z: z[:, 0].reshape(shape))
    assert critic.values(np.array([[1.0], [2.0], [3.0]])).tolist() == [1.0, 2.0, 3.0]
    assert critic.gradients(np.zeros((3, 1))) is None
    assert critic.constants() == (None, None)


@pytest.mark.parametrize("shape", [(), (2,), (4,), (1, 3), (3, 2)])
def test_a_user_function_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"one value a point, shape \(3,\) or \(3, 1\); got \(") as refused:
        UserFunction(lambda z: np.zeros(shape)).values(np.zeros((3, 2)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("thing", [3, None, "critic", [1.0, 2.0], np.zeros(3)])
def test_what_is_not_callable_is_no_critic(thing: object) -> None:
    with pytest.raises(InputError, match=f"critic must be a torch.nn.Module.*got {type(thing).__name__}"):
        as_critic(thing)


def test_as_critic_takes_otbench_critics_modules_and_functions() -> None:
    own = Affine(np.ones(2))
    assert as_critic(own) is own
    assert isinstance(as_critic(nn.Linear(2, 1)), TorchFunction)
    assert isinstance(as_critic(np.sum), UserFunction)


def test_on_union_evaluates_coincident_points_once_and_alike() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((60, 3))
    y = np.concatenate([x[::-3], rng.standard_normal((5, 3)), x[:2], np.zeros((1, 3)), -np.zeros((1, 3))])
    asked: list[Array] = []
    fx, fy, gx, gy = on_union(UserFunction(lambda z: (asked.append(z), rng.standard_normal(len(z)))[1]), x, y)
    assert (gx, gy) == (None, None)
    assert len(asked) == 1
    assert len(asked[0]) == len(np.unique(asked[0], axis=0)) == 66
    same = (x[:, None] == y).all(axis=2)
    assert (fx[:, None] == fy)[same].all()
    assert fy[-1] == fy[-2]


def test_on_union_gives_each_point_its_own_value_and_gradient() -> None:
    rng = np.random.default_rng(5)
    critic, x, y = uniform_mlp(0, (3, 6, 1)), rng.standard_normal((9, 3)), rng.standard_normal((7, 3))
    found = on_union(critic, x, np.concatenate([y, x[:2]]))
    wanted = [critic.values(x), critic.values(y), critic.gradients(x), critic.gradients(y)]
    for got, want in zip(found, wanted, strict=True):
        assert got is not None
        np.testing.assert_allclose(got[: len(want)], want, rtol=1e-13)


def test_the_spectral_constant_is_the_product_of_largest_singular_values() -> None:
    weights = [np.diag([3.0, -4.0]), np.array([[1.0], [1.0]])]
    assert spectral_constant(weights) == pytest.approx(4 * np.sqrt(2))
