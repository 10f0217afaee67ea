"""Audit a critic of one's own: its whole ladder on two samples, against the exact W1."""

import dataclasses
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from otbench.errors import InputError, OtbenchError
from otbench.inputs import as_reals
from otbench.methods.accept import as_critic
from otbench.methods.functions import EPS, check_company, on_union
from otbench.transport.alignment import alignment
from otbench.transport.bounds import ROUNDING, Ladder
from otbench.transport.exact import cost_matrix, solve_cost
from otbench.types import Array, Bounds, SamplePair


def audit(critic: Any, x: Any, y: Any, a: Any = None, b: Any = None, *, clip: float | None = None) -> Bounds:
    """Everything a critic proves about W1 of two samples, and how far from it that is.

    Args:
        critic: a torch.nn.Module, read in float64 and evaluation mode from a copy (one that is float32 inside in
            float32, for which ``raw_error`` then allows); any function of a float64 (n, d) numpy array; or a critic
            otbench trained. Large on x and small on y, as in raw = mean f(x) - mean f(y); a warning and ``reading`` say
            when not. Gradients, hence ``alignment``, are there for modules and otbench's own.
        x: points (n, d), or images (n, c, h, w): distances are of the flattened ones, a module or a function is handed
            images.
        y: points (m, d) or images, of the same shape.
        a: weights (n,) of x, uniform if None.
        b: weights (m,) of y, likewise.
        clip: the clip value that a module's weights are held to: all its parameters but biases, which may lie beyond.
            Left out, a chain of linear layers is taken to be clipped to its largest weight.

    Returns:
        Bounds, with 0 <= clip_bound <= spectral <= slope <= c_transform <= primal whenever raw > 0.

    Raises:
        InputError: malformed samples; a critic that raises, whose values are not one finite number a point, or depend
            on the other points of a batch or on chance (``otbench.methods.functions.check_company``); a false ``clip``.
        UncertifiedError: the exact side could not be proved.
    """
    (x, shape), (y, other) = _flat("x", x), _flat("y", y)
    if shape != other and max(len(shape), len(other)) > 1:
        raise InputError(f"x and y must hold points of one shape; got {shape} and {other}")
    pair = SamplePair(x, y, a, b)
    with _said_in_one_line(critic, shape), _chance_left_as_it_was():
        function = as_critic(critic, clip, shape if len(shape) > 1 else None)
        fx, fy, gx, gy = on_union(function, pair.x, pair.y)
        values = np.concatenate([fx, fy])
        if not np.isfinite(values).all():
            raise InputError("the critic is NaN or infinite at some of the points: it has diverged")
        check_company(function, np.concatenate([pair.x, pair.y]), values)
        clip_constant, spectral_constant = function.constants()
    cost = cost_matrix(pair.x, pair.y)
    exact = solve_cost(cost, pair.a, pair.b)
    bounds = Ladder(cost, pair.a, pair.b).bounds(
        fx,
        fy,
        clip_constant=clip_constant,
        spectral_constant=spectral_constant,
        primal=exact.w1,
        alignment=alignment(pair, exact.plan, gx, gy) if gx is not None and gy is not None else None,
        saturation=getattr(function, "saturation", None),
    )
    rounding = ROUNDING * getattr(function, "eps", EPS["float64"]) / EPS["float64"]
    bounds = dataclasses.replace(bounds, raw_error=max(bounds.raw_error, float(rounding * np.abs(values).max())))
    if bounds.raw < -bounds.raw_error:
        warnings.warn(f"otbench.audit: {bounds.reading}", stacklevel=2)
    return bounds


def _flat(name: str, value: Any) -> tuple[Array, tuple[int, ...]]:
    """Points or images as rows, and the shape of one."""
    points = as_reals(name, value)
    shape = points.shape[1:]
    return points.reshape(len(points), int(np.prod(shape))) if len(shape) > 1 else points, shape


@contextmanager
def _said_in_one_line(critic: Any, shape: tuple[int, ...]) -> Iterator[None]:
    """What a critic raises, as an error that names it."""
    try:
        yield
    except OtbenchError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"the critic raised {type(error).__name__}: {reason} "
            f"(it was handed points of shape {shape}){_remedy(critic, shape)}"
        ) from error


def _remedy(critic: Any, shape: tuple[int, ...]) -> str:
    """What to try where a critic may have been handed vectors for images, or images for vectors."""
    if len(shape) > 1:
        return ": if it takes vectors, pass x.reshape(len(x), -1)"
    layers = critic.modules() if hasattr(critic, "modules") else []
    takes_images = any("Conv" in type(layer).__name__ for layer in layers)
    return ": pass images of shape (n, c, h, w)" if takes_images else ""


def _chance_left_as_it_was() -> Any:
    """A context that gives torch's random numbers back as they were, if torch is loaded."""
    torch = sys.modules.get("torch")
    return nullcontext() if torch is None else torch.random.fork_rng(devices=[])
