"""What batches of a training loop come to, one after the other: the state of a metric, and what it tells."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import reduce
from typing import Any, Self

import numpy as np

from otbench.confidence import LEVEL, from_means, upper_confidence_of
from otbench.errors import InputError
from otbench.inputs import as_level, as_reals
from otbench.methods.certify import certified
from otbench.methods.reading import read_critic
from otbench.transport.exact import solve_exact
from otbench.transport.monitoring import BatchBound, monitor


@dataclass(frozen=True)
class Moments:
    """The count, the mean and the sum of squared deviations of numbers that came in parts.

    Source: Chan, Golub, LeVeque 1983 (the sum of two parts).
    """

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Any) -> Self:
        """Those of some numbers."""
        found = np.asarray(values, dtype=np.float64)
        return cls(float(len(found)), float(found.mean()), float(((found - found.mean()) ** 2).sum()))

    def __add__(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        if not count:
            return self
        apart, share = other.mean - self.mean, other.count / count
        squares = self.squares + other.squares + apart**2 * self.count * share
        return Moments(count, self.mean + apart * share, squares)

    @property
    def variance_of_mean(self) -> float:
        """The variance of the mean; infinite of fewer than two numbers."""
        return self.squares / (self.count - 1) / self.count if self.count > 1 else math.inf


@dataclass(frozen=True)
class Totals:
    """What some batches came to: their ``bounds`` and ``raws`` and largest ``slope``; and where a critic is held out,
    its values on x and y with their largest ``size`` and their relative ``rounding``, its Lipschitz ``constant``, and
    the exact W1 of every pair of batches."""

    bounds: Moments = field(default_factory=Moments)
    raws: Moments = field(default_factory=Moments)
    slope: float = 0.0
    on_x: Moments = field(default_factory=Moments)
    on_y: Moments = field(default_factory=Moments)
    size: float = 0.0
    rounding: float = 0.0
    constant: float = 0.0
    exact: Moments = field(default_factory=Moments)

    def __add__(self, other: "Totals") -> "Totals":
        if self.exact.count and other.exact.count and self.constant != other.constant:
            raise InputError(
                "the held-out critic has changed between two updates: a bound of laws takes one fixed critic; call "
                "reset() after it has been trained"
            )
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in TOTALS_ORDER}
        both: dict[str, Any] = {n: one + two if n in MOMENTS else max(one, two) for n, (one, two) in pairs.items()}
        return Totals(**both)

    def numbers(self) -> list[float]:
        """All of it as a list of numbers, of which ``from_numbers`` is the way back."""
        parts = [getattr(self, each.name) for each in fields(self)]
        return [n for p in parts for n in ([p.count, p.mean, p.squares] if isinstance(p, Moments) else [p])]

    @classmethod
    def from_numbers(cls, numbers: Iterable[float]) -> Self:
        """The totals of which ``numbers`` are the numbers; InputError where they are none's."""
        given = iter(numbers)
        try:
            parts: dict[str, Any] = {
                name: Moments(next(given), next(given), next(given)) if name in MOMENTS else next(given)
                for name in TOTALS_ORDER
            }
        except (StopIteration, RuntimeError, TypeError):
            raise InputError(f"a state of this metric has {SIZE} numbers; got fewer") from None
        if any(True for _ in given):
            raise InputError(f"a state of this metric has {SIZE} numbers; got more")
        return cls(**parts)


TOTALS_ORDER = tuple(each.name for each in fields(Totals))
LARGEST = ("slope", "size", "rounding", "constant")
MOMENTS = tuple(name for name in TOTALS_ORDER if name not in LARGEST)

#: How many numbers totals are.
SIZE = len(Totals().numbers())


@dataclass(frozen=True)
class BatchReader:
    """How batches are read: with the certificate of their values alone, or with a ``critic`` that is held out."""

    critic: Any = None
    clip: float | None = None
    lipschitz: Any = None
    level: float = LEVEL

    def __post_init__(self) -> None:
        as_level(self.level)
        if self.critic is None and (self.clip is not None or self.lipschitz is not None):
            raise InputError("clip and lipschitz are of a critic that is held out; give critic= too")

    def read(self, critic_x: Any, critic_y: Any, x: Any, y: Any) -> tuple[BatchBound, Totals]:
        """What one pair of batches says; its arguments are those of ``otbench.monitor``."""
        bound = monitor(critic_x, critic_y, x, y)
        more = {} if self.critic is None else self._held_out(x, y)
        return bound, Totals(bounds=Moments.of([bound.bound]), raws=Moments.of([bound.raw]), slope=bound.slope, **more)

    def _held_out(self, x: Any, y: Any) -> dict[str, Any]:
        """The held-out critic on a pair of batches, and their exact W1."""
        read = read_critic(self.critic, x, y, None, None, self.clip, self.lipschitz, gradients=False)
        known = [constant for constant in read.constants if constant is not None]
        if not known:
            raise InputError(
                f"no Lipschitz constant of the held-out critic is known everywhere ({read.unknown or 'none given'}): "
                "it certifies no law; vouch for it by lipschitz=, or leave critic= out"
            )
        x, y = (as_reals(name, points).reshape(len(points), -1) for name, points in (("x", x), ("y", y)))
        size = max(np.abs(read.fx).max(), np.abs(read.fy).max())
        return {"on_x": Moments.of(read.fx), "on_y": Moments.of(read.fy), "size": float(size), "constant": min(known),
                "rounding": read.rounding, "exact": Moments.of([solve_exact(x, y).w1])}  # fmt: skip

    def told(self, totals: Totals) -> dict[str, float]:
        """What the metric's numbers are by now, by their names; NaN where no batch was seen."""
        if not totals.bounds.count:
            return dict.fromkeys(("bound", "raw", "slope", *(BRACKET if self.critic is not None else ())), math.nan)
        told = {"bound": totals.bounds.mean, "raw": totals.raws.mean, "slope": totals.slope}
        return told if self.critic is None else told | self._bracket(totals)

    def _bracket(self, totals: Totals) -> dict[str, float]:
        """The held-out critic's estimate, and the ends of a bracket of W1 of the laws, each of which errs with half of
        1 - level."""
        of_x, of_y = totals.on_x.variance_of_mean, totals.on_y.variance_of_mean
        one_sided = (1 + self.level) / 2
        upper = upper_confidence_of(totals.exact.mean, totals.exact.variance_of_mean, totals.exact.count, one_sided)
        raw = totals.on_x.mean - totals.on_y.mean
        estimate = raw / totals.constant if totals.constant else 0.0
        if math.isinf(of_x + of_y):  # one point of a side tells no spread
            return {"estimate": estimate, "lower": 0.0, "upper": upper}
        said = from_means(
            raw, totals.rounding * totals.size, (of_x, totals.on_x.count), (of_y, totals.on_y.count)
        )
        lower = certified(said, (totals.constant, None), one_sided).lower
        return {"estimate": estimate, "lower": max(0.0, lower or 0.0), "upper": upper}


#: What a held-out critic adds to what is told.
BRACKET = ("estimate", "lower", "upper")


def united(parts: Iterable[Totals]) -> Totals:
    """Totals of parts, as of several processes, taken together."""
    return reduce(Totals.__add__, parts, Totals())
