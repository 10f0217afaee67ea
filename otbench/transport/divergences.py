"""The estimate of a Jensen-Shannon divergence that a discriminator makes, and what a generator hears of it."""

import numpy as np

from otbench.types import Array


def js_estimate(fx: Array, fy: Array, a: Array, b: Array) -> float:
    """(E_P log D + E_Q log(1 - D) + log 4)/2 in nats, D = 1/(1 + exp(-f)), from logits fx (n,), fy (m,).

    For any function f it is at most JS of the two samples, which f = log(p/q) attains; JS <= TV log 2.

    Source: Goodfellow et al. 2014, Thm 1; Lin 1991, Thm 3.
    """
    likelihood = -(a @ np.logaddexp(0, -fx)) - b @ np.logaddexp(0, fy)
    return float((likelihood + np.log(4)) / 2)


def js_gradient(fy: Array, gy: Array, velocity: Array, b: Array) -> float:
    """d/dtheta of ``js_estimate`` as y moves with ``velocity`` (m, d) = dy/dtheta and D stays: what a generator gets.

    = -E_Q D(y) <grad f(y), dy/dtheta> / 2, from logits fy (m,) and their gradients gy (m, d). At the optimal D it is
    the derivative of JS itself (envelope theorem); where D has learnt to tell the samples apart, D(y) and it vanish.

    Source: Arjovsky, Bottou 2017, Thm 2.4.
    """
    return float(-(b * np.exp(-np.logaddexp(0, -fy))) @ np.einsum("md,md->m", gy, velocity) / 2)


def raw_gradient(gy: Array, velocity: Array, b: Array) -> float:
    """d/dtheta of raw = mean f(x) - mean f(y) as y moves with ``velocity`` and f stays: -E_Q <grad f(y), dy/dtheta>.

    Source: Arjovsky, Chintala, Bottou 2017, Thm 3.
    """
    return float(-b @ np.einsum("md,md->m", gy, velocity))
