"""A false clip value is found whatever wraps the weights; saturation is that of a true one."""

from typing import Any

import numpy as np
import pytest
import torch
from peoples import X, Y, centred, chain, normed, refusal
from torch import Tensor, nn

import otbench

pytestmark = pytest.mark.usefixtures("fixed_seed")


def clipped(module: nn.Module, clip: float = 0.01, beyond: str | None = None) -> nn.Module:
    """The module with every parameter in the box but those whose name ends with ``beyond``, moved a step out of it."""
    for name, p in module.named_parameters():
        p.data.clamp_(-clip, clip)
        if beyond is not None and name.endswith(beyond):
            p.data.add_(clip)
    return module


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 8), nn.Linear(8, 8)])
        self.last = nn.Linear(8, 1)

    def forward(self, z: Tensor) -> Tensor:
        for block in self.blocks:
            z = torch.relu(block(z))
        return self.last(z)


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.DataParallel(Discriminator())

    def forward(self, z: Tensor) -> Tensor:
        return self.inner(z)


WRAPPED = {
    "chain": chain,
    "class": Discriminator,
    "DataParallel": lambda: nn.DataParallel(chain()),
    "DataParallel of a class": lambda: nn.DataParallel(Discriminator()),
    "nested": Nested,
    "normalised": lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1)),
    "weight_norm": lambda: normed(nn.utils.weight_norm),
    "parametrized": lambda: normed(nn.utils.parametrizations.weight_norm),
    "frozen": lambda: Discriminator().requires_grad_(False),
    "bfloat16": lambda: Discriminator().bfloat16(),
    "convolutions": lambda: nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 1, 2), nn.Flatten()),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_false_clip_value_is_found_whatever_the_wrapper(name: str) -> None:
    weight = {"weight_norm": "weight_g", "parametrized": "original0", "normalised": "0.weight"}.get(name, "weight")
    critic = clipped(WRAPPED[name](), 0.0078125)
    found = otbench.audit(critic, X, Y, clip=0.0078125)  # a power of two, which bfloat16 holds
    every = torch.cat([p.detach().float().abs().ravel() for p in critic.parameters()])
    assert found.saturation == pytest.approx(float((every >= 0.0078).float().mean()))
    said = refusal(clipped(WRAPPED[name](), 0.0078125, beyond=weight), clip=0.0078125)
    assert "clip is 0.0078125, but the critic has a weight of size 0.0156" in said
    assert "pass its own clip value, or leave clip out" in said


@pytest.mark.parametrize("name", ["chain", "class", "nested"])
def test_biases_may_lie_beyond_the_clip_value_and_then_none_counts_as_saturated(name: str) -> None:
    critic = clipped(WRAPPED[name](), beyond="bias")
    weights = torch.cat([p.detach().abs().ravel() for n, p in critic.named_parameters() if "bias" not in n])
    found = otbench.audit(critic, X, Y, clip=0.01)
    assert found.saturation == pytest.approx(float((weights >= 0.00999).float().mean()))


@pytest.mark.parametrize("clip", [0.0, -1.0, np.nan, np.inf, True, "0.01", None.__class__, [0.01]])
def test_a_clip_value_that_is_no_size_is_refused(clip: object) -> None:
    assert "clip must be a finite number above 0; got" in refusal(chain(), clip=clip)


@pytest.mark.parametrize("clip", [np.float32(0.01), np.float64(0.01), 1])
def test_a_clip_value_may_be_a_number_of_numpy(clip: Any) -> None:
    assert otbench.audit(clipped(chain()), X, Y, clip=clip).clip_bound is not None


def test_a_clip_value_beside_what_has_no_weights_to_hold_is_refused() -> None:
    assert "clip is what the weights of a torch module are held to; got function" in refusal(centred, clip=0.01)
    fitted = otbench.train(otbench.SamplePair(X, Y), otbench.WeightClip(widths=(8,), steps=2), seed=0)
    assert "got Fitted: leave clip out" in refusal(fitted, clip=0.01)


def test_a_forward_of_a_layer_s_own_makes_the_constants_unknown() -> None:
    critic = chain()
    critic[0].forward = lambda z: 5 * nn.functional.linear(z, critic[0].weight.to(z))  # type: ignore[method-assign]
    found = otbench.audit(critic, X, Y)
    assert (found.clip_bound, found.spectral) == (None, None)
