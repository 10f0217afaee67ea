"""A critic as the ladder sees it: float64 values, gradients where it has them, constants where it knows them."""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from otbench.errors import InputError
from otbench.inputs import as_reals
from otbench.problems.min_funnel import MinFunnel
from otbench.types import Array, Indices

#: Units of rounding of the types that critics compute in.
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


class Critic(Protocol):
    """A real function on R^d."""

    def values(self, z: Array) -> Array:
        """f(z) (k,) at points z (k, d), float64."""
        ...

    def gradients(self, z: Array) -> Array | None:
        """grad f(z) (k, d), float64; None where the function offers none."""
        ...

    def constants(self) -> tuple[float | None, float | None]:
        """Lipschitz constants (from the clip value, from the spectral norms); None where unknown."""
        ...


@dataclass(frozen=True, eq=False)
class Affine:
    """f(z) = <slope, z>, with slope (d,): the zero critic and the best linear one."""

    slope: Array

    def values(self, z: Array) -> Array:
        values: Array = z @ self.slope
        return values

    def gradients(self, z: Array) -> Array:
        gradients: Array = np.broadcast_to(self.slope, z.shape)
        return gradients

    def constants(self) -> tuple[None, float]:
        return None, float(np.linalg.norm(self.slope))


@dataclass(frozen=True, eq=False)
class McShane:
    """f(z) = min_j |z - y_j| - v_j: the largest 1-Lipschitz function with f(y_j) <= -v_j.

    With exact dual potentials v (m,) of atoms y (m, d) it is an optimal critic, defined everywhere.

    Source: McShane 1934, Thm 1.
    """

    atoms: Array
    v: Array

    def values(self, z: Array) -> Array:
        return self._funnels.potential(z)

    def gradients(self, z: Array) -> Array:
        """The unit ray from the active atom; 0 at an atom, where f has a kink."""
        return self._funnels.gradient(z)

    def values_and_gradients(self, z: Array) -> tuple[Array, Array]:
        return self._funnels.potential_and_gradient(z)

    def constants(self) -> tuple[None, float]:
        return None, 1.0

    @cached_property
    def _funnels(self) -> MinFunnel:
        return MinFunnel(self.atoms, -self.v)


@dataclass(frozen=True, eq=False)
class ValuesAlone:
    """A critic that is asked for its values and not for its gradients, which cost more."""

    critic: Critic

    def values(self, z: Array) -> Array:
        return self.critic.values(z)

    def gradients(self, z: Array) -> None:
        return None

    def constants(self) -> tuple[float | None, float | None]:
        return self.critic.constants()


class UserFunction:
    """A user's callable on float64 numpy arrays (k, d), or (k, *shape) where points have one, → (k,) or (k, 1).

    ``eps`` is the unit of rounding of the values it returns, ``lipschitz`` the constant that is claimed of it.
    """

    def __init__(
        self,
        function: Callable[[Array], Any],
        shape: tuple[int, ...] | None = None,
        lipschitz: float | None = None,
    ) -> None:
        self.function, self.shape, self.lipschitz, self.eps = function, shape, lipschitz, EPS["float64"]

    def values(self, z: Array) -> Array:
        output = self.function(np.array(z).reshape(len(z), *(self.shape or z.shape[1:])))  # a copy it may write to
        self.eps = rounding_of(output)
        return one_value_a_point(output, len(z))

    def gradients(self, z: Array) -> None:
        return None

    def constants(self) -> tuple[None, float | None]:
        return None, self.lipschitz


class UserCritic(UserFunction):
    """A user's object with values, gradients and constants, each of them checked."""

    def __init__(self, critic: Any) -> None:
        super().__init__(critic.values)
        self.critic = critic

    def gradients(self, z: Array) -> Array | None:  # type: ignore[override]
        found = self.critic.gradients(np.array(z))
        if found is None:
            return None
        gradients = as_reals("the critic's gradients", found)
        if gradients.shape != z.shape:
            raise InputError(f"the critic's gradients must have the points' shape {z.shape}; got {gradients.shape}")
        return gradients if np.isfinite(gradients).all() else None

    def constants(self) -> tuple[float | None, float | None]:  # type: ignore[override]
        found = self.critic.constants()
        if not (isinstance(found, tuple | list) and len(found) == 2 and all(map(_is_constant, found))):
            raise InputError("the critic's constants must be two numbers of at least 0, None where unknown; "
                             f"got {' '.join(repr(found).split())[:100]}")  # fmt: skip
        clip, spectral = (None if constant is None else float(constant) for constant in found)
        return clip, spectral


def _is_constant(value: Any) -> bool:
    return value is None or (isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value) >= 0)


def clip_constant(clip: float, shapes: list[tuple[int, ...]]) -> float:
    """K(c) = c^L sqrt(d) prod_i h_i for weights of shapes (h_1, d), (h_2, h_1), ..., (1, h_{L-1}).

    |W|_2 <= |W|_F <= c sqrt(rows cols) in every layer; attained by weights that are all +c with all units active.
    """
    entries = np.prod([float(rows * cols) for rows, cols in shapes])
    return float(clip ** len(shapes) * np.sqrt(entries))


def spectral_constant(weights: list[Array]) -> float:
    """prod_l |W_l|_2, the product of the largest singular values."""
    return float(np.prod([np.linalg.norm(w, 2) for w in weights]))


#: f(x), f(y), and the gradients there where there are any.
OnBoth = tuple[Array, Array, Array | None, Array | None]


class DistinctPoints:
    """The distinct ``points`` of two samples x (n, d) and y (m, d), at which any number of critics are read.

    ``first`` is where each of them first stands among the points of x and then those of y.
    """

    def __init__(self, x: Array, y: Array) -> None:
        self.points, where = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
        self.at_x, self.at_y = np.split(where.reshape(-1), [len(x)])
        self.first: Indices = np.unique(where, return_index=True)[1]

    def read(self, critic: Critic) -> OnBoth:
        """f(x), f(y) and their gradients, each distinct point evaluated once.

        Rounding depends on where a row stands in a matrix product; were shared points evaluated twice, f would
        seem to differ between coincident points, which no Lipschitz function does.
        """
        values, gradients = values_and_gradients(critic, self.points)
        if gradients is None:
            return values[self.at_x], values[self.at_y], None, None
        return values[self.at_x], values[self.at_y], gradients[self.at_x], gradients[self.at_y]


def values_and_gradients(critic: Critic, z: Array) -> tuple[Array, Array | None]:
    """f(z) (k,) and grad f(z) (k, d), in one evaluation where the critic offers that."""
    both = getattr(critic, "values_and_gradients", None)
    return both(z) if both else (critic.values(z), critic.gradients(z))


def on_union(critic: Critic, x: Array, y: Array) -> OnBoth:
    """What ``DistinctPoints`` of x and y read of one critic."""
    return DistinctPoints(x, y).read(critic)


def check_company(critic: Critic, points: Array, values: Array, distinct: Indices | None = None) -> None:
    """Refuse a critic whose value at a point depends on the points it is evaluated with, or on chance.

    Two parts of the distinct ``points`` without a point in common, each of about 64 and at most half of them, are
    evaluated once more, in reversed order. A statistic of the batch that hangs on one point, as a maximum does, is
    another one in at least one of them. For what rounding may do see ``_allowance``. ``distinct`` is where each
    distinct point first stands, if that is known.

    Raises:
        InputError: a value that differs.
    """
    if distinct is None:
        distinct = np.unique(points, axis=0, return_index=True)[1]
    if len(distinct) < 2:
        return
    step = max(2, len(distinct) // 64)
    parts = [distinct[start::step][::-1] for start in (0, 1)]
    before = values[np.concatenate(parts)]
    again = np.concatenate([critic.values(points[part]) for part in parts])
    differ = np.flatnonzero(~(np.abs(again - before) <= _allowance(critic, values)))
    if len(differ):
        one = differ[0]
        raise InputError(
            "the critic's value at a point depends on the points beside it or on chance "
            f"({before[one]:.6g} in one batch, {again[one]:.6g} in another), as batch statistics and dropout make it: "
            "it is no function of a point; put it in evaluation mode, or take that out"
        )


def _allowance(critic: Critic, values: Array) -> float:
    """How far rounding may move a value: 1e-6 of their spread and 4096 units in the last place of the largest.

    In float32, in which a function may compute whatever it returns, 1e-3 of the spread and 4096 of its units; in
    half precision a twentieth of the spread and four units.
    """
    eps = getattr(critic, "eps", EPS["float64"])
    eps = max(eps, EPS["float32"]) if isinstance(critic, UserFunction) else eps
    of_spread, of_size = min(max(1e-6, 1e4 * eps), 0.05), max(min(4096 * eps, 1e-3), 4 * eps)
    return float(of_spread * (values.max() / 2 - values.min() / 2) * 2 + of_size * np.abs(values).max())


def one_value_a_point(output: Any, count: int) -> Array:
    """What a critic returned for ``count`` points as float64 values (count,); trailing axes of length 1 are dropped.

    Raises:
        InputError: several outputs, complex numbers, objects, or another shape.
    """
    rule = f"a critic must return one value a point, shape ({count},) or ({count}, 1)"
    if isinstance(output, dict) or (isinstance(output, list | tuple) and not all(map(_is_one_number, output))):
        raise InputError(
            f"{rule}; got a {type(output).__name__} of {len(output)} parts: wrap it so that it returns the score alone"
        )
    values = as_reals("what the critic returns", output)
    if values.size != count or (count > 1 and values.shape[0] != count):
        raise InputError(f"{rule}; got {values.shape}")
    return values.reshape(count)


def _is_one_number(part: Any) -> bool:
    if isinstance(part, list | tuple):
        return len(part) == 1
    return isinstance(part, numbers.Number) or math.prod(getattr(part, "shape", (0,))) == 1


def rounding_of(output: Any) -> float:
    """The unit of rounding of the type of an array or a tensor, float64's where it is not known."""
    kind = str(getattr(output, "dtype", "")).removeprefix("torch.")
    return EPS.get(kind, EPS["float64"])
