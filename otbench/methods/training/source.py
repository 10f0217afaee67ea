"""Where the points of a training step come from: what the engine asks of every source, and how the loss weighs them."""

from typing import Protocol

import torch
from torch import Tensor

from otbench.methods.training.parameters import filled


class PointSource(Protocol):
    """The points that E critics see at each step, R each, of which the last ones may only fill R up.

    ``pull`` (E, R, 1) is the derivative of the loss by the critic's value at each of the points: minus the share of a
    point of x, plus that of a point of y, and 0 where a point fills R up to a multiple of ``LANE``. It is the same at
    every step. ``block`` is the number of steps whose points are drawn at once, ``points_per_step`` is R.
    """

    block: int
    points_per_step: int
    pull: Tensor

    def draw(self, first: int, count: int, then: int = 0) -> None:
        """Draw the points of steps first ... first + count - 1, into buffers that stay where they are.

        ``then`` more steps will be asked for after these: a source may begin with them.
        """
        ...

    def points(self, step: int | Tensor) -> Tensor:
        """The points (E, R, d) of one step of those last drawn, counted from 0; the next call may overwrite them.

        The step is a number, or a tensor (1,) of int64 on the device of the points.
        """
        ...


def equal_pull(critics: int, batch: int, like: Tensor) -> Tensor:
    """The pull (E, R, 1) of ``batch`` points of either sample that count alike, of the type and device of ``like``."""
    pull = torch.full((critics, 2 * batch), 1 / batch, dtype=like.dtype)
    pull[:, :batch] *= -1
    return filled_up(pull, like)


def step_of(drawn: Tensor, step: int | Tensor) -> Tensor:
    """What was drawn for one step, of ``drawn`` (steps, ...): a view where the step is a number, else a copy."""
    return drawn[step] if isinstance(step, int) else torch.index_select(drawn, 0, step)[0]


def filled_up(pull: Tensor, like: Tensor) -> Tensor:
    """A pull (E, k) with rows of 0 that fill k up to R, as (E, R, 1) of the type and device of ``like``."""
    padded = torch.nn.functional.pad(pull, (0, filled(pull.shape[1]) - pull.shape[1]))
    return padded.to(like.device, like.dtype)[:, :, None].contiguous()
