"""Fresh points for every training step, drawn from the laws themselves and not from a sample of them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from otbench.methods.training.source import equal_pull
from otbench.types import Law

#: Steps drawn at once: 1024 points of either law in R^128 are 1 MB per step.
STEPS_PER_DRAW = 16


class PopulationSource:
    """The source that draws ``batch`` fresh points from either law at every step.

    Critics of equal law and seed see the same points, which are drawn once.
    """

    block = STEPS_PER_DRAW

    def __init__(self, laws: Sequence[Law], seeds: Sequence[int], batch: int, dim: int, like: Tensor) -> None:
        names = [(law.model_dump_json(), int(seed)) for law, seed in zip(laws, seeds, strict=True)]
        first = {name: k for k, name in reversed(list(enumerate(names)))}
        self.streams = [(laws[k], seed) for (_, seed), k in first.items()]
        place = {name: k for k, name in enumerate(first)}
        self.which = torch.tensor([place[name] for name in names], device=like.device)
        self.batch, self.pull = batch, equal_pull(len(names), batch, like)
        self.points_per_step = self.pull.shape[1]
        # points that fill up are at the origin
        self.drawn = like.new_zeros(STEPS_PER_DRAW, len(first), self.points_per_step, dim)
        self.chosen = like.new_empty(len(names), self.points_per_step, dim)

    def draw(self, first: int, count: int) -> None:
        """Draw the points of steps first ... first + count - 1."""
        for stream, (law, seed) in enumerate(self.streams):
            for k in range(count):
                both = np.concatenate(law.fresh(self.batch, self.batch, seed, first + k))
                self.drawn[k, stream, : len(both)].copy_(torch.from_numpy(both))

    def points(self, step: int) -> Tensor:
        """The points (E, R, d) of one step of those last drawn; the next call overwrites them."""
        return torch.index_select(self.drawn[step], 0, self.which, out=self.chosen)
