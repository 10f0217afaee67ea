"""Frozen values shared by every room: samples, exact solutions with their proof, lower bounds."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otbench.errors import InputError
from otbench.inputs import as_points, as_weights

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, init=False)
class SamplePair:
    """Two weighted samples of equal dimension: x (n, d) ~ P with a (n,), y (m, d) ~ Q with b (m,).

    ``images`` (n, d) are the points T(x_i) an optimal coupling of P and Q sends x_i to, where the problem
    knows one: y itself under coupled sampling. ``rays`` (n, d) are the unit gradients at x of the problem's optimal
    potential, pointing where f grows, against the way to y; 0 where it has none. Arrays are validated on construction.

    Raises:
        InputError: empty, non-finite or non-numeric arrays, unequal dimensions, bad weights.
    """

    x: Array
    y: Array
    a: Array
    b: Array
    images: Array | None
    rays: Array | None

    def __init__(
        self, x: Any, y: Any, a: Any = None, b: Any = None, images: Array | None = None, rays: Array | None = None
    ) -> None:
        x, y = as_points("x", x), as_points("y", y)
        if x.shape[1] != y.shape[1]:
            raise InputError(
                f"x and y must have the same dimension; got {x.shape[1]} and {y.shape[1]}"
            )
        weights = {"a": as_weights("a", a, len(x)), "b": as_weights("b", b, len(y))}
        for name, value in {"x": x, "y": y, **weights, "images": images, "rays": rays}.items():
            object.__setattr__(self, name, value)

    @property
    def dim(self) -> int:
        return int(self.x.shape[1])

    @property
    def coupled_w1(self) -> float | None:
        """W1 between x and its images in closed form, sum_i a_i |x_i - T(x_i)|; under coupled sampling the exact
        W1 of the samples, else of x and the images of x; None where no coupling is known."""
        lengths = self._lengths()
        return None if lengths is None else float(self.a @ lengths)

    @property
    def coupled_stderr(self) -> float | None:
        """Standard error of ``coupled_w1`` as an estimate of W1(P, Q): sqrt sum_i a_i^2 (|.|_i - mean)^2."""
        lengths = self._lengths()
        if lengths is None:
            return None
        return float(np.sqrt((self.a**2) @ (lengths - self.a @ lengths) ** 2))

    @property
    def ray_cosine(self) -> float | None:
        """sum_i a_i <r_i, x_i - T(x_i)> / sum_i a_i |r_i| |x_i - T(x_i)| over the rays r_i: 1 where they are the
        gradients of an optimal potential, which grows at rate 1 all the way from T(x_i) to x_i, and smaller for any
        other directions. None where the problem knows no rays, or where nothing moves."""
        lengths = self._lengths()
        if lengths is None or self.rays is None:
            return None
        assert self.images is not None
        most = self.a @ (np.linalg.norm(self.rays, axis=1) * lengths)
        along = self.a @ np.einsum("nd,nd->n", self.rays, self.x - self.images)
        return float(along / most) if most > 0 else None

    def _lengths(self) -> Array | None:
        return None if self.images is None else np.linalg.norm(self.x - self.images, axis=1)

    def coincident(self) -> float:
        """Share of mass the two samples have in common: sum over atoms of min(P{z}, Q{z})."""
        _, where = np.unique(np.concatenate([self.x, self.y]), axis=0, return_inverse=True)
        where = where.reshape(-1)
        size = int(where.max()) + 1
        p = np.bincount(where[: len(self.x)], self.a, size)
        q = np.bincount(where[len(self.x) :], self.b, size)
        return float(np.minimum(p, q).sum())


def moments(pair: SamplePair) -> dict[str, float]:
    """``shift`` and ``shift_l1``, the Euclidean length and the sum of sizes of the difference of the means, and
    ``spread``, the root of the mean squared distance from its own sample's mean, over both samples."""
    mean_x, mean_y = pair.a @ pair.x, pair.b @ pair.y
    shift = mean_x - mean_y
    squares = pair.a @ (pair.x - mean_x) ** 2 + pair.b @ (pair.y - mean_y) ** 2
    return {
        "shift": float(np.linalg.norm(shift)),
        "shift_l1": float(np.abs(shift).sum()),
        "spread": float(np.sqrt(squares.sum() / 2)),
    }


class Law(Protocol):
    """What fresh points are drawn from: a problem."""

    def fresh(self, n: int, m: int, seed: int, step: int) -> tuple[Array, Array]:
        """Independent draws x (n, d) of P and y (m, d) of Q for one training step."""
        ...

    def model_dump_json(self) -> str:
        """The law's description: equal ones draw equal points."""
        ...


@dataclass(frozen=True, eq=False)
class Plan:
    """A sparse transport plan: mass[k] goes from x[rows[k]] to y[cols[k]]; at most n + m - 1 entries."""

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    mass: Array


@dataclass(frozen=True, eq=False)
class ExactSolution:
    """The exact empirical W1 (data's unit) with the dual potentials that prove it.

    w1 = sum_ij plan_ij |x_i - y_j|, and u (n,), v (m,) with u_i + v_j <= |x_i - y_j| give the
    same number as a.u + b.v, so no plan costs less (weak duality).

    The certificate is the interval [``lower``, ``upper``] around W1, rounding paid for: below from the potentials less
    their violation, above from the plan with its wrong marginals completed (``otbench.transport.certificate``). It is
    at most 1e-9 w1 wide, or 16 units in the last place of ``longest_move``, the largest cost the plan uses. Without a
    plan ``upper`` is infinite: the value is proved as a lower bound alone.

    As facts: ``gap`` = the larger of |w1 - (a.u + b.v)| and |w1 - <plan, M>|, ``violation`` >= max_ij u_i + v_j - M_ij,
    ``marginal_error`` = largest error of the plan's row and column sums relative to the atom's weight (those below
    1e-6 count as 1e-6), ``seconds`` = wall time of the solve with its certificate, cost matrix excluded.
    """

    w1: float
    lower: float
    upper: float
    longest_move: float
    gap: float
    violation: float
    marginal_error: float
    u: Array = field(repr=False)
    v: Array = field(repr=False)
    seconds: float = field(repr=False)
    plan: Plan | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Bounds:
    """One critic's ladder on one pair of samples; None where a rung is not known.

    ``raw`` = mean f(x) - mean f(y); the rungs ``clip_bound``, ``spectral``, ``slope``,
    ``c_transform`` are lower bounds of ``primal`` in this order. ``clip_constant``,
    ``spectral_constant`` and ``slope_constant`` are the Lipschitz constants raw is divided by
    (infinite slope: f differs on coincident points, the rung is 0). ``scale`` is the s at which
    the c-transform bound is reached, k_eff = 1/scale. ``raw_error`` allows for the float64 rounding of
    raw, 256 units in the last place of the largest value; the two rungs with analytic constants divide
    raw - raw_error, so that rounding noise of a
    dead critic is never sold as a bound.
    """

    raw: float
    raw_error: float
    slope_constant: float
    slope: float
    scale: float
    c_transform: float
    nearest: float
    clip_constant: float | None = None
    clip_bound: float | None = None
    spectral_constant: float | None = None
    spectral: float | None = None
    primal: float | None = None
    alignment: "Alignment | None" = None
    saturation: float | None = None

    @property
    def k_eff(self) -> float | None:
        """The Lipschitz scale at which this critic is best read; None when s = 0 is best."""
        return 1.0 / self.scale if self.scale > 0 else None

    @property
    def reading(self) -> str:
        """What the critic says and proves, in words."""
        if self.raw < -self.raw_error:
            return f"wrong sign: low on x and high on y (raw {self.raw:.3g}), so it proves nothing; read -f"
        if self.raw <= self.raw_error:
            return f"raw {self.raw:.3g} is rounding: the critic tells the samples apart no better than a constant"
        share = f", {self.slope / self.primal:.3g} of W1" if self.primal else ""
        return f"raw {self.raw:.3g} proves W1 >= {self.slope:.6g}{share}"

    def __str__(self) -> str:
        """The reading, then the rungs that are known, on one line."""
        rungs = {name: getattr(self, name) for name in ("clip_bound", "spectral", "slope", "c_transform", "primal")}
        return f"{self.reading}; " + ", ".join(f"{k} {v:.6g}" for k, v in rungs.items() if v is not None)

    @property
    def skill(self) -> float | None:
        """(c_transform - nearest) / (primal - nearest): what the critic adds to no critic at all."""
        if self.primal is None or self.primal - self.nearest <= 1e-6 * self.primal:
            return None
        return (self.c_transform - self.nearest) / (self.primal - self.nearest)

    @property
    def cosine(self) -> float | None:
        return self.alignment.cosine if self.alignment else None


@dataclass(frozen=True)
class Alignment:
    """How the critic's gradient points, and how long it is.

    ``cosine`` = weighted mean of cos(grad f(x_i), r) over the transport rays r: the gradient of the problem's known
    potential at x_i, else the ray x_i - y_j of the exact plan's entries that move mass; a zero gradient counts 0;
    None when no mass moves or no ray is known. ``coincident_atoms`` counts the rays left out because they have no
    direction: x_i = y_j. ``grad_norm_*`` are the Euclidean lengths of the gradients over both samples.

    Where the potential is known, ``gradient_l2`` = mean |grad f(x_i) - r_i|^2, ``gradient_l2_repaired`` is its
    minimum over s >= 0 for s grad f, what is left of the loss when scale is repaired, and ``gradient_scale`` that s.
    """

    cosine: float | None
    coincident_atoms: int
    grad_norm_mean: float
    grad_norm_min: float
    grad_norm_max: float
    gradient_l2: float | None = None
    gradient_l2_repaired: float | None = None
    gradient_scale: float | None = None
