"""The weights of a training step are 1/batch in the critic's own dtype, at batches that are no powers of two."""

import numpy as np
import pytest
import torch
from reference_loop import reference_parameters
from torch import Tensor

from otbench.methods import WeightClip
from otbench.methods.train import train
from otbench.methods.training.minibatch import sample_source
from otbench.methods.training.population import PopulationSource
from otbench.methods.training.source import equal_pull
from otbench.problems import problem
from otbench.types import SamplePair

DTYPES = [torch.float32, torch.float64]
SIZES = [1, 3, 64, 100, 200, 257, 333]


def samples(n: int, m: int, seed: int = 0) -> SamplePair:
    rng = np.random.default_rng(seed)
    return SamplePair(rng.standard_normal((n, 3)), rng.standard_normal((m, 3)) + 0.7)


def shares(size: int, dtype: torch.dtype) -> Tensor:
    """-1/size for points of x, then 1/size for points of y, rounded once."""
    return torch.tensor([-1 / size] * size + [1 / size] * size, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_a_minibatchs_weights_are_the_shares_rounded_once(size: int, dtype: torch.dtype) -> None:
    source = sample_source([samples(5, 7), samples(5, 7, 1)], [0, 1], size, torch.zeros((), dtype=dtype))
    assert torch.equal(source.pull[:, : 2 * size], shares(size, dtype)[None, :, None].expand(2, -1, 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_so_are_those_of_fresh_points(size: int, dtype: torch.dtype) -> None:
    source = PopulationSource([problem("spheres", dim=3)] * 2, [0, 1], size, 3, torch.zeros((), dtype=dtype))
    assert torch.equal(source.pull[:, : 2 * size], shares(size, dtype)[None, :, None].expand(2, -1, 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_of_whole_samples_they_are_the_samples_own(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(7))
    pair = SamplePair(rng.standard_normal((5, 2)), rng.standard_normal((7, 2)), a, b)
    pull = sample_source([pair], [0], "full", torch.zeros((), dtype=dtype)).pull[0, :12, 0]
    assert torch.equal(pull, torch.from_numpy(np.concatenate([-pair.a, pair.b])).to(dtype))


#: Of the clip value: the two loops sum in another order.
ROUNDING = {"float32": 2e-5, "float64": 1e-12}


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(("batch", "n", "m"), [
    (3, 64, 64), (100, 64, 51), (200, 300, 257), (257, 65, 64), (333, 300, 400), ("full", 300, 257), ("full", 65, 63),
])  # fmt: skip
def test_the_engine_is_the_plain_loop_at_any_batch(batch: int | str, n: int, m: int, dtype: str) -> None:
    # plain descent: the bias of a unit that is always active has gradient 0 but for the rounding of these weights'
    # sum, and an adaptive optimiser would divide that by its own size
    recipe = WeightClip(widths=(8, 6), clip=0.1, optimiser="sgd", lr=0.1, steps=30, batch=batch, dtype=dtype)
    pair = samples(n, m)
    critic = train(pair, recipe, seed=3).critic
    found = [part for layer in zip(critic.weights, critic.biases, strict=True) for part in layer]
    expected = reference_parameters(pair, recipe, 3)
    worst = max(np.abs(p - q).max() for p, q in zip(found, expected, strict=True))
    assert worst <= ROUNDING[dtype] * recipe.clip


def test_shares_rounded_to_float32_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    rounded = lambda *of: equal_pull(*of).float().to(of[-1].dtype)  # noqa: E731
    monkeypatch.setattr("otbench.methods.training.minibatch.equal_pull", rounded)
    with pytest.raises(AssertionError):
        test_the_engine_is_the_plain_loop_at_any_batch(100, 64, 51, "float64")
