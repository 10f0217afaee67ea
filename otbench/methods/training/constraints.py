"""What holds the weights of networks to a norm while they train: spectral normalisation, and orthonormal layers."""

from collections.abc import Sequence
from typing import Protocol

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

    After each update W is drawn back by steps W ← W (3 I - W^T W) / 2, whose limit is the nearest such matrix.

    Source: Anil, Lucas, Grosse 2019, section 4.2.1; the iteration: Bjorck, Bowie 1971, eq. 4.
    """

    def __init__(self, leaves: Sequence[Tensor], shapes: Shapes, iterations: int) -> None:
        self.iterations = iterations
        for leaf, (rows, cols) in zip(leaves, shapes, strict=True):
            for critic in leaf.detach()[:, :rows, :cols]:
                critic.copy_(torch.from_numpy(nearest_orthonormal(critic.double().cpu().numpy())))

    def weights(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        with torch.no_grad():
            for leaf in leaves:
                weight = leaf.detach() if leaf.shape[1] >= leaf.shape[2] else leaf.detach().mT
                for _ in range(self.iterations):
                    gram = torch.bmm(weight.mT, weight)
                    weight.copy_(torch.baddbmm(weight, weight, gram, beta=1.5, alpha=-0.5))
        return list(leaves)


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
