"""Rules of sums, products, means and linear maps."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otbench.methods.lipschitz.activations import ELEMENTWISE
from otbench.methods.lipschitz.convolution import Convolution
from otbench.methods.lipschitz.course import Args, Course, Function, Kwargs, alone, per_axis, run_plainly
from otbench.methods.lipschitz.dense import Dense, LinearMap
from otbench.methods.lipschitz.selecting import spread
from otbench.methods.lipschitz.tracked import Tracked, UnknownConstantError, found


def elementwise(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """A function with a constant of its own, from its other arguments."""
    name = function.__name__.strip("_")
    known, x = ELEMENTWISE[name], alone(args, kwargs, f"`{name}`")
    rest = {key: value for key, value in kwargs.items() if key not in ("_stacklevel", "dtype", "dim")}
    factor = known(*args[1:], **rest) if callable(known) else known
    if not math.isfinite(factor):
        raise UnknownConstantError(f"`{name}` with these settings")
    constant, size = factor * x.constant, x.value.numel()
    value = run_plainly(function, args, kwargs)
    repeats = max(1.0, value.numel() / max(size, 1))  # where bounds of ``clamp`` are tensors of more axes
    return course.computed(x, value, math.sqrt(repeats) * constant)


def add(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """A sum or difference of tensors: the constants add up. A factor ``alpha`` is the second's."""
    factors = [1.0, abs(float(args[2] if len(args) > 2 else kwargs.get("alpha") or 1.0))]
    if "rsub" in function.__name__:
        factors.reverse()
    terms = args[:2] if len(args) > 1 else (args[0], kwargs["other"])
    shape = np.broadcast_shapes(*(term.shape for term in terms if isinstance(term, Tracked | Tensor)))
    like = torch.empty(()).expand(shape)
    pairs = [(spread(term, like), k) for term, k in zip(terms, factors, strict=True) if isinstance(term, Tracked)]
    return _in_place_or_new(course, function, args, kwargs, sum(k * term.constant for term, k in pairs))


def multiply(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """A tensor times, or divided by, a constant."""
    name = function.__name__.strip("_")
    one, other = (*args, *kwargs.values())[:2]
    divided = "div" in name
    if isinstance(one, Tracked) == isinstance(other, Tracked):
        raise UnknownConstantError("the product of two tensors that depend on the data")
    x, constant = (one, other) if isinstance(one, Tracked) else (other, one)
    if divided and ((x is other) != name.startswith("r")):
        raise UnknownConstantError("a division by what depends on the data")
    if kwargs.get("rounding_mode") is not None:
        raise UnknownConstantError("a division that rounds")
    numbers = torch.as_tensor(constant).detach().double()
    factor = float((1 / numbers if divided else numbers).abs().max())
    shape = np.broadcast_shapes(x.shape, numbers.shape)
    return _in_place_or_new(course, function, args, kwargs, factor * spread(x, torch.empty(()).expand(shape)).constant)


def _in_place_or_new(
    course: Course, function: Function, args: Args, kwargs: Kwargs, constant: float
) -> Tracked:
    tracked = [*found(args, kwargs)]
    value = run_plainly(function, args, kwargs)
    first = args[0] if isinstance(args[0], Tracked) else tracked[0]
    return course.computed(first, value, constant, (*args, *kwargs.values()))


def reduce(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """The sum of r entries has the constant sqrt r, their mean 1/sqrt r."""
    x = alone(args, kwargs, f"`{function.__name__}`")
    value = run_plainly(function, args, kwargs)
    count = x.value.numel() / max(value.numel(), 1)
    return course.computed(x, value, x.constant * (count**-0.5 if "mean" in function.__name__ else count**0.5))


def norm(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """A Euclidean norm: |f(u) - f(v)| <= |u - v|."""
    x = alone(args, kwargs, "`norm`")
    order = kwargs.get("p", kwargs.get("ord", args[1] if len(args) > 1 else None))
    if order not in (None, "fro", 2, 2.0) or (order == 2 and "linalg_norm" in function.__name__):
        raise UnknownConstantError(f"the norm of order {order}")
    return course.computed(x, run_plainly(function, args, kwargs), x.constant)


def linear(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """F.linear(x, weight, bias)."""
    x = alone(args, kwargs, "a linear layer")
    weight = args[1] if len(args) > 1 else kwargs["weight"]
    value = run_plainly(function, args, kwargs)
    way = (Dense(weight.reshape(-1, weight.shape[-1])), x.constant)
    return course.linear(value, [way], foldable=value.dim() == 2)


def matmul(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """x @ matrix or matrix @ x."""
    one, other = (*args, *kwargs.values())[:2]
    if "rmatmul" in function.__name__:
        one, other = other, one
    if isinstance(one, Tracked) == isinstance(other, Tracked):
        raise UnknownConstantError("the product of two tensors that depend on the data")
    x, matrix = (one, other) if isinstance(one, Tracked) else (other, one)
    if matrix.dim() > 2:
        raise UnknownConstantError("the product with several matrices")
    matrix = matrix[None] if matrix.dim() == 1 else matrix.mT if x is one else matrix
    return course.linear(run_plainly(function, args, kwargs), [(Dense(matrix), x.constant)], foldable=False)


def convolve(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """F.conv1d, conv2d and conv3d."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given = dict(zip(names, args, strict=False)) | kwargs
    x, weight = alone(args, kwargs, "a convolution"), given["weight"]
    axes = weight.dim() - 2
    value = run_plainly(function, args, kwargs)
    stride, dilation = (per_axis(given.get(name, 1), axes) for name in ("stride", "dilation"))
    lead = _lead(given.get("padding", 0), weight.shape[2:], dilation)
    sizes = (tuple(x.value.shape[-axes:]), tuple(value.shape[-axes:]))
    groups = given.get("groups", 1)
    own = Convolution(weight, stride, dilation, lead, *sizes, groups)
    ways: list[tuple[LinearMap, float]] = [(own, x.constant)]
    if course.folds and x.positions is not None:
        ways += _of_padded(x, own)
        if x.ring and len(x.ring) == axes and not any(lead):
            rest = [size % step for size, step in zip(x.ring, stride, strict=True)]
            ring = [size // step for size, step in zip(x.ring, stride, strict=True)]
            if not any(rest) and all(o <= n for o, n in zip(sizes[1], ring, strict=True)):
                circular = Convolution(weight, stride, dilation, lead, *sizes, groups, ring)
                ways.append((circular, x.node.constant))
    return course.linear(value, ways, foldable=value.dim() == axes + 2)


def _of_padded(x: Tracked, own: Convolution) -> list[tuple[LinearMap, float]]:
    """A small convolution as a map of what was padded before, where that is done to every image alike."""
    matrix = own.matrix() if x.value.dim() == len(own.inputs) + 2 else None
    if matrix is None or matrix.numel() > 2**18:
        return []
    images = [np.unique(image.flatten().numpy(), return_inverse=True) for image in x.places]
    places, whose = images[0]
    entries = np.concatenate([each[each >= 0] for each, _ in images])
    if len(np.unique(entries)) < len(entries) or not all(np.array_equal(whose, other) for _, other in images):
        return []
    flat = matrix.flatten(1) * (x.places[0].flatten() >= 0)
    summed = flat.new_zeros(len(flat), len(places)).index_add_(1, torch.from_numpy(whose), flat)
    return [(Padded(summed, len(own.weight)), x.node.constant)]


class Padded(Dense):
    """The matrix of a convolution of a padded image, whose rows are channels with all of their positions."""

    def __init__(self, matrix: Tensor, channels: int) -> None:
        super().__init__(matrix)
        self.channels = channels

    def scaled(self, factors: Tensor) -> "Padded":
        each = factors.repeat_interleave(len(self.matrix) // self.channels)
        return Padded(each[:, None] * self.matrix, self.channels)


def transpose(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """F.conv_transpose1d, 2d and 3d: the transpose of the convolution that has the same weight, whose norm it has."""
    names = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
    given = dict(zip(names, args, strict=False)) | kwargs
    x, weight = alone(args, kwargs, "a transposed convolution"), given["weight"]
    axes = weight.dim() - 2
    value = run_plainly(function, args, kwargs)
    stride, dilation = (per_axis(given.get(name, 1), axes) for name in ("stride", "dilation"))
    lead = per_axis(given.get("padding", 0), axes)
    sizes = (tuple(value.shape[-axes:]), tuple(x.value.shape[-axes:]))
    own = Convolution(weight, stride, dilation, lead, *sizes, given.get("groups", 1))
    return course.linear(value, [(Transposed(own), x.constant)], foldable=value.dim() == axes + 2)


class Transposed:
    """The transpose of a convolution."""

    def __init__(self, of: Convolution) -> None:
        self.of, self.largest = of, of.largest

    @property
    def cells(self) -> float:
        return self.of.cells

    def norm(self) -> float:
        return self.of.norm()

    def scaled(self, factors: Tensor) -> "Transposed":
        """Its output channels are the convolution's inputs, group after group."""
        of = self.of
        rows, each = len(of.weight) // of.groups, of.weight.shape[1]
        parts = [factors[k * each : (k + 1) * each].expand(rows, -1) for k in range(of.groups)]
        weight = of.weight * torch.cat(parts).reshape(*of.weight.shape[:2], *[1] * len(of.stride))
        return Transposed(Convolution(weight, of.stride, of.dilation, of.lead, of.inputs, of.outputs, of.groups))



def _lead(padding: Any, kernel: Any, dilation: tuple[int, ...]) -> tuple[int, ...]:
    if padding == "same":
        return tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
    return (0,) * len(kernel) if padding == "valid" else per_axis(padding, len(kernel))
