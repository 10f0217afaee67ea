"""Which points a training step sees: a counter-based stream, the same on every device and in every batch."""

import hashlib

import torch
from torch import Tensor

from otbench.errors import InputError
from otbench.methods.training.network import filled
from otbench.types import SamplePair

#: SplitMix64's increment and multipliers as signed 64-bit integers (Steele, Lea, Flood 2014, fig. 17).
GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
MIX_2 = 0x94D049BB133111EB - 2**64


#: Steps whose minibatches are drawn at once: long enough to forget the call, small enough for the cache.
STEPS_A_BLOCK = 64


class MinibatchSource:
    """The points of each step: ``batch`` draws with replacement from either sample per critic, or all of both.

    ``pull`` (E, R, 1) is d loss / d f at those points: minus the share of a point of x, plus that of y, and 0 at the
    points that fill R up to a multiple of LANE.
    ``block`` steps are drawn at once, into buffers that stay where they are.
    """

    block = STEPS_A_BLOCK

    def __init__(self, pairs: list[SamplePair], seeds: list[int], batch: int | str, like: Tensor) -> None:
        distinct = list({id(p): p for p in pairs}.values())
        n, m = {len(p.x) for p in distinct}, {len(p.y) for p in distinct}
        if len(n) > 1 or len(m) > 1:
            raise InputError("critics trained together need samples of equal size; group them by n and m")
        self.n, self.m, self.full = n.pop(), m.pop(), batch == "full"
        self.size = 0 if self.full else int(batch)
        which = {id(p): k for k, p in enumerate(distinct)}
        self.sample = torch.tensor([which[id(p)] for p in pairs], device=like.device)
        both = [torch.cat([torch.from_numpy(p.x), torch.from_numpy(p.y)]) for p in distinct]
        atoms = torch.stack(both).to(like.device, like.dtype)  # (S, n + m, d)
        self.atoms, self.flat = atoms, atoms.flatten(0, 1)
        self.seeds = torch.tensor([stream_seed("minibatches", int(s)) for s in seeds], device=like.device)
        uniform = torch.tensor([_uniform(p) for p in pairs], device=like.device)
        self.uniform = uniform[:, None]
        self.cumulative = None if bool(uniform.all()) else self._running_sums(distinct)
        self.pull = self._pull(pairs, like)
        critics, drawn = len(pairs), self.n + self.m if self.full else 2 * self.size
        self.points_a_step = self.pull.shape[1]
        # rows that fill up show the sample's first point, with no pull
        self.rows = torch.zeros(self.block, critics, self.points_a_step, dtype=torch.long, device=like.device)
        self.rows += (self.sample * (self.n + self.m))[:, None]
        self.drawn = self.rows[:, :, :drawn]
        if self.full:
            self.drawn += torch.arange(drawn, device=like.device)
        shape = critics * self.points_a_step, atoms.shape[2]
        self.chosen = torch.empty(shape, dtype=like.dtype, device=like.device)
        if self.full:
            self._choose(0)

    def _running_sums(self, distinct: list[SamplePair]) -> tuple[Tensor, Tensor]:
        a, b = ([p.a for p in distinct], [p.b for p in distinct])
        sums = [torch.stack([torch.from_numpy(w) for w in weights]).cumsum(1) for weights in (a, b)]
        return sums[0].to(self.sample.device)[self.sample], sums[1].to(self.sample.device)[self.sample]

    def _pull(self, pairs: list[SamplePair], like: Tensor) -> Tensor:
        if self.full:
            pull = torch.stack([torch.cat([-torch.from_numpy(p.a), torch.from_numpy(p.b)]) for p in pairs])
        else:
            pull = torch.full((len(pairs), 2 * self.size), 1 / self.size, dtype=like.dtype)
            pull[:, : self.size] *= -1
        pull = torch.nn.functional.pad(pull, (0, filled(pull.shape[1]) - pull.shape[1]))
        return pull.to(like.device, like.dtype)[:, :, None].contiguous()

    def draw(self, first: int, count: int) -> None:
        """Draw the minibatches of steps first ... first + count - 1, as rows of ``flat``."""
        if self.full:
            return
        critics, size = len(self.seeds), self.size
        bits = random_bits(self.seeds, first * 2 * size, count * 2 * size).view(critics, count, 2, size)
        of_x, of_y = bits[:, :, 0].flatten(1), bits[:, :, 1].flatten(1)
        x, y = uniform_indices(of_x, self.n), uniform_indices(of_y, self.m)
        if self.cumulative is not None:  # critic by critic: a weighted neighbour must not change a draw
            of_a, of_b = self.cumulative
            x = torch.where(self.uniform, x, weighted_indices(of_x, of_a))
            y = torch.where(self.uniform, y, weighted_indices(of_y, of_b))
        rows = torch.stack([x.view(critics, count, size), y.view(critics, count, size) + self.n], dim=2)
        rows += (self.sample * (self.n + self.m))[:, None, None, None]
        self.drawn[:count].copy_(rows.transpose(0, 1).flatten(2))

    def points(self, step: int) -> Tensor:
        """The points (E, R, d) of one step of those last drawn; the next call overwrites them."""
        if not self.full:
            self._choose(step)
        return self.chosen.view(len(self.seeds), self.points_a_step, -1)

    def _choose(self, step: int) -> None:
        torch.index_select(self.flat, 0, self.rows[step].flatten(), out=self.chosen)


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
