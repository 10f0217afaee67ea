"""Max-sliced W1: the samples' W1 along the direction in which it is largest, as a critic."""

import time
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from otbench.deadline import check_deadline
from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.ridges import along, middle
from otbench.methods.sliced import ridges_of
from otbench.problems.base import uniform_sphere
from otbench.transport.line_potential import w1_and_derivative
from otbench.types import Array, SamplePair

#: A step shorter than this, of a unit direction, changes nothing: an ascent that has come to it ends.
SHORTEST_STEP = 1e-12

#: W1 is larger where it is by this share: a direction and its opposite have the same, and rounding must not choose.
LARGER = 1 + 1e-12


class MaxSliced(Method):
    """f(z) = phi(<theta, z>) with the direction theta along which W1 of the samples is largest, as far as found.

    phi is an exact potential of the samples along theta, so that raw is their W1 there. f is 1-Lipschitz, hence raw is
    a lower bound of W1. It is at least that of the best linear critic, |mean x - mean y|: the difference of the means
    is the first start, and no step of an ascent lowers what it has.

    W1 along theta, W(theta) = sum_k |F_P - F_Q|_k (t_{k+1} - t_k) over the projections t_k in their order, is piecewise
    linear in theta. A step goes along its gradient and back to the sphere; where W has risen the next one is twice as
    long, where it has not it is taken back, and the next one is half as long.

    Source: Deshpande et al. 2019, eq. 8 (max-sliced); Bonneel et al. 2015 (the gradient along one direction).
    """

    source: ClassVar[str] = "Deshpande et al. 2019"

    name: Literal["max_sliced"] = "max_sliced"
    starts: int = Field(8, ge=1, description="ascents: from the difference of the means, and from random directions")
    steps: int = Field(100, ge=0, description="of every ascent at most; 0: the best of the starts")
    rate: float = Field(1.0, gt=0, description="length of the first step, of a unit direction")

    def batch_key(self) -> tuple[object, ...]:
        return tuple(sorted(self.model_dump().items()))

    @property
    def trained(self) -> bool:
        return self.steps > 0

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        fitted = []
        for method, job in zip(methods, jobs, strict=True):
            start = time.perf_counter()
            critic = ridges_of(job.pair, method.best_direction(job.pair, job.seed)[None])
            fitted.append(Fitted(critic, seconds=time.perf_counter() - start))
        return fitted

    def best_direction(self, pair: SamplePair, seed: int) -> Array:
        """The unit vector (d,) with the largest W1 of the samples along it, of those that the ascents end in."""
        points = np.concatenate([pair.x, pair.y]) - middle(pair.x, pair.y)
        points = np.ldexp(points, -int(np.frexp(np.abs(points).max())[1]))  # squares stay within float64
        mass = np.concatenate([pair.a, -pair.b])
        starts = uniform_sphere(np.random.default_rng(seed), self.starts, pair.dim)
        means = mass @ points
        if means.any():
            starts[0] = means / np.linalg.norm(means)
        found = [self._ascent(points, mass, start) for start in starts]
        largest = max(value for value, _ in found)
        return next(direction for value, direction in found if value * LARGER >= largest)

    def _ascent(self, points: Array, mass: Array, direction: Array) -> tuple[float, Array]:
        """The largest W1 along a direction that an ascent from ``direction`` comes to, and that direction."""
        best, gradient = _w1_along(direction, points, mass)
        step = self.rate
        for _ in range(self.steps):
            check_deadline()
            length = np.linalg.norm(gradient)
            if length == 0 or step < SHORTEST_STEP:
                break
            tried = direction + step / length * gradient
            tried /= np.linalg.norm(tried)
            value, there = _w1_along(tried, points, mass)
            if value > best * LARGER:
                best, gradient, direction, step = value, there, tried, 2 * step
            else:
                step /= 2
        return best, direction


def _w1_along(direction: Array, points: Array, mass: Array) -> tuple[float, Array]:
    """W1 of the projections, and its gradient (d,) in the direction."""
    value, derivative = w1_and_derivative(along(direction[None], points)[0], mass)
    return value, np.einsum("n,nd->d", derivative, points)
