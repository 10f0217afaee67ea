"""Mass that two laws share: any overlap from 0 to 1, at one W1 or in one place, which make the axes of overlaps."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from otbench.errors import InputError
from otbench.problems.base import Mode, Problem
from otbench.types import Array


class Overlapping(Problem):
    """Two mixtures with a part in common: P = (1-eps) rho + eps alpha, Q = (1-eps) rho + eps beta, eps = 1 - overlap.

    rho, alpha and beta are uniform on cubes of one ``side``, centred at 0, -t/2 e_1 and t/2 e_1, where t, the ``move``,
    is at least a side, so that alpha and beta are disjoint. The overlap is then 1 - eps, and W1 = eps W1(alpha, beta) =
    eps t.

    With ``weights="mixture"`` half of the points are of rho, with total weight 1 - eps, and half of the part that
    moves, with total weight eps; with "uniform" the part of each point is drawn.
    """

    source: ClassVar[str] = "W1 depends on P - Q only (Kantorovich-Rubinstein): Villani 2009, eq. 5.11"

    overlap: float = Field(0.5, ge=0, le=1, description="the share of mass that both laws have")
    weights: Literal["uniform", "mixture"] = Field(
        "uniform", description="mixture: half the points are shared, weighted"
    )

    @property
    def side(self) -> float:
        """The side of the cubes, in the data's unit."""
        raise NotImplementedError

    @property
    def move(self) -> float:
        """How far the part goes that moves, in the data's unit."""
        raise NotImplementedError

    @property
    def population_overlap(self) -> float:
        return self.overlap

    def sizes(self, n: int | None, m: int | None, mode: Mode) -> tuple[int, int]:
        n, m = super().sizes(n, m, mode)
        if self.weights == "mixture" and mode == "population":
            raise InputError('fresh points are drawn without weights; use weights = "uniform"')
        if self.weights == "mixture" and min(n, m) < 2:
            raise InputError(f"mixture weights need at least 2 points, one a component; got n = {n}, m = {m}")
        return n, m

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, Array | None]:
        moved_share = 1 - self.overlap
        if self.weights == "uniform":
            moves = rng.random(n) < moved_share
            weights = None
        else:
            moves = np.arange(n) >= n // 2
            weights = np.where(moves, moved_share / moves.sum(), self.overlap / (~moves).sum())
        x = self.side * (rng.random((n, self.dim)) - 0.5)
        y = x.copy()
        if moved_share > 0:
            x[moves, 0] -= self.move / 2
            y[moves, 0] += self.move / 2
        return x, y, weights


class SharedMass(Overlapping):
    """Two laws with any overlap at one W1: the part that moves goes t = w1/(1 - overlap), the cubes have side w1.

    Less mass moves further, so that overlap is confounded with the diameter and the tails: ``partial_move`` keeps those
    and lets W1 fall. At overlap 1 the laws are equal and W1 is 0, whatever w1 says.
    """

    name: Literal["shared_mass"] = "shared_mass"
    w1: float = Field(1.0, ge=1e-100, le=1e100, description="W1 of the laws, at every overlap below 1")

    @property
    def side(self) -> float:
        return self.w1

    @property
    def move(self) -> float:
        return self.w1 / (1 - self.overlap)

    @property
    def population_w1(self) -> float:
        return self.w1 if self.overlap < 1 else 0.0
