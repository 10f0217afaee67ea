"""Parallel segments, the first example of the WGAN paper: W1 is continuous in theta, where JS and TV jump."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from otbench.problems.base import Problem, direction
from otbench.types import Array


class Segments(Problem):
    """Two parallel segments or cubes of dimension d - 1: x = (0, Z), y = (theta, Z) with Z ~ U[0, 1]^(d-1).

    W1 = |theta|. Unless theta = 0, JS = log 2, KL is infinite and TV = 1, so that the overlap is 0.
    """

    source: ClassVar[str] = "Arjovsky, Chintala, Bottou 2017, Example 1"

    name: Literal["segments"] = "segments"
    dim: int = Field(2, ge=2, description="one more than the segments have")
    theta: float = Field(1.0, ge=-1e100, le=1e100, description="how far apart they are")

    @property
    def population_w1(self) -> float:
        return abs(self.theta)

    @property
    def population_overlap(self) -> float:
        return float(self.theta == 0)

    @property
    def population_js(self) -> float:
        return float(np.log(2)) if self.theta else 0.0

    @property
    def population_kl(self) -> float:
        return float(np.inf) if self.theta else 0.0

    def velocity(self, y: Array) -> Array:
        return np.tile(direction("axis", self.dim), (len(y), 1))

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, None]:
        x = rng.random((n, self.dim))
        x[:, 0] = 0.0
        y = x.copy()
        y[:, 0] = self.theta
        return x, y, None
