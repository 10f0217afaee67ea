"""Convolutions of any stride, dilation and number of groups as linear maps, with certified norms."""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from otbench.methods.lipschitz.singular import EPS, allowance, largest_eigenvalue, largest_singular_value

#: Floating-point operations that one norm should take, a second or less; a coarser grid takes fewer.
WORK = 4.2e10

#: Operations that no norm may take: the bound by sums is left then.
REFUSED = 8 * WORK

#: Up to this many entries, and rows or columns, the matrix of a map is made.
MATRIX_ENTRIES, MATRIX_SIDE = 2**20, 512

#: Up to this many positions and rows, the Gram matrix of a map is made.
GRAM_POSITIONS, GRAM_ROWS = 16, 2304


class Convolution:
    """A convolution without its bias, as the linear map between two sizes of image.

    out[o] = sum_t W[t] x[s o + d t - p], with zeros where x ends. Position s o + b of x, 0 <= b < s, is channel b of
    an image without a stride (polyphase), so that the map is a stride-1 convolution whose kernel P holds the entries
    of W and zeros: ``phases`` (groups, out, in prod s, taps of P). Of P every bound is read:

    * sqrt(|A|_1 |A|_inf): the largest sums of |P| over what an output sees and over what sees an input.
    * On a ring of N >= outputs + taps of P - 1 positions per axis no tap wraps round: the map is rows and columns of
      the circulant one, whose norm is the largest of the matrices P^(w) = sum_t P[t] exp(-i <w, t>), w in 2 pi Z / N.
    * On a coarser grid of N > taps - 1 points: <u, P^(w) v> times a phase is a function of exponential type
      (taps - 1)/2 in every axis, which is at least cos((taps - 1) pi / 2N) times its maximum at the point of the grid
      nearest to it. So the largest of P^ over any w is at most that over the grid, over the product of these cosines.
    * Where it is small, the matrix A of the map itself; where outputs are few, A A* from the taps that two of them
      share.

    Args:
        weight: (out, in / groups, *kernel).
        stride: s, one number per axis, as all that follow.
        dilation: d.
        lead: p, the zeros before the first position; what follows the last one is implied by ``outputs``.
        inputs: the sizes of the input.
        outputs: the sizes of the output.
        groups: as torch has them.
        ring: sizes of the ring, for inputs that are padded circularly, in which the map is that of the ring.

    Source: Sedghi, Gupta, Long 2019 (circulant maps); Duffin, Schaeffer 1938, Thm 1 (functions of exponential type);
    Pfister, Bresler 2018 and Delattre et al. 2023 (coarse grids).
    """

    def __init__(
        self,
        weight: Tensor,
        stride: Sequence[int],
        dilation: Sequence[int],
        lead: Sequence[int],
        inputs: Sequence[int],
        outputs: Sequence[int],
        groups: int = 1,
        ring: Sequence[int] | None = None,
    ) -> None:
        self.weight = weight.detach().to("cpu", torch.float64)
        self.stride, self.dilation, self.lead = tuple(stride), tuple(dilation), tuple(lead)
        self.inputs, self.outputs, self.groups, self.ring = tuple(inputs), tuple(outputs), groups, ring
        self.largest = float(self.weight.abs().amax()) if self.weight.numel() else 0.0

    @functools.cached_property
    def cells(self) -> float:
        rows, cols = _fullest(self._phases(torch.ones_like(self.weight)))
        return math.sqrt(rows * cols)

    def norm(self) -> float:
        if not 0 < self.largest < math.inf:
            return self.largest
        matrix = None if self.ring else self.matrix()
        if matrix is not None:
            return largest_singular_value(matrix.flatten(1)[None])
        positions = math.prod(self.outputs)
        few = positions <= GRAM_POSITIONS and positions * len(self.weight) <= GRAM_ROWS
        if few and self.groups == 1 and not self.ring:
            return self._by_gram()
        phases = self._phases(self.weight)
        rows, cols = _fullest(phases.abs())
        return min(math.sqrt(rows * cols) * (1 + EPS * phases[0].numel()), self._on_grid(phases))

    def scaled(self, factors: Tensor) -> "Convolution":
        weight = factors.reshape(-1, *[1] * (self.weight.dim() - 1)) * self.weight
        sizes = (self.lead, self.inputs, self.outputs)
        return Convolution(weight, self.stride, self.dilation, *sizes, self.groups, self.ring)

    def _phases(self, weight: Tensor) -> Tensor:
        """P (groups, out, in prod s, *taps)."""
        kernel = weight.shape[2:]
        for axis, (count, step, dilation) in enumerate(zip(kernel, self.stride, self.dilation, strict=True), 2):
            length = -(-(dilation * (count - 1) + 1) // step) * step
            spread = weight.new_zeros(*weight.shape[:axis], length, *weight.shape[axis + 1 :])
            spread.index_copy_(axis, dilation * torch.arange(count), weight)
            weight = spread
        taps = [size // step for size, step in zip(weight.shape[2:], self.stride, strict=True)]
        split = weight.reshape(*weight.shape[:2], *itertools.chain(*zip(taps, self.stride, strict=True)))
        axes = len(taps)
        order = (0, 1, *range(3, 3 + 2 * axes, 2), *range(2, 2 + 2 * axes, 2))
        return split.permute(order).reshape(self.groups, weight.shape[0] // self.groups, -1, *taps)

    def _on_grid(self, phases: Tensor) -> float:
        """The largest |P^(w)|_2 on a grid as fine as WORK allows, over what may be missed between its points."""
        groups, out, channels, *taps = phases.shape
        small, large = sorted((out, channels))
        whole = list(self.ring) if self.ring else [o + t - 1 for o, t in zip(self.outputs, taps, strict=True)]
        sizes, work = list(whole), 4.0 * groups * small**2 * (large + small)
        while work * math.prod(sizes) > WORK:
            axis = max(range(len(taps)), key=lambda k: sizes[k] / (2 * taps[k]))
            if sizes[axis] <= 2 * taps[axis]:
                break
            sizes[axis] = max(2 * taps[axis], sizes[axis] * 3 // 4)
        if work * math.prod(sizes) > REFUSED:
            return math.inf
        missed = math.prod(
            1.0 if size == all_ else math.cos((tap - 1) * math.pi / (2 * size))
            for size, all_, tap in zip(sizes, whole, taps, strict=True)
        )
        waves = _waves(taps, sizes)
        flat, largest = phases.reshape(groups * out * channels, -1), 0.0
        rounding = 8 * EPS * flat.shape[1] ** 1.5
        for part in torch.split(waves, max(1, 2**22 // len(flat))):
            symbol = torch.complex(flat @ part.cos().mT, -(flat @ part.sin().mT))
            stack = symbol.reshape(groups, out, channels, -1).permute(0, 3, 1, 2).reshape(-1, out, channels)
            largest = max(largest, largest_singular_value(stack, rounding))
        return largest / missed

    def _by_gram(self) -> float:
        """|A A*|_2^(1/2), block by block: that of outputs p, q is sum W[t] W[t']^T over the taps at which both see one
        position of the input, s p + d t = s q + d t'."""
        weight = self.weight / self.largest
        places = [*itertools.product(*map(range, self.outputs))]
        gram = weight.new_empty(len(places), len(weight), len(places), len(weight))
        for i, j in itertools.combinations_with_replacement(range(len(places)), 2):
            taps = [self._shared(*ends) for ends in enumerate(zip(places[i], places[j], strict=True))]
            one, other = (_at(weight, taps, k).flatten(1) for k in (0, 1))
            block = one @ other.mT
            gram[i, :, j], gram[j, :, i] = block, block.mT
        side = len(places) * len(weight)
        largest = largest_eigenvalue(gram.reshape(1, side, side))
        return self.largest * allowance(side, math.prod(weight.shape[1:])) * math.sqrt(max(largest, 0.0))

    def _shared(self, axis: int, ends: tuple[int, int]) -> list[tuple[int, int]]:
        """The taps (t, t') of two outputs that see the same position of the input, along one axis."""
        s, d, lead, size = (part[axis] for part in (self.stride, self.dilation, self.lead, self.inputs))
        first, second = ({s * end + d * t - lead: t for t in range(self.weight.shape[2 + axis])} for end in ends)
        return [(t, second[place]) for place, t in first.items() if place in second and 0 <= place < size]

    def matrix(self) -> Tensor | None:
        """The matrix (rows, in, *inputs) of the map; None where it is large."""
        rows = self.weight.shape[0] * math.prod(self.outputs)
        cols = self.weight.shape[1] * self.groups * math.prod(self.inputs)
        if rows * cols > MATRIX_ENTRIES or min(rows, cols) > MATRIX_SIDE:
            return None
        kernel = [1 + d * (k - 1) for d, k in zip(self.dilation, self.weight.shape[2:], strict=True)]
        seen = [s * (o - 1) + k for s, o, k in zip(self.stride, self.outputs, kernel, strict=True)]
        split = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        spread = split.new_zeros(self.groups, split.shape[1], *self.outputs, self.groups, split.shape[2], *seen)
        for place in itertools.product(*map(range, self.outputs)):
            ends = zip(place, self.stride, self.dilation, kernel, strict=True)
            window = [slice(o * s, o * s + k, d) for o, s, d, k in ends]
            for group in range(self.groups):
                at: Any = (group, slice(None), *place, group, slice(None), *window)
                spread[at] = split[group]
        spread = spread.reshape(rows, -1, *seen)
        cuts = reversed([*zip(self.lead, self.inputs, seen, strict=True)])
        crop = [cut for lead, size, reach in cuts for cut in (-lead, lead + size - reach)]
        return functional.pad(spread, crop)


def _at(weight: Tensor, taps: Sequence[Sequence[tuple[int, int]]], which: int) -> Tensor:
    """The weights at the product of one list of taps per axis, those of the first or the second output."""
    for axis, along in enumerate(taps, 2):
        weight = weight.index_select(axis, torch.tensor([pair[which] for pair in along], dtype=torch.long))
    return weight


def _fullest(phases: Tensor) -> tuple[float, float]:
    """|A|_inf and |A|_1 of the map whose entries' sizes are ``phases``."""
    if phases.numel() == 0:
        return 0.0, 0.0
    flat = phases.flatten(3)
    return float(flat.sum((2, 3)).amax()), float(flat.sum((1, 3)).amax())


def _waves(taps: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """<w, t> (frequencies, taps) at the points w of a grid, one of each pair w, -w, whose matrices are conjugate."""
    points = torch.tensor(list(itertools.product(*map(range, sizes))))
    opposite = -points % torch.tensor(sizes)
    first = torch.tensor([list(p) <= list(q) for p, q in zip(points.tolist(), opposite.tolist(), strict=True)])
    places = torch.tensor(list(itertools.product(*map(range, taps))), dtype=torch.float64)
    turns = points[first].double() / torch.tensor(sizes, dtype=torch.float64)
    return 2 * math.pi * turns @ places.mT
