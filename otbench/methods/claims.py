"""Lipschitz constants that the user vouches for: of a whole critic, or of modules inside it."""

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from otbench.errors import InputError, UnknownNameError
from otbench.types import Array, SamplePair

#: By how much, relatively, the slope of a function may seem to exceed its constant for rounding.
SLOPE_ROUNDING = 1e-6


class Claim:
    """What a user says of a critic: ``whole`` is its constant, ``of_parts`` are those of modules by type or name.

    Args:
        lipschitz: None, one number for the critic, or a mapping from types of modules, or names of them in the critic,
            to numbers.
        module: the critic, where it is a torch module.

    Raises:
        InputError: what is neither, a number that is none of at least 0, or a module that is not there.
    """

    def __init__(self, lipschitz: Any, module: Any = None) -> None:
        self.whole: float | None = None
        self.of_parts: dict[Any, float] = {}
        if isinstance(lipschitz, Mapping) and module is not None:
            self.of_parts = {_part(key, module): _constant(value) for key, value in lipschitz.items()}
        elif lipschitz is not None:
            self.whole = _constant(lipschitz)

    def beside(self, clip: float | None, spectral: float | None) -> tuple[float | None, float | None]:
        """The constants, with what is claimed of the whole critic: the smaller one, where both are known."""
        if self.whole is None:
            return clip, spectral
        return clip, self.whole if spectral is None else min(spectral, self.whole)


def check_claim(
    constant: float, pair: SamplePair, f: tuple[Array, Array], g: tuple[Any, Any], rounding: float
) -> None:
    """Refuse a claimed constant that the critic exceeds, by its values f from some x_i to y_i or by its gradients g.

    Raises:
        InputError: a larger slope.
    """
    count = min(len(pair.x), len(pair.y))
    rises = np.abs(f[0][:count] - f[1][:count]) - 2 * rounding * max(np.abs(part).max() for part in f)
    lengths = np.linalg.norm(pair.x[:count] - pair.y[:count], axis=1)
    slopes = [np.divide(rises, lengths, out=np.zeros(count), where=lengths > 0)]
    slopes += [np.linalg.norm(part, axis=1) for part in g if part is not None]
    refuse_steeper(constant, float(max(part.max() for part in slopes)))


def refuse_steeper(constant: float, slope: float) -> None:
    """InputError where a slope of the critic exceeds the constant that follows from a claim."""
    if slope > constant * (1 + SLOPE_ROUNDING):
        raise InputError(
            f"by what lipschitz says the critic's constant is {constant:.6g}, but it has a slope of {slope:.6g} at or "
            "between the points: pass a constant that holds everywhere, or leave lipschitz out"
        )


def _constant(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < np.inf:
        raise InputError(
            "lipschitz must be a finite number of at least 0, or for a module a mapping from parts of it, by type or "
            f"name, to numbers; got {' '.join(repr(value).split())[:60]}"
        )
    return float(value)


def _part(key: Any, module: Any) -> Any:
    names = [name for name, _ in module.named_modules() if name]
    types = {kind for part in module.modules() for kind in type(part).__mro__[:2]}
    if isinstance(key, str) and key not in names:
        raise UnknownNameError("module", key, names)
    if not isinstance(key, str) and key not in types:
        raise InputError(f"lipschitz names {getattr(key, '__name__', key)}, of which the critic has no module")
    return key
