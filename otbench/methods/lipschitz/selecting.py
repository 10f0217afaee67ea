"""Rules of functions that only choose, repeat and reorder entries: views, slices, padding, sorting, joining."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from otbench.methods.lipschitz.course import Args, Course, Function, Kwargs, alone, run_plainly
from otbench.methods.lipschitz.tracked import Node, Tracked, UnknownConstantError, found, joint, plain

#: Functions that hand their tensor on, in whatever type and memory.
SAME = ("contiguous", "clone", "detach", "detach_", "float", "double", "half", "bfloat16", "to", "type", "type_as",
        "cpu", "requires_grad_", "retain_grad", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
        "feature_alpha_dropout", "dropout_", "alpha_dropout_", "feature_dropout")  # fmt: skip

#: Functions whose outputs are entries of their input, or constants.
SELECTING = (
    "view", "reshape", "flatten", "ravel", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "swapaxes",
    "swapdims", "movedim", "moveaxis", "t", "view_as", "reshape_as", "expand", "expand_as", "broadcast_to", "repeat",
    "tile", "repeat_interleave", "narrow", "select", "index_select", "chunk", "split", "split_with_sizes",
    "tensor_split", "unsafe_chunk", "unsafe_split", "unbind", "__getitem__", "flip", "fliplr", "flipud", "roll",
    "rot90", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "pad", "diagonal", "hsplit", "vsplit", "dsplit",
    "atleast_1d", "atleast_2d", "atleast_3d",
)  # fmt: skip

#: Functions that tell what a tensor is like, or make constants like it.
FACTS = ("size", "dim", "ndimension", "numel", "nelement", "element_size", "is_floating_point", "is_contiguous",
         "stride", "is_complex", "get_device", "new_zeros", "new_ones", "new_full", "new_tensor", "zeros_like",
         "ones_like", "full_like", "is_tensor")  # fmt: skip

JOINING = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack")


def same(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """The same entries, and dropout in evaluation mode."""
    x = args[0] if function in (Tensor.type_as, Tensor.to) else alone(args, kwargs, "a tensor")
    if not isinstance(x, Tracked):
        raise UnknownConstantError("a type that depends on the data")
    if "dropout" in function.__name__ and _drops(function, args, kwargs):
        raise UnknownConstantError("dropout in training mode")
    value = run_plainly(function, args, kwargs)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise UnknownConstantError("a tensor of whole numbers")
    return Tracked(course, value, x.node, x.positions)


def _drops(function: Function, args: Args, kwargs: Kwargs) -> bool:
    """Whether dropout is on: its third argument is called ``training`` or ``train``."""
    on = kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else None))
    default = function is not functional.alpha_dropout and function is not functional.feature_alpha_dropout
    return bool(default if on is None else on)


def select(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Any:
    """Entries of the first argument; of a second that only lends its shape nothing but that is read."""
    if getattr(function, "__name__", "") in ("view_as", "reshape_as", "expand_as"):
        args = (args[0], *plain(args[1:]))
    x = alone(args, kwargs, "a choice of entries")
    if any(isinstance(part, torch.dtype) for part in (*args, *kwargs.values())):
        raise UnknownConstantError("a tensor whose bits are read as another type")
    value, places = run_plainly(function, args, kwargs), function(*_at(x, args), **_of_places(function, kwargs))
    if isinstance(value, Tensor):
        return _padded(function, args, kwargs, Tracked(course, value, x.node, places))
    pairs = zip(value, places, strict=True)
    return tuple(Tracked(course, one, x.node, where) for one, where in pairs)


def _at(x: Tracked, args: Args) -> Args:
    return (x.places, *args[1:])


def _of_places(function: Function, kwargs: Kwargs) -> dict[str, Any]:
    """What is padded with a number is no entry."""
    constant = function is functional.pad and kwargs.get("mode", "constant") == "constant"
    return {**kwargs, "value": -1.0} if constant else kwargs


def _padded(
    function: Function, args: Args, kwargs: Kwargs, padded: Tracked
) -> Tracked:
    """Remember the size of an image that has been padded circularly along all of its axes."""
    x = args[0]
    if function is functional.pad and "circular" in (*args[2:], kwargs.get("mode")) and x.positions is None:
        padded.ring = tuple(x.value.shape[-(len(args[1]) // 2) :])
    return padded


def pad(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Any:
    """F.pad(x, pad, mode, value): the number that it pads with must be one."""
    names = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
    value = names.get("value")
    if value is not None and math.isnan(value):
        raise UnknownConstantError("padding with NaN")
    rest: Kwargs = {name: names[name] for name in ("mode", "value") if name in names}
    return select(course, function, (names["input"], names["pad"]), rest)


def facts(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Any:
    """What a tensor is like, or constants like it; it is all that they may depend on."""
    alone(args, kwargs, f"`{function.__name__}`")
    return run_plainly(function, args, kwargs)


def join(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """Tensors side by side: K^2 = sum of K_i^2, less where they hold different entries of one."""
    parts = [*found(args, kwargs)]
    return Tracked(course, run_plainly(function, args, kwargs), Node(joint(parts)))


def sort(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Any:
    """Sorting moves no further apart than its input: |sort u - sort v| <= |u - v|."""
    x = alone(args, kwargs, "sorting")
    value = run_plainly(function, args, kwargs)
    axis = kwargs.get("dim", args[1] if len(args) > 1 and not isinstance(args[1], bool) else -1)
    if isinstance(axis, int) and function.__name__ == "sort" and not kwargs.get("descending", False) and len(args) < 3:
        node = _sorted(course, [x], x, axis)
        return _with_indices(course, value, Tracked(course, value[0], node))
    return _with_indices(course, value, Tracked(course, value[0], Node(x.constant)))


def extreme(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Any:
    """The largest or the smallest along an axis, of all entries, or of two tensors entry by entry: one of them sorted.

    The largest and the smallest of the same entries are two of them sorted, so that both side by side (MaxMin) have
    the constant of the entries.
    """
    name = getattr(function, "__name__", "")
    last = "max" in name
    value = run_plainly(function, args, kwargs)
    two = args[1] if len(args) > 1 and isinstance(args[1], Tracked | Tensor) else kwargs.get("other")
    if two is not None:
        pair = [each for each in (args[0], two) if isinstance(each, Tracked)]
        if len(pair) < 2 or pair[0].value.shape != pair[1].value.shape:
            return Tracked(course, value, Node(math.sqrt(sum(spread(each, value).constant**2 for each in pair))))
        node = _sorted(course, pair, None, 0)
        return Tracked(course, value, node, _ends(2, value, last).reshape(value.shape))
    x = alone(args, kwargs, f"`{name}`")
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    values = value if isinstance(value, Tensor) else value[0]
    if not isinstance(axis, int):
        return Tracked(course, values, Node(x.constant))
    found_ = Tracked(course, values, _sorted(course, [x], x, axis), _along(x.value, axis, last).reshape(values.shape))
    return found_ if isinstance(value, Tensor) else _with_indices(course, value, found_)


def _sorted(course: Course, parts: list[Tracked], x: Tracked | None, axis: int) -> Node:
    """The node of some entries sorted, the same one for the same entries."""
    whose = tuple((id(part.node), part.places.numpy().tobytes(), tuple(part.value.shape)) for part in parts)
    key = (whose, axis if x is None else axis % x.value.dim())
    if key not in course.sorted:
        course.sorted[key] = Node(joint(parts))
        course.kept.extend(part.node for part in parts)
    return course.sorted[key]


def _ends(count: int, value: Tensor, last: bool) -> Tensor:
    """Where the last or the first of ``count`` tensors like ``value`` stands, of those one after the other."""
    return torch.arange(value.numel(), dtype=torch.float64) + (count - 1) * value.numel() * last


def _along(value: Tensor, axis: int, last: bool) -> Tensor:
    """Where the last or the first along an axis stands."""
    places = torch.arange(value.numel(), dtype=torch.float64).reshape(value.shape)
    return places.select(axis, -1 if last else 0)


def _with_indices(course: Course, value: Any, values: Tracked) -> Any:
    """Values with their indices, which jump: no constant bounds them."""
    return type(value)([values, Tracked(course, value[1], Node(math.inf))])


def spread(x: Tracked, value: Tensor) -> Tracked:
    """x broadcast to the shape of a value."""
    if x.value.shape == value.shape:
        return x
    return Tracked(x.course, x.value.expand(value.shape), x.node, x.places.expand(value.shape))
