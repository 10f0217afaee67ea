"""Frozen values shared by every room: samples, exact solutions with their proof, lower bounds."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otbench.errors import InputError
from otbench.inputs import as_points, as_weights

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Column:
    """Marks a field of a value as stored: in a column of this name, or of the field's own name where none is given.

    Schemas, rows and records all follow from these marks, so that a new column of the ladder is one marked field.
    """

    name: str = ""


@dataclass(frozen=True, eq=False, init=False)
class SamplePair:
    """Two weighted samples of one dimension, the points x of a law P and the points y of a law Q, in any unit.

    Args:
        x: points (n, d) of P, in anything that becomes a float64 array.
        y: points (m, d) of Q.
        a: weights (n,) of x that sum to 1; uniform where they are None.
        b: weights (m,) of y, likewise.
        images: the points T(x_i) (n, d) to which an optimal coupling of P and Q sends x_i, where the problem knows
            one; under coupled sampling they are y itself.
        rays: the unit gradients (n, d) at x of the problem's optimal potential f. They point where f grows, away from
            T(x_i), and are 0 where f has no gradient.

    Raises:
        InputError: empty, non-finite or non-numeric arrays, unequal dimensions, or weights that are negative or do not
            sum to 1.
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
        """The dimension d of the points."""
        return int(self.x.shape[1])

    @property
    def coupled_w1(self) -> float | None:
        """W1 between x and its images in closed form, sum_i a_i |x_i - T(x_i)|; None where no coupling is known.

        Under coupled sampling the images are y, so that this is the exact W1 of the two samples.
        """
        lengths = self._lengths()
        return None if lengths is None else float(self.a @ lengths)

    @property
    def coupled_stderr(self) -> float | None:
        """The standard error of ``coupled_w1`` as an estimate of W1(P, Q), sqrt sum_i a_i^2 (l_i - mean)^2 with
        l_i = |x_i - T(x_i)|."""
        lengths = self._lengths()
        if lengths is None:
            return None
        return float(np.sqrt((self.a**2) @ (lengths - self.a @ lengths) ** 2))

    @property
    def ray_cosine(self) -> float | None:
        """sum_i a_i <r_i, x_i - T(x_i)> / sum_i a_i |r_i| |x_i - T(x_i)|, which tells how well the rays r_i point along
        the moves.

        It is 1 where the rays are the gradients of an optimal potential, which grows at rate 1 all the way from T(x_i)
        to x_i, and smaller for any other directions. None where the problem knows no rays, or where nothing moves.
        """
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
        """The share of mass that the two samples have in common, the sum over points z of min(P{z}, Q{z})."""
        _, where = np.unique(np.concatenate([self.x, self.y]), axis=0, return_inverse=True)
        where = where.reshape(-1)
        size = int(where.max()) + 1
        p = np.bincount(where[: len(self.x)], self.a, size)
        q = np.bincount(where[len(self.x) :], self.b, size)
        return float(np.minimum(p, q).sum())


def skill(c_transform: Any, nearest: Any, primal: Any) -> Any:
    """(c_transform - nearest) / (primal - nearest): what a critic adds to the bound that needs no critic.

    Numbers or arrays of one shape; NaN where the nearest-neighbour bound leaves less than 1e-6 primal to add.
    """
    room = np.asarray(primal - nearest, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(room > 1e-6 * primal, (c_transform - nearest) / room, np.nan)


def moments(pair: SamplePair) -> dict[str, float]:
    """How far the means of two samples are apart, and how far their points lie from them, in the data's unit.

    ``shift`` and ``shift_l1`` are the Euclidean and the l1 length of the difference of the means. ``spread`` is the
    root of the mean squared distance of a point from its own sample's mean, over both samples.
    """
    mean_x, mean_y = pair.a @ pair.x, pair.b @ pair.y
    shift = mean_x - mean_y
    squares = pair.a @ (pair.x - mean_x) ** 2 + pair.b @ (pair.y - mean_y) ** 2
    return {
        "shift": float(np.linalg.norm(shift)),
        "shift_l1": float(np.abs(shift).sum()),
        "spread": float(np.sqrt(squares.sum() / 2)),
    }


class Law(Protocol):
    """The two laws P and Q that fresh points are drawn from: training knows a problem as this alone."""

    def fresh(self, n: int, m: int, seed: int, step: int) -> tuple[Array, Array]:
        """Independent draws x (n, d) of P and y (m, d) of Q for one training step."""
        ...

    def model_dump_json(self) -> str:
        """The description as text: two laws with one description draw the same points."""
        ...


@dataclass(frozen=True, eq=False)
class Plan:
    """A sparse transport plan: ``mass[k]`` goes from x[rows[k]] to y[cols[k]]. A basic one has n + m - 1 entries at
    most."""

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    mass: Array


@dataclass(frozen=True, eq=False)
class Proof:
    """A value of W1, in the data's unit, with the facts that prove it.

    The certificate is the interval [``lower``, ``upper``], which holds W1 whatever was rounded. Its lower end comes
    from dual potentials u, v less their violation, its upper end from a plan whose wrong marginals are completed
    (``otbench.transport.certificate``). It is at most 1e-9 w1 wide, or 16 units in the last place of
    ``longest_move``, the largest cost that the plan uses. Without a plan ``upper`` is infinite: the value is then
    proved as a lower bound alone.

    ``gap`` is the larger of |w1 - (a.u + b.v)| and |w1 - <plan, M>|. ``violation`` is at least max_ij u_i + v_j - M_ij.
    ``marginal_error`` is the largest error of a row or column sum of the plan relative to the atom's weight, where
    weights below 1e-6 count as 1e-6.
    """

    w1: Annotated[float, Column("primal")]
    lower: Annotated[float, Column("primal_lower")]
    upper: Annotated[float, Column("primal_upper")]
    longest_move: Annotated[float, Column()]
    gap: Annotated[float, Column()]
    violation: Annotated[float, Column()]
    marginal_error: Annotated[float, Column()]


@dataclass(frozen=True, eq=False)
class ExactSolution(Proof):
    """The exact W1 of two samples, in the data's unit, with its proof.

    w1 = sum_ij plan_ij |x_i - y_j| is the cost of an optimal plan. The dual potentials u (n,) and v (m,) have
    u_i + v_j <= |x_i - y_j| and give the same number, a.u + b.v, so that no plan costs less (weak duality).

    ``lower`` <= W1 <= ``upper`` is the certificate, at most 1e-9 w1 wide, or 16 units in the last place of
    ``longest_move``. ``gap``, ``violation`` and ``marginal_error`` are the facts it is made of: ``Proof`` defines them
    all. ``seconds`` is the wall time of the solve with its certificate, without the cost matrix of the dense route.
    ``plan`` is None where only the potentials were at hand. ``route`` is "dense", "sparse" or "line"; ``rounds`` and
    ``pairs`` are the sparse one's rounds and the pairs that it had at the end, ``pairs_in_all`` those of all its rounds
    together.

    Where a time limit or memory stopped the solver, ``w1`` is NaN and ``is_exact`` false: what is proved is the
    interval alone, which is then as wide as it is. The potentials are then feasible and not optimal, a.u + b.v =
    ``lower`` up to rounding, and the plan costs ``upper`` at most.

    Source: Villani 2009, Thm 5.10.
    """

    u: Array = field(repr=False)
    v: Array = field(repr=False)
    seconds: float = field(repr=False)
    plan: Plan | None = field(default=None, repr=False)
    route: str = field(default="dense", repr=False)
    rounds: int = field(default=0, repr=False)
    pairs: int = field(default=0, repr=False)
    pairs_in_all: int = field(default=0, repr=False)

    @property
    def is_exact(self) -> bool:
        """Whether there is a value, and not only the interval in which it lies."""
        return not math.isnan(self.w1)

    def __str__(self) -> str:
        """The value, or the interval where there is no value."""
        if self.is_exact:
            return f"W1 = {self.w1:.12g}, proved in [{self.lower:.12g}, {self.upper:.12g}]"
        return f"W1 is in [{self.lower:.6g}, {self.upper:.6g}]; the solver was stopped before it had a value"


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How the gradient of a critic f points along the rays of optimal transport, and how long it is.

    ``plan_cosine`` is the weighted mean of cos(grad f(x_i), r) over the rays r = x_i - y_j along which the exact plan
    of the *samples* moves mass, in which a gradient of 0 counts 0. It is None where no mass moves or there is no plan.
    ``coincident_atoms`` counts the entries of the plan that have no direction, as x_i = y_j, and are left out.
    ``cosine`` is the same mean over the points x_i, with r the gradient of the *problem's* optimal potential at x_i; it
    is None where none is known. ``grad_norm_mean``, ``grad_norm_min`` and ``grad_norm_max`` are of the Euclidean
    lengths of the gradients at all points of both samples that have mass.

    Where the potential is known, ``gradient_l2`` is the mean of |grad f(x_i) - r_i|^2, ``gradient_l2_repaired`` its
    minimum over s >= 0 with s grad f for grad f, which is what a repair of the scale leaves, and ``gradient_scale``
    that s; else all three are None.

    Source: Arjovsky, Chintala, Bottou 2017, Thm 3 (the generator's gradient is grad f); Korotin, Kolesov, Burnaev 2022
    (scores against a known gradient).
    """

    cosine: Annotated[float | None, Column()] = None
    plan_cosine: Annotated[float | None, Column()] = None
    gradient_l2: Annotated[float | None, Column()] = None
    gradient_l2_repaired: Annotated[float | None, Column()] = None
    gradient_scale: Annotated[float | None, Column()] = None
    coincident_atoms: Annotated[int, Column()]
    grad_norm_mean: Annotated[float, Column()]
    grad_norm_min: Annotated[float, Column()]
    grad_norm_max: Annotated[float, Column()]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The ladder of lower bounds of W1 that one critic f proves on two samples; None where a rung is not known.

    ``raw`` = mean f(x) - mean f(y) is what a WGAN prints, with a minus sign. The rungs ``clip_bound``, ``spectral``,
    ``slope`` and ``c_transform`` are lower bounds of the exact W1, ``primal``, each at least as large as the one
    before it wherever raw > 0. All of them, and ``nearest``, are in the data's unit.

    The first three rungs are raw divided by a Lipschitz constant, in units of f per unit of the data:
    ``clip_constant`` from the clip value, ``spectral_constant`` from the spectral norms of the weights, and
    ``slope_constant``, the largest slope between a point of x and one of y. The last one is infinite, and its rung 0,
    where f falls between coincident points. ``c_transform`` is the best dual value of any multiple s f, reached at
    s = ``scale``. ``nearest`` is the dual value of s = 0, the nearest-neighbour bound that needs no critic.

    ``raw_error`` allows for the rounding of raw: 256 units in the last place of the largest value. The two rungs whose
    constants come from the weights divide raw - raw_error, so that rounding is never taken for a bound.
    ``saturation`` is the share of the clipped parameters that lie at the clip value. ``unknown`` says why the critic
    has no ``spectral_constant``.

    Source: Villani 2009, Thm 5.10 (weak duality) and Def. 5.2 (c-transforms).
    """

    raw: Annotated[float, Column()]
    raw_error: Annotated[float, Column()]
    clip_constant: Annotated[float | None, Column()] = None
    clip_bound: float | None = None
    spectral_constant: Annotated[float | None, Column()] = None
    spectral: float | None = None
    slope_constant: Annotated[float, Column()]
    slope: float
    scale: Annotated[float, Column()]
    c_transform: Annotated[float, Column()]
    nearest: Annotated[float, Column()]
    primal: float | None = None
    alignment: Alignment | None = None
    saturation: float | None = None
    unknown: str = ""

    @property
    def k_eff(self) -> float | None:
        """1/scale, the Lipschitz constant as which this critic is best read; None where scale is 0."""
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
        known = ", ".join(f"{k} {v:.6g}" for k, v in rungs.items() if v is not None)
        return f"{self.reading}; {known}" + (f"; no constant: {self.unknown}" if self.unknown else "")

    @property
    def skill(self) -> float | None:
        """(c_transform - nearest) / (primal - nearest), what the critic adds to the bound that needs none; None where
        the exact W1 is not known or leaves nothing to add."""
        share = float("nan") if self.primal is None else float(skill(self.c_transform, self.nearest, self.primal))
        return None if np.isnan(share) else share

    @property
    def plan_cosine(self) -> float | None:
        """``alignment.plan_cosine``; None where the critic has no gradients."""
        return self.alignment.plan_cosine if self.alignment else None
