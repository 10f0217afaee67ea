"""The minibatch stream: SplitMix64, uniform and weighted indices, and the points a training step sees."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from otbench.methods.training.minibatch import (
    random_bits,
    sample_source,
    stream_seed,
    uniform_indices,
    weighted_indices,
)
from otbench.methods.training.source import PointSource
from otbench.types import Array, SamplePair

law = settings(max_examples=40, deadline=None)

#: The first outputs of SplitMix64 seeded with 1234567 (Vigna's splitmix64.c; the vector Rosetta Code prints).
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def source(pairs: list[SamplePair], seeds: list[int], batch: int | str) -> PointSource:
    return sample_source(pairs, seeds, batch, torch.zeros(1, dtype=torch.float64))


def numbered(n: int, m: int, a: Array | None = None, b: Array | None = None) -> SamplePair:
    """Samples whose points are their own numbers: x_i = i, y_j = -1 - j."""
    return SamplePair(np.arange(n)[:, None], -1 - np.arange(m)[:, None], a, b)


def drawn(pairs: list[SamplePair], seeds: list[int], batch: int, first: int, count: int) -> Array:
    """The numbered points (count, E, 2 batch) of steps first ... first + count - 1."""
    taken, found = source(pairs, seeds, batch), []
    for start in range(first, first + count, taken.block):
        size = min(taken.block, first + count - start)
        taken.draw(start, size)
        found += [taken.points(step)[:, : 2 * batch, 0].numpy().copy() for step in range(size)]
    return np.stack(found)


def test_the_stream_is_splitmix64_without_its_eleven_low_bits() -> None:
    found = random_bits(torch.tensor([1234567]), 0, len(PUBLISHED))
    assert found.tolist() == [[value >> 11 for value in PUBLISHED]]


def test_the_check_sees_a_stream_that_starts_one_number_late() -> None:
    late = random_bits(torch.tensor([1234567]), 1, 5)[0].tolist()
    assert late != [value >> 11 for value in PUBLISHED]
    assert late[:4] == [value >> 11 for value in PUBLISHED[1:]]


@law
@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**40), st.integers(1, 60), st.integers(1, 60))
def test_numbers_do_not_depend_on_the_block_they_are_drawn_in(seed: int, first: int, i: int, j: int) -> None:
    seeds = torch.tensor([seed, 5])
    whole = random_bits(seeds, first, i + j)
    parts = torch.cat([random_bits(seeds, first, i), random_bits(seeds, first + i, j)], dim=1)
    assert torch.equal(whole, parts)
    assert torch.equal(whole[:1], random_bits(seeds[:1], first, i + j))
    assert 0 <= whole.min() <= whole.max() < 2**53


@pytest.mark.parametrize("size", [1, 2, 10, 1000])
def test_uniform_indices_are_uniform(size: int) -> None:
    bits = random_bits(torch.tensor([stream_seed("chi", size)]), 0, 10**6)
    counts = np.bincount(uniform_indices(bits, size)[0].numpy(), minlength=size)
    assert len(counts) == size
    assert size == 1 or chisquare(counts).pvalue > 1e-6


def test_the_chi_square_test_sees_a_bias_of_two_per_cent() -> None:
    counts = np.full(10, 10**5)
    counts[0] += 2000
    counts[1] -= 2000
    assert chisquare(counts).pvalue < 1e-6


def test_weighted_indices_have_the_frequencies_of_the_weights_and_never_draw_a_zero() -> None:
    weights = np.array([0, 0, 3, 1, 0, 5, 1e-3, 0, 2, 0, 0])
    weights = weights / weights.sum()
    bits = random_bits(torch.tensor([7]), 0, 10**6)
    found = weighted_indices(bits, torch.from_numpy(weights.cumsum())[None])[0]
    counts = np.bincount(found.numpy(), minlength=11)
    assert len(counts) == 11
    assert (counts[weights == 0] == 0).all()
    assert (np.abs(counts - 1e6 * weights) <= 5 * np.sqrt(1e6 * weights * (1 - weights))).all()


@pytest.mark.parametrize("weights", [[0, 1], [1, 0], [0.5, 0, 0.5]])
def test_even_the_extreme_numbers_never_draw_a_zero_weight(weights: list[float]) -> None:
    bits = torch.tensor([[0, 2**52 - 1, 2**52, 2**53 - 1]])
    indices = weighted_indices(bits, torch.tensor([weights], dtype=torch.float64).cumsum(1))
    assert (torch.tensor(weights)[indices] > 0).all()


@pytest.mark.parametrize("batch", [1, 5, 16, 100, "full"])
def test_what_fills_a_step_up_pulls_at_nothing_and_is_a_point_of_the_own_sample(batch: int | str) -> None:
    pairs = [numbered(7, 9), SamplePair(100.0 + np.arange(7)[:, None], 200.0 + np.arange(9)[:, None])]
    taken = source(pairs, [0, 1], batch)
    taken.draw(0, 1)
    points, pull = taken.points(0)[:, :, 0], taken.pull[:, :, 0]
    drawn = 16 if batch == "full" else 2 * int(batch)
    assert points.shape == pull.shape
    assert points.shape[1] % 32 == 0
    assert (pull[:, drawn:] == 0).all()
    assert (pull[:, :drawn] != 0).all()
    assert points[0].max() < 10
    assert points[1].min() >= 100


def test_streams_of_other_seeds_and_purposes_are_others() -> None:
    seeds = [stream_seed(purpose, k) for purpose in ("minibatches", "other") for k in range(100)]
    assert len(set(seeds)) == 200
    bits = random_bits(torch.tensor(seeds[:2]), 0, 10**5).double()
    assert abs(torch.corrcoef(bits)[0, 1]) < 5 / np.sqrt(10**5)


def test_a_step_takes_the_first_numbers_of_its_part_of_the_stream_for_x_and_the_next_for_y() -> None:
    found = drawn([numbered(10, 20)], [3], 4, 2, 1)[0, 0]
    bits = random_bits(torch.tensor([stream_seed("minibatches", 3)]), 2 * 8, 8)
    assert found[:4].tolist() == uniform_indices(bits[:, :4], 10)[0].tolist()
    assert found[4:].tolist() == (-1 - uniform_indices(bits[:, 4:], 20)[0]).tolist()


def test_minibatches_do_not_depend_on_how_steps_are_grouped() -> None:
    pairs, seeds = [numbered(9, 7)] * 3, [1, 2, 3]
    whole = drawn(pairs, seeds, 5, 0, 128)
    halves = np.concatenate([drawn(pairs, seeds, 5, 0, 64), drawn(pairs, seeds, 5, 64, 64)])
    assert (whole == halves).all()


def test_weighted_minibatches_draw_points_by_their_weights() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, 12) + 0.0, rng.integers(0, 4, 9) + 0.0
    pair = numbered(12, 9, a / a.sum(), b / b.sum())
    points = drawn([pair], [5], 1000, 0, 200).reshape(200, 2, 1000)
    counts = np.bincount(points[:, 0].astype(int).ravel(), minlength=12), np.bincount(
        (-1 - points[:, 1]).astype(int).ravel(), minlength=9
    )
    for count, weights in zip(counts, (pair.a, pair.b), strict=True):
        assert (count[weights == 0] == 0).all()
        assert (np.abs(count - 2e5 * weights) <= 5 * np.sqrt(2e5 * weights * (1 - weights))).all()


def test_the_draws_of_a_uniform_sample_do_not_depend_on_a_weighted_neighbour() -> None:
    n = 100_000
    uniform, tilted = numbered(n, n), numbered(n, n, np.arange(1, n + 1) / (n * (n + 1) / 2))
    alone = drawn([uniform], [1], 100_000, 0, 5)[:, 0]
    beside = drawn([uniform, tilted], [1, 2], 100_000, 0, 5)[:, 0]
    assert (alone != beside).sum() == 0


def test_the_draws_of_a_weighted_sample_do_not_depend_on_a_uniform_neighbour() -> None:
    tilted = numbered(50, 40, np.arange(50) / 1225)
    alone = drawn([tilted], [2], 64, 0, 50)[:, 0]
    beside = drawn([numbered(50, 40), tilted], [1, 2], 64, 0, 50)[:, 1]
    assert (alone == beside).all()


def test_the_pull_of_a_minibatch_is_the_derivative_of_the_loss() -> None:
    pull = source([numbered(9, 7)], [0], 4).pull[0, :, 0]
    assert pull.tolist() == [-0.25] * 4 + [0.25] * 4 + [0.0] * 24


def test_a_full_batch_is_both_samples_pulled_by_their_weights() -> None:
    pair = numbered(3, 2, np.array([0.5, 0, 0.5]), np.array([0.25, 0.75]))
    full = source([pair], [0], "full")
    full.draw(0, 1)
    assert full.points(0)[0, :5, 0].tolist() == [0, 1, 2, -1, -2]
    assert full.pull[0, :5, 0].tolist() == [-0.5, 0, -0.5, 0.25, 0.75]
