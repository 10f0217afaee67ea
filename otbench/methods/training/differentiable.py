"""Networks whose loss may be any function of their values and slopes: autograd takes the derivative."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otbench.methods.mlp import LEAK, AnyActivation, Mlp
from otbench.methods.training.constraints import Constraint, Free
from otbench.methods.training.parameters import Parameters, Shapes
from otbench.types import Array


class MaxMin(torch.autograd.Function):
    """Each pair of neighbouring units with the larger one first; torch's own maximum and minimum take twice as long.

    Source: Anil, Lucas, Grosse 2019, section 4.1.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        first, second, out = z[..., ::2], z[..., 1::2], torch.empty_like(z)
        ctx.swapped = second > first
        torch.maximum(first, second, out=out[..., ::2])
        torch.minimum(first, second, out=out[..., 1::2])
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        larger, smaller, out = gradient[..., ::2], gradient[..., 1::2], torch.empty_like(gradient)
        torch.where(ctx.swapped, smaller, larger, out=out[..., ::2])
        torch.where(ctx.swapped, larger, smaller, out=out[..., 1::2])
        return out


class FullSort(torch.autograd.Function):
    """All units, the largest first; of equal ones the first, so that the order is the same wherever it is made.

    Source: Anil, Lucas, Grosse 2019, section 4.1.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        if z.device.type == "cpu" and z.dtype == torch.float32:
            ctx.order = torch.from_numpy(_falling(z.detach().numpy()))
        else:
            ctx.order = z.argsort(dim=2, descending=True, stable=True)
        return z.gather(2, ctx.order)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.empty_like(gradient).scatter_(2, ctx.order, gradient)


class Differentiable(Parameters):
    """E multilayer perceptrons R^d → R^k of one shape, as functions of their parameters.

    ``leaves`` are the weights, then the biases, of which autograd takes the derivative. ``used`` are the weights as the
    network uses them, which ``constraint`` makes of the leaves; ``renew`` makes them anew, whenever the parameters have
    changed.
    """

    def __init__(self, initial: Tensor, shapes: Shapes, activation: AnyActivation) -> None:
        super().__init__(initial, shapes, activation)
        self.constraint: Constraint = Free()
        # views that share memory with the flat parameters
        self.leaves = [view.detach().requires_grad_() for view in (*self.weights, *self.biases)]
        self.used: list[Tensor] = []

    def renew(self) -> None:
        """Make the weights that the network uses of the parameters as they are now."""
        self.used = self.constraint.weights(self.leaves[: len(self.shapes)])

    def layers(self, points: Tensor, kept: Sequence[Tensor] = ()) -> list[Tensor]:
        """What every layer makes of points (E, R, d): the outputs of the hidden ones, then (E, R, k).

        ``kept`` are factors (E, R, h) of the hidden units, where there are any.
        """
        outputs = []
        for layer, (weight, bias) in enumerate(zip(self.used, self.leaves[len(self.shapes) :], strict=True)):
            points = _affine(points, weight, bias)
            if layer < len(self.shapes) - 1:
                points = self._activate(points, layer)
                if kept:
                    points = points * _filled_up(kept[layer].to(points.dtype), points.shape[2])
            outputs.append(points)
        return outputs

    def slopes(self, points: Tensor) -> Tensor:
        """grad f (E, R, d) at points (E, R, d), of networks with one output.

        The chain rule is written out, so that one backward sweep through it gives the derivative by the parameters: of
        piecewise linear networks the pattern of active units is locally constant.
        """
        slope = self.used[-1].mT.expand(-1, points.shape[1], -1)
        for weight, output in zip(self.used[-2::-1], self.layers(points)[-2::-1], strict=True):
            slope = torch.bmm(self._through_activation(slope, output), weight.mT)
        return slope

    def put_gradient(self, parts: Sequence[Tensor]) -> None:
        """``gradient`` ← the derivatives of a loss by the leaves."""
        for view, part in zip((*self.weight_gradients, *self.bias_gradients), parts, strict=True):
            view.copy_(part)

    def functions(self) -> list[Mlp]:
        """The networks as float64 functions, with the weights that they use."""
        weights = [_array(w[:, :i, :o]) for w, (i, o) in zip(self.used, self.shapes, strict=True)]
        biases = [_array(b[:, 0, :o]) for b, (_, o) in zip(self.biases, self.shapes, strict=True)]
        return [
            Mlp(tuple(w[k].copy() for w in weights), tuple(b[k].copy() for b in biases), self.activation)
            for k in range(self.critics)
        ]

    def _activate(self, z: Tensor, layer: int) -> Tensor:
        if self.activation == "relu":
            return torch.relu(z)
        if self.activation == "leaky_relu":
            return torch.nn.functional.leaky_relu(z, LEAK)
        if self.activation == "tanh":
            return torch.tanh(z)
        width = self.shapes[layer][1]  # units that fill up are not sorted among the others
        own = z[:, :, :width]
        into_order: Callable[[Tensor], Tensor] = MaxMin.apply if self.activation == "maxmin" else FullSort.apply
        return _filled_up(into_order(own), z.shape[2])

    def _through_activation(self, slope: Tensor, output: Tensor) -> Tensor:
        """A slope by the output of an activation, times the activation's derivative: torch's own kernels, as a mask in
        the type of the slope takes as long as a product with a layer's weights."""
        kernels, settled = torch.ops.aten, output.detach()  # of piecewise linear ones it is locally constant
        if self.activation == "tanh":
            through: Tensor = kernels.tanh_backward(slope, output)
        elif self.activation == "leaky_relu":
            through = kernels.leaky_relu_backward(slope, settled, LEAK, True)
        else:
            through = kernels.threshold_backward(slope, settled, 0)
        return through


def _falling(z: NDArray[np.float32]) -> NDArray[np.int64]:
    """The places of the numbers along the last axis, the largest first, of equal ones the first.

    Places and numbers are sorted together, as whole numbers: the bits of a float, but for its sign, rise with it. That
    takes a twentieth of the time of torch's sort.
    """
    bits = (z + np.float32(0)).view(np.int32)  # the two zeros are equal
    rising = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    keys = ((~rising).astype(np.int64) << 32) | np.arange(z.shape[-1])
    keys.sort(axis=-1)
    return keys & 0xFFFFFFFF


def _array(part: Tensor) -> Array:
    found: Array = part.detach().double().cpu().numpy()
    return found


def _affine(points: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """points W + b (E, R, out); a single output without BLAS, which rounds a matrix times a vector differently for one
    critic than for several."""
    if weight.shape[2] == 1:
        return (points * weight.mT).sum(2, keepdim=True) + bias
    return torch.baddbmm(bias, points, weight)


def _filled_up(own: Tensor, width: int) -> Tensor:
    """What belongs to the units of a layer (E, R, h), with zeros for those that fill it up to a width."""
    return torch.nn.functional.pad(own, (0, width - own.shape[2]))
