"""What a critic is told of its training: its share of the seconds, its company, and itself at half of the steps."""

import numpy as np
import pytest
from hand_clock import HandClock

from otbench.methods import Discriminator, Job, WeightClip
from otbench.methods.train import train_many
from otbench.methods.training.engine import Engine
from otbench.methods.training.network import Stack
from otbench.types import SamplePair


def pair() -> SamplePair:
    rng = np.random.default_rng(0)
    return SamplePair(rng.standard_normal((30, 2)), 1 + rng.standard_normal((20, 2)))


RECIPE = WeightClip(widths=(6, 5), clip=0.2, lr=0.01, steps=7, batch=8)


@pytest.mark.parametrize("count", [1, 3])
def test_critics_of_a_batch_share_the_seconds_of_its_steps(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the engine and reading critics from it are not among them."""
    clock = HandClock(monkeypatch)
    clock.takes(Engine, "run", 30.0)  # twice: to the half, and to the end
    clock.takes(Engine, "__init__", 500.0)
    found = train_many([pair()] * count, [RECIPE] * count, list(range(count)))
    assert [(fitted.seconds, fitted.batch) for fitted in found] == [(60.0 / count, count)] * count


@pytest.mark.parametrize("count", [1, 3])
def test_discriminators_of_a_batch_share_the_seconds_of_its_steps(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock(monkeypatch)
    clock.takes(Stack, "backward", 2.0)  # once a step
    clock.takes(Stack, "read", 500.0)
    recipe = Discriminator(widths=(4,), steps=9, batch=8)
    found = Discriminator.fit([recipe] * count, [Job(pair(), k, exact=None) for k in range(count)], "cpu")
    assert [(fitted.seconds, fitted.batch) for fitted in found] == [(18.0 / count, count)] * count


@pytest.mark.parametrize("steps", [1, 6, 7])
def test_half_of_the_way_is_where_half_of_the_steps_lead(steps: int) -> None:
    (whole,) = train_many([pair()], [RECIPE.model_copy(update={"steps": steps})], [4])
    (half,) = train_many([pair()], [RECIPE.model_copy(update={"steps": steps // 2})], [4])
    z = pair().x
    assert whole.halfway is not None
    assert (whole.halfway.values(z) == half.values(z)).all()
    assert (whole.values(z) != half.values(z)).any()
    assert whole.saturation_start == half.saturation_start
    if steps // 2 == 0:
        assert half.halfway is None
        assert half.saturation == half.saturation_start


def test_every_critic_of_a_batch_is_the_one_of_its_own_seed_and_clip_value() -> None:
    recipes = [RECIPE.model_copy(update={"clip": clip, "widths": (40, 40), "init": "box"}) for clip in (0.2, 0.05)]
    found = train_many([pair()] * 2, recipes, [1, 2])
    for fitted, recipe, seed in zip(found, recipes, (1, 2), strict=True):
        (alone,) = train_many([pair()], [recipe], [seed])
        assert fitted.values(pair().x) == pytest.approx(alone.values(pair().x), rel=1e-6)
        assert fitted.constants()[0] == pytest.approx(float(np.float32(recipe.clip)) ** 3 * np.sqrt(2) * 40 * 40)
        assert (fitted.saturation_start, fitted.saturation) == (alone.saturation_start, alone.saturation)
    assert found[0].saturation_start != found[1].saturation_start
    assert found[0].saturation != found[1].saturation
