"""No pair of points ever shows a slope above the constant, layer by layer, and exact constants are attained."""

import math

import pytest
import torch
from torch import Tensor, nn
from zoo import ACTIVATIONS, EXACT, ZOO, alive

from otbench.methods.lipschitz.everywhere import lipschitz_everywhere

#: How far rounding may move a slope between points as near as these.
ROUNDING = 1e-7

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils:FutureWarning", "ignore:Named tensors")


def constant(module: nn.Module, shape: tuple[int, ...]) -> float:
    found = lipschitz_everywhere(module, shape)
    assert found.reason is None
    assert found.spectral is not None
    assert found.spectral <= found.entries
    return found.spectral


def steepest(module: nn.Module, shape: tuple[int, ...], pairs: int, seed: int) -> float:
    """The largest slope between random pairs of points, near and far, around 0 and away from it."""
    generator, largest = torch.Generator().manual_seed(seed), 0.0
    for _ in range(math.ceil(pairs / 5000)):
        sizes = 10 ** (2 * torch.rand(5000, *[1] * len(shape), generator=generator, dtype=torch.float64) - 1)
        steps = 10 ** (6 * torch.rand(5000, *[1] * len(shape), generator=generator, dtype=torch.float64) - 5)
        one = sizes * torch.randn(5000, *shape, generator=generator, dtype=torch.float64)
        other = one + steps * torch.randn(5000, *shape, generator=generator, dtype=torch.float64)
        rise = rows(module(one.clone()), 5000) - rows(module(other.clone()), 5000)
        largest = max(largest, float((rise.norm(dim=1) / (one - other).flatten(1).norm(dim=1)).max()))
    return largest


def rows(output: Tensor, count: int) -> Tensor:
    """One row per point, also of outputs that come along the second axis."""
    return (output if len(output) == count else output.movedim(1, 0)).reshape(count, -1)


def jacobian(module: nn.Module, point: Tensor) -> Tensor:
    of_one = torch.autograd.functional.jacobian(lambda z: rows(module(z[None].clone()), 1)[0], point, vectorize=True)
    return of_one.reshape(of_one.shape[0], -1)


@pytest.mark.parametrize("name", ZOO)
def test_no_pair_of_points_has_a_larger_slope(name: str) -> None:
    module, shape = alive(name)
    assert steepest(module, shape, 10_000, 0) <= constant(module, shape) * (1 + ROUNDING)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ZOO)
def test_no_pair_of_a_million_has_a_larger_slope(name: str) -> None:
    for seed in range(5):
        module, shape = alive(name, seed)
        assert steepest(module, shape, 200_000, seed) <= constant(module, shape) * (1 + ROUNDING)


@pytest.mark.parametrize("name", ZOO)
def test_no_jacobian_has_a_larger_norm_and_that_of_a_linear_map_has_none_much_smaller(name: str) -> None:
    module, shape = alive(name)
    known, generator = constant(module, shape), torch.Generator().manual_seed(1)
    points = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(1 if name in EXACT else 10)]
    norms = [float(torch.linalg.matrix_norm(jacobian(module, point), 2)) for point in points]
    assert max(norms) <= known * (1 + ROUNDING)
    assert name not in EXACT or known <= max(norms) * 1.011


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_as_steep_as_its_constant_somewhere(name: str) -> None:
    module, _ = alive(name)
    line = torch.linspace(-12, 12, 480_001, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(module(line * 1.0).sum(), line)
    expected = 2 / math.sqrt(math.pi) if name == "erf, atan" else float(slopes.abs().max())
    assert constant(module, (6,)) == pytest.approx(expected, rel=1e-4 if name != "erf, atan" else 1e-9)
