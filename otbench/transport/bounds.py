"""The ladder: the lower bounds of W1 of two samples that the values of a critic on them prove."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from otbench.errors import InputError
from otbench.inputs import as_reals, as_values, as_weights
from otbench.transport.envelope import ROWS_AT_ONCE, ShrinkingEnvelope, maximise_concave
from otbench.types import Alignment, Array, Bounds

#: The rounding of one float64 value of a critic relative to its size: it is a few hundred additions deep.
VALUE_ROUNDING = 256 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class CriticValues:
    """The values fx (n,) and fy (m,) of a critic at the points of two samples, with what else is known of it: the other
    arguments of ``Ladder.bounds``."""

    fx: Array
    fy: Array
    clip_constant: float | None = None
    spectral_constant: float | None = None
    primal: float | None = None
    alignment: Alignment | None = None
    saturation: float | None = None


class Ladder:
    """The bounds of any number of critics on one pair of samples; what depends on the cost alone is computed once.

    ``cost`` (n, m) are the distances of the points, ``a`` (n,) and ``b`` (m,) their weights. A critic comes as its
    values fx (n,) and fy (m,) at the points.
    """

    def __init__(self, cost: Array, a: Array, b: Array) -> None:
        # points without mass do not matter: the constraints of the dual problem are over the supports
        self.rows, self.cols = np.flatnonzero(a), np.flatnonzero(b)
        if len(self.rows) < len(a) or len(self.cols) < len(b):
            cost = cost[np.ix_(self.rows, self.cols)]
        self.cost, self.transposed = np.ascontiguousarray(cost), np.ascontiguousarray(cost.T)
        self.a, self.b = a[self.rows], b[self.cols]
        self.nearest = max(
            float(self.b @ self.cost.min(axis=0)), float(self.a @ self.transposed.min(axis=0))
        )

    @property
    def largest(self) -> float:
        """The largest distance, or a bound of it from above."""
        return float(self.cost.max())

    def raw(self, fx: Array, fy: Array) -> float:
        """raw = sum a_i f(x_i) - sum b_j f(y_j), which a WGAN prints with a minus sign."""
        fx, fy = fx[self.rows], fy[self.cols]
        # values are taken from a common origin, so that the rounding of an almost constant critic is no signal
        return float(self.a @ (fx - fx[0]) - self.b @ (fy - fx[0]))

    def slope_constant(self, fx: Array, fy: Array) -> float:
        """S = max over i, j of (f(x_i) - f(y_j)) / M_ij, at least 0: the slope that the discrete dual problem asks for.

        It is infinite where coincident points have f(x_i) > f(y_j); other coincident points do not count.
        """
        fx, fy = fx[self.rows], fy[self.cols]
        largest = -np.inf
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for k in range(0, len(fx), ROWS_AT_ONCE):
                ratio = (fx[k : k + ROWS_AT_ONCE, None] - fy) / self.cost[k : k + ROWS_AT_ONCE]  # 0/0 → NaN, skipped
                largest = max(largest, float(np.fmax.reduce(ratio, axis=None)))
        return max(largest, 0.0)

    def slope(self, fx: Array, fy: Array) -> tuple[float, float]:
        """(S, raw/S), the rung that needs the critic's values alone; it is 0 where raw <= 0 or S is infinite."""
        constant, raw = self.slope_constant(fx, fy), self.raw(fx, fy)
        return constant, _divide(raw, constant)

    def c_transform(self, fx: Array, fy: Array, guess: float) -> tuple[float, float]:
        """The best dual value of any multiple s f, s >= 0, as (s*, max_s max(D_x(s), D_y(s))) with

        D_x(s) = s mean f(x_i) + mean_j min_i (M_ij - s f(x_i)),
        D_y(s) = -s mean f(y_j) + mean_i min_j (M_ij + s f(y_j)).

        Every s gives a valid bound, as u = s f(x) and its c-transform v are feasible. ``guess`` > 0 is among the s that
        are evaluated for both: with guess = 1/S the result is at least raw/S.
        """
        sides = (
            (fx[self.rows], self.a, self.b, self.cost),
            (-fy[self.cols], self.b, self.a, self.transposed),
        )
        found = [maximise_concave(ShrinkingEnvelope(*side).value_and_shrink, guess) for side in sides]
        best = max(found, key=lambda one: one[1])
        return best if best[1] > self.nearest else (0.0, self.nearest)

    def bounds(
        self,
        fx: Array,
        fy: Array,
        *,
        clip_constant: float | None = None,
        spectral_constant: float | None = None,
        primal: float | None = None,
        alignment: Alignment | None = None,
        saturation: float | None = None,
    ) -> Bounds:
        """The whole ladder of one critic from its values; a constant that is None leaves its rung None.

        Args:
            fx: the critic's values (n,) at x.
            fy: its values (m,) at y.
            clip_constant: a Lipschitz constant of the critic that follows from its clip value.
            spectral_constant: one that follows from the spectral norms of its weights.
            primal: the exact W1 of the samples.
            alignment: what is known of the critic's gradients.
            saturation: the share of its clipped parameters that lie at the clip value.
        """
        known = (clip_constant, spectral_constant, primal, alignment, saturation)
        return self.bounds_of([CriticValues(fx, fy, *known)])[0]

    def bounds_of(self, critics: Sequence[CriticValues]) -> list[Bounds]:
        """The whole ladder of each of several critics."""
        if not critics:
            return []
        fxs, fys = [critic.fx for critic in critics], [critic.fy for critic in critics]
        constants, largest = self.slope_constants(fxs, fys), self.largest
        guesses = [_first_guess(*each, largest) for each in zip(constants, fxs, fys, strict=True)]
        found = zip(critics, constants, self.c_transforms(fxs, fys, guesses), strict=True)
        return [self._assembled(*each) for each in found]

    def slope_constants(self, fxs: Sequence[Array], fys: Sequence[Array]) -> list[float]:
        """S of each of several critics."""
        return [self.slope_constant(*each) for each in zip(fxs, fys, strict=True)]

    def c_transforms(
        self, fxs: Sequence[Array], fys: Sequence[Array], guesses: Sequence[float]
    ) -> list[tuple[float, float]]:
        """``c_transform`` of each of several critics."""
        return [self.c_transform(*each) for each in zip(fxs, fys, guesses, strict=True)]

    def _assembled(self, critic: CriticValues, slope_constant: float, found: tuple[float, float]) -> Bounds:
        """The bounds of a critic from its largest slope, and the best scale with its dual value."""
        raw, (scale, c_transform) = self.raw(critic.fx, critic.fy), found
        raw_error = float(VALUE_ROUNDING * max(np.abs(critic.fx).max(), np.abs(critic.fy).max()))
        clip_constant, spectral_constant = critic.clip_constant, critic.spectral_constant
        return Bounds(
            raw=raw,
            raw_error=raw_error,
            slope_constant=slope_constant,
            slope=_divide(raw, slope_constant),
            scale=scale,
            c_transform=c_transform,
            nearest=self.nearest,
            clip_constant=clip_constant,
            clip_bound=None if clip_constant is None else _divide(raw - raw_error, clip_constant),
            spectral_constant=spectral_constant,
            spectral=None if spectral_constant is None else _divide(raw - raw_error, spectral_constant),
            primal=critic.primal,
            alignment=critic.alignment,
            saturation=critic.saturation,
        )


def lower_bounds(
    fx: Any,
    fy: Any,
    cost: Any,
    a: Any = None,
    b: Any = None,
    *,
    clip_constant: float | None = None,
    spectral_constant: float | None = None,
    primal: float | None = None,
) -> Bounds:
    """The lower bounds of W1 of two samples that the values of any function f on them prove.

    Args:
        fx: the values (n,) of f at the points of x, in anything that becomes a float64 array.
        fy: its values (m,) at the points of y.
        cost: the distances (n, m) of the points, as ``cost_matrix`` gives them.
        a: weights (n,) of x that sum to 1; uniform where they are None.
        b: weights (m,) of y, likewise.
        clip_constant: a Lipschitz constant of f, in its unit per unit of the data, that follows from a clip value.
        spectral_constant: one that follows from spectral norms.
        primal: the exact W1 of the samples, in the data's unit; ``skill`` needs it.

    Returns:
        Bounds in the data's unit, with 0 <= clip_bound <= spectral <= slope <= c_transform <= W1 wherever raw > 0.

    Raises:
        InputError: shapes that do not fit, values that are not finite, a negative cost, or bad weights.

    Source: Villani 2009, Thm 5.10 (weak duality) and Def. 5.2 (c-transforms).
    """
    fx, fy, cost = as_values("fx", fx), as_values("fy", fy), as_reals("cost", cost)
    if cost.shape != (len(fx), len(fy)):
        raise InputError(f"cost must have shape ({len(fx)}, {len(fy)}) to fit fx and fy; got {cost.shape}")
    if not np.isfinite(cost).all() or (cost < 0).any():
        raise InputError("cost must be finite and at least 0: use otbench.cost_matrix(x, y)")
    ladder = Ladder(cost, as_weights("a", a, len(fx)), as_weights("b", b, len(fy)))
    return ladder.bounds(
        fx, fy, clip_constant=clip_constant, spectral_constant=spectral_constant, primal=primal
    )


def _first_guess(slope_constant: float, fx: Array, fy: Array, largest: float) -> float:
    """1/S where that is a number; else the scale at which the critic's values range as widely as the costs."""
    if 0 < slope_constant < np.inf and np.isfinite(1 / slope_constant):
        return 1 / slope_constant
    reach = max(np.ptp(fx), np.ptp(fy))
    with np.errstate(over="ignore"):
        guess = largest / reach if reach > 0 else 1.0
    return float(guess) if np.isfinite(guess) and guess > 0 else 1.0


def _divide(raw: float, constant: float) -> float:
    """raw / constant as a lower bound of W1; 0 where raw <= 0 or the constant is infinite, which prove no more."""
    return raw / constant if raw > 0 and 0 < constant < np.inf else 0.0
