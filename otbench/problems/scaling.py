"""Scaled Gaussians: Q is the centred Gaussian P stretched by a factor, so that mass moves along rays from 0."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy.special import gammainc, gammaln

from otbench.problems.base import Problem
from otbench.problems.gaussian_js import scaled_gaussians_js
from otbench.types import Array


class Scaling(Problem):
    """A centred Gaussian and its multiple: x ~ N(0, sigma^2 I), y = factor * x.

    W1 = |factor - 1| E|X| with E|X| = sigma sqrt(2) Gamma((d+1)/2) / Gamma(d/2). The overlap is 1 - TV with
    TV = F_d(r^2/s1^2) - F_d(r^2/s2^2) and r^2 = 2 d ln(s2/s1) s1^2 s2^2 / (s2^2 - s1^2), where s1 < s2 are the two
    deviations and F_d is the chi-square cdf: the densities cross on the sphere of radius r.
    KL(P, Q) = d (ln factor + 1/(2 factor^2) - 1/2), which is not KL(Q, P).
    """

    source: ClassVar[str] = "Villani 2009, Thm 5.10, with the 1-Lipschitz potential f(x) = |x|"

    name: Literal["scaling"] = "scaling"
    sigma: float = Field(1.0, ge=1e-100, le=1e100, description="standard deviation of P's coordinates")
    factor: float = Field(2.0, ge=1e-12, le=1e12, description="what Q is multiplied with")

    @property
    def population_w1(self) -> float:
        mean_norm = self.sigma * np.sqrt(2) * np.exp(gammaln((self.dim + 1) / 2) - gammaln(self.dim / 2))
        return float(abs(self.factor - 1) * mean_norm)

    @property
    def population_overlap(self) -> float:
        if self.factor == 1:
            return 1.0
        ratio = max(self.factor, 1 / self.factor) ** 2  # (s2 / s1)^2 > 1
        inner = self.dim * np.log(ratio) * ratio / (ratio - 1)  # r^2 / s1^2
        half = self.dim / 2
        return float(1 - (gammainc(half, inner / 2) - gammainc(half, inner / ratio / 2)))

    @property
    def population_js(self) -> float:
        return scaled_gaussians_js(self.dim, self.factor)

    @property
    def population_kl(self) -> float:
        return float(self.dim * (np.log(self.factor) + (self.factor**-2 - 1) / 2))

    def velocity(self, y: Array) -> Array:
        return y / self.factor

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, None]:
        x = self.sigma * rng.standard_normal((n, self.dim))
        return x, self.factor * x, None
