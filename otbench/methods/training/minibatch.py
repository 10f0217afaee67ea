"""The points that critics see of their samples: minibatches from a counter-based stream, or both samples whole.

The stream is the same on every device and in every batch of critics.
"""

import hashlib

import torch
from torch import Tensor

from otbench.errors import InputError
from otbench.methods.training.source import PointSource, equal_pull, filled_up, step_of
from otbench.types import SamplePair

#: SplitMix64's increment and multipliers as signed 64-bit integers (Steele, Lea, Flood 2014, fig. 17).
GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
MIX_2 = 0x94D049BB133111EB - 2**64

#: Steps whose minibatches are drawn at once: enough that the call costs little, few enough for the cache.
STEPS_PER_BLOCK = 64


def sample_source(pairs: list[SamplePair], seeds: list[int], batch: int | str, like: Tensor) -> PointSource:
    """Minibatches of ``batch`` points of either sample for every critic, or both samples where batch is "full".

    Args:
        pairs: the samples of each of E critics, all of equal sizes.
        seeds: the seed of each critic's minibatches.
        batch: points of either sample per step, or "full".
        like: a tensor of the type and on the device that the points shall have.

    Raises:
        InputError: samples of different sizes.
    """
    return WholeSamples(pairs, like) if batch == "full" else MinibatchSource(pairs, seeds, int(batch), like)


class Atoms:
    """The points of several samples of n and m points in one tensor, each sample once.

    ``flat`` ((n + m) S, d) holds the n points of x and the m points of y of one of S samples after the other, and
    ``first`` (E,) the row at which each critic's sample begins.
    """

    def __init__(self, pairs: list[SamplePair], like: Tensor) -> None:
        distinct = {id(pair): pair for pair in pairs}
        sizes = {(len(pair.x), len(pair.y)) for pair in distinct.values()}
        if len(sizes) > 1:
            raise InputError("critics trained together need samples of equal size; group them by n and m")
        ((self.n, self.m),) = sizes
        points = [torch.from_numpy(part) for pair in distinct.values() for part in (pair.x, pair.y)]
        self.flat = torch.cat(points).to(like.device, like.dtype)
        places = {name: k for k, name in enumerate(distinct)}
        self.first = torch.tensor([places[id(pair)] for pair in pairs], device=like.device) * (self.n + self.m)

    def take(self, rows: Tensor, out: Tensor) -> Tensor:
        """The points of ``flat`` at ``rows`` (E, R), in the buffer ``out`` (E R, d), as (E, R, d)."""
        torch.index_select(self.flat, 0, rows.flatten(), out=out)
        return out.view(*rows.shape, -1)


class WholeSamples:
    """The source that shows every critic both of its samples at every step, each point pulled by its weight."""

    block = STEPS_PER_BLOCK

    def __init__(self, pairs: list[SamplePair], like: Tensor) -> None:
        atoms = Atoms(pairs, like)
        weights = [torch.cat([-torch.from_numpy(pair.a), torch.from_numpy(pair.b)]) for pair in pairs]
        self.pull = filled_up(torch.stack(weights), like)
        self.points_per_step = self.pull.shape[1]
        rows = atoms.first[:, None].repeat(1, self.points_per_step)  # what fills up shows the sample's first point
        rows[:, : atoms.n + atoms.m] += torch.arange(atoms.n + atoms.m, device=like.device)
        self.shown = atoms.take(rows, atoms.flat.new_empty(rows.numel(), atoms.flat.shape[1]))

    def draw(self, first: int, count: int, then: int = 0) -> None:
        """Nothing is drawn: every step sees the same points."""

    def points(self, step: int | Tensor) -> Tensor:
        """All points (E, R, d), the same at every step."""
        return self.shown


class MinibatchSource:
    """The source that draws ``batch`` points of either sample for every critic and step, with replacement."""

    block = STEPS_PER_BLOCK

    def __init__(self, pairs: list[SamplePair], seeds: list[int], batch: int, like: Tensor) -> None:
        self.atoms, self.batch = Atoms(pairs, like), batch
        self.seeds = torch.tensor([stream_seed("minibatches", int(s)) for s in seeds], device=like.device)
        self.weights = _Weights(pairs, like.device) if any(not _uniform(pair) for pair in pairs) else None
        self.pull = equal_pull(len(pairs), batch, like)
        self.points_per_step = self.pull.shape[1]
        # rows that fill up show the sample's first point, which has no pull
        self.rows = self.atoms.first[:, None].repeat(self.block, 1, self.points_per_step)
        self.chosen = self.atoms.flat.new_empty(len(pairs) * self.points_per_step, self.atoms.flat.shape[1])

    def draw(self, first: int, count: int, then: int = 0) -> None:
        """Draw the minibatches of steps first ... first + count - 1."""
        critics, size, atoms = len(self.seeds), self.batch, self.atoms
        bits = random_bits(self.seeds, first * 2 * size, count * 2 * size).view(critics, count, 2, size)
        of_x, of_y = bits[:, :, 0].flatten(1), bits[:, :, 1].flatten(1)
        x, y = uniform_indices(of_x, atoms.n), uniform_indices(of_y, atoms.m)
        if self.weights is not None:
            x, y = self.weights.indices(x, y, of_x, of_y)
        rows = torch.stack([x.view(critics, count, size), y.view(critics, count, size) + atoms.n], dim=2)
        rows += atoms.first[:, None, None, None]
        self.rows[:count, :, : 2 * size].copy_(rows.transpose(0, 1).flatten(2))

    def points(self, step: int | Tensor) -> Tensor:
        """The points (E, R, d) of one step of those last drawn; the next call overwrites them."""
        return self.atoms.take(step_of(self.rows, step), self.chosen)


class _Weights:
    """The weights of critics' samples as running sums (E, n) and (E, m), and which critics' samples have equal ones."""

    def __init__(self, pairs: list[SamplePair], device: torch.device) -> None:
        sides = [pair.a for pair in pairs], [pair.b for pair in pairs]
        stacked = [torch.stack([torch.from_numpy(weights) for weights in side]) for side in sides]
        self.of_a, self.of_b = (weights.cumsum(1).to(device) for weights in stacked)
        self.uniform = torch.tensor([_uniform(pair) for pair in pairs], device=device)[:, None]

    def indices(self, x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor) -> tuple[Tensor, Tensor]:
        """Indices (E, k) by weight from random bits (E, k), and the uniform ones x, y where all weights are equal.

        Which of the two is decided critic by critic: a neighbour with weights must not change a draw.
        """
        by_a, by_b = weighted_indices(of_x, self.of_a), weighted_indices(of_y, self.of_b)
        return torch.where(self.uniform, x, by_a), torch.where(self.uniform, y, by_b)


def stream_seed(*content: object) -> int:
    """A signed 64-bit seed derived from content, so that streams of different purposes never meet."""
    digest = hashlib.sha256(repr(content).encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def random_bits(seeds: Tensor, first: int, count: int) -> Tensor:
    """Numbers ``first`` ... ``first + count - 1`` of each SplitMix64 stream; seeds (E,) → (E, count), 53 bits.

    A number depends on its seed and position alone: a critic draws the same minibatches whichever batch it
    travels in, on CPU and GPU alike, and nothing has to be stored or replayed.
    """
    position = torch.arange(first + 1, first + count + 1, device=seeds.device)
    z = seeds[:, None] + position * GOLDEN_GAMMA
    z = (z ^ _shift(z, 30)) * MIX_1
    z = (z ^ _shift(z, 27)) * MIX_2
    return _shift(z ^ _shift(z, 31), 11)


def uniform_indices(bits: Tensor, size: int) -> Tensor:
    """Uniform indices below ``size`` < 2^31 from 53 random bits; the bias is below size / 2^31."""
    return ((bits >> 22) * size) >> 31


def weighted_indices(bits: Tensor, cumulative: Tensor) -> Tensor:
    """Indices with the probabilities whose running sums are ``cumulative`` (E, n), by inversion; bits (E, k)."""
    level = (bits.double() + 0.5) * 2.0**-53
    return torch.searchsorted(cumulative, level * cumulative[:, -1:])


def _uniform(pair: SamplePair) -> bool:
    return bool((pair.a == pair.a[0]).all() and (pair.b == pair.b[0]).all())


def _shift(z: Tensor, by: int) -> Tensor:
    """Logical right shift of signed 64-bit integers."""
    return (z >> by) & ((1 << (64 - by)) - 1)
