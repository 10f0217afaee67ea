"""The audit of a critic of one's own: all that it proves of W1 of two samples, beside the exact W1."""

import dataclasses
import warnings
from typing import Any

import numpy as np

from otbench.methods.claims import refuse_steeper
from otbench.methods.reading import read_critic
from otbench.transport.alignment import alignment
from otbench.transport.exact import refuse_interval, solve_pair
from otbench.transport.point_ladder import ladder_of
from otbench.types import Bounds


def audit(
    critic: Any, x: Any, y: Any, a: Any = None, b: Any = None, *, clip: float | None = None, lipschitz: Any = None
) -> Bounds:
    """All that a critic f proves of W1 of two samples, and how far that is from the exact W1.

    Args:
        critic: a torch.nn.Module, any function of a float64 numpy array (n, d), or a critic that otbench trained. A
            module is read from a copy in evaluation mode and in float64; one that computes in float32 inside is read
            in float32, and ``raw_error`` allows for that. f should be large on x and small on y, as in
            raw = mean f(x) - mean f(y); a warning and ``reading`` say where it
            is not. Modules and otbench's own critics have
            gradients, and hence ``alignment``.
        x: points (n, d), or images (n, c, h, w). Distances are those of flattened images; a module or function is
            handed the images themselves.
        y: points (m, d) or images, of the same shape.
        a: weights (n,) of x that sum to 1; uniform where they are None.
        b: weights (m,) of y, likewise.
        clip: the clip value that a module's parameters are held to; biases may lie beyond it. Where it is None, a
            module is taken to be clipped to its largest weight.
        lipschitz: what you vouch for where a module's constant is not found: a Lipschitz constant of the critic, or a
            mapping from types of modules inside it, or their names, to theirs. Convolutions, pooling, activations,
            normalisation in evaluation mode, residual sums and many more are known
            (``otbench.methods.lipschitz.everywhere``); ``unknown`` names what is not.

    Returns:
        Bounds in the data's unit, with 0 <= clip_bound <= spectral <= slope <= c_transform <= primal wherever raw > 0.

    Raises:
        InputError: malformed samples; a critic that raises, whose values are not one finite number per point, or
            depend on chance or on the other points of a batch (``otbench.methods.functions.check_company``); or a
            false ``clip`` or ``lipschitz``.
        UncertifiedError: the exact W1 could not be proved.

    Source: Villani 2009, Thm 5.10 (weak duality); Arjovsky, Chintala, Bottou 2017 (weight clipping).
    """
    read = read_critic(critic, x, y, a, b, clip, lipschitz)
    pair, fx, fy, gx, gy = read.pair, read.fx, read.fy, read.gx, read.gy
    clip_constant, spectral_constant = read.constants
    exact = solve_pair(pair)
    refuse_interval(exact)
    bounds = ladder_of(pair.x, pair.y, pair.a, pair.b).bounds(
        fx,
        fy,
        clip_constant=clip_constant,
        spectral_constant=spectral_constant,
        primal=exact.w1,
        alignment=alignment(pair, exact.plan, gx, gy) if gx is not None and gy is not None else None,
        saturation=getattr(read.critic, "saturation", None),
    )
    error = float(read.rounding * max(np.abs(fx).max(), np.abs(fy).max()))
    bounds = dataclasses.replace(bounds, raw_error=max(bounds.raw_error, error), unknown=read.unknown)
    if lipschitz is not None and spectral_constant is not None:
        refuse_steeper(spectral_constant, bounds.slope_constant)
    if bounds.raw < -bounds.raw_error:
        warnings.warn(f"otbench.audit: {bounds.reading}", stacklevel=2)
    return bounds
