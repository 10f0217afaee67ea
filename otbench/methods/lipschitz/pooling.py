"""Rules of pooling, resizing and normalisation by fixed statistics."""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from otbench.methods.lipschitz.course import Args, Course, Function, Kwargs, alone, per_axis, run_plainly
from otbench.methods.lipschitz.selecting import select
from otbench.methods.lipschitz.singular import largest_singular_value
from otbench.methods.lipschitz.tracked import Node, Tracked, UnknownConstantError

#: The names of a window's settings.
WINDOW = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")


def max_pool(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """The largest of every window: |f(u) - f(v)|^2 <= sum over windows of their |u - v|^2, in which an entry occurs as
    often as windows see it."""
    axes = int(function.__name__.removesuffix("_with_indices")[-2])
    names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = dict(zip(names, args, strict=False)) | kwargs
    x = alone(args, kwargs, "pooling")
    if given.get("return_indices"):
        raise UnknownConstantError("pooling with indices")
    value = run_plainly(function, args, kwargs)
    kernel = per_axis(given["kernel_size"], axes)
    stride, dilation = per_axis(given.get("stride") or kernel, axes), per_axis(given.get("dilation", 1), axes)
    seen = 1
    for size, step, gap in zip(kernel, stride, dilation, strict=True):
        offsets = [gap * tap % step for tap in range(size)]
        seen *= max(map(offsets.count, offsets))
    return Tracked(course, value, Node(math.sqrt(seen) * x.constant))


def average_pool(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """The mean of every window: a product of one matrix per axis, up to what the count of a window is replaced by."""
    axes = int(function.__name__[-2])
    names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    given = dict(zip(names, args, strict=False)) | kwargs
    x = alone(args, kwargs, "pooling")
    value = run_plainly(function, args, kwargs)
    kernel = per_axis(given["kernel_size"], axes)
    stride, padding = per_axis(given.get("stride") or kernel, axes), per_axis(given.get("padding", 0), axes)
    rest = (bool(given.get("ceil_mode", False)), bool(given.get("count_include_pad", True)))
    divisor, factor = given.get("divisor_override"), 1.0
    if divisor:  # then every window is a sum over a constant
        rest, factor = (rest[0], True), math.prod(kernel) / abs(divisor)
        if rest[0]:
            raise UnknownConstantError("pooling with a divisor and windows that reach beyond the padding")
    for size, *window in zip(x.value.shape[-axes:], kernel, stride, padding, strict=True):
        settings = dict(zip(WINDOW, (*window, *rest), strict=True))
        factor *= _norm_of(functools.partial(functional.avg_pool1d, **settings), size)
    return Tracked(course, value, Node(factor * x.constant))


def adaptive_pool(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Any:
    """The mean, or the largest, of windows of about equal sizes; those of neighbours may overlap."""
    x, name = alone(args, kwargs, "pooling"), function.__name__
    if kwargs.get("return_indices") or (len(args) > 2 and args[2]):
        raise UnknownConstantError("pooling with indices")
    value = run_plainly(function, args, kwargs)
    result = value[0] if isinstance(value, tuple) else value
    return Tracked(course, result, Node(_of_windows(x, result, int(name[-2]), "max" in name) * x.constant))


def _of_windows(x: Tracked, value: Tensor, axes: int, largest: bool) -> float:
    """The constant of adaptive pooling."""
    factor = 1.0
    for size, count in zip(x.value.shape[-axes:], value.shape[-axes:], strict=True):
        windows = functional.adaptive_avg_pool1d(torch.eye(size, dtype=torch.float64)[None], count)[0]  # (size, count)
        factor *= math.sqrt(int((windows > 0).sum(1).max())) if largest else largest_singular_value(windows[None])
    return factor


def resize(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Any:
    """F.interpolate: a choice of entries (nearest), means of windows (area), or one matrix per axis (linear)."""
    names = ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
    given = dict(zip(names, args, strict=False)) | kwargs
    mode, x = given.get("mode", "nearest"), alone(args, kwargs, "resizing")
    if mode in ("nearest", "nearest-exact"):
        return select(course, function, args, kwargs)
    value, axes = run_plainly(function, args, kwargs), x.value.dim() - 2
    if mode == "area":
        return Tracked(course, value, Node(_of_windows(x, value, axes, False) * x.constant))
    if mode not in ("linear", "bilinear", "trilinear") or given.get("antialias"):
        raise UnknownConstantError(f"resizing by `{mode}`")
    scale, factor = given.get("scale_factor"), 1.0
    scales = (None,) * axes if scale is None or given.get("recompute_scale_factor") else per_axis(scale, axes)
    for size, count, by in zip(x.value.shape[2:], value.shape[2:], scales, strict=True):
        to: Kwargs = {"size": count} if by is None else {"scale_factor": by}
        line = functools.partial(
            functional.interpolate, mode="linear", align_corners=given.get("align_corners"), **to
        )
        factor *= _norm_of(line, size)
    return Tracked(course, value, Node(factor * x.constant))


def batch_norm(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Tracked:
    """F.batch_norm with running statistics: a factor weight / sqrt(var + eps) for every channel."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    if function is torch.batch_norm:
        names = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")
    if "instance" in function.__name__:
        names = (*names[:5], "use_input_stats", *names[6:])
    given = dict(zip(names, args, strict=False)) | kwargs
    x = alone(args, kwargs, "normalisation")
    of_batch = given.get("training", False) or given.get("use_input_stats", "instance" in function.__name__)
    if of_batch or given.get("running_var") is None:
        raise UnknownConstantError(f"`{function.__name__}` by statistics of its own input has no useful constant")
    value = run_plainly(function, args, kwargs)
    factors = (given["running_var"].detach().double() + given.get("eps", 1e-5)).rsqrt()
    if given.get("weight") is not None:
        factors = factors * given["weight"].detach().double()
    if course.folds and x.positions is None and x.node.linear:
        return course.mapped(value, [(each.scaled(factors), k) for each, k in x.node.linear], foldable=True)
    return Tracked(course, value, Node(float(factors.abs().max()) * x.constant))


def useless(course: Course, function: Function, args: Args, kwargs: Kwargs) -> Any:
    """What divides by the spread of its own input has the constant 1/sqrt(eps), some hundreds: none that helps."""
    raise UnknownConstantError(f"`{function.__name__}` divides by the size of its own input: it has no useful constant")


def _norm_of(line: Callable[[Tensor], Tensor], size: int) -> float:
    """The norm of a linear map of vectors of this size, given as a function of (1, k, size)."""
    return largest_singular_value(line(torch.eye(size, dtype=torch.float64)[None]))
