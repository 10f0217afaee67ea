"""How a user's critic is read: checked, at the points of two samples, in the precision it computes in."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from otbench.errors import InputError, OtbenchError
from otbench.inputs import as_reals
from otbench.methods.accept import as_critic
from otbench.methods.claims import check_claim
from otbench.methods.functions import EPS, Critic, DistinctPoints, ValuesAlone, check_company
from otbench.transport.bounds import VALUE_ROUNDING
from otbench.types import Array, SamplePair


@dataclass(frozen=True, eq=False)
class Readings:
    """A critic at the points of two samples: its values fx (n,) and fy (m,), and its gradients where it has them.

    ``rounding`` is the relative error of a value, ``constants`` are its Lipschitz constants from the clip value and
    from the spectral norms, where they are known, and ``unknown`` says why one is not, in words.
    """

    pair: SamplePair
    critic: Critic
    fx: Array
    fy: Array
    gx: Array | None
    gy: Array | None
    rounding: float
    constants: tuple[float | None, float | None]
    unknown: str = ""


class Reader:
    """Two samples at whose points critics are read, with the arguments of ``otbench.audit``.

    Raises:
        InputError: malformed samples.
    """

    def __init__(self, x: Any, y: Any, a: Any, b: Any) -> None:
        (x, self.shape), (y, other) = _flat("x", x), _flat("y", y)
        if self.shape != other and max(len(self.shape), len(other)) > 1:
            raise InputError(f"x and y must hold points of one shape; got {self.shape} and {other}")
        self.pair = SamplePair(x, y, a, b)
        self.distinct = DistinctPoints(self.pair.x, self.pair.y)

    def read(self, critic: Any, clip: float | None, lipschitz: Any = None, gradients: bool = True) -> Readings:
        """The readings of a critic; its gradients are left out where nobody asks for them.

        Raises:
            InputError: as ``otbench.audit``.
        """
        pair, shape = self.pair, self.shape
        with _said_in_one_line(critic, shape), _chance_left_as_it_was():
            function = as_critic(critic, clip, shape if len(shape) > 1 else None, lipschitz)
            fx, fy, gx, gy = self.distinct.read(function if gradients else ValuesAlone(function))
            values = np.concatenate([fx, fy])
            if not np.isfinite(values).all():
                raise InputError("the critic is NaN or infinite at some of the points: it has diverged")
            check_company(function, np.concatenate([pair.x, pair.y]), values, self.distinct.first)
            constants = function.constants()
        rounding = VALUE_ROUNDING * getattr(function, "eps", EPS["float64"]) / EPS["float64"]
        if lipschitz is not None and constants[1] is not None:
            check_claim(constants[1], pair, (fx, fy), (gx, gy), rounding)
        unknown = "" if constants[1] is not None else getattr(function, "unknown", "")
        return Readings(pair, function, fx, fy, gx, gy, rounding, constants, unknown)


def read_critic(
    critic: Any, x: Any, y: Any, a: Any, b: Any, clip: float | None, lipschitz: Any = None, gradients: bool = True
) -> Readings:
    """The readings of one critic on two samples, as a ``Reader`` of them gives them."""
    return Reader(x, y, a, b).read(critic, clip, lipschitz, gradients)


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
