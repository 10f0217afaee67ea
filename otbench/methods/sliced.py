"""Sliced W1: the mean of the samples' W1 along random directions, as a critic."""

import time
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.ridges import Ridges, along, middle
from otbench.problems.base import uniform_sphere
from otbench.transport.line_potential import line_potential
from otbench.types import Array, SamplePair


class Sliced(Method):
    """f(z) = mean_k phi_k(<theta_k, z>) with an exact potential phi_k of the samples along each random direction.

    raw is the sliced W1 of the samples, mean_k W1(<theta_k, x>, <theta_k, y>), along directions that are uniform on the
    sphere and follow from the seed. Over the Lipschitz constant of f, which is known everywhere (``Ridges``), it is a
    lower bound of W1: with many directions about sqrt(d) times the sliced W1.

    Source: Bonneel, Rabin, Peyré, Pfister 2015.
    """

    source: ClassVar[str] = "Bonneel, Rabin, Peyré, Pfister 2015"

    name: Literal["sliced"] = "sliced"
    directions: int = Field(256, ge=1, description="random unit vectors")

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        fitted = []
        for method, job in zip(methods, jobs, strict=True):
            start = time.perf_counter()
            thetas = uniform_sphere(np.random.default_rng(job.seed), method.directions, job.pair.dim)
            critic = ridges_of(job.pair, thetas)
            fitted.append(Fitted(critic, seconds=time.perf_counter() - start))
        return fitted


def ridges_of(pair: SamplePair, directions: Array) -> Ridges:
    """The critic that has an exact potential of the samples along each of the unit ``directions`` (k, d)."""
    origin, mass = middle(pair.x, pair.y), np.concatenate([pair.a, -pair.b])
    points = np.concatenate([pair.x, pair.y]) - origin
    parts = tuple(line_potential(places, mass) for places in along(directions, points))
    return Ridges(directions, origin, parts)
