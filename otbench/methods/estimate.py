"""What two data sets say of the W1 of the two laws they were drawn from: a bracket with a confidence level."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from otbench.confidence import LEVEL, held_out, upper_confidence
from otbench.errors import InputError
from otbench.inputs import as_level, as_whole
from otbench.methods import METHODS, Job, Method, method
from otbench.methods.certify import Certified, certified
from otbench.transport.bounds import VALUE_ROUNDING
from otbench.transport.exact import solve_exact
from otbench.types import Array, SamplePair

#: Disjoint blocks of points whose exact W1s make the upper bound: the more there are, the smaller is Student's t, and
#: the smaller the blocks, whose W1 exceeds that of the laws.
BLOCKS = 5

#: Points of a side that one exact solve is given: it takes 10 to 20 seconds and 2 GiB. Of more, a random part is used.
MOST_POINTS = 5000

#: Methods that are asked where none are named: of those with a constant known everywhere the ones that certified most
#: of the laws in the experiment ``certify``, in low dimension, on linear potentials, and in high dimension.
DEFAULT_METHODS: tuple[Method | str, ...] = (
    "potential",
    "linear",
    method("weight_clip", widths=(64,), clip=0.1, lr=0.01, lr_unit="clip", steps=1500),
)

#: Fewest points of a side that are taken for a sample of a law.
FEWEST_POINTS = 20

#: What the level of a bracket rests on.
ASSUMPTIONS = (
    "the points of each side are independent draws of one law",
    "means of a critic and of exact values are nearly normal (Student's t, asymptotic in the number of points)",
)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The bracket [``lower``, ``upper``] of W1(P, Q), in the data's unit, which holds it with probability ``level``.

    Each side errs with half of 1 - level. ``lower`` is the best of ``critics``, which were trained on
    ``training_sizes`` points and read on the others; their levels allow for the choice (Bonferroni). It is at least
    0. ``upper`` is a confidence bound of the mean exact W1 ``upper_mean`` of ``blocks`` disjoint pairs of blocks of
    ``block_sizes`` points; the mean lies above W1(P, Q) by itself. ``sample_w1`` is the exact W1 of the points, of
    ``sample_sizes`` of them, inside [``sample_lower``, ``sample_upper``]: no bound of the laws' W1, from either
    side.
    """

    lower: float
    upper: float
    level: float
    sample_w1: float
    sample_lower: float
    sample_upper: float
    sample_sizes: tuple[int, int]
    critics: dict[str, Certified]
    training_sizes: tuple[int, int]
    upper_mean: float
    blocks: int
    block_sizes: tuple[int, int]
    sizes: tuple[int, int]
    dim: int
    seconds: float

    @property
    def best(self) -> str | None:
        """The name of the critic with the largest lower bound; None where no critic has one."""
        known = {name: critic.lower for name, critic in self.critics.items() if critic.lower is not None}
        return max(known, key=lambda name: known[name]) if known else None

    @property
    def variance_shares(self) -> tuple[float, float] | None:
        """The shares of x and of y in the variance of the best critic's estimate, which sum to 1; None without one."""
        best = self.critics.get(self.best or "")
        if best is None or best.held_out.stderr == 0:
            return None
        share = (best.held_out.stderr_x / best.held_out.stderr) ** 2
        return share, 1 - share

    @property
    def side(self) -> Literal["x", "y", "either"] | None:
        """The side of which more points raise the lower bound most, that with two thirds of its estimate's variance.

        "either" where no side has as much; None where there is no lower bound, or no chance in it. Of the upper bound
        exact values of pairs of blocks do not tell the sides apart.
        """
        if self.variance_shares is None:
            return None
        x, y = self.variance_shares
        return "x" if x >= 2 / 3 else "y" if y >= 2 / 3 else "either"

    @property
    def tighter(self) -> str:
        """What would make the bracket narrower, and points of which side, in one sentence."""
        width, best = self.upper - self.lower, self.critics.get(self.best or "")
        if best is None or best.estimate is None or best.lower is None:
            return "ask a method with a Lipschitz constant that is known everywhere"
        below, above = best.estimate - best.lower, self.upper - self.upper_mean
        if width <= 0 or max(below, above) < width / 4:
            return (
                f"chance is little of the width {width:.3g}; the rest is what the critic misses, and what samples add "
                f"to W1, which falls as n^(-1/d): try other methods{self._larger_blocks}"
            )
        if below >= above:
            return f"the lower bound's margin for chance is {below:.3g}{self._four_times(below)}"
        return f"the upper bound's margin for chance is {above:.3g}, of {self.blocks} blocks{self._larger_blocks}"

    def _four_times(self, margin: float) -> str:
        """What four times the points of x, of y or of both make of the lower bound's margin, about."""
        if self.variance_shares is None:
            return ""
        x, y = (margin * np.sqrt(1 - 0.75 * share) for share in self.variance_shares)
        more = "x and of y help about alike" if self.side == "either" else f"{self.side} help most"
        four = f"four times those of x make it about {x:.3g}, of y {y:.3g}, of both {margin / 2:.3g}"
        return f"; more points of {more}: {four}"

    @property
    def _larger_blocks(self) -> str:
        """Points of which side would make the blocks larger; which larger ones would help more, is not known."""
        sides = [side for side, size in zip("xy", self.block_sizes, strict=True) if size < MOST_POINTS]
        if not sides:
            return "; the blocks are the largest that are solved"
        if len(sides) == 1:
            return f"; more points of {sides[0]} alone make the blocks larger"
        return "; more points make the blocks larger, whose values do not tell which side's help more"

    def __str__(self) -> str:
        n, m = self.sizes
        percent = f"{100 * self.level:g} %"
        part = "" if self.sample_sizes == self.sizes else " of {} and {} of them".format(*self.sample_sizes)
        r, s = self.training_sizes
        lines = [
            f"{n} points of x and {m} of y in R^{self.dim}, {self.seconds:.1f} s",
            f"W1 of the laws:    [{self.lower:.6g}, {self.upper:.6g}] with confidence {percent}",
            f"W1 of the samples: {self.sample_w1:.9g}{part}, exact: "
            f"in [{self.sample_lower:.12g}, {self.sample_upper:.12g}]",
            "",
            f"from below, critics trained on {r} and {s} points, read on the other half; best: {self.best or 'none'}",
            *(f"  {name:12} {str(critic).partition(' with')[0]}" for name, critic in self.critics.items()),
        ]
        k, (p, q) = self.blocks, self.block_sizes
        lines += [
            f"from above, the exact W1 of {k} disjoint blocks of {p} and {q} points: mean {self.upper_mean:.6g},",
            f"  at most {self.upper:.6g}; a sample's W1 is above the laws' in the mean, the more so in high dimension",
            *(f"assumed: {assumption}" for assumption in ASSUMPTIONS),
            f"narrower: {self.tighter}",
        ]
        return "\n".join(lines)


def estimate(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    methods: Sequence[Method | str] = DEFAULT_METHODS,
    level: float = LEVEL,
    seed: int = 0,
    discrete: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Estimate:
    """A bracket of W1(P, Q) from a sample of P and a sample of Q, and the exact W1 of the samples beside it.

    From below: every critic is trained on a random half of the points, or 5000 of it, and read on the other half,
    so that it was fixed before those were drawn; its mean difference over a Lipschitz constant that is known
    everywhere has a one-sided confidence bound. From above: W1 is jointly convex, so the mean exact W1 of disjoint
    blocks is at least W1(P, Q).

    Args:
        x: points (n, d) of P, at least 20 of them.
        y: points (m, d) of Q, likewise.
        a: weights (n,) of x that sum to 1; uniform where they are None. They are taken as weights of importance.
        b: weights (m,) of y, likewise.
        methods: what is trained, as names or as ``otbench.method(...)``.
        level: the probability with which the bracket holds W1(P, Q), in (0, 1).
        seed: of the halves, the blocks and the training.
        discrete: the laws have atoms, so that equal rows are chance. Without it, rows that occur twice are refused:
            copies are not independent.
        progress: is told what is being done.

    Returns:
        An ``Estimate``; ``print`` shows it on one screen.

    Raises:
        InputError: malformed points or weights, too few of them, equal rows, an unknown method or level.
        UncertifiedError: an exact W1 could not be proved.

    Source: Villani 2009, Remark 6.5 (duality) and Thm 4.8 (convexity); Welch 1947; Dunn 1961 (Bonferroni).
    """
    start, tell = time.perf_counter(), progress or (lambda _: None)
    pair, chosen = SamplePair(x, y, a, b), [_as_method(each) for each in methods]
    level = as_level(level)
    _check(pair, chosen, discrete)
    rng = np.random.default_rng(as_whole("seed", seed, 0))
    (half, fresh), blocks = _parts(pair, rng, 2, len(pair.x) + len(pair.y)), _parts(pair, rng, BLOCKS, MOST_POINTS)
    ours = _first(half, MOST_POINTS)
    tail = (1 - level) / 2
    tell(f"training {len(chosen)} critics on {len(ours.x)} and {len(ours.y)} points")
    critics = _certify(chosen, ours, fresh, 1 - tail / len(chosen), seed)
    tell(f"solving {BLOCKS} blocks of {len(blocks[0].x)} and {len(blocks[0].y)} points")
    values = [solve_exact(block.x, block.y, block.a, block.b).w1 for block in blocks]
    (whole,) = _parts(pair, rng, 1, MOST_POINTS)
    tell(f"solving {len(whole.x)} and {len(whole.y)} points exactly")
    exact = solve_exact(whole.x, whole.y, whole.a, whole.b)
    return Estimate(
        lower=max([0.0, *(critic.lower for critic in critics.values() if critic.lower is not None)]),
        upper=upper_confidence(values, 1 - tail),
        level=level,
        sample_w1=exact.w1,
        sample_lower=exact.lower,
        sample_upper=exact.upper,
        sample_sizes=(len(whole.x), len(whole.y)),
        critics=critics,
        training_sizes=(len(ours.x), len(ours.y)),
        upper_mean=float(np.mean(values)),
        blocks=BLOCKS,
        block_sizes=(len(blocks[0].x), len(blocks[0].y)),
        sizes=(len(pair.x), len(pair.y)),
        dim=pair.dim,
        seconds=time.perf_counter() - start,
    )


def _as_method(value: Method | str) -> Method:
    if isinstance(value, Method):
        return value
    if isinstance(value, str):
        return method(value)
    raise InputError(f"a method is a name or what otbench.method gives; got {type(value).__name__}; "
                     f"names: {', '.join(METHODS)}")  # fmt: skip


def _check(pair: SamplePair, methods: Sequence[Method], discrete: bool) -> None:
    """InputError for what would break the bracket's promise."""
    if not methods:
        raise InputError(f"give at least one method; known: {', '.join(METHODS)}")
    fewest = min(int((pair.a > 0).sum()), int((pair.b > 0).sum()))
    if fewest < FEWEST_POINTS:
        raise InputError(f"a bracket needs at least {FEWEST_POINTS} points with mass on each side; got {fewest}")
    if discrete:
        return
    x, y = _distinct(pair.x), _distinct(pair.y)
    seen = {
        "are in x and in y": len(np.intersect1d(x, y, assume_unique=True)),
        "of x repeat others": len(pair.x) - len(x),
        "of y repeat others": len(pair.y) - len(y),
    }
    for where, count in seen.items():
        if count:
            raise InputError(
                f"{count} rows {where}, so that the points are not independent and no bracket holds: take copies out, "
                "or say that the laws are discrete"
            )


def _distinct(points: Array) -> Any:
    """The distinct rows, each as one value of its bytes; -0.0 counts as 0.0."""
    rows = np.ascontiguousarray(points + 0.0)
    return np.unique(rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel())


def _parts(pair: SamplePair, rng: np.random.Generator, count: int, most: int) -> list[SamplePair]:
    """Random disjoint parts of both samples, ``count`` of them, each of at most ``most`` points a side that have
    mass."""
    sides = []
    for points, weights in ((pair.x, pair.a), (pair.y, pair.b)):
        rows = rng.permutation(np.flatnonzero(weights > 0))
        size = min(len(rows) // count, most)
        sides.append([_part(points, weights, rows[k * size : (k + 1) * size]) for k in range(count)])
    return [SamplePair(x, y, a, b) for (x, a), (y, b) in zip(*sides, strict=True)]


def _part(points: Array, weights: Array, rows: Any) -> tuple[Array, Array]:
    return points[rows], weights[rows] / weights[rows].sum()


def _first(pair: SamplePair, most: int) -> SamplePair:
    """The first points of both samples, at most ``most`` a side."""
    if max(len(pair.x), len(pair.y)) <= most:
        return pair
    (x, a), (y, b) = (_part(z, w, np.arange(min(len(z), most))) for z, w in ((pair.x, pair.a), (pair.y, pair.b)))
    return SamplePair(x, y, a, b)


def _certify(
    methods: Sequence[Method], ours: SamplePair, fresh: SamplePair, level: float, seed: int
) -> dict[str, Certified]:
    """What each method's critic, trained on ``ours``, certifies by the points in ``fresh``; by its name."""
    exact = solve_exact(ours.x, ours.y, ours.a, ours.b)
    found: dict[str, Certified] = {}
    for each in methods:
        recipe = each.at(ours.dim)
        (fitted,) = type(recipe).fit([recipe], [Job(ours, seed, exact)], "cpu")
        if fitted.critic is None:
            raise InputError(f"{each.name} has diverged: {fitted.reason}; leave it out")
        said = held_out(fitted.values(fresh.x), fitted.values(fresh.y), fresh.a, fresh.b, VALUE_ROUNDING)
        name = each.name if each.name not in found else f"{each.name} ({len(found) + 1})"
        found[name] = certified(said, fitted.constants(), level)
    return found
