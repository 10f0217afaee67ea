"""Many networks of one shape as one flat tensor: a forward pass, and the derivative of the loss written out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from otbench.critics.mlp import LEAK, Activation, Mlp

#: Parameters of the critics ride in one (E, P) tensor, so that an optimiser's step is a handful of calls.
Shapes = Sequence[tuple[int, ...]]


class Stack:
    """E multilayer perceptrons R^d → R of equal shape.

    ``parameters`` and ``gradient`` are (E, P); ``weights[l]`` (E, in, out) and ``biases[l]`` (E, 1, out) are
    views into them. The derivative is written out rather than taken by autograd: the loss is linear in f,
    so its gradient is one backward sweep without a graph.
    """

    def __init__(self, parameters: Tensor, shapes: Shapes, activation: Activation) -> None:
        self.parameters, self.shapes, self.activation = parameters, list(shapes), activation
        self.gradient = torch.zeros_like(parameters)
        self.weights, self.biases = self.views(parameters)
        self.weight_gradients, self.bias_gradients = self.views(self.gradient)

    def views(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        weights, biases, at = [], [], 0
        for rows, cols in self.shapes:
            weights.append(flat[:, at : at + rows * cols].view(-1, rows, cols))
            at += rows * cols
            biases.append(flat[:, None, at : at + cols])
            at += cols
        return weights, biases

    def backward(self, points: Tensor, pull: Tensor) -> None:
        """``gradient`` ← d/dtheta sum_r pull_r f(points_r); points (E, R, d), pull (E, R, 1)."""
        inputs = [points]
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            inputs.append(self._activate(torch.baddbmm(bias, inputs[-1], weights)))
        for layer in range(len(self.weights) - 1, -1, -1):
            torch.bmm(inputs[layer].mT, pull, out=self.weight_gradients[layer])
            torch.sum(pull, 1, keepdim=True, out=self.bias_gradients[layer])
            if layer > 0:
                # a last layer of width 1 is an outer product, which broadcasting does without a product call
                back = pull * self.weights[layer].mT if pull.shape[2] == 1 else pull @ self.weights[layer].mT
                pull = self._chain(back, inputs[layer])

    def _activate(self, z: Tensor) -> Tensor:
        if self.activation == "relu":
            return z.relu_()
        if self.activation == "leaky_relu":
            return torch.nn.functional.leaky_relu_(z, LEAK)
        return z.tanh_()

    def _chain(self, back: Tensor, output: Tensor) -> Tensor:
        """back · act', with act' read off the layer's output."""
        if self.activation == "relu":
            return torch.ops.aten.threshold_backward(back, output, 0)  # type: ignore[no-any-return]
        if self.activation == "leaky_relu":
            return torch.where(output > 0, back, LEAK * back)
        return back * (1 - output * output)

    def read(self, flat: Tensor, clips: Sequence[float]) -> list[Mlp]:
        """The critics with parameters ``flat`` (E, P) as float64 functions."""
        weights, biases = self.views(flat.detach().to("cpu", torch.float64))
        return [
            Mlp(
                tuple(w[k].numpy().copy() for w in weights),
                tuple(b[k, 0].numpy().copy() for b in biases),
                self.activation,
                clip,
            )
            for k, clip in enumerate(clips)
        ]


def initial_parameters(shapes: Shapes, seed: int, box: float | None) -> Tensor:
    """(P,) float32 parameters of one network: as torch's Linear layers draw them after ``manual_seed(seed)``,
    U(±1/sqrt fan_in) for weights and biases, or U(±box).

    Source: torch.nn.Linear.reset_parameters (He et al. 2015 with a = sqrt 5).
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for fan_in, fan_out in shapes:
        limit = fan_in**-0.5 if box is None else box
        weight = torch.empty(fan_out, fan_in).uniform_(-limit, limit, generator=generator)
        bias = torch.empty(fan_out).uniform_(-limit, limit, generator=generator)
        parts += [weight.mT.reshape(-1), bias]
    return torch.cat(parts)
