"""Many networks of one shape in one flat tensor, with their values and the derivative of a loss written out."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from otbench.methods.mlp import LEAK, Activation, Mlp

#: (in, out) of every layer.
Shapes = Sequence[tuple[int, ...]]

#: Points a CPU sweeps at once: their activations stay in the second-level cache, which is worth a tenth of the time.
CPU_ROWS = 256

#: Hidden widths and rows are filled up to a multiple of this with zeros, so that each critic's part of a tensor starts
#: on a 64-byte boundary in every dtype, and no elementwise call ends in a remainder. BLAS kernels round differently off
#: such boundaries, and vector kernels in their remainder: the bits of a critic would depend on its neighbours.
LANE = 32


def filled(count: int) -> int:
    """The least multiple of LANE that is at least ``count``."""
    return -(-count // LANE) * LANE


class Stack:
    """E multilayer perceptrons R^d → R of one shape, each trained on R points per step.

    ``parameters`` and ``gradient`` are flat, layer after layer. ``weights[l]`` (E, in, out) and ``biases[l]``
    (E, 1, out) are views of them, so that an optimiser's step is a handful of calls. Every buffer that a step writes
    is allocated here: fresh pages for temporaries cost as much as the arithmetic, and a captured CUDA graph needs
    buffers at fixed addresses.

    Hidden layers are as wide as ``filled`` makes them. The units that were added have no weights in or out, so that
    their outputs and gradients stay exactly 0; ``read`` and ``by_critic`` leave them out. R must be a multiple of
    LANE: sources of points add rows whose pull is 0.

    The derivative is written out and not taken by autograd: the loss is linear in f, so that its gradient is one
    backward sweep without a graph.

    Args:
        initial: the first parameters (E, P), in the order of torch's Linear layers: weight, bias, weight, bias, ...
        shapes: (in, out) of every layer.
        activation: that of the hidden layers.
        rows: R.
        products: the type of the matrix products; None for that of ``initial``.
    """

    def __init__(
        self, initial: Tensor, shapes: Shapes, activation: Activation, rows: int, products: torch.dtype | None = None
    ) -> None:
        self.critics, self.shapes, self.activation = len(initial), list(shapes), activation
        self.filled_shapes = filled_shapes(shapes)
        size = sum(filled(i * o) + filled(o) for i, o in self.filled_shapes)
        self.parameters = torch.zeros(self.critics * size, dtype=initial.dtype, device=initial.device)
        self.gradient = torch.zeros_like(self.parameters)
        self.weights, self.biases = self.views(self.parameters)
        self.weight_gradients, self.bias_gradients = self.views(self.gradient)
        self.products = products if products not in (None, initial.dtype) else None
        self._load(initial)
        self.rows = min(rows, CPU_ROWS) if initial.device.type == "cpu" else rows
        hidden = [out for _, out in self.filled_shapes[:-1]]
        like = torch.empty(0, dtype=self.products or initial.dtype, device=initial.device)
        self.outputs = [like.new_empty(self.critics * self.rows * width) for width in hidden]
        self.spare = like.new_empty(self.critics * self.rows * max(hidden, default=0))  # never two at a time

    def views(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The weights (E, in, out) and biases (E, 1, out) of every layer as views into ``flat``."""
        sizes = [(i, o) for i, o in self.filled_shapes] + [(1, o) for _, o in self.filled_shapes]
        found, at = [], 0
        for rows, cols in sizes:
            length = filled(rows * cols)
            found.append(flat.as_strided((self.critics, rows, cols), (length, cols, 1), flat.storage_offset() + at))
            at += self.critics * length
        return found[: len(self.shapes)], found[len(self.shapes) :]

    def _own(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """``views`` without the units that fill up: weights (E, in, out) and biases (E, 1, out) of the given shapes."""
        weights, biases = self.views(flat)
        own = [w[:, :rows, :cols] for w, (rows, cols) in zip(weights, self.shapes, strict=True)]
        return own, [b[:, :, :cols] for b, (_, cols) in zip(biases, self.shapes, strict=True)]

    def per_parameter(self, column: Tensor, biases: float | None = None) -> Tensor:
        """A flat tensor that holds, at every parameter, its critic's number in ``column`` (E,); where ``biases`` is a
        number, the biases hold that instead."""
        flat = torch.ones_like(self.parameters)
        weight_views, bias_views = self.views(flat)
        for view in weight_views:
            view.copy_(column[:, None, None].expand_as(view))
        for view in bias_views:
            view.copy_(column[:, None, None].expand_as(view) if biases is None else torch.full_like(view, biases))
        return flat

    def by_critic(self, flat: Tensor) -> Tensor:
        """A flat tensor as (E, P), one row per critic, without the units that fill up."""
        weights, biases = self._own(flat)
        return torch.cat([view.flatten(1) for view in (*weights, *biases)], dim=1)

    def _load(self, initial: Tensor) -> None:
        """Set the parameters to ``initial`` (E, P), which is in the order of torch's Linear layers."""
        at = 0
        for weight, bias in zip(*self._own(self.parameters), strict=True):
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
        """Sweep one block of rows forwards and backwards; its gradient is added to what is there, or replaces it."""
        inputs = [points]
        for layer, buffer in enumerate(self.outputs):
            output = self._block(buffer, points.shape[1], weights[layer].shape[2])
            torch.baddbmm(biases[layer], inputs[layer], weights[layer], out=output)
            self._activate(output)
            inputs.append(output)
        for layer in range(len(weights) - 1, -1, -1):
            self._collect_weights(layer, inputs[layer], pull, add)
            _put(self.bias_gradients[layer], pull.sum(1, keepdim=True, dtype=self.gradient.dtype), add)
            if layer > 0:
                back = self._block(self.spare, points.shape[1], weights[layer].shape[1])
                if pull.shape[2] == 1:  # an outer product, which broadcasting does faster than a product call
                    torch.mul(pull, weights[layer].mT, out=back)
                else:
                    torch.bmm(pull, weights[layer].mT, out=back)
                pull = self._chain(back, inputs[layer])

    def _block(self, buffer: Tensor, rows: int, width: int) -> Tensor:
        """The first numbers of a buffer as (E, rows, width), contiguous whatever the number of rows."""
        return buffer[: self.critics * rows * width].view(self.critics, rows, width)

    def _collect_weights(self, layer: int, inputs: Tensor, pull: Tensor, add: bool) -> None:
        """weight gradient ← (weight gradient +) inputs^T pull, summed in the type of the parameters.

        A single output is summed without BLAS, which rounds a matrix times a vector differently for one critic than
        for several.
        """
        gradient = self.weight_gradients[layer]
        if pull.shape[2] == 1:
            products = self._block(self.spare, *inputs.shape[1:]) if layer > 0 else torch.empty_like(inputs)
            torch.mul(inputs, pull, out=products)
            _put(gradient, products.sum(1, dtype=gradient.dtype)[:, :, None], add)
        elif self.products is None:
            torch.baddbmm(gradient, inputs.mT, pull, beta=int(add), out=gradient)
        else:
            _put(gradient, torch.bmm(inputs.mT, pull), add)

    def _activate(self, z: Tensor) -> None:
        """z ← act(z)."""
        if self.activation == "relu":
            torch.relu_(z)
        elif self.activation == "leaky_relu":
            torch.nn.functional.leaky_relu_(z, LEAK)
        else:
            torch.tanh_(z)

    def _chain(self, back: Tensor, output: Tensor) -> Tensor:
        """output ← back · act', with act' computed from the layer's output, which is not needed afterwards."""
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
        weights, biases = self._own(flat.detach().to("cpu", torch.float64))
        return [
            Mlp(
                tuple(w[k].numpy().copy() for w in weights),
                tuple(b[k, 0].numpy().copy() for b in biases),
                self.activation,
                clip,
            )
            for k, clip in enumerate(clips)
        ]


def filled_shapes(shapes: Shapes) -> list[tuple[int, int]]:
    """(in, out) of every layer as it is kept: with hidden widths filled up, the dimension and the output as given."""
    widths = [filled(out) for _, out in shapes[:-1]]
    return list(itertools.pairwise([shapes[0][0], *widths, shapes[-1][1]]))


def _put(gradient: Tensor, part: Tensor, add: bool) -> None:
    """gradient ← (gradient +) part."""
    if add:
        gradient.add_(part)
    else:
        gradient.copy_(part)


def initial_parameters(shapes: Shapes, seed: int, box: float | None) -> Tensor:
    """The first parameters of one network, float32 (P,), in the order of the layers: weight (out, in), bias, ...

    They are what torch's Linear layers draw after ``manual_seed(seed)``: U(±1/sqrt fan_in) for weights and biases.
    Where ``box`` is a number they are U(±box).

    Source: torch.nn.Linear.reset_parameters (He et al. 2015 with a = sqrt 5).
    """
    generator = torch.Generator().manual_seed(int(seed))
    parts = []
    for fan_in, fan_out in shapes:
        limit = fan_in**-0.5 if box is None else box
        for size in (fan_out * fan_in, fan_out):
            parts.append(torch.empty(size).uniform_(-limit, limit, generator=generator))
    return torch.cat(parts)
