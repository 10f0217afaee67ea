"""The parameters of many networks of one shape in one flat tensor, laid out so that neighbours change no bit."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from otbench.methods.mlp import AnyActivation, Mlp

#: (in, out) of every layer.
Shapes = Sequence[tuple[int, ...]]

#: Hidden widths and rows are filled up to a multiple of this with zeros, so that each critic's part of a tensor starts
#: on a 64-byte boundary in every dtype, and no elementwise call ends in a remainder. BLAS kernels round differently off
#: such boundaries, and vector kernels in their remainder: the bits of a critic would depend on its neighbours.
LANE = 32


def filled(count: int) -> int:
    """The least multiple of LANE that is at least ``count``."""
    return -(-count // LANE) * LANE


class Parameters:
    """The parameters of E multilayer perceptrons R^d → R^k of one shape.

    ``parameters`` and ``gradient`` are flat, layer after layer. ``weights[l]`` (E, in, out) and ``biases[l]``
    (E, 1, out) are views of them, so that an optimiser's step is a handful of calls.

    Hidden layers are as wide as ``filled`` makes them. The units that were added have no weights in or out, so that
    their outputs and gradients stay exactly 0; ``read`` and ``by_critic`` leave them out.

    Args:
        initial: the first parameters (E, P), in the order of torch's Linear layers: weight, bias, weight, bias, ...
        shapes: (in, out) of every layer.
        activation: that of the hidden layers.
    """

    def __init__(self, initial: Tensor, shapes: Shapes, activation: AnyActivation) -> None:
        self.critics, self.shapes, self.activation = len(initial), list(shapes), activation
        self.filled_shapes = filled_shapes(shapes)
        size = sum(filled(i * o) + filled(o) for i, o in self.filled_shapes)
        self.parameters = torch.zeros(self.critics * size, dtype=initial.dtype, device=initial.device)
        self.gradient = torch.zeros_like(self.parameters)
        self.weights, self.biases = self.views(self.parameters)
        self.weight_gradients, self.bias_gradients = self.views(self.gradient)
        self._load(initial)

    def views(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The weights (E, in, out) and biases (E, 1, out) of every layer as views into ``flat``."""
        sizes = [(i, o) for i, o in self.filled_shapes] + [(1, o) for _, o in self.filled_shapes]
        found, at = [], 0
        for rows, cols in sizes:
            length = filled(rows * cols)
            found.append(flat.as_strided((self.critics, rows, cols), (length, cols, 1), flat.storage_offset() + at))
            at += self.critics * length
        return found[: len(self.shapes)], found[len(self.shapes) :]

    def _own(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """``views`` without the units that fill up: weights (E, in, out) and biases (E, 1, out) of the given shapes."""
        weights, biases = self.views(flat)
        own = [w[:, :rows, :cols] for w, (rows, cols) in zip(weights, self.shapes, strict=True)]
        return own, [b[:, :, :cols] for b, (_, cols) in zip(biases, self.shapes, strict=True)]

    def per_parameter(self, column: Tensor, biases: float | None = None) -> Tensor:
        """A flat tensor that holds, at every parameter, its critic's number in ``column`` (E,); where ``biases`` is a
        number, the biases hold that instead."""
        flat = torch.ones_like(self.parameters)
        weight_views, bias_views = self.views(flat)
        for view in weight_views:
            view.copy_(column[:, None, None].expand_as(view))
        for view in bias_views:
            view.copy_(column[:, None, None].expand_as(view) if biases is None else torch.full_like(view, biases))
        return flat

    def owners(self) -> Tensor:
        """A flat int32 tensor that holds k at every weight of network k, and E + k at every bias."""
        flat = torch.zeros_like(self.parameters, dtype=torch.int32)
        each = torch.arange(self.critics, dtype=torch.int32, device=flat.device)[:, None, None]
        for views, first in zip(self.views(flat), (0, self.critics), strict=True):
            for view in views:
                view.copy_((each + first).expand_as(view))
        return flat

    def by_critic(self, flat: Tensor) -> Tensor:
        """A flat tensor as (E, P), one row per critic, without the units that fill up."""
        weights, biases = self._own(flat)
        return torch.cat([view.flatten(1) for view in (*weights, *biases)], dim=1)

    def _load(self, initial: Tensor) -> None:
        """Set the parameters to ``initial`` (E, P), which is in the order of torch's Linear layers."""
        at = 0
        for weight, bias in zip(*self._own(self.parameters), strict=True):
            _, rows, cols = weight.shape
            weight.copy_(initial[:, at : at + rows * cols].view(-1, cols, rows).mT)
            bias.copy_(initial[:, None, at + rows * cols : at + rows * cols + cols])
            at += rows * cols + cols

    def read(self, flat: Tensor, clips: Sequence[float | None]) -> list[Mlp]:
        """The critics with parameters ``flat`` as float64 functions."""
        weights, biases = self._own(flat.detach().to("cpu", torch.float64))
        return [
            Mlp(
                tuple(w[k].numpy().copy() for w in weights),
                tuple(b[k, 0].numpy().copy() for b in biases),
                self.activation,
                clip,
            )
            for k, clip in enumerate(clips)
        ]


def filled_shapes(shapes: Shapes) -> list[tuple[int, int]]:
    """(in, out) of every layer as it is kept: with hidden widths filled up, the dimension and the output as given."""
    widths = [filled(out) for _, out in shapes[:-1]]
    return list(itertools.pairwise([shapes[0][0], *widths, shapes[-1][1]]))


def initial_parameters(shapes: Shapes, seed: int, box: float | None) -> Tensor:
    """The first parameters of one network, float32 (P,), in the order of the layers: weight (out, in), bias, ...

    They are what torch's Linear layers draw after ``manual_seed(seed)``: U(±1/sqrt fan_in) for weights and biases.
    Where ``box`` is a number they are U(±box).

    Source: torch.nn.Linear.reset_parameters (He et al. 2015 with a = sqrt 5).
    """
    generator = torch.Generator().manual_seed(int(seed))
    parts = []
    for fan_in, fan_out in shapes:
        limit = fan_in**-0.5 if box is None else box
        for size in (fan_out * fan_in, fan_out):
            parts.append(torch.empty(size).uniform_(-limit, limit, generator=generator))
    return torch.cat(parts)
