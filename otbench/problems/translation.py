"""Translation: Q is P moved by a vector m, so that W1 = |m| whatever the law."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy.special import betainc, ndtr

from otbench.problems.base import Problem, direction, uniform_ball
from otbench.problems.gaussian_js import shifted_gaussians_js
from otbench.types import Array


class Translation(Problem):
    """A law and its translate: y = x + m with |m| = |shift|, along an axis or the main diagonal, back where shift < 0.

    ``scale`` is the Gaussian's standard deviation per coordinate, the cube's side or the ball's radius. The overlap is
    2 Phi(-|shift| / (2 scale)) of Gaussians, prod_i max(0, 1 - |m_i|/scale) of cubes, and
    I_{1 - t^2/(4 r^2)}((d + 1)/2, 1/2) at t = |shift| and r = scale of balls (two spherical caps; Li 2011).
    Gaussians have KL = shift^2 / (2 scale^2) and the JS of two normal laws on the line. The densities of two cubes or
    balls are equal where both are positive, so that JS = (1 - overlap) log 2, and KL is infinite unless shift = 0.
    """

    source: ClassVar[str] = "Villani 2009, Thm 5.10 (Kantorovich duality with f(x) = -<x, m>/|m|)"

    version: ClassVar[int] = 3

    name: Literal["translation"] = "translation"
    law: Literal["gaussian", "cube", "ball"] = Field("gaussian", description="of P")
    direction: Literal["axis", "diagonal"] = Field("axis", description="of the shift")
    shift: float = Field(1.0, ge=-1e100, le=1e100, description="how far Q lies from P")
    scale: float = Field(
        1.0, ge=1e-100, le=1e100, description="a Gaussian's standard deviation, a cube's side or a ball's radius"
    )

    @property
    def population_w1(self) -> float:
        return abs(self.shift)

    @property
    def population_overlap(self) -> float:
        ratio = abs(self.shift) / self.scale
        if self.law == "gaussian":
            return float(2 * ndtr(-ratio / 2))
        if self.law == "cube":
            if self.direction == "axis":
                return max(0.0, 1 - ratio)
            return float(max(0.0, 1 - ratio / self.dim**0.5) ** self.dim)
        return float(betainc((self.dim + 1) / 2, 0.5, max(0.0, 1 - min(ratio, 2.0) ** 2 / 4)))

    @property
    def population_js(self) -> float:
        if self.law == "gaussian":
            return shifted_gaussians_js(self.shift / self.scale)
        return (1 - self.population_overlap) * float(np.log(2))

    @property
    def population_kl(self) -> float:
        if self.law == "gaussian":
            ratio = self.shift / self.scale
            return ratio * ratio / 2
        return float(np.inf) if self.shift else 0.0

    def velocity(self, y: Array) -> Array:
        return np.tile(direction(self.direction, self.dim), (len(y), 1))

    def potential_gradient(self, x: Array) -> Array | None:
        """-m/|m|, of the potential f(x) = -<x, m>/|m|; None where nothing moves."""
        if self.shift == 0:
            return None
        return np.tile(-np.sign(self.shift) * direction(self.direction, self.dim), (len(x), 1))

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, None]:
        if self.law == "gaussian":
            x = rng.standard_normal((n, self.dim))
        elif self.law == "cube":
            x = rng.random((n, self.dim)) - 0.5
        else:
            x = uniform_ball(rng, n, self.dim)
        x *= self.scale
        return x, x + self.shift * direction(self.direction, self.dim), None
