"""Linear maps that are one matrix, repeated along every other axis of a tensor."""

import math
from typing import Protocol, Self

import torch
from torch import Tensor

from otbench.methods.lipschitz.singular import largest_singular_value


class LinearMap(Protocol):
    """A linear map, of which a layer's weights are the entries."""

    @property
    def largest(self) -> float:
        """The largest size of an entry."""
        ...

    @property
    def cells(self) -> float:
        """The root of the number of entries in the fullest row times that in the fullest column: sqrt(|A|_1 |A|_inf) is
        at most ``largest`` times this."""
        ...

    def norm(self) -> float:
        """An upper bound of |A|_2."""
        ...

    def scaled(self, factors: Tensor) -> Self:
        """The map followed by a factor for every output channel."""
        ...


class Dense:
    """A matrix (out, in) that multiplies vectors along one axis; ``channels`` is its outputs' axis."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix.detach().to("cpu", torch.float64)
        self.largest = float(self.matrix.abs().amax()) if self.matrix.numel() else 0.0
        self.cells = math.sqrt(self.matrix.numel())

    def norm(self) -> float:
        return largest_singular_value(self.matrix[None])

    def scaled(self, factors: Tensor) -> "Dense":
        return Dense(factors[:, None] * self.matrix)
