"""A whole training step as one compiled function, for the recipe by which most critics are trained."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from otbench.methods.training.network import CPU_ROWS
from otbench.methods.training.optimisers import RMSProp

#: From a flat tensor of all critics to the weights and biases of every layer, as views.
Views = Callable[[Tensor], tuple[list[Tensor], list[Tensor]]]

#: Steps from which compiling pays: it takes seconds once per process and shape, and saves a tenth of each step.
COMPILE_FROM = 2000

#: Hidden width up to which compiling pays: wider layers spend their time in matrix products, which it does not change.
WIDEST = 64

#: Shapes for which one function is compiled: torch would give it up after eight, and a matrix of cells has more.
SHAPES = 256


def worth_compiling(method: Any, device: str) -> bool:
    """Whether a run compiles the step of this method: its fields alone decide, so that a critic's numbers do not depend
    on the critics that are trained beside it."""
    recipe = (method.activation, method.optimiser, method.clip_when, method.dtype, device)
    usual = recipe == ("relu", "rmsprop", "after", "float32", "cpu")
    small = 0 < max(method.widths, default=0) <= WIDEST and method.batch != "full" and 2 * method.batch <= CPU_ROWS
    return usual and small and method.steps >= COMPILE_FROM


def compiled_step(
    optimiser: RMSProp, views: Views, box: tuple[Tensor, Tensor], points: Tensor, pull: Tensor
) -> Callable[[Tensor], None] | None:
    """The training step as a function of its points (E, R, d); None, and a line in the log, without a compiler.

    One compilation serves any number of critics, as the first axis is dynamic. The step computes what ``Engine.step``
    does up to float32 rounding, with the same bits for a critic whatever the batch.

    Args:
        optimiser: RMSProp, whose parameters and second moments the step changes in place.
        views: from a flat tensor of all critics to every layer's weights (E, in, out) and biases (E, 1, out).
        box: the lower and the upper limit of every parameter, as flat tensors.
        points: any points (E, R, d), which give the shape that is compiled.
        pull: the derivative (E, R, 1) of the loss by the critic's values.
    """
    flats = (optimiser.parameters, optimiser.square, optimiser.down, optimiser.eps, *box)
    parts = [[view for part in views(flat) for view in part] for flat in flats]
    for part in parts[2:]:  # one number for a layer of a critic: what is read of memory is the parameters alone
        part[:] = [view[:, :1, :1].contiguous() for view in part]
    for tensor in [pull, *(view for part in parts for view in part)]:
        torch._dynamo.mark_dynamic(tensor, 0)

    def step(points: Tensor) -> None:
        _compiled()(points, pull, *parts, optimiser.smoothing)

    torch._dynamo.mark_dynamic(points, 0)
    first = functools.partial(step, points)
    return step if compiled_call(first, [optimiser.parameters, optimiser.square], "training step") else None


def compiled_call(first: Callable[[], None], state: list[Tensor], what: str) -> bool:
    """Whether the first call of a compiled function succeeds, which compiles it; the log says where it does not.

    ``state`` are the tensors that the call changes: they are left as they were.
    """
    before = [tensor.clone() for tensor in state]
    for attempts_left in (1, 0):  # the compiler may fail by chance, and eager steps have other bits than other runs
        try:
            # torch keeps code by the processor, and not by the instruction set that it was told to keep to
            told = torch.backends.cpu.get_cpu_capability()
            kept = torch.compiler.config.patch(cache_key_tag=told)  # type: ignore[attr-defined]
            with torch._dynamo.config.patch(recompile_limit=SHAPES), kept:
                first()
            break
        except torch._dynamo.exc.TorchDynamoException as error:  # a compiler, or Triton, that is missing among them
            if not attempts_left:
                reason = " ".join(str(error).split())[:200]
                logging.getLogger("otbench").warning("the %s is not compiled: %s", what, reason)
                return False
    for tensor, value in zip(state, before, strict=True):
        tensor.copy_(value)
    return True


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
    """One training step, as pure arithmetic until the last line; each list holds weights, then biases."""
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
