"""The ladder: from any critic's values on two samples to rigorous lower bounds of their W1."""

from typing import Any

import numpy as np

from otbench.errors import InputError
from otbench.inputs import as_reals, as_values, as_weights
from otbench.transport.envelope import ROWS_AT_ONCE, ShrinkingEnvelope, maximise_concave
from otbench.types import Alignment, Array, Bounds

#: Rounding of one float64 critic value, in units of its size: a few hundred additions deep.
VALUE_ROUNDING = 256 * np.finfo(np.float64).eps


class Ladder:
    """The bounds of any number of critics on one pair of samples: what depends on the cost is done once."""

    def __init__(self, cost: Array, a: Array, b: Array) -> None:
        # atoms without mass bind nothing: the dual's constraints are over the supports
        self.rows, self.cols = np.flatnonzero(a), np.flatnonzero(b)
        if len(self.rows) < len(a) or len(self.cols) < len(b):
            cost = cost[np.ix_(self.rows, self.cols)]
        self.cost, self.transposed = np.ascontiguousarray(cost), np.ascontiguousarray(cost.T)
        self.a, self.b = a[self.rows], b[self.cols]
        self.nearest = max(
            float(self.b @ self.cost.min(axis=0)), float(self.a @ self.transposed.min(axis=0))
        )

    def raw(self, fx: Array, fy: Array) -> float:
        """raw = sum a_i f(x_i) - sum b_j f(y_j), what a WGAN prints (with a minus sign)."""
        fx, fy = fx[self.rows], fy[self.cols]
        # from a common origin, exactly so for a critic that is almost constant: its rounding is no signal
        return float(self.a @ (fx - fx[0]) - self.b @ (fy - fx[0]))

    def slope_constant(self, fx: Array, fy: Array) -> float:
        """S = max over cross pairs of (f(x_i) - f(y_j)) / M_ij, one-sided, as the discrete dual asks.

        Coincident points with f(x_i) > f(y_j) give infinity, other coincident pairs are skipped.
        """
        fx, fy = fx[self.rows], fy[self.cols]
        largest = -np.inf
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for k in range(0, len(fx), ROWS_AT_ONCE):
                ratio = (fx[k : k + ROWS_AT_ONCE, None] - fy) / self.cost[k : k + ROWS_AT_ONCE]  # 0/0 → NaN, skipped
                largest = max(largest, float(np.fmax.reduce(ratio, axis=None)))
        return max(largest, 0.0)

    def slope(self, fx: Array, fy: Array) -> tuple[float, float]:
        """(S, raw/S): the rung that needs nothing but the critic's values; 0 where raw <= 0 or S infinite."""
        constant, raw = self.slope_constant(fx, fy), self.raw(fx, fy)
        return constant, _divide(raw, constant)

    def c_transform(self, fx: Array, fy: Array, guess: float) -> tuple[float, float]:
        """(s*, max_s max(D_x(s), D_y(s))), s >= 0, with

        D_x(s) = s mean f(x_i) + mean_j min_i (M_ij - s f(x_i)),
        D_y(s) = -s mean f(y_j) + mean_i min_j (M_ij + s f(y_j)).

        Any s gives a valid bound (u = s f(x), v its c-transform, is feasible). ``guess`` > 0 is
        evaluated on both sides: with guess = 1/S the result is at least raw/S.
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
        """The whole ladder of one critic; constants that are None leave their rung None."""
        raw = self.raw(fx, fy)
        raw_error = float(VALUE_ROUNDING * max(np.abs(fx).max(), np.abs(fy).max()))
        slope_constant, slope = self.slope(fx, fy)
        scale, c_transform = self.c_transform(fx, fy, _first_guess(slope_constant, fx, fy, self.cost))
        return Bounds(
            raw=raw,
            raw_error=raw_error,
            slope_constant=slope_constant,
            slope=slope,
            scale=scale,
            c_transform=c_transform,
            nearest=self.nearest,
            clip_constant=clip_constant,
            clip_bound=None if clip_constant is None else _divide(raw - raw_error, clip_constant),
            spectral_constant=spectral_constant,
            spectral=None if spectral_constant is None else _divide(raw - raw_error, spectral_constant),
            primal=primal,
            alignment=alignment,
            saturation=saturation,
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
    """Lower bounds of W1 from any function's values fx (n,), fy (m,) and the cost matrix (n, m).

    0 <= clip_bound <= spectral <= slope <= c_transform <= W1 whenever raw > 0. ``clip_constant`` and
    ``spectral_constant`` are Lipschitz constants known from the critic's weights; ``primal`` the exact
    W1, needed for ``skill``.

    Raises:
        InputError: shapes that do not fit, non-finite values, a negative cost, bad weights.

    Source: Villani 2009, Thm 5.10 (weak duality; c-transforms, Def. 5.2).
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


def _first_guess(slope_constant: float, fx: Array, fy: Array, cost: Array) -> float:
    """1/S where it exists; else the scale at which the critic's values reach as far as the costs."""
    if 0 < slope_constant < np.inf and np.isfinite(1 / slope_constant):
        return 1 / slope_constant
    reach = max(np.ptp(fx), np.ptp(fy))
    largest = cost.max()
    guess = largest / reach if reach > 0 else 1.0
    return float(guess) if np.isfinite(guess) and guess > 0 else 1.0


def _divide(raw: float, constant: float) -> float:
    """raw / constant as a bound of W1 >= 0: 0 is all that raw <= 0 or an infinite constant prove."""
    return raw / constant if raw > 0 and 0 < constant < np.inf else 0.0
