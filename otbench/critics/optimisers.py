"""The optimisers, on one flat (E, P) tensor: torch's formulas, with a learning rate and eps per critic."""

from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor], None]


def rmsprop(parameters: Tensor, rate: Tensor, eps: Tensor, smoothing: float) -> Step:
    """v ← alpha v + (1 - alpha) g², theta ← theta - lr g / (sqrt v + eps); rate and eps (E, 1).

    Source: Hinton 2012, as in torch.optim.RMSprop.
    """
    square, down = torch.zeros_like(parameters), -rate

    def step(gradient: Tensor) -> None:
        square.mul_(smoothing).addcmul_(gradient, gradient, value=1 - smoothing)
        parameters.addcdiv_(gradient.mul_(down), square.sqrt().add_(eps))

    return step


def adam(parameters: Tensor, rate: Tensor, eps: Tensor, betas: tuple[float, float]) -> Step:
    """m ← b1 m + (1 - b1) g, v ← b2 v + (1 - b2) g², theta ← theta - lr m̂ / (sqrt v̂ + eps).

    Source: Kingma, Ba 2015, Algorithm 1, as in torch.optim.Adam.
    """
    mean, square = torch.zeros_like(parameters), torch.zeros_like(parameters)
    # powers as tensors on the device: a Python counter would be frozen into a captured graph
    left = torch.ones(2, dtype=torch.float64, device=parameters.device)
    beta = torch.tensor(betas, dtype=torch.float64, device=parameters.device)

    def step(gradient: Tensor) -> None:
        left.mul_(beta)
        correction = (1 - left).to(parameters.dtype)
        mean.lerp_(gradient, 1 - betas[0])
        square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        size = square.div(correction[1]).sqrt_().add_(eps)
        parameters.addcdiv_(mean * (-rate / correction[0]), size)

    return step


def sgd(parameters: Tensor, rate: Tensor) -> Step:
    """theta ← theta - lr g."""

    def step(gradient: Tensor) -> None:
        parameters.addcmul_(gradient, -rate)

    return step
