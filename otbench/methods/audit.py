"""The audit of a critic of one's own: all that it proves of W1 of two samples, beside the exact W1."""

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
from otbench.transport.bounds import VALUE_ROUNDING, Ladder
from otbench.transport.exact import cost_matrix, solve_cost
from otbench.types import Array, Bounds, SamplePair


def audit(critic: Any, x: Any, y: Any, a: Any = None, b: Any = None, *, clip: float | None = None) -> Bounds:
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
            chain of linear layers is taken to be clipped to its largest weight.

    Returns:
        Bounds in the data's unit, with 0 <= clip_bound <= spectral <= slope <= c_transform <= primal wherever raw > 0.

    Raises:
        InputError: malformed samples; a critic that raises, whose values are not one finite number per point, or
            depend on chance or on the other points of a batch (``otbench.methods.functions.check_company``); or a
            false ``clip``.
        UncertifiedError: the exact W1 could not be proved.

    Source: Villani 2009, Thm 5.10 (weak duality); Arjovsky, Chintala, Bottou 2017 (weight clipping).
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
    rounding = VALUE_ROUNDING * getattr(function, "eps", EPS["float64"]) / EPS["float64"]
    bounds = dataclasses.replace(bounds, raw_error=max(bounds.raw_error, float(rounding * np.abs(values).max())))
    if bounds.raw < -bounds.raw_error:
        warnings.warn(f"otbench.audit: {bounds.reading}", stacklevel=2)
    return bounds


def _flat(name: str, value: Any) -> tuple[Array, tuple[int, ...]]:
    """Points or images as rows of numbers, and the shape of one of them."""
    points = as_reals(name, value)
    shape = points.shape[1:]
    return points.reshape(len(points), int(np.prod(shape))) if len(shape) > 1 else points, shape


@contextmanager
def _said_in_one_line(critic: Any, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn whatever a critic raises into an InputError of one line that says what it was handed."""
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
    """What to try where a critic may have been handed images instead of vectors, or vectors instead of images."""
    if len(shape) > 1:
        return ": if it takes vectors, pass x.reshape(len(x), -1)"
    layers = critic.modules() if hasattr(critic, "modules") else []
    takes_images = any("Conv" in type(layer).__name__ for layer in layers)
    return ": pass images of shape (n, c, h, w)" if takes_images else ""


def _chance_left_as_it_was() -> Any:
    """A context after which torch's random numbers go on as if nothing had been drawn, if torch is loaded."""
    torch = sys.modules.get("torch")
    return nullcontext() if torch is None else torch.random.fork_rng(devices=[])
