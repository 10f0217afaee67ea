"""The written-out step as one compiled function: what a compiler makes of it, measured beside the engine."""

from typing import Any

import torch
from torch import Tensor

from otbench.critics.engine import Engine
from otbench.critics.optimisers import RMSProp


class CompiledEngine(Engine):
    """The engine with its whole step given to torch.compile: ReLU, RMSProp, every parameter clipped after the step.

    ``otbench run timing`` measures both. Runs use the engine: a compilation takes seconds for every shape and
    number of critics, and the last digits of what it computes belong to the compiler that was there.
    """

    def step(self, k: int) -> None:
        """Step k of the block last drawn."""
        if not hasattr(self, "compiled"):
            assert isinstance(self.optimise, RMSProp)
            flats = (self.stack.parameters, self.optimise.square, self.optimise.down, self.low, self.high)
            self.parts = [[t for part in self.stack.views(flat) for t in part] for flat in flats]
            self.eps = float(self.optimise.eps[0])
            torch.compiler.reset()  # torch stops compiling one function after eight shapes
            self.compiled: Any = torch.compile(_step, fullgraph=True, dynamic=False)
        self.compiled(self.source.points(k), self.source.pull, *self.parts, self.method.smoothing, self.eps)


def _step(
    points: Tensor,
    pull: Tensor,
    parameters: list[Tensor],
    squares: list[Tensor],
    downs: list[Tensor],
    lows: list[Tensor],
    highs: list[Tensor],
    smoothing: float,
    eps: float,
) -> None:
    """One step of ``Engine``, as pure arithmetic until the last line; each list holds weights, then biases."""
    layers = len(parameters) // 2
    weights, biases = parameters[:layers], parameters[layers:]
    inputs = [points]
    for layer in range(layers - 1):
        inputs.append(torch.relu(torch.bmm(inputs[-1], weights[layer]) + biases[layer]))
    gradients: list[Tensor | None] = [None] * len(parameters)
    for layer in range(layers - 1, -1, -1):
        gradients[layer] = torch.bmm(inputs[layer].mT, pull)
        gradients[layers + layer] = pull.sum(1, keepdim=True)
        if layer > 0:
            back = pull * weights[layer].mT if pull.shape[2] == 1 else torch.bmm(pull, weights[layer].mT)
            pull = torch.where(inputs[layer] > 0, back, 0.0)
    for theta, square, down, low, high, gradient in zip(
        parameters, squares, downs, lows, highs, gradients, strict=True
    ):
        assert gradient is not None
        moment = smoothing * square + (1 - smoothing) * gradient * gradient
        square.copy_(moment)
        theta.copy_(torch.clamp(theta + down * gradient / (torch.sqrt(moment) + eps), low, high))
