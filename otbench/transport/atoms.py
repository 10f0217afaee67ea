"""Points that coincide as one atom, points without mass left out, and a plan of atoms told as one of points."""

from dataclasses import dataclass

import numpy as np

from otbench.types import Array, Indices, Plan


@dataclass(frozen=True, eq=False)
class Support:
    """The distinct points with mass of one sample: ``points`` (k, d), their ``weights`` (k,), and for every point of
    the sample the index ``of`` (n,) of its atom, -1 where it has neither mass nor a coincident point that has."""

    points: Array
    weights: Array
    of: Indices

    @property
    def merged(self) -> bool:
        """Whether any point is left out or shares its atom."""
        return len(self.weights) < len(self.of)


def atoms(points: Array, weights: Array) -> Support:
    """The atoms of a sample of points (n, d) with weights (n,) >= 0."""
    points = points + 0.0  # -0.0 and 0.0 are one number
    _, first, of = np.unique(points, axis=0, return_index=True, return_inverse=True)
    of = of.reshape(-1)
    if len(first) == len(points) and weights.all():
        return Support(points, weights, np.arange(len(points)))
    mass: Array = np.bincount(of, weights, len(first)).astype(np.float64)
    heavy = np.flatnonzero(mass)
    place = np.full(len(first), -1, np.intp)
    place[heavy] = np.arange(len(heavy))
    return Support(points[first[heavy]], mass[heavy], place[of])


def spread_rows(plan: Plan, found: Support, weights: Array) -> Plan:
    """A plan whose rows are atoms as one whose rows are the sample's points, with their weights (n,).

    Atoms of several points hand their entries on in order, one point after the other, so that at most one entry is cut
    a point.
    """
    members = np.flatnonzero((found.of >= 0) & (weights > 0))
    order = members[np.argsort(found.of[members], kind="stable")]
    counts = np.bincount(found.of[order], minlength=len(found.weights))
    starts = np.cumsum(counts) - counts
    single = counts[plan.rows] == 1
    rows = [order[starts[plan.rows[single]]]]
    cols, mass = [plan.cols[single]], [plan.mass[single]]
    several = np.flatnonzero(~single)
    several = several[np.argsort(plan.rows[several], kind="stable")]
    for entries in np.split(several, np.flatnonzero(np.diff(plan.rows[several])) + 1):
        if len(entries):
            atom = plan.rows[entries[0]]
            points = order[starts[atom] : starts[atom] + counts[atom]]
            cut = _shared_out(points, weights[points], plan.cols[entries], plan.mass[entries])
            for column, part in zip((rows, cols, mass), cut, strict=True):
                column.append(part)
    return Plan(*(np.concatenate(column) for column in (rows, cols, mass)))


def _shared_out(points: Indices, weights: Array, cols: Indices, mass: Array) -> tuple[Indices, Indices, Array]:
    """Entries of one atom shared out among its points, as both are laid end to end on one line."""
    ends, cuts = np.cumsum(mass), np.cumsum(weights)[:-1]
    stops = np.sort(np.concatenate([ends, cuts]))
    starts = np.concatenate([[0.0], stops[:-1]])
    middles = (starts + stops) / 2
    point = np.minimum(np.searchsorted(cuts, middles), len(points) - 1)
    entry = np.minimum(np.searchsorted(ends, middles), len(cols) - 1)
    long = stops > starts
    return points[point[long]], cols[entry[long]], (stops - starts)[long]
