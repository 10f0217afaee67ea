"""Audit a critic of one's own: its whole ladder on two samples, against the exact W1."""

from typing import Any

import numpy as np

from otbench.bounds import Ladder, alignment
from otbench.critics.functions import as_critic, on_union
from otbench.errors import InputError
from otbench.exact import cost_matrix, solve_cost
from otbench.types import Array, Bounds, SamplePair


def audit(critic: Any, x: Any, y: Any, a: Any = None, b: Any = None, *, clip: float | None = None) -> Bounds:
    """Everything a critic proves about W1 of two samples, and how far from it that is.

    ``critic``: a torch.nn.Module (read in float64 and evaluation mode, left as it was), any function of a float64
    (n, d) numpy array, or a critic otbench trained; large on x and small on y, as in raw = mean f(x) - mean f(y).
    ``clip``: the clip value its weights are held to, where it is a chain of linear layers; left out, the
    largest weight is taken. Gradients, hence ``alignment``, are there for modules and otbench's own.

    Returns:
        Bounds, with 0 <= clip_bound <= spectral <= slope <= c_transform <= primal whenever raw > 0.

    Raises:
        InputError: malformed samples, or a critic whose values are not one finite number a point.
        UncertifiedError: the exact side could not be proved.
    """
    pair, function = SamplePair(x, y, a, b), as_critic(critic, clip)
    fx, fy, gx, gy = on_union(function, pair.x, pair.y)
    if not (np.isfinite(fx).all() and np.isfinite(fy).all()):
        raise InputError("the critic is NaN or infinite at some of the points: it has diverged")
    cost = cost_matrix(pair.x, pair.y)
    exact = solve_cost(cost, pair.a, pair.b)
    clip_constant, spectral_constant = function.constants()
    return Ladder(cost, pair.a, pair.b).bounds(
        fx,
        fy,
        clip_constant=clip_constant,
        spectral_constant=spectral_constant,
        primal=exact.w1,
        alignment=alignment(pair, exact.plan, gx, gy) if gx is not None and gy is not None else None,
        saturation=getattr(critic, "saturation", None) if clip is None else _saturation(critic, clip),
    )


def _saturation(critic: Any, clip: float) -> float | None:
    """Share of a module's parameters with |theta| >= 0.999 clip; None for what has no parameters."""
    if not hasattr(critic, "parameters"):
        return None
    flat: Array = np.concatenate([p.detach().cpu().double().numpy().ravel() for p in critic.parameters()])
    return float((np.abs(flat) >= 0.999 * clip).mean())
