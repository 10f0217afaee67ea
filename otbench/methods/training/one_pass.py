"""An optimiser's step and the clamp after it in one pass over the parameters, for a device that waits for memory.

Call by call they pass over the parameters some twenty times. Here every number is read and written once: rates, eps and
walls are looked up by critic, in tables that stay in a cache.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from otbench.methods.training.compiled_step import compiled_call
from otbench.methods.training.optimisers import SGD, Adam, RMSProp

#: What is done to a gradient: the parameters change, and the optimiser's state.
Descend = Callable[[Tensor], None]


def one_pass(
    optimiser: RMSProp | Adam | SGD, owner: Tensor, rate: Tensor, eps: Tensor, wall: Tensor
) -> Descend | None:
    """The step of an optimiser with the clamp to the walls; None, and a line in the log, without a compiler.

    It computes what the optimiser's call and the clamp do, up to rounding, and leaves the gradient as it is.

    Args:
        optimiser: whose parameters and state the step changes in place.
        owner: the row of the tables for every parameter, int32, as ``Parameters.owners`` gives it.
        rate: a table of learning rates.
        eps: a table of what is added to the roots.
        wall: a table of the largest sizes of a parameter after the step.
    """
    parameters, down = optimiser.parameters, -rate
    flats = [parameters, owner, *(state for state in optimiser.state if state.shape == parameters.shape)]
    for tensor in (*flats, down, eps, wall):
        torch._dynamo.maybe_mark_dynamic(tensor, 0)

    def descend(gradient: Tensor) -> None:
        torch._dynamo.maybe_mark_dynamic(gradient, 0)
        tables = (owner, down, eps, wall)
        if isinstance(optimiser, RMSProp):
            _compiled(_rmsprop)(parameters, gradient, optimiser.square, *tables, optimiser.smoothing)
        elif isinstance(optimiser, Adam):
            optimiser.left.mul_(optimiser.beta)
            moments = (optimiser.mean, optimiser.square, optimiser.left)
            _compiled(_adam)(parameters, gradient, *moments, *tables, *optimiser.betas)
        else:
            _compiled(_sgd)(parameters, gradient, owner, down, wall)

    first = functools.partial(descend, torch.zeros_like(parameters))
    return descend if compiled_call(first, [parameters, *optimiser.state], "update") else None


@functools.cache
def _compiled(formula: Any) -> Any:
    return torch.compile(formula, fullgraph=True)


def _rmsprop(
    theta: Tensor,
    gradient: Tensor,
    square: Tensor,
    owner: Tensor,
    down: Tensor,
    eps: Tensor,
    wall: Tensor,
    smoothing: float,
) -> None:
    moment = smoothing * square + (1 - smoothing) * gradient * gradient
    moved = theta + down[owner] * gradient / (torch.sqrt(moment) + eps[owner])
    square.copy_(moment)
    theta.copy_(_inside(moved, wall[owner]))


def _adam(
    theta: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    left: Tensor,
    owner: Tensor,
    down: Tensor,
    eps: Tensor,
    wall: Tensor,
    beta1: float,
    beta2: float,
) -> None:
    correction = (1 - left).to(theta.dtype)
    first = mean + (1 - beta1) * (gradient - mean)
    second = beta2 * square + (1 - beta2) * gradient * gradient
    size = torch.sqrt(second / correction[1]) + eps[owner]
    moved = theta + down[owner] * first / correction[0] / size
    mean.copy_(first)
    square.copy_(second)
    theta.copy_(_inside(moved, wall[owner]))


def _sgd(theta: Tensor, gradient: Tensor, owner: Tensor, down: Tensor, wall: Tensor) -> None:
    theta.copy_(_inside(theta + down[owner] * gradient, wall[owner]))


def _inside(moved: Tensor, wall: Tensor) -> Tensor:
    """min(max(theta, -wall), wall), with what is no number left as it is."""
    return torch.clamp(moved, -wall, wall)
