"""Sinkhorn's critic: entropic potentials of the two samples, extended to all of R^d."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field
from scipy.spatial.distance import cdist
from scipy.special import softmax

from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.functions import McShane
from otbench.transport.entropic import entropic_potentials, log_terms, soft_min
from otbench.types import Array, SamplePair

#: Distances that are held at once: 32 MiB of them.
DISTANCES_AT_ONCE = 2**22

#: Points nearer to an atom than this share of their sizes are subtracted before anything else; of others, products of
#: matrices lose three digits at most.
NEAR_AN_ATOM = 1e-3


@dataclass(frozen=True, eq=False)
class SoftTransform:
    """f(z) = -reg log sum_j b_j exp((v_j - |z - y_j|)/reg): a smooth minimum of the cones |z - y_j| - v_j.

    Its gradient is a mean of unit vectors, those from the atoms y (m, d), weighted by the terms of the sum, so that f
    is 1-Lipschitz everywhere, whatever v (m,). As ``reg`` > 0, in the data's unit, comes to 0, f comes to McShane's.

    Source: Feydy et al. 2019, eq. 10 (the soft c-transform).
    """

    atoms: Array
    v: Array
    weights: Array
    reg: float

    def values(self, z: Array) -> Array:
        blocks = _row_blocks(len(z), len(self.atoms))
        return np.concatenate([self._values(cdist(z[rows], self.atoms)) for rows in blocks])

    def gradients(self, z: Array) -> Array:
        """sum_j p_j (z - y_j)/|z - y_j| with p_j the share of atom j in the sum; an atom at z itself adds 0."""
        return self.values_and_gradients(z)[1]

    def values_and_gradients(self, z: Array) -> tuple[Array, Array]:
        """Both of one look at the distances."""
        values, gradients = np.empty(len(z)), np.empty(z.shape)
        for rows in _row_blocks(len(z), len(self.atoms)):
            lengths = cdist(z[rows], self.atoms)
            values[rows], gradients[rows] = self._values(lengths), self._gradients(z[rows], lengths)
        return values, gradients

    def constants(self) -> tuple[None, float]:
        return None, 1.0

    def _values(self, lengths: Array) -> Array:
        return soft_min(lengths - self.v, self.weights, self.reg)

    def _gradients(self, z: Array, lengths: Array) -> Array:
        lines = lengths - self.v
        pull = softmax(log_terms(lines, lines.min(axis=1), self.weights, self.reg), axis=1)
        np.divide(pull, lengths, out=pull, where=lengths > 0)
        pull[lengths == 0] = 0.0
        origin = np.median(self.atoms, axis=0)
        ends, starts = z - origin, self.atoms - origin
        near = lengths < NEAR_AN_ATOM * np.add.outer(np.linalg.norm(ends, axis=1), np.linalg.norm(starts, axis=1))
        far = np.where(near, 0.0, pull)
        gradients: Array = far.sum(axis=1)[:, None] * ends - far @ starts
        rows, cols = np.nonzero(near)
        for k in range(z.shape[1] if len(rows) else 0):
            moves = pull[rows, cols] * (z[rows, k] - self.atoms[cols, k])
            gradients[:, k] += np.bincount(rows, moves, len(z))
        return gradients


def _row_blocks(count: int, atoms: int) -> list[slice]:
    """The rows 0 to ``count`` in slices whose distances to the atoms take DISTANCES_AT_ONCE numbers at most."""
    step = max(1, DISTANCES_AT_ONCE // atoms)
    return [slice(k, k + step) for k in range(0, max(count, 1), step)]


class Sinkhorn(Method):
    """Potentials of optimal transport with entropy, extended everywhere: how far does regularisation take one?

    v are the potentials of min over plans of <plan, M> + reg KL(plan | a x b). The critic is the soft transform of v,
    which is u at the points of x, or McShane's extension of v as of exact potentials. Both are 1-Lipschitz everywhere
    whatever v, hence raw is a lower bound of W1, which comes to W1 as ``reg`` comes to 0. Iterations that end with
    column sums of the plan further from b than ``tolerance`` have diverged: there is no critic.

    Source: Cuturi 2013; Feydy et al. 2019 (extension).
    """

    chance: ClassVar[bool] = False
    source: ClassVar[str] = "Cuturi 2013"

    name: Literal["sinkhorn"] = "sinkhorn"
    reg: float = Field(0.05, gt=0, description="regularisation, in units of the mean distance from x to y")
    extension: Literal["soft", "hard"] = Field("soft", description="of v: the soft c-transform, or McShane's")
    max_iter: int = Field(10_000, ge=1, description="iterations at most")
    tolerance: float = Field(1e-3, gt=0, description="accepted error of the marginals, sum |column sum - b|")

    def batch_key(self) -> tuple[object, ...]:
        return tuple(sorted(self.model_dump().items()))

    @property
    def trained(self) -> bool:
        return True

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        return [method._fitted(job.pair) for method, job in zip(methods, jobs, strict=True)]

    def _fitted(self, pair: SamplePair) -> Fitted:
        start = time.perf_counter()
        rows, cols = pair.a > 0, pair.b > 0
        atoms, weights = pair.y[cols], pair.b[cols]
        found = entropic_potentials(pair.x[rows], atoms, pair.a[rows], weights, self.reg,
                                    max_iter=self.max_iter, tolerance=self.tolerance)  # fmt: skip
        seconds = time.perf_counter() - start
        if not found.error <= self.tolerance:
            reason = (
                f"after {found.iterations} iterations the marginals are wrong by {found.error:.3g}, more than the "
                f"tolerance {self.tolerance:g}: raise max_iter, reg or tolerance"
            )
            return Fitted(None, "diverged", reason, seconds=seconds)
        if self.extension == "hard" or found.reg == 0:
            return Fitted(McShane(atoms, found.v), seconds=seconds)
        return Fitted(SoftTransform(atoms, found.v, weights, found.reg), seconds=seconds)
