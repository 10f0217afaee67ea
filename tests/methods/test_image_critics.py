"""Convolutional critics of images: a number for every rung, the same values by every way of computing them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import otbench
from otbench.methods.modules import TorchFunction
from otbench.methods.product_convolution import ProductConvolutions

RUNGS = ("clip_bound", "spectral", "slope", "c_transform", "primal")


def dcgan(width: int, normed: bool) -> nn.Sequential:
    """The critic of DCGAN for images of 3 x 32 x 32, from random weights."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for channels, out in ((3, width), (width, 2 * width), (2 * width, 4 * width), (4 * width, 8 * width)):
        layers += [nn.Conv2d(channels, out, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(out)] * (normed and channels > 3)
        layers += [nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 2), nn.Flatten())


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((count, 3, 32, 32)), np.clip(0.9 * rng.random((count, 3, 32, 32)) + 0.15, 0, 1)


@pytest.mark.parametrize("normed", [True, False])
def test_a_dcgan_critic_has_a_number_for_every_rung(normed: bool) -> None:
    (x, y), module = images(40), dcgan(8, normed)
    sign = 1 if otbench.audit(module, x, y, clip=1.0).raw > 0 else -1
    found = otbench.audit(module, *((x, y) if sign > 0 else (y, x)), clip=1.0)
    rungs = [getattr(found, name) for name in RUNGS]
    assert None not in rungs
    assert 0 < rungs[0] < rungs[1] < rungs[2] <= rungs[3] <= rungs[4]
    assert found.slope_constant <= found.spectral_constant
    assert found.alignment.grad_norm_max <= found.spectral_constant


@pytest.mark.slow
def test_that_of_full_width_on_500_images_takes_seconds() -> None:
    """``pytest -s`` prints how many."""
    import time

    (x, y), module = images(500), dcgan(64, True)
    start, used = time.perf_counter(), time.process_time()
    found = otbench.audit(module, x, y)
    spent = time.perf_counter() - start, time.process_time() - used
    print(f"\n{spent[0]:.1f} s, {spent[1]:.1f} CPU s, {torch.get_num_threads()} threads: {found}")
    assert None not in [getattr(found, name) for name in RUNGS]


@pytest.mark.parametrize("arguments", [
    {}, {"stride": 2, "padding": 1}, {"stride": (2, 1), "padding": (0, 2), "dilation": 2}, {"bias": torch.ones(7)},
    {"groups": 1, "stride": [3], "padding": "valid"},
])  # fmt: skip
def test_a_convolution_as_one_product_is_torch_s_own_with_its_gradients(arguments: dict[str, object]) -> None:
    torch.manual_seed(0)
    image, weight = torch.randn(9, 5, 6, 7, dtype=torch.float64, requires_grad=True), torch.randn(7, 5, 3, 2).double()
    arguments = {name: value.double() if isinstance(value, Tensor) else value for name, value in arguments.items()}
    seen = []
    for within in (False, True):
        if within:
            with ProductConvolutions():
                output = functional.conv2d(image, weight, **arguments)
        else:
            output = functional.conv2d(image, weight, **arguments)
        (gradient,) = torch.autograd.grad(output.square().sum(), image)
        seen.append((output.detach(), gradient))
    for own, product in zip(*seen, strict=True):
        torch.testing.assert_close(own, product, rtol=1e-12, atol=1e-12)


def test_points_are_handed_over_in_parts_that_change_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    (x, _), critic = images(21), TorchFunction(dcgan(4, True), shape=(3, 32, 32))
    z = x.reshape(21, -1)
    values, gradients = critic.values_and_gradients(z)
    monkeypatch.setattr("otbench.methods.modules.NUMBERS_AT_ONCE", 3072 * 4)
    parts, of_parts = critic.values_and_gradients(z)
    np.testing.assert_allclose(parts, values, rtol=1e-12)
    np.testing.assert_allclose(of_parts, gradients, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(critic.values(z), values, rtol=1e-12)
