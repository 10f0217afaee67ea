"""Laws on the line, lifted into R^d by a factor common to both: W1(P1 x R, Q1 x R) = W1(P1, Q1)."""

from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from otbench.problems.base import Problem
from otbench.types import Array

LineLaw = Literal["normal", "uniform", "laplace", "logistic", "exponential"]


class Lift(Problem):
    """Two laws that differ in their first coordinate alone: ``left`` in P, location + scale ``right`` in Q.

    All other coordinates are standard normal. The laws on the line are scipy's standard forms; the uniform one is on
    [0, 1]. W1 = int |F - G| dt and the overlap int min(f, g) dt are computed by tanh-sinh quadrature between the points
    where the integrand bends, accurate to 1e-8; for W1 this is in units of the largest of 1, scale and |location|.
    """

    source: ClassVar[str] = "Vallender 1974 (W1 on the line); lifting: project, and couple the rest to itself"

    name: Literal["lift"] = "lift"
    left: LineLaw = Field("normal", description="law of P's first coordinate")
    right: LineLaw = Field("laplace", description="law of Q's first coordinate before location and scale")
    location: float = Field(1.0, ge=-1e8, le=1e8, description="added to Q's first coordinate")
    scale: float = Field(1.0, ge=1e-8, le=1e8, description="what Q's first coordinate is multiplied with")

    @cached_property
    def _laws(self) -> tuple[Any, Any]:
        from scipy import stats  # half a second to import, and only this problem needs it

        laws = {
            "normal": stats.norm, "uniform": stats.uniform, "laplace": stats.laplace,
            "logistic": stats.logistic, "exponential": stats.expon,
        }  # fmt: skip
        return laws[self.left](), laws[self.right](loc=self.location, scale=self.scale)

    @cached_property
    def population_w1(self) -> float:
        p, q = self._laws
        unit = max(1.0, self.scale, abs(self.location))
        return self._integrate(lambda t: abs(p.cdf(t) - q.cdf(t)), lambda t: p.cdf(t) - q.cdf(t), unit)

    @cached_property
    def population_overlap(self) -> float:
        p, q = self._laws
        return self._integrate(lambda t: np.minimum(p.pdf(t), q.pdf(t)), lambda t: p.pdf(t) - q.pdf(t))

    def _integrate(self, integrand: Any, difference: Any, unit: float = 1.0) -> float:
        """The integral of ``integrand`` to 1e-11 of ``unit``, split at the ends of the supports, at the medians and
        where ``difference`` changes sign."""
        from scipy import integrate, optimize

        p, q = self._laws
        tails = 10.0 ** -np.arange(1, 15)
        levels = np.concatenate([tails, np.linspace(0.1, 0.9, 33), 1 - tails])
        grid = np.unique(np.concatenate([law.ppf(levels) for law in (p, q)]))
        signs = np.sign(difference(grid))
        crossings = [
            optimize.brentq(difference, grid[k], grid[k + 1])
            for k in np.flatnonzero(signs[:-1] * signs[1:] < 0)
        ]
        ends = [t for law in (p, q) for t in (*law.support(), law.median()) if np.isfinite(t)]
        # a law's own quantiles are among the knots: quadrature must not step over the narrower of the two
        knots = np.unique([*grid, *crossings, *ends])
        apart = np.diff(knots, prepend=-np.inf) > 1e-12 * (1 + np.abs(knots))
        knots = knots[apart]
        pieces = integrate.tanhsinh(integrand, knots[:-1], knots[1:], atol=1e-11 * unit, rtol=1e-11)
        return float(pieces.integral.sum())

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, None]:
        p, q = self._laws
        level = rng.uniform(1e-12, 1 - 1e-12, n)
        x = rng.standard_normal((n, self.dim))
        y = x.copy()
        x[:, 0], y[:, 0] = p.ppf(level), q.ppf(level)
        return x, y, None
