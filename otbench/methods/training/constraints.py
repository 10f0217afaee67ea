"""What holds the weights of networks to a norm while they train: spectral normalisation, and orthonormal layers."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from otbench.methods.training.parameters import Shapes, filled
from otbench.types import Array

#: Added to the length of a vector before it is divided by it.
SHORTEST = 1e-15

#: 1 / k! for the terms of an exponential up to the twelfth, and the norm up to which the others stay below rounding.
COEFFICIENTS, SERIES_WITHIN = [1 / math.factorial(k) for k in range(13)], {torch.float32: 1.0, torch.float64: 1 / 3}

#: The most times an exponent is halved; one that needs more has diverged.
MOST_HALVINGS = 30


class Constraint(Protocol):
    """What a network makes of its weights, once after every update."""

    def weights(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        """The weights (E, in, out) that the network uses, as functions of the ``leaves``."""
        ...


class Free:
    """No constraint."""

    def weights(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        return list(leaves)


class Spectral:
    """Spectral normalisation: every W is used as W / s, where s is an estimate of |W|_2 by power iterations.

    Their vectors are kept from update to update. ``whole`` says whether derivatives go through s. s is at most |W|_2:
    the norm of W / s is at least 1, about 1 only.

    Source: Miyato, Kataoka, Koyama, Yoshida 2018, Algorithm 1.
    """

    def __init__(
        self, leaves: Sequence[Tensor], shapes: Shapes, seeds: Sequence[int], iterations: int, whole: bool = True
    ) -> None:
        self.iterations, self.whole = iterations, whole
        self.vectors = [torch.zeros_like(leaf[:, :1, :]).mT.contiguous() for leaf in leaves]  # (E, out, 1)
        for k, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(int(seed))
            for vector, (_, out) in zip(self.vectors, shapes, strict=True):
                vector[k, :out, 0].copy_(torch.randn(out, generator=generator))

    def weights(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        return [self._normalised(k, leaf) for k, leaf in enumerate(leaves)]

    def _normalised(self, layer: int, weight: Tensor) -> Tensor:
        with torch.no_grad():
            right = self.vectors[layer]
            for _ in range(self.iterations):
                left = _unit(torch.bmm(weight, right))
                right = _unit(torch.bmm(weight.mT, left))
            self.vectors[layer].copy_(right)
        # by rows and not by BLAS, whose matrix times a vector rounds differently for one critic than for several
        size = (left * weight * right.mT).sum(dim=(1, 2), keepdim=True)
        return weight / (size if self.whole else size.detach())


class Orthonormal:
    """Orthonormal layers: every W has orthonormal columns, or rows where there are fewer of them.

    After each update W is drawn back by steps W ← W (3 I - W^T W) / 2, whose limit is the nearest such matrix where
    all singular values are below √3. An update that may have gone farther is shrunk first, which leaves the nearest
    matrix as it is. The derivative is that of the nearest matrix: without it Adam divides by the length of a gradient
    of which most points out of the set, and the part along the set hardly moves the critic.

    Source: Anil, Lucas, Grosse 2019, section 4.2.1; the iteration: Bjorck, Bowie 1971, eq. 4.
    """

    def __init__(self, leaves: Sequence[Tensor], shapes: Shapes, iterations: int) -> None:
        self.iterations = iterations
        self.shapes = shapes
        for leaf, (rows, cols) in zip(leaves, shapes, strict=True):
            for critic in leaf.detach()[:, :rows, :cols]:
                critic.copy_(torch.from_numpy(nearest_orthonormal(critic.double().cpu().numpy())))

    def weights(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        with torch.no_grad():
            for leaf, (rows, cols) in zip(leaves, self.shapes, strict=True):
                weight = leaf.detach() if rows >= cols else leaf.detach().mT
                for k in range(self.iterations):
                    gram = torch.bmm(weight.mT, weight)
                    if k == 0:
                        factor = within_reach(gram, min(rows, cols))
                        weight.mul_(factor)
                        gram.mul_(factor.square())
                    weight.copy_(torch.baddbmm(weight, weight, gram, beta=1.5, alpha=-0.5))
        nearest: Callable[[Tensor], Tensor] = Nearest.apply
        return [
            nearest(leaf) if rows >= cols else nearest(leaf.mT).mT
            for leaf, (rows, cols) in zip(leaves, self.shapes, strict=True)
        ]


class Nearest(torch.autograd.Function):
    """The nearest matrix with orthonormal columns to W (E, k, l) that has such columns: W, with its derivative there.

    That of one step of Bjorck's iteration is the same: G - W (W^T G + G^T W) / 2.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (weight,) = ctx.saved_tensors
        within = torch.bmm(weight.mT, gradient)
        return torch.baddbmm(gradient, weight, within + within.mT, alpha=-0.5)


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
        moved = (base + torch.bmm(base, exponential_less_one(lower - lower.mT)))[:, :size, :count]
        weight = moved if rows >= cols else moved.mT
        return torch.nn.functional.pad(weight, (0, leaf.shape[2] - cols, 0, leaf.shape[1] - rows))


def exponential_less_one(exponents: Tensor) -> Tensor:
    """exp(A) - 1 for every A (E, k, k), by its series at A / 2^s and s squarings; autograd goes through it.

    The difference is squared, (1 + P)^2 - 1 = P^2 + 2 P, which keeps its digits where A is small. s belongs to each A
    alone. The derivative of torch's matrix_exp is an exponential of twice the size, which takes several times as long.

    Source: Higham 2005, section 2 (scaling and squaring), and Paterson, Stockmeyer 1973 for the order of the products.
    """
    with torch.no_grad():
        bound = torch.linalg.matrix_norm(torch.bmm(exponents, exponents)).sqrt()  # |A|_2 is at most this
        halvings = (bound / SERIES_WITHIN[exponents.dtype]).log2().ceil().nan_to_num(0).clamp(0, MOST_HALVINGS)
        halvings = halvings[:, None, None]
    small = exponents * torch.exp2(-halvings)
    square = torch.bmm(small, small)
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


def within_reach(gram: Tensor, rank: int) -> Tensor:
    """A factor (E, 1, 1) for every W of which ``gram`` is W^T W (E, k, k), to bring it where the iteration converges.

    With A = W^T W - I, no singular value is above sqrt(1 + b), b = |A^2|_F^(1/2). Where b > 1/2 the factor brings that
    bound to sqrt(1.2): beyond √3 the iteration diverges, and long before that it throws values far below 1. Elsewhere
    it is 1. W has ``rank`` columns, the others fill
    up with zeros.
    """
    off = gram.clone()
    off.diagonal(dim1=1, dim2=2)[:, :rank] -= 1
    bound = torch.linalg.matrix_norm(torch.bmm(off, off)).sqrt()
    factor: Tensor = torch.where(bound > 0.5, (1.2 / (1 + bound)).sqrt(), 1.0)[:, None, None]
    return factor


def nearest_orthonormal(weight: Array) -> Array:
    """The matrix with orthonormal columns, or rows where there are fewer of them, that is nearest to ``weight``.

    Source: Schonemann 1966 (the polar factor).
    """
    left, _, right = np.linalg.svd(weight, full_matrices=False)
    nearest: Array = left @ right
    return nearest


def _unit(vectors: Tensor) -> Tensor:
    unit: Tensor = vectors / (torch.linalg.vector_norm(vectors, dim=1, keepdim=True) + SHORTEST)
    return unit
