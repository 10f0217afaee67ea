"""Points along curves are told from those that fill an area, whatever their number and unit, and wherever they lie."""

import numpy as np
import pytest

from otbench.transport.curves import THIRTY_SECOND, along_curves
from otbench.types import Array

RNG = np.random.default_rng(0)


def circle(n: int) -> Array:
    angle = RNG.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def segments(n: int) -> Array:
    return np.stack([RNG.choice([0.0, 1.0, 3.0], n), RNG.uniform(size=n)], axis=1)


def spiral(angle: Array) -> Array:
    return angle * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)


CURVES = {
    "circle": circle,
    "noisy circle": lambda n: circle(n) + 1e-4 * RNG.standard_normal((n, 2)),
    "segments": segments,
    "spiral": lambda n: spiral(RNG.uniform(2, 12, (n, 1))),
}

AREAS = {
    "square": lambda n: RNG.uniform(size=(n, 2)),
    "normal": lambda n: RNG.standard_normal((n, 2)),
    "lattice": lambda n: np.stack(np.divmod(np.arange(n), int(n**0.5)), axis=1).astype(float),
    "ring": lambda n: RNG.uniform(0.5, 1, (n, 1)) * circle(n),
    "all alike": lambda n: np.ones((n, 2)),
    "many alike": lambda n: np.repeat(RNG.standard_normal((n // 50, 2)), 50, axis=0),
}


@pytest.mark.parametrize("n", [2500, 8000])
@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e150])
def test_curves_are_told_from_areas(n: int, unit: float) -> None:
    for name, drawn in CURVES.items():
        assert along_curves(unit * drawn(n)), name
    for name, drawn in AREAS.items():
        assert not along_curves(unit * drawn(n)), name


def test_a_few_points_tell_nothing() -> None:
    assert not along_curves(circle(THIRTY_SECOND))
    assert not along_curves(circle(1))
