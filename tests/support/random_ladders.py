"""Random critics' values on random weighted samples, and the check that their bounds form a ladder."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from otbench.inputs import as_weights
from otbench.transport.bounds import lower_bounds
from otbench.transport.certificate import TOLERANCE
from otbench.transport.dense import cost_matrix, solve_cost
from otbench.types import Array, Bounds, ExactSolution

law = settings(max_examples=40, deadline=None)


@dataclass(frozen=True, eq=False)
class Instance:
    """Values of a critic on two weighted samples, with their exact distance."""

    x: Array
    y: Array
    a: Array
    b: Array
    fx: Array
    fy: Array
    cost: Array

    @cached_property
    def exact(self) -> ExactSolution:
        return solve_cost(self.cost, self.a, self.b)

    @property
    def w1(self) -> float:
        return self.exact.w1

    def bounds(self, **constants: float) -> Bounds:
        return lower_bounds(self.fx, self.fy, self.cost, self.a, self.b, primal=self.w1, **constants)

    @property
    def slack(self) -> float:
        return TOLERANCE * float(self.cost.max())


def weights_with_zeros(rng: np.random.Generator, count: int) -> Array:
    weights = rng.integers(0, 4, count).astype(float)
    weights[rng.integers(count)] += 1
    return weights / weights.sum()


def make(
    rng: np.random.Generator, n: int, m: int, dim: int, grid: bool, weighted: bool, size: float
) -> Instance:
    def draw(*shape: int) -> Array:
        return rng.integers(-2, 3, shape).astype(float) if grid else rng.standard_normal(shape)

    x, y = draw(n, dim), draw(m, dim)
    a = as_weights("a", weights_with_zeros(rng, n) if weighted else None, n)
    b = as_weights("b", weights_with_zeros(rng, m) if weighted else None, m)
    cost = cost_matrix(x, y)
    direction = rng.standard_normal(dim)
    fx, fy = draw(n) + x @ direction, draw(m) + y @ direction
    return Instance(x, y, a, b, size * fx, size * fy, cost)


@st.composite
def instances(draw: st.DrawFn, sizes: tuple[float, ...] = (1e-150, 1e-9, 1.0, 1e9, 1e150)) -> Instance:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, m, dim = draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(1, 3))
    return make(rng, n, m, dim, draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from(sizes)))


ordinary = instances(sizes=(1.0,))


def breaks(bounds: Bounds, slack: float) -> list[str]:
    """The inequalities of the ladder that these bounds break; ``slack`` is the rounding allowed."""
    names = ["clip_bound", "spectral", "slope", "c_transform", "primal"]
    found = [f"{n} < 0" for n in names if (getattr(bounds, n) or 0.0) < 0]
    chain = [n for n in names if getattr(bounds, n) is not None]
    if bounds.raw <= 0:
        found += [f"{n} is not 0" for n in names[:3] if getattr(bounds, n) not in (None, 0.0)]
    for low, high in [*pairwise(chain), ("nearest", "c_transform")]:
        if not getattr(bounds, low) <= getattr(bounds, high) + slack:
            found.append(f"{low} > {high}")
    finite = bounds.primal is not None and bounds.slope_constant < np.inf
    if finite and not bounds.raw <= bounds.slope_constant * (bounds.primal + slack):
        found.append("raw > S W1")
    if bounds.skill is not None and not -1e-6 <= bounds.skill <= 1 + 1e-6:
        found.append("skill outside [0, 1]")
    return found
