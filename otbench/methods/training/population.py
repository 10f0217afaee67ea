"""Fresh points for every training step, drawn from the laws themselves and not from a sample of them."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from otbench.methods.training.source import equal_pull
from otbench.types import Law

#: Steps drawn at once: 1024 points of either law in R^128 are 1 MB per step.
STEPS_PER_DRAW = 16

#: Writes the points of steps first ... first + count - 1 into a buffer.
Fill = Callable[[Tensor, int, int], None]


class PopulationSource:
    """The source that draws ``batch`` fresh points from either law at every step.

    Critics of equal law and seed see the same points, which are drawn once. Whoever draws them, a step's points are
    those that its number, the law and the seed name.

    Args:
        laws: the law of each of E critics.
        seeds: the seed of each critic's points.
        batch: points of either law per step.
        dim: the dimension.
        like: a tensor of the type and on the device that the points shall have.
        ahead: whether a thread draws the next steps meanwhile; None does so for a GPU, which leaves the processor idle.
    """

    block = STEPS_PER_DRAW

    def __init__(
        self, laws: Sequence[Law], seeds: Sequence[int], batch: int, dim: int, like: Tensor, ahead: bool | None = None
    ) -> None:
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
        self.ahead = Ahead(self._fill, self.drawn) if (like.is_cuda if ahead is None else ahead) else None

    def draw(self, first: int, count: int, then: int = 0) -> None:
        """Draw the points of steps first ... first + count - 1; ``then`` more steps will be asked for after these."""
        if self.ahead is None:
            self._fill(self.drawn, first, count)
        else:
            self.ahead.draw(first, count, then)

    def _fill(self, into: Tensor, first: int, count: int) -> None:
        for stream, (law, seed) in enumerate(self.streams):
            for k in range(count):
                both = np.concatenate(law.fresh(self.batch, self.batch, seed, first + k))
                into[k, stream, : len(both)].copy_(torch.from_numpy(both))

    def points(self, step: int | Tensor) -> Tensor:
        """The points (E, R, d) of one step of those last drawn; the next call overwrites them."""
        if isinstance(step, int):
            return torch.index_select(self.drawn[step], 0, self.which, out=self.chosen)
        streams = step * len(self.streams) + self.which
        return torch.index_select(self.drawn.flatten(0, 1), 0, streams, out=self.chosen)


class Ahead:
    """Points drawn by a thread while a device trains on those before them, in two buffers that take turns.

    The buffers are pinned for a GPU, so that copies to it wait for nobody; one is written to again when its copy is
    done.
    """

    def __init__(self, fill: Fill, drawn: Tensor) -> None:
        self.fill, self.drawn = fill, drawn
        self.rooms = [torch.zeros(drawn.shape, dtype=drawn.dtype, pin_memory=drawn.is_cuda) for _ in range(2)]
        self.copied = [torch.cuda.Event() for _ in self.rooms] if drawn.is_cuda else []  # type: ignore[no-untyped-call]
        self.thread = ThreadPoolExecutor(1, "otbench-draws")
        self.turn, self.promised, self.coming = 0, range(0), Future[None]()

    def draw(self, first: int, count: int, then: int) -> None:
        """The points of these steps in ``drawn``, those of the ``then`` steps after them promised."""
        if self.promised:
            self.coming.result()
        if self.promised[:count] != range(first, first + count):  # others were promised, as before training began
            self._write(self.turn, first, count)
        self.drawn[:count].copy_(self.rooms[self.turn][:count], non_blocking=True)
        if self.copied:
            self.copied[self.turn].record(torch.cuda.current_stream(self.drawn.device))
        self.turn = 1 - self.turn
        self.promised = range(first + count, first + count + min(then, len(self.drawn)))
        if self.promised:
            self.coming = self.thread.submit(self._write, self.turn, self.promised.start, len(self.promised))

    def _write(self, turn: int, first: int, count: int) -> None:
        if self.copied:
            self.copied[turn].synchronize()
        self.fill(self.rooms[turn], first, count)
