"""Two samples, and critics on them as people have them: what several tests hand to the audit."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import otbench
from otbench.errors import InputError
from otbench.types import Array

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4))
Y = X - 0.7 + 0.1 * RNG.standard_normal((40, 4))


def chain(dim: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))


def refusal(critic: object, x: object = X, y: object = Y, **options: Any) -> str:
    with pytest.raises(InputError) as refused:
        otbench.audit(critic, x, y, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def raw(module: Callable[[Tensor], Tensor], dtype: torch.dtype = torch.float32) -> float:
    """mean f(x) - mean f(y), by torch alone."""
    with torch.no_grad():
        fx, fy = (module(torch.from_numpy(z).to(dtype)).double().mean() for z in (X, Y))
    return float(fx - fy)


def same_state(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[name]) and value.dtype == before[name].dtype
               for name, value in module.state_dict().items())  # fmt: skip


def normed(norm: Callable[[nn.Module], nn.Module]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(norm(nn.Linear(4, 16)), nn.ReLU(), norm(nn.Linear(16, 1)))


class TurnsToFloat32(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = chain()

    def forward(self, z: Tensor) -> Tensor:
        return self.head(z.float())


class ReturnsFloat32(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.float()


class Returns(nn.Module):
    """A module with an output of whatever form."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.form = form

    def forward(self, z: Tensor) -> Any:
        return self.form(z)


def centred(z: Array) -> Array:
    return z[:, 0] - z[:, 0].mean()
