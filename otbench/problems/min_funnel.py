"""The minimum of several funnels |z - a_k| + b_k: its values, its gradient, and which funnel attains it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from otbench.types import Array, Indices

#: Entries of the (rows, funnels) arrays that are made at once: half a MiB, a few of which fit the second-level cache.
ENTRIES_AT_ONCE = 2**16


@dataclass(frozen=True, eq=False)
class MinFunnel:
    """The function u(z) = min_k |z - a_k| + b_k, with centres a (K, d) and biases b (K,).

    It is 1-Lipschitz, as a minimum of functions that are, and the largest such function with u(a_k) <= b_k for all k.

    Source: McShane 1934, Thm 1.
    """

    centres: Array
    biases: Array

    def potential(self, z: Array) -> Array:
        """u(z) (n,) at points z (n, d)."""
        active, rays = self.rays(z)
        values: Array = np.linalg.norm(rays, axis=1) + self.biases[active]
        return values

    def gradient(self, z: Array) -> Array:
        """grad u(z) (n, d), the unit vector from the active centre to z; 0 at a centre, where u has a kink."""
        return self.potential_and_gradient(z)[1]

    def potential_and_gradient(self, z: Array) -> tuple[Array, Array]:
        """Both of one search for the active centres, which takes the time."""
        active, rays = self.rays(z)
        lengths = np.linalg.norm(rays, axis=1, keepdims=True)
        gradient = np.divide(rays, lengths, out=np.zeros_like(rays), where=lengths > 0)
        return lengths[:, 0] + self.biases[active], gradient

    def rays(self, z: Array) -> tuple[Indices, Array]:
        """The index k (n,) of the funnel that attains u(z), and z - a_k (n, d)."""
        active = np.concatenate([self._active(rows)[0] for rows in self._blocks(z)])
        return active, z - self.centres[active]

    def _blocks(self, z: Array) -> Iterator[Array]:
        step = max(1, ENTRIES_AT_ONCE // max(self.centres.shape))
        yield from (z[k : k + step] for k in range(0, max(len(z), 1), step))

    def _active(self, z: Array) -> tuple[Indices, Array]:
        """The funnel k that attains u(z) for each row of z, and all products <z, a_j> (n, K).

        A distance computed from products is off by the square root of their rounding. Rows in which more than one
        funnel is then possible are decided by distances computed from differences.
        """
        products = z @ self.centres.T
        own = np.einsum("nd,nd->n", z, z)
        with np.errstate(over="ignore", invalid="ignore"):  # rows that overflow are unsure
            values = -2 * products
            values += self._squares
            values += own[:, None]
            np.maximum(values, 0.0, out=values)
            np.sqrt(values, out=values)
            values += self.biases
            largest = own.max(initial=0.0) + self._squares.max()
        active, every = values.argmin(axis=1), np.arange(len(z))
        margin = 2 * np.sqrt((z.shape[1] + 8) * np.finfo(np.float64).eps * largest)
        lowest = values[every, active]
        values[every, active] = np.inf
        unsure = ~(values.min(axis=1) > lowest + margin)
        if unsure.any():
            active[unsure] = (cdist(z[unsure], self.centres) + self.biases).argmin(axis=1)
        return active, products

    @cached_property
    def _squares(self) -> Array:
        squares: Array = np.einsum("kd,kd->k", self.centres, self.centres)
        return squares
