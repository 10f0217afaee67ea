"""Networks trained on a loss that is linear in their values, with its derivative written out."""

import torch
from torch import Tensor

from otbench.methods.mlp import LEAK, Activation
from otbench.methods.training.parameters import Parameters, Shapes

#: Points a CPU sweeps at once: their activations stay in the second-level cache, which is worth a tenth of the time.
CPU_ROWS = 256


class Stack(Parameters):
    """E multilayer perceptrons R^d → R of one shape, each trained on R points per step.

    Every buffer that a step writes is allocated here: fresh pages for temporaries cost as much as the arithmetic, and a
    captured CUDA graph needs buffers at fixed addresses. R must be a multiple of LANE: sources of points add rows whose
    pull is 0.

    The derivative is written out and not taken by autograd: the loss is linear in f, so that its gradient is one
    backward sweep without a graph.

    Args:
        initial: the first parameters (E, P), as ``Parameters`` takes them.
        shapes: (in, out) of every layer.
        activation: that of the hidden layers.
        rows: R.
        products: the type of the matrix products; None for that of ``initial``.
    """

    def __init__(
        self, initial: Tensor, shapes: Shapes, activation: Activation, rows: int, products: torch.dtype | None = None
    ) -> None:
        super().__init__(initial, shapes, activation)
        self.products = products if products not in (None, initial.dtype) else None
        self.rows = min(rows, CPU_ROWS) if initial.device.type == "cpu" else rows
        hidden = [out for _, out in self.filled_shapes[:-1]]
        like = torch.empty(0, dtype=self.products or initial.dtype, device=initial.device)
        self.outputs = [like.new_empty(self.critics * self.rows * width) for width in hidden]
        self.spare = like.new_empty(self.critics * self.rows * max(hidden, default=0))  # never two at a time

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


def _put(gradient: Tensor, part: Tensor, add: bool) -> None:
    """gradient ← (gradient +) part."""
    if add:
        gradient.add_(part)
    else:
        gradient.copy_(part)
