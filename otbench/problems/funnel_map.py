"""The map that moves points along the rays of a minimum of funnels; nothing is random."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from otbench.problems.min_funnel import MinFunnel
from otbench.types import Array, Indices


@dataclass(frozen=True, eq=False)
class FunnelMap(MinFunnel):
    """A minimum u of funnels with centres in a box, and its map T.

    The ray through y starts at the centre of y's funnel and ends where another funnel takes over, or at the boundary
    of [-half_width, half_width]^d. T moves y from its position t in [0, 1] on the ray to the position t^power. On a
    ray u grows at rate 1, so that u(y) - u(T(y)) = |y - T(y)|, and u is 1-Lipschitz: hence T is optimal.

    Source: Korotin, Kolesov, Burnaev 2022 (ray-monotone maps of MinFunnel potentials).
    """

    half_width: float
    power: float

    def move(self, y: Array) -> Array:
        """T(y) (n, d) for y (n, d) in the box."""
        return np.concatenate([self._moved(rows) for rows in self._blocks(y)])

    def _moved(self, y: Array) -> Array:
        active, products = self._active(y)
        rays = y - self.centres[active]
        lengths = np.linalg.norm(rays, axis=1)
        position = np.minimum(1.0, np.maximum(self._to_funnels(active, products, lengths), self._to_box(active, rays)))
        moved: Array = y - (1 - position ** (self.power - 1))[:, None] * rays
        return moved

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
