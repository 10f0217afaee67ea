"""Critics that need no training, as baselines of trained ones: none at all, the best linear one, the exact one."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np

from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.functions import Affine, McShane


class Zero(Method):
    """No critic at all, f = 0: its c-transform is the nearest-neighbour bound."""

    chance: ClassVar[bool] = False

    name: Literal["zero"] = "zero"

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        return [Fitted(Affine(np.zeros(job.pair.dim))) for job in jobs]


class Linear(Method):
    """f(z) = <w, z> with w = (mean x - mean y)/|.|: the best 1-Lipschitz linear critic, raw = |mean x - mean y|.

    Cauchy-Schwarz: no unit vector has a larger inner product with the difference of the means.
    """

    chance: ClassVar[bool] = False

    name: Literal["linear"] = "linear"

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        fitted = []
        for job in jobs:
            difference = job.pair.a @ job.pair.x - job.pair.b @ job.pair.y
            length = np.linalg.norm(difference)
            fitted.append(Fitted(Affine(difference / length if length > 0 else difference)))
        return fitted


class Potential(Method):
    """The exact dual potential, extended to all of R^d (McShane): every rung of its ladder is W1.

    Where the solver was stopped it is the feasible potential that proves the lower end of the interval of W1, and every
    rung lies in that interval.

    Source: Villani 2009, Thm 5.10 (optimal potentials are c-concave).
    """

    chance: ClassVar[bool] = False

    name: Literal["potential"] = "potential"

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        fitted = []
        for job in jobs:
            assert job.exact is not None
            support = job.pair.b > 0
            fitted.append(Fitted(McShane(job.pair.y[support], job.exact.v[support])))
        return fitted
