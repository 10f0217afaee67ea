"""Which points a critic is shown: samples kept once, the stream in whole numbers, indices at their ends, weights."""

import numpy as np
import pytest
import torch

from otbench.errors import InputError
from otbench.methods.training.minibatch import (
    Atoms,
    MinibatchSource,
    random_bits,
    sample_source,
    stream_seed,
    uniform_indices,
    weighted_indices,
)
from otbench.types import SamplePair


def pair(n: int = 40, m: int = 50, seed: int = 0, weighted: bool = False) -> SamplePair:
    rng = np.random.default_rng(seed)
    a, b = (rng.dirichlet(np.ones(k)) if weighted else None for k in (n, m))
    return SamplePair(rng.standard_normal((n, 2)), rng.standard_normal((m, 2)) + 1, a, b)


def test_a_sample_that_several_critics_share_is_kept_once() -> None:
    one, other = pair(7, 9, 0), pair(7, 9, 1)
    atoms = Atoms([one, other, one, one], torch.zeros(1, dtype=torch.float64))
    assert (atoms.n, atoms.m, atoms.first.tolist()) == (7, 9, [0, 16, 0, 0])
    assert torch.equal(atoms.flat, torch.from_numpy(np.concatenate([one.x, one.y, other.x, other.y])))
    for wrong in (pair(7, 8), pair(8, 9)):
        with pytest.raises(InputError, match="critics trained together need samples of equal size"):
            Atoms([one, wrong], torch.zeros(1))


def splitmix64(seed: int, number: int) -> int:
    """The 53 high bits of a number of the stream, in whole numbers of any length."""
    mask = 2**64 - 1
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) >> 11


@pytest.mark.parametrize("first", [0, 1, 63, 2**31, 2**40 + 7])
def test_the_stream_is_that_of_whole_numbers_wherever_it_is_entered(first: int) -> None:
    seeds = [0, 5, -1, -(2**63), 2**63 - 1]
    found = random_bits(torch.tensor(seeds), first, 4).tolist()
    assert found == [[splitmix64(seed, first + k) for k in range(4)] for seed in seeds]


@pytest.mark.parametrize("size", [1, 3, 1000, 2**31 - 1])
def test_a_uniform_index_is_the_share_of_its_31_high_bits(size: int) -> None:
    edges = [0, 1, 2**22 - 1, 2**22, 2**52 - 1, 2**52, 2**53 - 2**22, 2**53 - 1]
    assert uniform_indices(torch.tensor(edges), size).tolist() == [((bits >> 22) * size) >> 31 for bits in edges]


def test_an_index_by_weight_is_the_first_whose_running_sum_is_not_below_the_level() -> None:
    weights = torch.tensor([[1.0, 2.0, 1.0]], dtype=torch.float64)  # of any total: levels are shares of it
    quarter = 2**51
    bits = torch.tensor([[0, quarter - 1, quarter, 3 * quarter - 1, 3 * quarter + 1, 4 * quarter - 1]])
    assert weighted_indices(bits, weights.cumsum(1)).tolist() == [[0, 0, 1, 1, 2, 2]]


@pytest.mark.parametrize("batch", [1, 16, 20, "full"])
def test_each_critic_is_shown_points_of_its_own_sample_from_its_own_stream(batch: int | str) -> None:
    pairs = [pair(seed=0), pair(seed=1, weighted=True), pair(seed=0)]
    like = torch.zeros(1, dtype=torch.float64)
    together = sample_source(pairs, [3, 4, 5], batch, like)
    for first, number in ((0, 3), (64, 1), (130, 2)):
        together.draw(first, number)
        shown = [together.points(step).clone() for step in range(number)]
        for k, seed in enumerate((3, 4, 5)):
            alone = sample_source([pairs[k]], [seed], batch, like)
            assert torch.equal(alone.pull[0], together.pull[k])
            alone.draw(first, number)
            for step in range(number):
                assert torch.equal(alone.points(step)[0], shown[step][k])
    assert len({stream_seed("minibatches", seed) for seed in (3, 4, 5)}) == 3


@pytest.mark.parametrize(("of_a", "of_b"), [(False, False), (True, False), (False, True), (True, True)])
def test_weights_are_looked_up_where_any_differ_and_only_there(of_a: bool, of_b: bool) -> None:
    tilted = [np.arange(1.0, k + 1) / (k * (k + 1) / 2) if told else None for k, told in ((8, of_a), (9, of_b))]
    mixed = SamplePair(np.zeros((8, 1)), np.ones((9, 1)), *tilted)
    plain = SamplePair(np.zeros((8, 1)), np.ones((9, 1)))
    like = torch.zeros(1)
    weights = [MinibatchSource(pairs, [0] * len(pairs), 4, like).weights for pairs in ([mixed], [plain, mixed])]
    if not of_a and not of_b:
        assert weights == [None, None]
    else:
        assert [each.uniform[:, 0].tolist() for each in weights if each] == [[False], [True, False]]
