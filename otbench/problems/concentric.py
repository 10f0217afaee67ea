"""Concentric spheres, and concentric balls: one shape at two radii, so that mass moves outwards along rays."""

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from otbench.problems.base import Problem, uniform_ball, uniform_sphere
from otbench.types import Array


class _Concentric(Problem):
    """Two radii, ``inner`` of P and ``outer`` of Q, in the data's unit."""

    source: ClassVar[str] = "Villani 2009, Thm 5.10, with the 1-Lipschitz potential f(x) = |x|"

    inner: float = Field(1.0, ge=1e-100, le=1e100, description="radius of P")
    outer: float = Field(2.0, ge=1e-100, le=1e100, description="radius of Q")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.inner < self.outer:
            raise ValueError(f"inner must be below outer; got {self.inner:g} and {self.outer:g}")
        return self


class Spheres(_Concentric):
    """Uniform laws on the spheres of radius ``inner`` (P) and ``outer`` (Q): supports of dimension d - 1.

    W1 = outer - inner. The overlap is 0, so that the classical losses saturate.
    """

    name: Literal["spheres"] = "spheres"

    @property
    def population_w1(self) -> float:
        return self.outer - self.inner

    @property
    def population_overlap(self) -> float:
        return 0.0

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, None]:
        unit = uniform_sphere(rng, n, self.dim)
        return self.inner * unit, self.outer * unit, None


class Balls(_Concentric):
    """Uniform laws on the balls of radius ``inner`` (P) and ``outer`` (Q).

    W1 = (outer - inner) d/(d + 1), as E|U| = d/(d + 1) in the unit ball. The overlap is (inner/outer)^d.
    """

    name: Literal["balls"] = "balls"

    @property
    def population_w1(self) -> float:
        return (self.outer - self.inner) * self.dim / (self.dim + 1)

    @property
    def population_overlap(self) -> float:
        return float((self.inner / self.outer) ** self.dim)

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, None]:
        unit = uniform_ball(rng, n, self.dim)
        return self.inner * unit, self.outer * unit, None
