"""The whole training step as one compiled function, for the recipe most critics are trained by."""

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from otbench.methods.training.network import CPU_ROWS
from otbench.methods.training.optimisers import RMSProp

if TYPE_CHECKING:
    from otbench.methods.training.engine import Engine

#: Steps from which compiling pays: a shape takes seconds to compile once a process, and saves a tenth of each step.
COMPILE_FROM = 2000

#: Hidden width up to which it pays: wider layers spend their time in matrix products, which it leaves alone.
WIDEST = 64

#: torch gives a function up after eight shapes; a matrix has more.
SHAPES = 256


def worth_compiling(method: Any, device: str) -> bool:
    """Whether a run compiles the step of this method: a question of its fields alone, so that a critic's numbers do
    not depend on the critics trained beside it."""
    recipe = (method.activation, method.optimiser, method.clip_when, method.dtype, device)
    usual = recipe == ("relu", "rmsprop", "after", "float32", "cpu")
    small = 0 < max(method.widths, default=0) <= WIDEST and method.batch != "full" and 2 * method.batch <= CPU_ROWS
    return usual and small and method.steps >= COMPILE_FROM


def compiled_step(engine: "Engine") -> Callable[[Tensor], None] | None:
    """The engine's step as a function of its points (E, R, d); None, and a line in the log, where no compiler is.

    One compilation serves every number of critics: the first axis is dynamic. It computes what ``Engine.step`` does
    up to float32 rounding, the same bits for a critic whatever the batch.
    """
    assert isinstance(engine.optimise, RMSProp)
    optimiser, views = engine.optimise, engine.stack.views
    flats = (optimiser.parameters, optimiser.square, optimiser.down, optimiser.eps, engine.low, engine.high)
    parts = [[view for part in views(flat) for view in part] for flat in flats]
    pull = engine.source.pull
    for tensor in [pull, *(view for part in parts for view in part)]:
        torch._dynamo.mark_dynamic(tensor, 0)

    def step(points: Tensor) -> None:
        _compiled()(points, pull, *parts, optimiser.smoothing)

    points = engine.source.points(0)
    torch._dynamo.mark_dynamic(points, 0)
    before = [(t, t.clone()) for t in (optimiser.parameters, optimiser.square)]
    try:
        with torch._dynamo.config.patch(recompile_limit=SHAPES):
            step(points)
    except (torch._dynamo.exc.BackendCompilerFailed, torch._inductor.exc.InductorError) as error:
        reason = " ".join(str(error).split())[:200]
        logging.getLogger("otbench").warning("the training step is not compiled: %s", reason)
        return None
    for tensor, value in before:
        tensor.copy_(value)
    return step


@functools.cache
def _compiled() -> Any:
    return torch.compile(_step, fullgraph=True)


def _step(
    points: Tensor,
    pull: Tensor,
    parameters: list[Tensor],
    squares: list[Tensor],
    downs: list[Tensor],
    epsilons: list[Tensor],
    lows: list[Tensor],
    highs: list[Tensor],
    smoothing: float,
) -> None:
    """One step of ``Engine``, as pure arithmetic until the last line; each list holds weights, then biases."""
    layers = len(parameters) // 2
    weights, biases = parameters[:layers], parameters[layers:]
    inputs = [points]
    for layer in range(layers - 1):
        inputs.append(torch.relu(torch.bmm(inputs[-1], weights[layer]) + biases[layer]))
    gradients: list[Tensor] = [points] * len(parameters)
    for layer in range(layers - 1, -1, -1):
        gradients[layer] = torch.bmm(inputs[layer].mT, pull)
        gradients[layers + layer] = pull.sum(1, keepdim=True)
        if layer > 0:
            back = pull * weights[layer].mT if pull.shape[2] == 1 else torch.bmm(pull, weights[layer].mT)
            pull = torch.where(inputs[layer] > 0, back, 0.0)
    for theta, square, down, eps, low, high, gradient in zip(
        parameters, squares, downs, epsilons, lows, highs, gradients, strict=True
    ):
        moment = smoothing * square + (1 - smoothing) * gradient * gradient
        square.copy_(moment)
        theta.copy_(torch.clamp(theta + down * gradient / (torch.sqrt(moment) + eps), low, high))
