"""What one critic certifies of the two laws, by points that it was not fitted to."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from otbench.confidence import LEVEL, HeldOut, held_out
from otbench.inputs import as_level
from otbench.methods.reading import read_critic


@dataclass(frozen=True, kw_only=True)
class Certified:
    """What a critic certifies of the laws P and Q, read on points that were drawn after it was fixed.

    ``estimate`` = raw/K is unbiased for a lower bound of W1(P, Q), and ``lower`` its one-sided confidence bound at
    ``level``, both in the data's unit. They are None where no Lipschitz constant K of the critic, ``constant``, is
    known everywhere: the largest slope between points of a sample is none; ``unknown`` then says why.
    """

    constant: float | None
    held_out: HeldOut
    estimate: float | None
    lower: float | None
    level: float
    unknown: str = ""

    def __str__(self) -> str:
        if self.estimate is None or self.lower is None:
            why = f" ({self.unknown})" if self.unknown else ""
            return f"no Lipschitz constant is known everywhere{why}: it certifies no law"
        return f"{self.estimate:.6g}, at least {self.lower:.6g} with confidence {100 * self.level:g} %"


def certified(said: HeldOut, constants: tuple[float | None, float | None], level: float) -> Certified:
    """What readings on fresh points certify, with the smallest of the constants that are known."""
    known = [constant for constant in constants if constant is not None]
    if not known:
        return Certified(constant=None, held_out=said, estimate=None, lower=None, level=level)
    least = min(known)
    estimate = said.raw / least if least > 0 else 0.0
    return Certified(
        constant=least, held_out=said, estimate=estimate, lower=said.lower_bound(least, level), level=level
    )


def certify(
    critic: Any,
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    clip: float | None = None,
    lipschitz: Any = None,
    level: float = LEVEL,
) -> Certified:
    """A lower confidence bound of W1 of the *laws* P and Q, from a critic and fresh points of both.

    ``otbench.audit`` says what a critic proves of the points it is given. Of the laws it proves nothing, unless the
    critic was fixed before the points were drawn, and divided by a Lipschitz constant that is known everywhere.

    Args:
        critic: as for ``otbench.audit``.
        x: independent points (n, d) of P, at least 2, to which the critic was not fitted.
        y: points (m, d) of Q, likewise.
        a: weights (n,) of x that sum to 1; uniform where they are None. They are taken as weights of importance.
        b: weights (m,) of y, likewise.
        clip: as for ``otbench.audit``.
        lipschitz: as for ``otbench.audit``.
        level: the probability with which ``lower`` is at most W1(P, Q), in (0, 1); asymptotic in the number of points.

    Returns:
        A ``Certified``.

    Raises:
        InputError: as ``otbench.audit``, or a level that is none.

    Source: Villani 2009, Remark 6.5 (Kantorovich-Rubinstein duality); Welch 1947.
    """
    level = as_level(level)
    # gradients refute claims, and tell nothing else here
    read = read_critic(critic, x, y, a, b, clip, lipschitz, gradients=lipschitz is not None)
    said = held_out(read.fx, read.fy, read.pair.a, read.pair.b, read.rounding)
    return dataclasses.replace(certified(said, read.constants, level), unknown=read.unknown)
