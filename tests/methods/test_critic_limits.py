"""The limits of what is believed of a critic: just inside is taken, just beyond is refused or counted otherwise."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import otbench
from otbench.errors import InputError
from otbench.methods import WeightClip
from otbench.methods.audit import audit
from otbench.methods.functions import UserFunction, check_company
from otbench.methods.mlp import Mlp
from otbench.types import Array, SamplePair

X, Y = np.array([[0.0, 1.0], [2.0, 0.5]]), np.array([[1.5, -1.0], [0.5, 0.25], [3.0, 1.0]])


def linear(weights: list[float], bias: float = 0.0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    layer = nn.Linear(len(weights), 1, dtype=dtype)
    layer.weight.data[:] = torch.tensor([weights], dtype=dtype)
    layer.bias.data.fill_(bias)
    return nn.Sequential(layer)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_weight_may_exceed_its_clip_value_by_what_float32_rounds(sign: int) -> None:
    for excess, taken in ((5.9e-8, True), (6.1e-8, False)):
        critic = linear([sign * 0.3 * (1 + excess), 0.1])
        if taken:
            assert audit(critic, X, Y, clip=0.3).clip_constant == pytest.approx(0.3 * np.sqrt(2))
        else:
            with pytest.raises(InputError, match="the critic has a weight of size"):
                audit(critic, X, Y, clip=0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_weight_may_be_its_clip_value_as_its_own_type_rounds_it_and_no_larger(dtype: torch.dtype) -> None:
    held = torch.tensor(0.3, dtype=dtype)
    assert held.item() > 0.3, "rounded up, so that it exceeds the clip value"
    audit(linear([held.item(), 0.125], dtype=dtype), X, Y, clip=0.3)
    beyond = held.item() * (1 + torch.finfo(dtype).eps)
    with pytest.raises(InputError, match="the critic has a weight of size"):
        audit(linear([beyond, 0.125], dtype=dtype), X, Y, clip=0.3)


def test_a_parameter_is_saturated_from_999_thousandths_of_the_clip_value_on() -> None:
    assert audit(linear([0.9991, -0.9991], 0.9989), X, Y, clip=1.0).saturation == pytest.approx(2 / 3)
    assert audit(linear([0.9989, -0.9991], 0.0), X, Y, clip=1.0).saturation == pytest.approx(1 / 3)
    assert audit(linear([0.9991, -0.2], 1.5), X, Y, clip=1.0).saturation == 0.5, "no bias is held that lies beyond"


@pytest.mark.parametrize("clip_parameters", ["all", "weights"])
def test_a_trained_critic_counts_its_saturated_parameters_alike(clip_parameters: str) -> None:
    pair = SamplePair(X, Y)
    method = WeightClip(
        widths=(64, 64), clip=0.2, init="box", steps=0, batch="full",
        clip_parameters=clip_parameters,  # type: ignore[arg-type]
    )  # fmt: skip
    fitted = otbench.train(pair, method, seed=1)
    critic = fitted.critic
    assert isinstance(critic, Mlp)
    held = [*critic.weights, *(critic.biases if clip_parameters == "all" else ())]
    sizes = np.concatenate([np.abs(part).ravel() for part in held]).astype(np.float32)
    at_wall = sizes >= np.float32(0.999) * np.float32(0.2)
    assert 0 < at_wall.sum() < 20, "of parameters that are spread over the box about one in a thousand"
    assert fitted.saturation_start == fitted.saturation == pytest.approx(at_wall.mean())


def moved_by(shift: float, kind: type = np.float64, offset: float = 0.0) -> Callable[[Array], Array]:
    """A function of the first coordinate, which the company of few points moves by ``shift``."""
    return lambda z: (z[:, 0] + offset + (shift if len(z) < 20 else 0.0)).astype(kind)


@pytest.mark.parametrize(
    ("offset", "kind", "room"),
    [
        # of values that range over 10: 1e4 units of float32 of that, and 1e-3 of the largest value at most
        (0.0, np.float64, 1e4 * 2.0**-23 * 10 + 4096 * 2.0**-23 * 10),
        (1e4, np.float64, 1e4 * 2.0**-23 * 10 + 4096 * 2.0**-23 * 1.001e4),
        (0.0, np.float16, 0.05 * 10 + 4 * 2.0**-10 * 10),
    ],
)  # fmt: skip
def test_company_may_move_a_value_by_rounding_and_no_further(offset: float, kind: type, room: float) -> None:
    points = np.linspace(0.0, 10.0, 31)[:, None]
    for share, taken in ((0.9, True), (1.1, False)):
        critic = UserFunction(moved_by(share * room, kind, offset))
        values = critic.values(points)
        if taken:
            check_company(critic, points, values)
        else:
            with pytest.raises(InputError, match="depends on the points beside it or on chance"):
                check_company(critic, points, values)


@pytest.mark.parametrize(("count", "sizes"), [(3, [2, 1]), (31, [16, 15]), (130, [65, 65]), (1000, [67, 67])])
def test_two_parts_without_a_point_in_common_are_looked_at_again(count: int, sizes: list[int]) -> None:
    """Each of about 64 points, and of at most half of them."""
    seen: list[list[float]] = []

    def function(z: Array) -> Array:
        seen.append(z[:, 0].tolist())
        return z[:, 0]

    points = np.random.default_rng(0).permutation(count).astype(float)[:, None]
    check_company(UserFunction(function), points, points[:, 0])
    assert [len(part) for part in seen] == sizes
    assert set(seen[0]).isdisjoint(seen[1])
