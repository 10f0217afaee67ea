"""The data that generators learn to draw, a ring of Gaussians, a swiss roll or digits, and points held out of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from otbench.methods.training.minibatch import stream_seed
from otbench.types import Array

#: The points of a law that critics see: so many that they stand for the law.
SEEN = 8192

#: The ring's number of modes, its radius, and the standard deviation of a mode per coordinate.
MODES, RADIUS, DEVIATION = 8, 2.0, 0.1

#: A mode is found where it has this share of the points that it would have if all modes had equally many.
FAIR_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Target:
    """Points to learn from and points held out, each (., d), and a function that counts the modes that a sample (n, d)
    has found; None where there are no modes."""

    seen: Array
    held_out: Array
    modes: Callable[[Array], int] | None


def target(name: str, n: int, seed: int) -> Target:
    """The data set of that name with n points held out; the same arguments give the same points."""
    rng = np.random.default_rng(stream_seed("target", name, seed) % 2**64)
    if name == "digits":
        return _digits(rng, n)
    law, modes = {"ring": (ring, ring_modes), "swiss_roll": (swiss_roll, None)}[name]
    return Target(law(rng, SEEN), law(rng, n), modes)


def ring(rng: np.random.Generator, n: int) -> Array:
    """n points (n, 2) of a mixture of eight equal Gaussians on a circle."""
    noise: Array = DEVIATION * rng.standard_normal((n, 2))
    return _centres()[rng.integers(0, MODES, n)] + noise


def ring_modes(points: Array) -> int:
    """How many of the Gaussians have a quarter of their fair share of the points (n, 2) within 3 deviations."""
    near = cdist(points, _centres()) <= 3 * DEVIATION
    return int((near.sum(axis=0) >= FAIR_SHARE * len(points) / MODES).sum())


def _centres() -> Array:
    angles = 2 * np.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def swiss_roll(rng: np.random.Generator, n: int) -> Array:
    """n points (n, 2) on the spiral t (cos t, sin t)/7.5, t ~ U(1.5 pi, 4.5 pi), with noise of deviation 0.05.

    Source: Gulrajani et al. 2017, figure 1b, whose scale this is.
    """
    t = 1.5 * np.pi * (1 + 2 * rng.random(n))
    spiral: Array = np.stack([t * np.cos(t), t * np.sin(t)], axis=1) / 7.5
    return spiral + 0.05 * rng.standard_normal((n, 2))


def _digits(rng: np.random.Generator, n: int) -> Target:
    """Half of scikit-learn's digits to learn from, and n of the other half held out.

    The mode of a point is the digit of its nearest neighbour among those seen.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(images))
    seen, rest = order[: len(order) // 2], order[len(order) // 2 :]
    points, classes = images / 16.0, labels

    def modes(sample: Array) -> int:
        nearest = classes[seen][cdist(sample, points[seen]).argmin(axis=1)]
        return int((np.bincount(nearest, minlength=10) >= FAIR_SHARE * len(sample) / 10).sum())

    return Target(points[seen], points[rest[:n]], modes)
