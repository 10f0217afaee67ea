"""The Lipschitz constants of a torch module, or why there is none: its forward is followed on a sample point."""

import functools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from otbench.methods.lipschitz.course import Course
from otbench.methods.lipschitz.rules import RULES_OF_TORCH
from otbench.methods.lipschitz.tracked import Node, Tracked, UnknownConstantError, found, joint, plain

#: What a product of a few hundred rounded numbers is multiplied by.
OF_PRODUCTS = 1 + 1e-12

#: Points in the sample: two, as some modules treat a single one apart.
POINTS = 2

#: Constants that somebody vouches for, by the type of a module or by its name in the critic.
Given = Mapping[type[nn.Module] | str, float]


#: A module that is called, and its name in the critic.
Call = tuple[str, nn.Module]


@dataclass(frozen=True)
class Everywhere:
    """Lipschitz constants, in l2, of a module as a function of one point, or the ``reason`` why there is none.

    ``spectral`` bounds linear maps by their norms. ``entries`` knows of them their shapes and ``largest`` alone, the
    largest size of an entry or a clip value that is larger, as K(c) does: sqrt(|A|_1 |A|_inf) of a map whose entries
    are all c.
    """

    spectral: float | None = None
    entries: float | None = None
    reason: str | None = None


def lipschitz_everywhere(
    module: nn.Module,
    shape: tuple[int, ...],
    kind: torch.dtype = torch.float64,
    *,
    clip: float | None = None,
    given: Given | None = None,
) -> Everywhere:
    """Constants K with |f(z) - f(z')| <= K |z - z'| for all points z, z', of a module f in evaluation mode.

    The forward is run on a sample point whose tensors carry their constants as functions of the point: a linear map
    multiplies them by its norm, an activation by its own constant, a sum adds them, and tensors side by side have the
    root of the sum of their squares. Whatever the module calls is followed, in whatever order and however often;
    a function that is not in the table of rules, or a branch that depends on the data, ends it. The bound of a
    convolution is that for images of this ``shape``.

    Args:
        module: as it is called on a batch (k, *shape); it is left as it was.
        shape: that of a point.
        kind: the type of the points.
        clip: what no entry of a linear map exceeds.
        given: constants of modules inside, by type or name, whose forwards are then not followed.

    Source: Gouk et al. 2021 (products and sums of layers' constants).
    """
    by_norms = Course(RULES_OF_TORCH, lambda linear: linear.norm(), folds=True)
    by_entries = Course(RULES_OF_TORCH, lambda linear: largest * linear.cells, folds=False)
    try:
        spectral = _constant(by_norms, module, shape, kind, given or {})
        largest = max(clip or 0.0, by_norms.largest)
        entries = _constant(by_entries, module, shape, kind, given or {})
    except UnknownConstantError as error:
        return Everywhere(reason=str(error))
    return Everywhere(min(spectral, entries), entries)


def _constant(course: Course, module: nn.Module, shape: tuple[int, ...], kind: torch.dtype, given: Given) -> float:
    calls = [("", module)]
    with torch.no_grad(), _watched(module, calls, given):
        point = Tracked(course, torch.zeros(POINTS, *shape, dtype=kind), Node(1.0))
        try:
            output = module(point)
            tracked = [*found(output)]
            if not tracked and not isinstance(output, Tensor):
                raise UnknownConstantError(f"what it returns, a {type(output).__name__}")
            constant = OF_PRODUCTS * joint(tracked)
        except UnknownConstantError as error:
            raise UnknownConstantError(_whose(calls, str(error))) from None
        except Exception as error:
            text = f"it raises {type(error).__name__} when its course is followed: {' '.join(str(error).split())[:100]}"
            raise UnknownConstantError(_whose(calls, text)) from error
    if not math.isfinite(constant):
        raise UnknownConstantError(_whose([("", module)], "its constant is not finite"))
    return constant


def _whose(calls: list[Call], text: str) -> str:
    """The innermost module in which something is not known, and what."""
    name, module = calls[-1]
    where = f" (at {name})" if name else ""
    return f"`{type_before_parametrizations(module).__name__}`{where} is not known: {text}"


@contextmanager
def _watched(module: nn.Module, calls: list[Call], given: Given) -> Iterator[None]:
    """Every module inside tells ``calls`` when it is called, and those with a given constant are not entered."""
    changed: list[tuple[nn.Module, Any]] = []
    try:
        for name, part in module.named_modules():
            if isinstance(part, torch.jit.ScriptModule):
                continue
            changed.append((part, vars(part).get("forward")))
            known = given.get(name, given.get(type_before_parametrizations(part)))
            inner = part.forward if known is None else functools.partial(_as_given, part.forward, float(known))
            vars(part)["forward"] = functools.partial(_told, inner, calls, (name, part))
        yield
    finally:
        for part, own in changed:
            if own is None:
                vars(part).pop("forward", None)
            else:
                vars(part)["forward"] = own


def _told(inner: Any, calls: list[Call], call: Call, *args: Any, **kwargs: Any) -> Any:
    calls.append(call)
    result = inner(*args, **kwargs)
    calls.pop()  # not where it raises: then the innermost call is the one to name
    return result


def _as_given(inner: Any, known: float, *args: Any, **kwargs: Any) -> Any:
    tracked = [*found(args, kwargs)]
    value = inner(*plain(args), **plain(kwargs))
    if not tracked:
        return value
    if not isinstance(value, Tensor):
        raise UnknownConstantError("a constant is given for it, but it returns no single tensor")
    return Tracked(tracked[0].course, value, Node(known * joint(tracked)))
