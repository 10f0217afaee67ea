"""Other people's Lipschitz layers, deel-torchlip's, have the constants that they promise."""

import pytest
import torch
from torch import nn

from otbench.methods.lipschitz.everywhere import lipschitz_everywhere

torchlip = pytest.importorskip("deel.torchlip")


def run(layer: nn.Module, *shape: int) -> nn.Module:
    """The layer after a few steps of its own normalisation, in evaluation mode."""
    layer = layer.double()
    for _ in range(3):
        layer(torch.randn(4, *shape, dtype=torch.float64))
    return layer.eval()


@pytest.mark.usefixtures("fixed_seed")
@pytest.mark.parametrize(
    ("name", "arguments", "shape", "least"),
    [
        ("SpectralLinear", (8, 8), (8,), 0.999),
        ("FrobeniusLinear", (8, 1), (8,), 0.999),
        ("SpectralConv2d", (3, 8, 3), (3, 8, 8), 0.5),
        ("GroupSort2", (), (8,), 0.999),
        ("GroupSort", (4,), (8,), 0.999),
        ("FullSort", (), (8,), 0.999),
        ("LPReLU", (), (8,), 0.999),
        ("ScaledAvgPool2d", (2,), (4, 8, 8), 0.999),
        ("InvertibleDownSampling", (2,), (4, 8, 8), 0.999),
    ],
)
def test_a_layer_is_1_lipschitz(name: str, arguments: tuple[int, ...], shape: tuple[int, ...], least: float) -> None:
    found = lipschitz_everywhere(run(getattr(torchlip, name)(*arguments), *shape), shape)
    assert found.reason is None
    assert least <= found.spectral <= 1 + 1e-4


@pytest.mark.usefixtures("fixed_seed")
def test_a_network_of_them_is_1_lipschitz_and_what_is_not_known_of_them_is_named() -> None:
    layers = (torchlip.SpectralLinear(8, 16), torchlip.GroupSort2(), torchlip.SpectralLinear(16, 16),
              torchlip.FullSort(), torchlip.FrobeniusLinear(16, 1))  # fmt: skip
    assert lipschitz_everywhere(run(torchlip.Sequential(*layers), 8), (8,)).spectral == pytest.approx(1, rel=1e-4)
    found = lipschitz_everywhere(run(torchlip.ScaledL2NormPool2d(2), 4, 8, 8), (4, 8, 8))
    assert found.reason == "`ScaledL2NormPool2d` is not known: `lp_pool2d`"
