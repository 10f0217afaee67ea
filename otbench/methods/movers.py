"""A critic whose gradient is read from a network that moves points along its rays."""

from dataclasses import dataclass

import numpy as np

from otbench.methods.mlp import Mlp
from otbench.types import Array


@dataclass(frozen=True, eq=False)
class RaysOfMover:
    """The values and constants of ``critic``, and the directions of a mover T: ``sign`` (z - T(z)) / |z - T(z)|.

    Where T is an optimal map, an optimal potential has this gradient. 0 where T does not move z.

    Source: Korotin, Kolesov, Burnaev 2022, section 4 (the gradient of MM:R).
    """

    critic: Mlp
    mover: Mlp
    sign: float

    def values(self, z: Array) -> Array:
        """f(z) (k,) at points z (k, d)."""
        return self.critic.values(z)

    def gradients(self, z: Array) -> Array:
        """The direction (k, d) from T(z) to z at points z (k, d), or back."""
        way = self.sign * (z - self.mover.outputs(z))
        lengths = np.linalg.norm(way, axis=1, keepdims=True)
        rays: Array = np.divide(way, lengths, out=np.zeros_like(way), where=lengths > 0)
        return rays

    def constants(self) -> tuple[float | None, float]:
        """Those of the critic."""
        return self.critic.constants()
