"""Functions of one number at a time, and others without weights, whose Lipschitz constants are known in closed form."""

import math
from collections.abc import Callable
from typing import Any

import torch

#: sup |f'| of functions whose steepest point has no closed form, the last digit rounded up.
GELU_TANH, SILU, MISH = 1.1289930687, 1.0998393202, 1.0884981613

#: Of GELU, f(x) = x Phi(x): f' = Phi + x phi is largest where f'' = (2 - x^2) phi is 0, at sqrt 2.
GELU = (1 + math.erf(1.0)) / 2 + math.exp(-1.0) / math.sqrt(math.pi)

#: Of SELU, scale x on the right and scale alpha (exp x - 1) on the left.
SELU = 1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


def _leak(negative_slope: float = 0.01, inplace: bool = False) -> float:
    return max(1.0, abs(negative_slope))


def _elu(alpha: float = 1.0, inplace: bool = False, *_: Any, **__: Any) -> float:
    return max(1.0, abs(alpha))


def _celu(alpha: float = 1.0, inplace: bool = False) -> float:
    return 1.0 if alpha > 0 else math.inf


def _prelu(weight: torch.Tensor) -> float:
    return max(1.0, float(weight.detach().abs().max()))


def _rrelu(
    lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False, generator: Any = None
) -> float:
    """In evaluation mode a leak of the mean slope."""
    return math.inf if training else max(1.0, abs(lower + upper) / 2)


def _gelu(approximate: str = "none") -> float:
    return GELU if approximate == "none" else GELU_TANH


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> float:
    """log(1 + exp(beta x))/beta below the threshold, x above: it jumps there, by log(1 + exp(-threshold))/beta."""
    return 1.0 if beta > 0 and threshold >= 20 else math.inf


def _threshold(threshold: float, value: float, inplace: bool = False) -> float:
    """x above, a value below: continuous where the value is the threshold's."""
    return 1.0 if threshold == value else math.inf


#: The functions by torch's names, and their constants, or what gives them from the arguments after the first.
ELEMENTWISE: dict[str, float | Callable[..., float]] = {
    **dict.fromkeys(
        ("relu", "relu6", "hardtanh", "tanh", "softsign", "logsigmoid", "log_sigmoid", "tanhshrink", "softshrink",
         "sin", "cos", "atan", "arctan", "abs", "absolute", "neg", "negative", "positive", "clamp", "clip", "clamp_min",
         "clamp_max", "asinh", "arcsinh"),
        1.0,
    ),
    "sigmoid": 0.25,
    "hardsigmoid": 1 / 6,
    "hardswish": 1.5,
    "erf": 2 / math.sqrt(math.pi),
    "silu": SILU,
    "mish": MISH,
    "selu": SELU,
    "gelu": _gelu,
    "leaky_relu": _leak,
    "elu": _elu,
    "celu": _celu,
    "prelu": _prelu,
    "rrelu": _rrelu,
    "softplus": _softplus,
    "threshold": _threshold,
    # of a vector: the Jacobian of softmax is diag p - p p^T, of norm 1/2 at most, and that of logsumexp is p
    "softmax": 0.5,
    "softmin": 0.5,
    "logsumexp": 1.0,
}  # fmt: skip
