"""Norms of convolutions: never below the truth by its own matrix or by power iteration, and near it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from otbench.methods.lipschitz import convolution, singular
from otbench.methods.lipschitz.convolution import Convolution
from otbench.methods.lipschitz.everywhere import lipschitz_everywhere
from otbench.methods.lipschitz.singular import largest_singular_value


def of_layer(layer: nn.Module, shape: tuple[int, ...]) -> tuple[float, float]:
    """The bound of a layer without its bias, and the largest singular value of its own matrix."""
    layer = layer.double().requires_grad_(False)
    basis = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
    zero = layer(torch.zeros(1, *shape, dtype=torch.float64))
    matrix = (layer(basis) - zero).flatten(1)
    found = lipschitz_everywhere(layer, shape)
    assert found.spectral is not None, found.reason
    return found.spectral, float(np.linalg.norm(matrix.numpy(), 2))


@st.composite
def layers(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """Any convolution of a small image that torch takes."""
    axes, groups = draw(st.integers(1, 2)), draw(st.sampled_from([1, 1, 2]))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    kernel, stride, dilation, padding = each(1, 4), each(1, 3), each(1, 2), each(0, 2)
    mode, channels = draw(st.sampled_from(["zeros", "zeros", "circular", "reflect", "replicate"])), 2 * groups
    least = [max(d * (k - 1) + 1, p + 1) for d, k, p in zip(dilation, kernel, padding, strict=True)]
    shape = (channels, *(draw(st.integers(low, 8)) for low in least))
    torch.manual_seed(draw(st.integers(0, 1000)))
    if draw(st.booleans()):
        kinds = (nn.Conv1d, nn.Conv2d)
        layer = kinds[axes - 1](channels, 2 * groups, kernel, stride, padding, dilation, groups, padding_mode=mode)
    else:
        kinds = (nn.ConvTranspose1d, nn.ConvTranspose2d)
        padding = tuple(min(p, (d * (k - 1)) // 2) for p, d, k in zip(padding, dilation, kernel, strict=True))
        extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
        layer = kinds[axes - 1](channels, 3 * groups, kernel, stride, padding, extra, groups, dilation=dilation)
    return layer, shape


@pytest.mark.parametrize("by", ["matrix", "Gram matrix", "grid", "coarse grid"])
def test_no_way_of_bounding_a_convolution_is_below_its_matrix(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by != "matrix":
        monkeypatch.setattr(convolution, "MATRIX_ENTRIES", 0)
    if by != "Gram matrix":
        monkeypatch.setattr(convolution, "GRAM_ROWS", 0)
    else:
        monkeypatch.setattr(convolution, "GRAM_POSITIONS", 10**6)
    if by == "coarse grid":
        monkeypatch.setattr(convolution, "WORK", 0)
        monkeypatch.setattr(convolution, "REFUSED", 10**12)

    @settings(max_examples=40)
    @given(layers())
    def law(drawn: tuple[nn.Module, tuple[int, ...]]) -> None:
        bound, truth = of_layer(*drawn)
        assert truth <= bound * (1 + 1e-12)
        assert by != "matrix" or bound <= truth * 1.011

    law()


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("smooth", [False, True], ids=["random", "smooth"])
def test_the_convolutions_of_a_dcgan_critic_are_bounded_within_three_tenths(size: int, smooth: bool) -> None:
    """Narrower than in practice, by a quarter, so that it takes a moment; kernels of one sign are the hardest."""
    torch.manual_seed(0)
    for channels, out in ((3, 16), (16, 32), (32, 64), (64, 128)):
        weight = torch.rand(out, channels, 4, 4, dtype=torch.float64) - (0 if smooth else 0.5)
        size //= 2
        bound = Convolution(weight, (2, 2), (1, 1), (1, 1), (2 * size,) * 2, (size,) * 2).norm()
        truth = by_power_iteration(weight, 2 * size)
        assert truth <= bound <= 1.3 * truth
    weight = torch.rand(1, 128, size, size, dtype=torch.float64)
    known = Convolution(weight, (1, 1), (1, 1), (0, 0), (size,) * 2, (1, 1)).norm()
    assert known == pytest.approx(float(weight.norm()), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("smooth", [False, True], ids=["random", "smooth"])
def test_so_are_those_of_the_full_width(size: int, smooth: bool) -> None:
    torch.manual_seed(0)
    for channels, out in ((3, 64), (64, 128), (128, 256), (256, 512)):
        weight = torch.rand(out, channels, 4, 4, dtype=torch.float64) - (0 if smooth else 0.5)
        size //= 2
        bound = Convolution(weight, (2, 2), (1, 1), (1, 1), (2 * size,) * 2, (size,) * 2).norm()
        assert by_power_iteration(weight, 2 * size) <= bound <= 1.3 * by_power_iteration(weight, 2 * size)


def by_power_iteration(weight: Tensor, size: int) -> float:
    """A lower estimate of the norm of the convolution with stride 2 and padding 1."""
    image = torch.randn(1, weight.shape[1], size, size, dtype=torch.float64)
    length = torch.ones(())
    for _ in range(60):
        output = functional.conv2d(image / image.norm(), weight, stride=2, padding=1)
        length, image = output.norm(), functional.conv_transpose2d(output, weight, stride=2, padding=1)
    return float(length)


def test_on_a_ring_the_norm_is_that_of_the_circulant_matrix() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    bound, truth = of_layer(layer, (3, 12, 10))
    assert truth <= bound <= truth * 1.011


@pytest.mark.parametrize("rows", [3, 60, 400])
def test_the_largest_singular_value_is_that_of_svd_from_above(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(rows)
    spectra = [np.ones(rows), 0.9 ** np.arange(rows), np.linspace(1, 0.99, rows)]
    for spectrum in spectra:
        left, right = (np.linalg.qr(rng.standard_normal((n, rows)))[0] for n in (rows, rows + 7))
        matrix = 1e-5 * (left * spectrum) @ right.T
        found = largest_singular_value(torch.from_numpy(matrix)[None])
        assert np.linalg.norm(matrix, 2) <= found <= 1.011 * np.linalg.norm(matrix, 2)
        assert found == pytest.approx(largest_singular_value(torch.from_numpy(matrix.T.copy())[None]), rel=1e-2)
        monkeypatch.setattr(singular, "PROVED_UP_TO", 2)
        assert found <= largest_singular_value(torch.from_numpy(matrix)[None]) * (1 + 1e-9)
        monkeypatch.undo()


@pytest.mark.parametrize("rank", [1, 3, 60])
def test_matrices_of_few_singular_values_have_their_norm_and_no_multiple_of_it(rank: int) -> None:
    """A guess comes to its end after as many steps as there are different values; what follows is rounding."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        left, right = (np.linalg.qr(rng.standard_normal((n, rank)))[0] for n in (60, 67))
        pair = torch.from_numpy(np.stack([left @ right.T, 0.5 * rng.standard_normal((60, 67)) / 16]))
        assert 1 - 1e-12 <= largest_singular_value(pair) <= 1.011


def test_a_guess_that_is_too_low_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = torch.randn(1, 80, 90, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    truth = float(torch.linalg.matrix_norm(matrix, 2))
    monkeypatch.setattr(singular, "_guess", lambda grams: 0.8 * float(torch.linalg.eigvalsh(grams).max()))
    assert truth <= largest_singular_value(matrix) <= 1.011 * truth


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_weights_without_a_size_have_a_norm_without_one(value: float) -> None:
    known = Convolution(torch.full((2, 3, 3), value), (1,), (1,), (1,), (5,), (5,)).norm()
    assert known == value or (math.isnan(known) and math.isnan(value))
