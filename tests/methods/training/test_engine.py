"""The batched engine against the plain loop of tests/support/reference_loop.py, and the laws of its batches."""

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from reference_loop import initial_module, reference_parameters

from otbench.errors import InputError
from otbench.methods import WeightClip, method
from otbench.methods.fitted import Fitted
from otbench.methods.mlp import Mlp
from otbench.methods.train import train, train_many
from otbench.methods.training.parameters import initial_parameters
from otbench.types import Array, SamplePair

RATES = {"rmsprop": 1e-3, "adam": 1e-3, "sgd": 0.1}

#: Of the clip value. The loops sum in another order, so gradients differ in their last bits; eps = 1e-4 keeps
#: adaptive optimisers from blowing that up (where a gradient cancels to 0, its rounding's sign would decide).
ROUNDING = {"float32": 2e-5, "float64": 1e-12}


def samples(seed: int = 0, n: int = 64, m: int = 64, dim: int = 3) -> SamplePair:
    rng = np.random.default_rng(seed)
    return SamplePair(rng.standard_normal((n, dim)), rng.standard_normal((m, dim)) + 0.7)


def parameters(fitted: Fitted) -> list[Array]:
    assert isinstance(fitted.critic, Mlp)
    return list(chain(*zip(fitted.critic.weights, fitted.critic.biases, strict=True)))


def flat(fitted: Fitted) -> Array:
    return np.concatenate([p.ravel() for p in parameters(fitted)])


def deviation(pair: SamplePair, recipe: WeightClip, seed: int) -> float:
    """Largest difference between the engine's and the reference's parameters, in units of the clip value."""
    here = parameters(train(pair, recipe, seed=seed))
    there = reference_parameters(pair, recipe, seed)
    return max(np.abs(p - q).max() for p, q in zip(here, there, strict=True)) / recipe.clip


@pytest.mark.parametrize(("dtype", "batch"), [("float32", 64), ("float64", "full")])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("which", ["all", "weights"])
@pytest.mark.parametrize("optimiser", ["rmsprop", "adam", "sgd"])
def test_the_engine_trains_as_the_plain_loop_does(
    optimiser: str, which: str, when: str, activation: str, batch: int | str, dtype: str
) -> None:
    recipe = method(
        "weight_clip", widths=(8, 6), clip=0.1, optimiser=optimiser, clip_parameters=which, clip_when=when,
        activation=activation, batch=batch, dtype=dtype, lr=RATES[optimiser], eps=1e-4, steps=50,
    )  # fmt: skip
    assert deviation(samples(), recipe, seed=3) <= ROUNDING[dtype]


@pytest.mark.parametrize("fields", [
    {"widths": ()}, {"widths": (5,), "init": "box"}, {"widths": (4, 4, 4, 4), "clip": 0.5},
    {"lr_unit": "clip", "lr": 0.01}, {"optimiser": "adam", "betas": (0.0, 0.9)}, {"smoothing": 0.9},
])  # fmt: skip
def test_every_other_field_means_what_it_means_in_the_plain_loop(fields: dict[str, object]) -> None:
    recipe = WeightClip(**{"widths": (6,), "clip": 0.1, "eps": 1e-4, "steps": 50, **fields})
    assert deviation(samples(1, 50, 30, 2), recipe, seed=4) <= ROUNDING["float32"]


@pytest.mark.parametrize("batch", [64, "full"])
def test_weighted_samples_train_as_in_the_plain_loop(batch: int | str) -> None:
    pair, rng = samples(2, 20, 30), np.random.default_rng(0)
    a, b = rng.integers(0, 5, 20) + 0.0, rng.integers(0, 5, 30) + 0.0
    weighted = SamplePair(pair.x, pair.y, a / a.sum(), b / b.sum())
    fields = {"optimiser": "sgd", "lr": 0.1, "batch": batch, "steps": 50, "dtype": "float64"}
    recipe = WeightClip(widths=(6,), clip=0.1, **fields)  # type: ignore[arg-type]
    assert deviation(weighted, recipe, seed=5) <= ROUNDING["float64"]
    assert deviation(weighted, recipe.model_copy(update={"steps": 49}), seed=5) <= ROUNDING["float64"]
    assert np.abs(flat(train(weighted, recipe)) - flat(train(pair, recipe))).max() > 1e-3


def test_the_comparison_sees_a_learning_rate_that_is_one_per_cent_off() -> None:
    recipe = WeightClip(widths=(8, 6), clip=0.1, lr=1e-3, eps=1e-4, steps=50)
    faulty = recipe.model_copy(update={"lr": 1.01e-3})
    reference = reference_parameters(samples(), recipe, 3)
    found = parameters(train(samples(), faulty, seed=3))
    worst = max(np.abs(p - q).max() for p, q in zip(found, reference, strict=True))
    assert worst / recipe.clip > 10 * ROUNDING["float32"]


@pytest.mark.parametrize("init", ["torch", "box"])
@pytest.mark.parametrize("widths", [(), (7,), (512, 3)])
def test_initial_parameters_are_those_torch_draws(init: str, widths: tuple[int, ...]) -> None:
    recipe = WeightClip(widths=widths, init=init, clip=0.03)
    drawn = initial_parameters(recipe.shapes(5), 11, 0.03 if init == "box" else None)
    module = initial_module(recipe, 5, 11)
    torchs = torch.cat([p.detach().flatten() for p in module.parameters()])
    assert torch.equal(drawn.sort().values, torchs.sort().values)  # in whatever order the engine keeps them


@pytest.mark.parametrize("init", ["torch", "box"])
def test_without_steps_the_critic_is_the_clipped_initial_network(init: str) -> None:
    recipe = WeightClip(widths=(7, 5), init=init, clip=0.25, steps=0)
    fitted = train(samples(), recipe, seed=6)
    for found, drawn in zip(parameters(fitted), reference_parameters(samples(), recipe, 6), strict=True):
        assert (found == drawn).all()
    assert fitted.halfway is None
    assert fitted.saturation == fitted.saturation_start


@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("steps", [1, 40, 81, 200])
def test_halfway_is_the_critic_of_half_the_steps(steps: int, when: str) -> None:
    recipe = WeightClip(widths=(7,), clip=0.1, clip_when=when, lr=1e-3, steps=steps)
    half = train(samples(), recipe.model_copy(update={"steps": steps // 2}))
    assert (flat(Fitted(train(samples(), recipe).halfway)) == flat(half)).all()


def varied(count: int, **fields: object) -> tuple[list[SamplePair], list[Any], list[int]]:
    """Critics of one shape with clips, rates, eps, seeds and samples of their own."""
    recipes = [
        method("weight_clip", clip=0.02 * k, lr=1e-3 / k, eps=10.0 ** -(3 + k), steps=70, **fields)
        for k in range(1, count + 1)
    ]
    return [samples(k % 3) for k in range(count)], recipes, [100 + k for k in range(count)]


@pytest.mark.parametrize("fields", [
    {"widths": (64, 64)}, {"widths": (160, 160)}, {"widths": (9, 5), "batch": "full"},
    {"widths": (33,), "optimiser": "adam"},
    {"widths": (16,), "activation": "tanh", "dtype": "float64"}, {"widths": (5, 5, 5), "optimiser": "sgd"},
    {"widths": (), "activation": "leaky_relu", "clip_parameters": "weights", "init": "box"},
])  # fmt: skip
def test_a_critic_does_not_depend_on_the_batch_it_travels_in(fields: dict[str, object]) -> None:
    pairs, recipes, seeds = varied(7, **fields)
    together = [flat(f) for f in train_many(pairs, recipes, seeds)]
    backwards = [flat(f) for f in train_many(pairs[::-1], recipes[::-1], seeds[::-1])][::-1]
    three = [flat(f) for f in train_many(pairs[2:5], recipes[2:5], seeds[2:5])]
    for k in range(7):
        alone = flat(train(pairs[k], recipes[k], seed=seeds[k]))
        assert (alone == together[k]).all()
        assert (alone == backwards[k]).all()
        assert k not in (2, 3, 4) or (alone == three[k - 2]).all()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    recipe = WeightClip(widths=(8,), clip=0.1, steps=20)
    first, again, other = (flat(train(samples(), recipe, seed=seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).mean() > 0.5


def test_a_seed_of_numpy_is_the_seed_it_equals() -> None:
    recipe = WeightClip(widths=(8,), clip=0.1, steps=20)
    numpy = train(samples(), recipe, seed=np.int64(3))  # type: ignore[arg-type]
    assert (flat(train(samples(), recipe, seed=3)) == flat(numpy)).all()


def test_training_leaves_torch_as_it_was() -> None:
    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(2)
    try:
        train(samples(), WeightClip(widths=(4,), steps=3))
        assert torch.get_num_threads() == 2
        with pytest.raises(InputError):
            train_many([samples(), samples(0, 10)], [WeightClip(steps=1)] * 2, [0, 0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.gpu
@pytest.mark.parametrize("optimiser", ["rmsprop", "adam", "sgd"])
@pytest.mark.parametrize("batch", [64, "full"])
def test_cuda_trains_as_the_cpu_does(optimiser: str, batch: int | str) -> None:
    recipe = WeightClip(
        widths=(64, 64), clip=0.1, optimiser=optimiser, batch=batch, lr=RATES[optimiser], eps=1e-4, steps=50
    )
    cpu, cuda = (flat(train(samples(), recipe, seed=3, device=device)) for device in ("cpu", "cuda"))
    assert np.abs(cpu - cuda).max() / recipe.clip <= ROUNDING["float32"]
