"""The best scale of a critic on points whose distances are too many to be stored.

D(s) = s a.f + sum_j b_j min_i (M_ij - s f_i) is at most the same sum over some lines of each column. Where that is
largest, all lines are looked through: this gives D there, and the lines that were missing. Once none is missing, D is
there as large as anywhere. Few looks are needed, as every look adds the lowest line of every column at once.
"""

import numpy as np
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from otbench.transport.costs import ULP
from otbench.transport.envelope import ShrinkingEnvelope, from_heaviest, maximise_concave
from otbench.transport.lines import Lines
from otbench.types import Array, Indices

#: Distances stored at most to find about where the best scale is, from some columns: 32 MiB.
PILOT = 2**22

#: Scales, relative to that of the pilot, at which all columns get their lines before the first search.
AROUND_PILOT = (0.8, 1.0, 1.25)

#: The share of D by which the value found may be below the largest.
CLOSE = 1e-13

#: Looks at all lines at most; three to six are usual, and every one of them gives a bound that holds.
MOST_LOOKS = 64

#: The rounding of D, a difference of two sums, relative to their size.
SUM_ROUNDING = 16 * ULP


class KnownLines:
    """Some lines of every column: those of the points ``columns`` of ``lines``, whose rows stand for D's columns j."""

    def __init__(self, lines: Lines, f: Array, a: Array, b: Array) -> None:
        self.lines, self.f, self.b = lines, from_heaviest(f, a), b
        self.mean = float(a @ self.f)
        self._each = np.arange(len(b))
        self.intercepts, self.slopes = np.empty((0, len(b))), np.empty((0, len(b)))

    def add(self, points: Indices) -> None:
        """Add the line of the point ``points[j]`` to every column j."""
        self.intercepts = np.vstack([self.intercepts, self.lines.costs.at(self._each, points)])
        self.slopes = np.vstack([self.slopes, self.f[points]])

    def at(self, s: float) -> Array:
        """The lowest of the lines of every column at s."""
        lowest: Array = np.min(self.intercepts - s * self.slopes, axis=0)
        return lowest

    def best(self, guess: float) -> tuple[float, float]:
        """Where the sum over these lines is largest, and how large: a bound of D from above."""
        envelope = ShrinkingEnvelope.of_lines(self.mean, self.b, self.intercepts, self.slopes)
        return maximise_concave(envelope.value_and_shrink, guess)


def best_scale(
    lines: Lines, f: Array, a: Array, b: Array, nearest: Indices, guess: float
) -> tuple[float, float]:
    """(s*, D(s*)) of the maximum over s >= 0; the rows of ``lines`` are the columns j of D.

    ``nearest`` (m,) are the nearest points of every column, and ``guess`` > 0 is a scale to start from.
    """
    with threadpool_limits(1, "blas"):  # its threads would wait for one another longer than these sums take
        return _searched(lines, f, a, b, nearest, guess)


def _searched(
    lines: Lines, f: Array, a: Array, b: Array, nearest: Indices, guess: float
) -> tuple[float, float]:
    known = KnownLines(lines, f, a, b)
    known.add(nearest)
    known.add(np.full(len(b), f.argmax()))  # the lowest line of every column as s grows
    best = (0.0, float(b @ known.at(0.0)))
    s, roof = known.best(guess)
    if s == 0:
        return best
    pilot = _pilot(lines, f, a, b, guess) or s
    for points in lines.lowest(np.array(AROUND_PILOT)[:, None] * (pilot * known.f)):
        known.add(points)
    for _ in range(MOST_LOOKS):
        s, roof = known.best(pilot)
        least, where = lines.lower(s * known.f, known.at(s))
        constant, rest = s * known.mean, float(b @ least)
        best = max(best, (s, constant + rest), key=lambda found: found[1])
        if roof - best[1] <= CLOSE * abs(best[1]) + SUM_ROUNDING * (abs(constant) + abs(rest)):
            break
        known.add(np.where(where < 0, nearest, where))
    return best


def _pilot(lines: Lines, f: Array, a: Array, b: Array, guess: float) -> float:
    """About the best scale, from the distances of some columns to all points."""
    m, n = lines.costs.shape
    wanted = max(1, PILOT // n)
    if wanted < m:
        drawn = np.random.default_rng(0).choice(m, wanted, p=b / b.sum())
        some, counts = np.unique(drawn, return_counts=True)
        weights = counts / wanted
    else:
        some, weights = np.arange(m), b
    envelope = ShrinkingEnvelope(f, a, weights, cdist(lines.costs.y, lines.costs.x[some]))
    return maximise_concave(envelope.value_and_shrink, guess)[0]
