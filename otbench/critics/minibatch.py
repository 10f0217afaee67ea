"""Which points a training step sees: a counter-based stream, the same on every device and in every batch."""

import hashlib

import torch
from torch import Tensor

#: SplitMix64's increment and multipliers as signed 64-bit integers (Steele, Lea, Flood 2014, fig. 17).
GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
MIX_2 = 0x94D049BB133111EB - 2**64


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
    """Uniform indices below ``size`` < 2^31 from 53 random bits; the bias is below 2^-22."""
    return ((bits >> 22) * size) >> 31


def weighted_indices(bits: Tensor, cumulative: Tensor) -> Tensor:
    """Indices with the probabilities whose running sums are ``cumulative`` (E, n), by inversion; bits (E, k)."""
    level = (bits.double() + 0.5) * 2.0**-53
    found = torch.searchsorted(cumulative, level * cumulative[:, -1:])
    return found.clamp_(max=cumulative.shape[1] - 1)


def _shift(z: Tensor, by: int) -> Tensor:
    """Logical right shift of signed 64-bit integers."""
    return (z >> by) & ((1 << (64 - by)) - 1)
