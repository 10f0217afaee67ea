"""A critic whose value at a point depends on the batch or on chance is no function, and found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from peoples import Returns, TurnsToFloat32, X, Y, centred, chain, refusal
from torch import Tensor, nn

import otbench
from otbench.types import Array

pytestmark = pytest.mark.usefixtures("fixed_seed")


class MinibatchStd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 1)

    def forward(self, z: Tensor) -> Tensor:
        return self.head(torch.cat([z, z.std(dim=0).mean().expand(len(z), 1)], dim=1))


def numbered(z: Array) -> Array:
    return z[:, 0] + np.arange(len(z))


def neighbourly(z: Array) -> Array:
    return z[:, 0] + 0.01 * np.roll(z[:, 1], 1)


def in_training(z: Array) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    return net(torch.from_numpy(z).float())


def noisy(z: Array) -> Array:
    return z[:, 0] + 0.01 * np.random.default_rng().standard_normal(len(z))


@pytest.mark.parametrize(
    "critic",
    [
        lambda: nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16, track_running_stats=False), nn.Linear(16, 1)),
        MinibatchStd,
        lambda: nn.Sequential(chain(), nn.Softmax(dim=0)),
        lambda: Returns(lambda z: nn.functional.dropout(z, 0.5).sum(dim=1)),
        lambda: Returns(lambda z: z[:, 0] + 0.1 * torch.rand(())),
        lambda: Returns(lambda z: z[:, 0] + 0.1 * torch.randn(len(z))),
        lambda: centred,
        lambda: numbered,
        lambda: neighbourly,
        lambda: in_training,
        lambda: noisy,
    ],
)
@pytest.mark.parametrize("count", [2, 3, 5, 40])
def test_a_critic_that_is_no_function_of_a_point_is_refused(critic: Callable[[], Any], count: int) -> None:
    said = refusal(critic(), X[:count], Y[:count])
    batch_of_one = "the critic raised ValueError: Expected more than 1 value per channel"
    assert "depends on the points beside it or on chance" in said or batch_of_one in said


def deep_and_dead() -> nn.Module:
    net = nn.Sequential(*(layer for _ in range(8) for layer in (nn.Linear(4, 4), nn.ReLU())), nn.Linear(4, 1))
    for p in net.parameters():
        p.data.clamp_(-1e-3, 1e-3)
    return net


def in_type(inside: torch.dtype, returned: torch.dtype) -> Callable[[Array], Tensor]:
    """A function that computes in one type, whatever it returns."""
    net = chain().to(inside)
    return lambda z: net(torch.from_numpy(z).to(inside)).to(returned)


@pytest.mark.parametrize(
    ("critic", "offset"),
    [
        (lambda: nn.Sequential(nn.Linear(4, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1)), 0.0),
        (lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)), 0.0),
        (lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 1)), 0.0),
        (deep_and_dead, 0.0),
        (lambda: Returns(lambda z: (z * 0.3 - 3e7).sum(dim=1)), 1e8),
        (lambda: Returns(lambda z: z[:, 0] * 0 + 0.1), 0.0),
        (TurnsToFloat32, 100.0),
        (lambda: in_type(torch.float32, torch.float64), 100.0),
        (lambda: in_type(torch.bfloat16, torch.bfloat16), 0.0),
        (lambda: lambda z: (z.astype(np.float32) @ np.ones(4, np.float32)).tolist(), 1e3),
    ],
)
def test_an_honest_critic_is_not_refused_for_rounding(critic: Callable[[], Any], offset: float) -> None:
    rng = np.random.default_rng(1)
    x, y = offset + rng.standard_normal((300, 4)), offset + rng.standard_normal((257, 4))
    assert np.isfinite(otbench.audit(critic(), x, y).raw)
