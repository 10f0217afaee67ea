"""One training step as a loss sees it: the points, the networks' values and slopes there, and chance."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from otbench.methods.training.differentiable import Differentiable
from otbench.methods.training.minibatch import random_bits, stream_seed

#: Random numbers of one critic that a step may draw: steps begin so far apart in the critic's stream.
DRAWS_A_STEP = 2**24


class Chance:
    """A stream of random numbers for every critic, which depend on its seed and the step alone."""

    def __init__(self, seeds: Sequence[int], like: Tensor) -> None:
        self.like = like
        self.seeds = torch.tensor([stream_seed("step", int(seed)) for seed in seeds], device=like.device)
        self.at = 0

    def begin(self, step: int) -> None:
        """Go to the numbers of a step."""
        self.at = step * DRAWS_A_STEP

    def uniform(self, *shape: int) -> Tensor:
        """Numbers (E, *shape), uniform in (0, 1)."""
        count = 1
        for size in shape:
            count *= size
        bits = random_bits(self.seeds, self.at, count)
        self.at += count
        return ((bits.double() + 0.5) * 2.0**-53).to(self.like.dtype).view(-1, *shape)


class Step:
    """The points of one training step of E critics, with what a loss may ask for there.

    Args:
        x: the points (E, B, d) of the first sample.
        y: those (E, B, d) of the second one.
        networks: every network by its name.
        fields: for every field that may differ between the critics, its values (E,).
        chance: where random numbers come from.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        networks: Mapping[str, Differentiable],
        fields: Mapping[str, Tensor],
        chance: Chance,
    ) -> None:
        self.x, self.y, self.networks, self._fields, self._chance = x, y, networks, fields, chance

    def layers(self, points: Tensor, network: str = "critic", dropout: float = 0.0) -> list[Tensor]:
        """What every layer of a network makes of points (E, R, d), hidden ones first, with hidden units dropped at a
        rate: those that stay are scaled so that their mean is as it was."""
        net = self.networks[network]
        if not dropout:
            return net.layers(points)
        widths = [out for _, out in net.shapes[:-1]]
        kept = [(self.uniform(points.shape[1], width) >= dropout) / (1 - dropout) for width in widths]
        return net.layers(points, kept)

    def outputs(self, points: Tensor, network: str = "critic") -> Tensor:
        """What a network makes (E, R, k) of points (E, R, d)."""
        return self.layers(points, network)[-1]

    def values(self, points: Tensor, network: str = "critic") -> Tensor:
        """f (E, R) at points (E, R, d)."""
        return self.outputs(points, network)[:, :, 0]

    def both(self) -> tuple[Tensor, Tensor]:
        """f at x and at y, each (E, B)."""
        values = self.values(torch.cat([self.x, self.y], dim=1))
        return values[:, : self.x.shape[1]], values[:, self.x.shape[1] :]

    def distances(self) -> Tensor:
        """|y_i - x_j| (E, B, B), a row a point of y, differences formed first."""
        return torch.cdist(self.y, self.x, compute_mode="donot_use_mm_for_euclid_dist")

    def slopes(self, points: Tensor) -> Tensor:
        """grad f (E, R, d) of the critics at points (E, R, d), a function of the parameters like the values."""
        return self.networks["critic"].slopes(points)

    def excess_slopes(self) -> Tensor:
        """|grad f(z)| - 1 (E, B) at z = t x + (1 - t) y, a point between each x and its y, with t uniform in (0, 1)."""
        share = self.uniform(self.x.shape[1])[:, :, None]
        return self.lengths(self.slopes(share * self.x + (1 - share) * self.y)) - 1

    def difference(self) -> Tensor:
        """-mean f(x) + mean f(y) (E,), which every critic wants small."""
        fx, fy = self.both()
        return fy.mean(1) - fx.mean(1)

    def lengths(self, vectors: Tensor) -> Tensor:
        """|v| (E, R) of vectors (E, R, d), with derivative 0 at 0."""
        lengths: Tensor = torch.linalg.vector_norm(vectors, dim=2)
        return lengths

    def mean_square(self, hidden: Tensor) -> Tensor:
        """The mean (E, R) of the squares of the critic's last hidden units (E, R, h)."""
        return hidden.square().sum(2) / self.networks["critic"].shapes[-1][0]

    def each(self, field: str) -> Tensor:
        """The values (E,) of a field that may differ between the critics."""
        return self._fields[field]

    def uniform(self, *shape: int) -> Tensor:
        """Random numbers (E, *shape), uniform in (0, 1), new ones at every call."""
        return self._chance.uniform(*shape)
