"""Fresh points for every training step, drawn from the laws themselves."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from otbench.methods.training.network import filled
from otbench.types import Law

#: Steps drawn at once: 1024 points a side in R^128 are 1 MB a step.
STEPS_A_DRAW = 16


class PopulationSource:
    """The points of each step: ``batch`` fresh draws from either law.

    Critics of equal law and seed see the same points, drawn once. ``pull`` as in ``MinibatchSource``.
    """

    block = STEPS_A_DRAW

    def __init__(self, laws: Sequence[Law], seeds: Sequence[int], batch: int, dim: int, like: Tensor) -> None:
        names = [(law.model_dump_json(), int(seed)) for law, seed in zip(laws, seeds, strict=True)]
        first = {name: k for k, name in reversed(list(enumerate(names)))}
        self.streams = [(laws[k], seed) for (_, seed), k in first.items()]
        place = {name: k for k, name in enumerate(first)}
        self.which = torch.tensor([place[name] for name in names], device=like.device)
        self.size, self.points_a_step = batch, filled(2 * batch)
        self.drawn = torch.zeros(
            STEPS_A_DRAW, len(first), self.points_a_step, dim, dtype=like.dtype, device=like.device
        )
        self.chosen = torch.empty(len(names), self.points_a_step, dim, dtype=like.dtype, device=like.device)
        rest = torch.zeros(self.points_a_step - 2 * batch, 1, dtype=like.dtype)  # rows that fill up, at the origin
        sides = [torch.full((batch, 1), share / batch, dtype=like.dtype) for share in (-1, 1)]
        self.pull = torch.cat([*sides, rest]).to(like.device).expand(len(names), -1, -1).contiguous()

    def draw(self, first: int, count: int) -> None:
        """Draw the points of steps first ... first + count - 1."""
        for stream, (law, seed) in enumerate(self.streams):
            for k in range(count):
                both = np.concatenate(law.fresh(self.size, self.size, seed, first + k))
                self.drawn[k, stream, : len(both)].copy_(torch.from_numpy(both))

    def points(self, step: int) -> Tensor:
        """The points (E, R, d) of one step of those last drawn; the next call overwrites them."""
        return torch.index_select(self.drawn[step], 0, self.which, out=self.chosen)
