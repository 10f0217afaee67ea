"""Orthonormal layers as exponentials of skew-symmetric matrices, which training moves freely."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from otbench.methods.training.constraints import nearest_orthonormal
from otbench.methods.training.parameters import Shapes, filled
from otbench.types import Array

#: 1 / k! for the terms of an exponential up to the twelfth, and the norm up to which the others stay below rounding.
COEFFICIENTS, SERIES_WITHIN = [1 / math.factorial(k) for k in range(13)], {torch.float32: 1.0, torch.float64: 1 / 3}

#: The most times an exponent is halved; one that needs more has diverged.
MOST_HALVINGS = 30


class Exponential:
    """Orthonormal layers without a projection: W = B exp(A), or its first columns, and its transpose where W is wide.

    B holds the first weights, with random columns that complete them to a basis. A is skew-symmetric, and the leaf has
    its lower triangle, in the first columns of A where W has fewer: Adam moves A, from 0 on, and no step leaves the
    set. As Adam scales every coordinate of A by itself, the critic depends on those columns.

    Source: Lezcano-Casado, Martinez-Rubio 2019; Lezcano-Casado 2019 (a static trivialisation).
    """

    def __init__(self, leaves: Sequence[Tensor], shapes: Shapes, seeds: Sequence[int]) -> None:
        self.shapes, self.bases = shapes, []
        chances = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        for leaf, (rows, cols) in zip(leaves, shapes, strict=True):
            size, own = max(rows, cols), leaf.detach()[:, :rows, :cols]
            base = leaf.detach().new_zeros(len(leaf), filled(size), filled(size))
            for basis, first, chance in zip(base, own if rows >= cols else own.mT, chances, strict=True):
                nearest = nearest_orthonormal(first.double().cpu().numpy())
                basis[:size, :size].copy_(torch.from_numpy(completed(nearest, chance)))
            self.bases.append(base)
            own.zero_()

    def weights(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        return [self._moved(*each) for each in zip(self.bases, leaves, self.shapes, strict=True)]

    def _moved(self, base: Tensor, leaf: Tensor, shape: tuple[int, ...]) -> Tensor:
        rows, cols = shape
        own = leaf[:, :rows, :cols] if rows >= cols else leaf[:, :rows, :cols].mT
        size, count = own.shape[1:]
        lower = torch.nn.functional.pad(own.tril(-1), (0, base.shape[2] - count, 0, base.shape[1] - size))
        less_one = exponential_less_one(lower - lower.mT)[:, :, : filled(count)]
        moved = torch.baddbmm(base[:, :, : filled(count)], base, less_one)[:, :size, :count]
        weight = moved if rows >= cols else moved.mT
        return torch.nn.functional.pad(weight, (0, leaf.shape[2] - cols, 0, leaf.shape[1] - rows))


def exponential_less_one(exponents: Tensor) -> Tensor:
    """exp(A) - 1 for every A (E, k, k), by its series at A / 2^s and s squarings; autograd goes through it.

    The difference is squared, (1 + P)^2 - 1 = P^2 + 2 P, which keeps its digits where A is small. s belongs to each A
    alone. The derivative of torch's matrix_exp is an exponential of twice the size, which takes several times as long.

    Source: Higham 2005, section 2 (scaling and squaring), and Paterson, Stockmeyer 1973 for the order of the products.
    """
    whole = torch.bmm(exponents, exponents)
    bound = torch.linalg.matrix_norm(whole.detach()).sqrt()[:, None, None]  # |A|_2 is at most this
    halvings = (bound / SERIES_WITHIN[exponents.dtype]).log2().ceil().nan_to_num(0).clamp(0, MOST_HALVINGS)
    small, square = exponents * torch.exp2(-halvings), whole * torch.exp2(-2 * halvings)
    cube = torch.bmm(square, small)
    parts = [COEFFICIENTS[k] * small + COEFFICIENTS[k + 1] * square + COEFFICIENTS[k + 2] * cube for k in (10, 7, 4, 1)]
    series = parts[0]
    for part in parts[1:]:
        series = torch.baddbmm(part, cube, series)
    for done in range(int(halvings.max())):
        series = torch.where(halvings > done, torch.baddbmm(series, series, series, beta=2), series)
    return series


def completed(columns: Array, chance: torch.Generator) -> Array:
    """An orthonormal basis (n, n) whose first vectors are the given orthonormal ones (n, k), the others at random."""
    size, count = columns.shape
    others = torch.randn(size, size - count, generator=chance, dtype=torch.float64).numpy()
    for _ in range(2):  # a second time, as rounding leaves a part along the columns
        others = np.linalg.qr(others - columns @ (columns.T @ others)).Q
    basis: Array = np.hstack([columns, others])
    return basis
