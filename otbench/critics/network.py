"""Many networks of one shape in one flat tensor: a forward sweep, and the derivative of the loss written out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from otbench.critics.mlp import LEAK, Activation, Mlp

#: (in, out) of every layer.
Shapes = Sequence[tuple[int, ...]]


#: Points a CPU sweeps at once: their activations stay in the second-level cache, which is worth a tenth of the time.
CPU_ROWS = 256


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
        self.rows = min(rows, CPU_ROWS) if initial.device.type == "cpu" else rows
        hidden = [out for _, out in self.shapes[:-1]]
        sizes = [(self.critics, self.rows, width) for width in hidden]
        like = torch.empty(0, dtype=self.products or initial.dtype, device=initial.device)
        self.outputs = [like.new_empty(size) for size in sizes]
        spare = like.new_empty(self.critics * self.rows * max(hidden, default=0))
        self.backs = [spare[: e * r * width].view(e, r, width) for e, r, width in sizes]  # never two at a time
        self.ones = like.new_ones(self.critics, 1, self.rows)

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

    def values(self, points: Tensor) -> Tensor:
        """The networks' outputs (E, R, out) at points (E, R, in), in buffers of their own."""
        return torch.baddbmm(self.biases[-1], self._hidden(points)[-1], self.weights[-1])

    def slopes(self, points: Tensor) -> Tensor:
        """grad f (E, R, in) at points (E, R, in), of networks with one output."""
        inputs = self._hidden(points)
        slope = self.weights[-1].mT.expand(-1, points.shape[1], -1)
        for weight, output in zip(self.weights[-2::-1], inputs[:0:-1], strict=True):
            slope = torch.bmm(self._chain(slope.contiguous(), output), weight.mT)
        return slope

    def _hidden(self, points: Tensor) -> list[Tensor]:
        """What each layer is given: the points, then every hidden layer's output."""
        inputs = [points]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            inputs.append(torch.baddbmm(bias, inputs[-1], weight))
            self._activate(inputs[-1])
        return inputs

    def backward(self, points: Tensor, pull: Tensor) -> None:
        """``gradient`` ← d/dtheta sum_r pull_r f(points_r); points (E, R, d), pull (E, R, 1)."""
        weights, biases = self.weights, self.biases
        if self.products is not None:
            weights, biases = ([t.to(self.products) for t in part] for part in (weights, biases))
            points, pull = points.to(self.products), pull.to(self.products)
        for first in range(0, points.shape[1], self.rows):
            rows = slice(first, first + self.rows)
            self._sweep(weights, biases, points[:, rows], pull[:, rows], first > 0)

    def _sweep(self, weights: list[Tensor], biases: list[Tensor], points: Tensor, pull: Tensor, add: bool) -> None:
        """One block of rows forwards and backwards; its gradient is added to, or replaces, what is there."""
        count = points.shape[1]
        outputs = [output[:, :count] for output in self.outputs]
        inputs = [points, *outputs]
        for layer, output in enumerate(outputs):
            torch.baddbmm(biases[layer], inputs[layer], weights[layer], out=output)
            self._activate(output)
        for layer in range(len(weights) - 1, -1, -1):
            self._collect(self.weight_gradients[layer], inputs[layer].mT, pull, add)
            self._collect(self.bias_gradients[layer], self.ones[:, :, :count], pull, add)
            if layer > 0:
                back = self.backs[layer - 1][:, :count]
                if pull.shape[2] == 1:  # an outer product, which broadcasting does faster than a product call
                    torch.mul(pull, weights[layer].mT, out=back)
                else:
                    torch.bmm(pull, weights[layer].mT, out=back)
                pull = self._chain(back, inputs[layer])

    def _collect(self, gradient: Tensor, left: Tensor, right: Tensor, add: bool) -> None:
        """gradient ← (gradient +) left right, summed in the parameters' dtype."""
        if self.products is None:
            torch.baddbmm(gradient, left, right, beta=int(add), out=gradient)
        elif add:
            gradient.add_(torch.bmm(left, right))
        else:
            gradient.copy_(torch.bmm(left, right))

    def _activate(self, z: Tensor) -> None:
        if self.activation == "relu":
            torch.relu_(z)
        elif self.activation == "leaky_relu":
            torch.nn.functional.leaky_relu_(z, LEAK)
        else:
            torch.tanh_(z)

    def _chain(self, back: Tensor, output: Tensor) -> Tensor:
        """output ← back · act', with act' read off the layer's output, which nobody needs after."""
        aten = torch.ops.aten
        if self.activation == "relu":
            aten.threshold_backward.grad_input(back, output, 0, grad_input=output)
        elif self.activation == "leaky_relu":
            aten.leaky_relu_backward.grad_input(back, output, LEAK, True, grad_input=output)
        else:
            aten.tanh_backward.grad_input(back, output, grad_input=output)
        return output

    def read(self, flat: Tensor, clips: Sequence[float | None]) -> list[Mlp]:
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
