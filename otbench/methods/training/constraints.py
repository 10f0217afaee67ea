"""What holds the weights of networks to a norm while they train: spectral normalisation, and orthonormal layers."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from otbench.methods.training.parameters import Shapes
from otbench.types import Array

#: Added to the length of a vector before it is divided by it.
SHORTEST = 1e-15


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


def within_reach(gram: Tensor, rank: int) -> Tensor:
    """A factor (E, 1, 1) for every W of which ``gram`` is W^T W (E, k, k), to bring it where the iteration converges.

    With A = W^T W - I, no singular value is above sqrt(1 + b), b = |A^2|_F^(1/2). Where b > 1/2 the factor brings that
    bound to sqrt(1.2): beyond √3 the iteration diverges, and long before that it throws values far below 1. Elsewhere
    it is 1. W has ``rank`` columns; the others are zeros that fill up.
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
