"""Optimisers on flat tensors: torch's formulas, with a learning rate and an eps of its own for every parameter."""

import numpy as np
import torch
from torch import Tensor

#: The eps of Adam where a method has no field for it.
ADAM_EPS = 1e-8


class RMSProp:
    """RMSProp: v ← alpha v + (1 - alpha) g², theta ← theta - lr g / (sqrt v + eps).

    ``parameters``, ``rate`` and ``eps`` are flat and of one size. ``state`` lists what a step changes and a later step
    reads, without the parameters. A step overwrites the gradient.

    Source: Hinton 2012, as in torch.optim.RMSprop.
    """

    def __init__(self, parameters: Tensor, rate: Tensor, eps: Tensor, smoothing: float) -> None:
        self.parameters, self.down, self.eps, self.smoothing = parameters, -rate, eps, smoothing
        self.square, self.size = torch.zeros_like(parameters), torch.empty_like(parameters)
        self.state = [self.square]

    def __call__(self, gradient: Tensor) -> None:
        self.square.mul_(self.smoothing).addcmul_(gradient, gradient, value=1 - self.smoothing)
        _square_root(self.square, self.size)
        self.parameters.addcdiv_(gradient.mul_(self.down), self.size.add_(self.eps))


class Adam:
    """Adam: m ← b1 m + (1 - b1) g, v ← b2 v + (1 - b2) g², theta ← theta - lr m̂ / (sqrt v̂ + eps).

    Source: Kingma, Ba 2015, Algorithm 1, as in torch.optim.Adam.
    """

    def __init__(self, parameters: Tensor, rate: Tensor, eps: Tensor, betas: tuple[float, float]) -> None:
        self.parameters, self.down, self.eps, self.betas = parameters, -rate, eps, betas
        self.mean, self.square = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self.size, self.move = torch.empty_like(parameters), torch.empty_like(parameters)
        # the powers are tensors on the device: a captured graph would freeze a Python counter
        self.left = torch.ones(2, dtype=torch.float64, device=parameters.device)
        self.beta = torch.tensor(betas, dtype=torch.float64, device=parameters.device)
        self.state = [self.mean, self.square, self.left]

    def __call__(self, gradient: Tensor) -> None:
        self.left.mul_(self.beta)
        correction = (1 - self.left).to(self.parameters.dtype)
        self.mean.lerp_(gradient, 1 - self.betas[0])
        self.square.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
        torch.div(self.square, correction[1], out=self.move)
        _square_root(self.move, self.size)
        torch.mul(self.mean, self.down, out=self.move)
        self.parameters.addcdiv_(self.move.div_(correction[0]), self.size.add_(self.eps))


class SGD:
    """Gradient descent: theta ← theta - lr g."""

    def __init__(self, parameters: Tensor, rate: Tensor) -> None:
        self.parameters, self.down = parameters, -rate
        self.state: list[Tensor] = []

    def __call__(self, gradient: Tensor) -> None:
        self.parameters.addcmul_(gradient, self.down)


def _square_root(of: Tensor, out: Tensor) -> None:
    """out ← sqrt(of).

    On a CPU torch's own root takes ten times as long where numbers are 0, as the second moments of dead units are.
    numpy's root is the same, bit for bit.
    """
    if of.device.type == "cpu":
        np.sqrt(of.numpy(), out=out.numpy())
    else:
        torch.sqrt(of, out=out)
