"""The estimate of the Jensen-Shannon divergence that a discriminator makes, and the gradient a generator gets of it."""

import numpy as np

from otbench.types import Array


def js_estimate(fx: Array, fy: Array, a: Array, b: Array) -> float:
    """(E_P log D + E_Q log(1 - D) + log 4)/2 in nats, D = 1/(1 + exp(-f)), a lower bound of JS of two samples.

    f = log(p/q) attains JS itself, and JS <= TV log 2.

    Args:
        fx: the logits f(x_i) (n,).
        fy: the logits f(y_j) (m,).
        a: the weights (n,) of x.
        b: the weights (m,) of y.

    Source: Goodfellow et al. 2014, Thm 1; Lin 1991, Thm 3.
    """
    likelihood = -(a @ np.logaddexp(0, -fx)) - b @ np.logaddexp(0, fy)
    return float((likelihood + np.log(4)) / 2)


def js_gradient(fy: Array, gy: Array, velocity: Array, b: Array) -> float:
    """-E_Q D(y) <grad f(y), dy/dtheta> / 2: what a generator with the parameter theta gets of ``js_estimate``.

    It is the derivative by theta as y moves and D stays. At the optimal D it is the derivative of JS itself (envelope
    theorem). Where D has learnt to tell the samples apart, D(y) vanishes, and it does so too.

    Args:
        fy: the logits f(y_j) (m,).
        gy: their gradients (m, d).
        velocity: how the points move, dy/dtheta (m, d).
        b: the weights (m,) of y.

    Source: Arjovsky, Bottou 2017, Thm 2.4.
    """
    return float(-(b * np.exp(-np.logaddexp(0, -fy))) @ np.einsum("md,md->m", gy, velocity) / 2)


def raw_gradient(gy: Array, velocity: Array, b: Array) -> float:
    """-E_Q <grad f(y), dy/dtheta>: the derivative by theta of raw = mean f(x) - mean f(y) as y moves and f stays.

    gy (m, d) are the gradients of f at y, ``velocity`` (m, d) is dy/dtheta, and b (m,) are the weights of y.

    Source: Arjovsky, Chintala, Bottou 2017, Thm 3.
    """
    return float(-b @ np.einsum("md,md->m", gy, velocity))
