"""The minimum of several funnels |z - a_k| + b_k, and the map that moves points along its rays; nothing is random."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from otbench.types import Array, Indices

#: Entries of the (rows, funnels) arrays that are made at once: half a MiB, a few of which fit the second-level cache.
ENTRIES_AT_ONCE = 2**16


@dataclass(frozen=True, eq=False)
class FunnelMap:
    """The function u(z) = min_k |z - a_k| + b_k, with centres a (K, d) in a box and biases b (K,), and its map T.

    The ray through y starts at the centre of y's funnel and ends where another funnel takes over, or at the boundary
    of [-half_width, half_width]^d. T moves y from its position t in [0, 1] on the ray to the position t^power. On a
    ray u grows at rate 1, so that u(y) - u(T(y)) = |y - T(y)|, and u is 1-Lipschitz as a minimum of functions that
    are: hence T is optimal.

    Source: Korotin, Kolesov, Burnaev 2022 (ray-monotone maps of MinFunnel potentials).
    """

    centres: Array
    biases: Array
    half_width: float
    power: float

    def potential(self, z: Array) -> Array:
        """u(z) (n,) at points z (n, d)."""
        active, rays = self.rays(z)
        values: Array = np.linalg.norm(rays, axis=1) + self.biases[active]
        return values

    def gradient(self, z: Array) -> Array:
        """grad u(z) (n, d), the unit vector from the active centre to z; 0 at a centre, where u has a kink."""
        _, rays = self.rays(z)
        lengths = np.linalg.norm(rays, axis=1, keepdims=True)
        gradient: Array = np.divide(rays, lengths, out=np.zeros_like(rays), where=lengths > 0)
        return gradient

    def rays(self, z: Array) -> tuple[Indices, Array]:
        """The index k (n,) of the funnel that attains u(z), and z - a_k (n, d)."""
        active = np.concatenate([self._active(rows)[0] for rows in self._blocks(z)])
        return active, z - self.centres[active]

    def move(self, y: Array) -> Array:
        """T(y) (n, d) for y (n, d) in the box."""
        return np.concatenate([self._moved(rows) for rows in self._blocks(y)])

    def _blocks(self, z: Array) -> Iterator[Array]:
        step = max(1, ENTRIES_AT_ONCE // max(self.centres.shape))
        yield from (z[k : k + step] for k in range(0, len(z), step))

    def _moved(self, y: Array) -> Array:
        active, products = self._active(y)
        rays = y - self.centres[active]
        lengths = np.linalg.norm(rays, axis=1)
        position = np.minimum(1.0, np.maximum(self._to_funnels(active, products, lengths), self._to_box(active, rays)))
        moved: Array = y - (1 - position ** (self.power - 1))[:, None] * rays
        return moved

    def _active(self, z: Array) -> tuple[Indices, Array]:
        """The funnel k that attains u(z) for each row of z, and all products <z, a_j> (n, K).

        A distance computed from products is off by the square root of their rounding. Rows in which more than one
        funnel is then possible are decided by distances computed from differences.
        """
        products = z @ self.centres.T
        own = np.einsum("nd,nd->n", z, z)
        values = -2 * products
        values += self._squares
        values += own[:, None]
        np.maximum(values, 0.0, out=values)
        np.sqrt(values, out=values)
        values += self.biases
        active, every = values.argmin(axis=1), np.arange(len(z))
        margin = 2 * np.sqrt((z.shape[1] + 8) * np.finfo(np.float64).eps * (own.max() + self._squares.max()))
        lowest = values[every, active]
        values[every, active] = np.inf
        unsure = values.min(axis=1) <= lowest + margin
        if unsure.any():
            active[unsure] = (cdist(z[unsure], self.centres) + self.biases).argmin(axis=1)
        return active, products

    def _to_funnels(self, active: Indices, products: Array, lengths: Array) -> Array:
        """|y - a_k| divided by the length at which the first other funnel takes over (n,); at most 0 where none does.

        Funnel j takes over from k along the unit vector v at length r_j with |r v - w| + b_j = r + b_k, w = a_j - a_k:
        1/r_j = 2 (<v, w> + b_k - b_j) / (|w|^2 - (b_k - b_j)^2), where that is positive.
        """
        crossing = products - self._gram[active]
        own = crossing[np.arange(len(active)), active]  # <y - a_k, a_k>
        crossing += (lengths * self.biases[active] - own)[:, None]
        crossing -= lengths[:, None] * self.biases  # (n, K): <y - a_k, w> + |y - a_k| (b_k - b_j)
        crossing *= self._inverse_reach[active]
        position: Array = crossing.max(axis=1)
        return position

    def _to_box(self, active: Indices, rays: Array) -> Array:
        """|y - a_k| divided by the length at which the ray leaves the box (n,); where a coordinate of the ray is 0, it
        does not matter."""
        room = self.half_width - np.sign(rays) * self.centres[active]
        position: Array = (np.abs(rays) / room).max(axis=1)
        return position

    @cached_property
    def _squares(self) -> Array:
        squares: Array = np.einsum("kd,kd->k", self.centres, self.centres)
        return squares

    @cached_property
    def _gram(self) -> Array:
        gram: Array = self.centres @ self.centres.T
        return gram

    @cached_property
    def _inverse_reach(self) -> Array:
        """2 / (|w|^2 - (b_k - b_j)^2) (K, K); 0 where of two funnels one lies inside the other, so that none takes
        over, as for a funnel and itself."""
        apart, difference = cdist(self.centres, self.centres), self.biases[:, None] - self.biases
        reach = (apart - difference) * (apart + difference)
        least = np.finfo(np.float64).eps ** 2 * self.half_width**2
        return np.divide(2.0, reach, out=np.zeros_like(reach), where=reach > least)
