"""Over whole runs the engine and the plain loop find critics of equal worth: float32 paths part, medians do not."""

import numpy as np
import pytest
from reference_loop import reference_parameters

from otbench.methods import WeightClip
from otbench.methods.functions import Critic, on_union
from otbench.methods.mlp import Mlp
from otbench.methods.train import train_many
from otbench.methods.training.compiled_step import COMPILE_FROM
from otbench.problems import problem
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix
from otbench.transport.exact import solve_exact
from otbench.types import SamplePair

SEEDS = range(5)


def worth(critic: Critic, pair: SamplePair) -> float:
    """slope/W1 of a critic on the pair."""
    fx, fy, _, _ = on_union(critic, pair.x, pair.y)
    return Ladder(cost_matrix(pair.x, pair.y), pair.a, pair.b).slope(fx, fy)[1] / solve_exact(pair.x, pair.y).w1


def medians(name: str, dim: int, recipe: WeightClip) -> tuple[float, float]:
    """The median worth over seeds of the engine's critics and of the plain loop's."""
    pairs = [problem(name, dim=dim).sample(256, mode="coupled", seed=seed) for seed in SEEDS]
    fitted = train_many(pairs, [recipe] * len(pairs), list(SEEDS))
    ours = [worth(fit, pair) for fit, pair in zip(fitted, pairs, strict=True)]
    theirs = []
    for seed, pair in zip(SEEDS, pairs, strict=True):
        found = reference_parameters(pair, recipe, seed)
        theirs.append(worth(Mlp(tuple(found[::2]), tuple(found[1::2]), recipe.activation, recipe.clip), pair))
    return float(np.median(ours)), float(np.median(theirs))


@pytest.mark.parametrize("clip", [0.01])
def test_the_median_worth_of_a_short_run_agrees_within_two_percent(clip: float) -> None:
    ours, theirs = medians("shared_mass", 2, WeightClip(widths=(32, 32), clip=clip, lr=0.01, lr_unit="clip", steps=600))
    assert ours == pytest.approx(theirs, rel=0.02)
    assert ours > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["absolute", "clip"])
@pytest.mark.parametrize("clip", [0.01, 0.1])
@pytest.mark.parametrize(("name", "dim"), [("shared_mass", 2), ("shared_mass", 32), ("spheres", 8)])
def test_the_median_worth_of_a_full_run_agrees_within_two_percent(name: str, dim: int, clip: float, unit: str) -> None:
    rate = {"lr": 0.01, "lr_unit": "clip"} if unit == "clip" else {}
    ours, theirs = medians(name, dim, WeightClip(clip=clip, steps=COMPILE_FROM + 500, **rate))
    assert ours == pytest.approx(theirs, rel=0.02)
