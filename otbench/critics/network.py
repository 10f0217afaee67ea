"""Many networks of one shape in one flat tensor: a forward sweep, and the derivative of the loss written out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from otbench.critics.mlp import LEAK, Activation, Mlp

#: (in, out) of every layer.
Shapes = Sequence[tuple[int, ...]]


class Stack:
    """E multilayer perceptrons R^d → R of equal shape, trained on R points each a step.

    ``parameters`` and ``gradient`` are flat, layer after layer, so that ``weights[l]`` (E, in, out) and ``biases[l]``
    (E, 1, out) are contiguous views and an optimiser's step is a handful of calls. Every buffer a step writes is
    allocated here: fresh pages for temporaries cost as much as the arithmetic, and a captured CUDA graph needs
    them at fixed addresses.

    The derivative is written out rather than taken by autograd: the loss is linear in f, so its gradient is
    one backward sweep without a graph. ``products`` is the dtype of the matrix products.
    """

    def __init__(
        self, initial: Tensor, shapes: Shapes, activation: Activation, rows: int, products: torch.dtype | None = None
    ) -> None:
        self.critics, self.shapes, self.activation = len(initial), list(shapes), activation
        self.parameters = torch.empty(initial.numel(), dtype=initial.dtype, device=initial.device)
        self.gradient = torch.zeros_like(self.parameters)
        self.weights, self.biases = self.views(self.parameters)
        self.weight_gradients, self.bias_gradients = self.views(self.gradient)
        self.products = products if products not in (None, initial.dtype) else None
        self._load(initial)
        dtype = self.products or initial.dtype
        self.outputs = [
            torch.empty(self.critics, rows, out, dtype=dtype, device=initial.device) for _, out in self.shapes[:-1]
        ]
        self.pulls = [torch.empty_like(output) for output in self.outputs]

    def views(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The weights (E, in, out) and biases (E, 1, out) of every layer as views into ``flat``."""
        weights, biases, at = [], [], 0
        for rows, cols in self.shapes:
            weights.append(flat[at : at + self.critics * rows * cols].view(self.critics, rows, cols))
            at += self.critics * rows * cols
        for _, cols in self.shapes:
            biases.append(flat[at : at + self.critics * cols].view(self.critics, 1, cols))
            at += self.critics * cols
        return weights, biases

    def spread(self, column: Tensor, biases: float | None = None) -> Tensor:
        """A flat tensor holding each critic's number of ``column`` (E,) at all its parameters, or ``biases`` at the
        biases."""
        flat = torch.empty_like(self.parameters)
        weight_views, bias_views = self.views(flat)
        for view in weight_views:
            view.copy_(column[:, None, None].expand_as(view))
        for view in bias_views:
            view.copy_(column[:, None, None].expand_as(view) if biases is None else torch.full_like(view, biases))
        return flat

    def by_critic(self, flat: Tensor) -> Tensor:
        """A flat tensor as (E, P), a row a critic."""
        weights, biases = self.views(flat)
        return torch.cat([view.flatten(1) for view in (*weights, *biases)], dim=1)

    def _load(self, initial: Tensor) -> None:
        """Take up parameters (E, P) in the order of torch's Linear layers: weight, bias, weight, bias, ..."""
        at = 0
        for weight, bias in zip(self.weights, self.biases, strict=True):
            _, rows, cols = weight.shape
            weight.copy_(initial[:, at : at + rows * cols].view(-1, cols, rows).mT)
            bias.copy_(initial[:, None, at + rows * cols : at + rows * cols + cols])
            at += rows * cols + cols

    def backward(self, points: Tensor, pull: Tensor) -> None:
        """``gradient`` ← d/dtheta sum_r pull_r f(points_r); points (E, R, d), pull (E, R, 1)."""
        weights = self.weights if self.products is None else [w.to(self.products) for w in self.weights]
        if self.products is not None:
            points, pull = points.to(self.products), pull.to(self.products)
        inputs = [points, *self.outputs]
        for layer, output in enumerate(self.outputs):
            torch.baddbmm(self.biases[layer].to(output.dtype), inputs[layer], weights[layer], out=output)
            self._activate(output)
        for layer in range(len(weights) - 1, -1, -1):
            self._collect(layer, inputs[layer], pull)
            if layer > 0:
                back = self.pulls[layer - 1]
                if pull.shape[2] == 1:  # an outer product, which broadcasting does faster than a product call
                    torch.mul(pull, weights[layer].mT, out=back)
                else:
                    torch.bmm(pull, weights[layer].mT, out=back)
                self._chain(back, inputs[layer])
                pull = back

    def _collect(self, layer: int, inputs: Tensor, pull: Tensor) -> None:
        """The gradients of one layer's weights and biases."""
        if self.products is None:
            torch.bmm(inputs.mT, pull, out=self.weight_gradients[layer])
        else:
            self.weight_gradients[layer].copy_(torch.bmm(inputs.mT, pull))
        torch.sum(pull, 1, keepdim=True, dtype=self.gradient.dtype, out=self.bias_gradients[layer])

    def _activate(self, z: Tensor) -> None:
        if self.activation == "relu":
            torch.relu_(z)
        elif self.activation == "leaky_relu":
            torch.nn.functional.leaky_relu_(z, LEAK)
        else:
            torch.tanh_(z)

    def _chain(self, back: Tensor, output: Tensor) -> None:
        """back ← back · act', with act' read off the layer's output."""
        if self.activation == "relu":
            torch.ops.aten.threshold_backward.grad_input(back, output, 0, grad_input=back)
        elif self.activation == "leaky_relu":
            torch.ops.aten.leaky_relu_backward.grad_input(back, output, LEAK, True, grad_input=back)
        else:
            torch.ops.aten.tanh_backward.grad_input(back, output, grad_input=back)

    def read(self, flat: Tensor, clips: Sequence[float]) -> list[Mlp]:
        """The critics with parameters ``flat`` as float64 functions."""
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
    U(±1/sqrt fan_in) for weights and biases, or U(±box); in the layers' order: weight (out, in), bias, ...

    Source: torch.nn.Linear.reset_parameters (He et al. 2015 with a = sqrt 5).
    """
    generator = torch.Generator().manual_seed(int(seed))
    parts = []
    for fan_in, fan_out in shapes:
        limit = fan_in**-0.5 if box is None else box
        for size in (fan_out * fan_in, fan_out):
            parts.append(torch.empty(size).uniform_(-limit, limit, generator=generator))
    return torch.cat(parts)
