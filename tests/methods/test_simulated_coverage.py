"""Coverage, simulated: how often the bounds of the laws' W1 hold it, over replicates of six problems with a known W1.

`pytest -m slow -s tests/methods/test_simulated_coverage.py` prints the table that the documents quote.
"""

import numpy as np
import pytest

from otbench.confidence import held_out, upper_confidence
from otbench.methods import Job, Method, method
from otbench.problems import Problem, problem
from otbench.transport.bounds import VALUE_ROUNDING
from otbench.transport.exact import solve_exact

#: Replicates of every problem, points of a side that a critic is fitted to, points that are held out, and samples whose
#: exact values make an upper bound.
REPLICATES, POINTS, FRESH, SAMPLES = 400, 64, 128, 5

#: The nominal 95 % may fall short by what the issue of few points costs, and by chance: three deviations of 400 draws.
LEAST = 0.93

METHODS: list[Method] = [
    method("linear"), method("potential"), method("weight_clip", clip=0.1, lr=0.01, lr_unit="clip", steps=100),
]  # fmt: skip

PROBLEMS = {
    "translation": {"law": "cube", "direction": "diagonal"},
    "spheres": {},
    "scaling": {},
    "shared_mass": {"overlap": 0.5},
    "lift": {},
    "equal": {"overlap": 1.0},
}


def law(name: str, dim: int) -> Problem:
    return problem("shared_mass" if name == "equal" else name, dim=dim, **PROBLEMS[name])


def lower_bounds(laws: Problem, replicates: int) -> dict[str, np.ndarray]:
    """The 95 % lower bound of every method in every replicate; critics of one method are trained together."""
    pairs = [laws.sample(POINTS, seed=seed) for seed in range(replicates)]
    jobs = [Job(pair, seed, solve_exact(pair.x, pair.y)) for seed, pair in enumerate(pairs)]
    fresh = [laws.held_out(FRESH, POINTS, seed=seed) for seed in range(replicates)]
    found = {}
    for each in METHODS:
        fitted = type(each).fit([each] * replicates, jobs, "cpu")
        found[each.name] = np.array([_lower(fit, points) for fit, points in zip(fitted, fresh, strict=True)])
    return found


def _lower(fit, points) -> float:
    said = held_out(fit.values(points.x), fit.values(points.y), points.a, points.b, VALUE_ROUNDING)
    return said.lower_bound(min(constant for constant in fit.constants() if constant is not None))


def upper_bounds(laws: Problem, replicates: int) -> np.ndarray:
    """The 95 % upper bound of every replicate, of SAMPLES independent samples each."""
    pairs = (laws.sample(POINTS, seed=10**6 + seed) for seed in range(replicates * SAMPLES))
    values = np.array([solve_exact(pair.x, pair.y).w1 for pair in pairs]).reshape(replicates, SAMPLES)
    return np.array([upper_confidence(row) for row in values])


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 8, 32])
@pytest.mark.parametrize("name", PROBLEMS)
def test_bounds_cover_what_they_claim(name: str, dim: int) -> None:
    laws = law(name, dim)
    true = laws.population_w1
    below = {each: float((bound <= true).mean()) for each, bound in lower_bounds(laws, REPLICATES).items()}
    above = float((upper_bounds(laws, REPLICATES) >= true).mean())
    told = ", ".join(f"{each} {share:.3f}" for each, share in below.items())
    print(f"\n{name:12} d = {dim:3}: lower bounds cover in {told}; upper bound in {above:.3f} of {REPLICATES}")
    assert min(below.values()) >= LEAST
    assert above >= LEAST
