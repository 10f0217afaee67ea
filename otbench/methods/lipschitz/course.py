"""One run of a module's forward on a sample point, in which every function is looked up in the table of rules."""

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from otbench.methods.lipschitz.dense import LinearMap
from otbench.methods.lipschitz.tracked import Node, Tracked, UnknownConstantError, found, plain

Function = Callable[..., Any]
Args = tuple[Any, ...]
Kwargs = dict[str, Any]

#: What a rule is given: the course, the function, its arguments.
Treatment = Callable[["Course", Function, Args, Kwargs], Any]


class Course:
    """The tensors of a run that are alive, and how the norms of linear maps are measured.

    ``measure`` bounds the norm of a map; ``folds`` says whether maps may be composed before it is asked. ``largest`` is
    the largest size of a weight in any layer that is a linear map.
    """

    def __init__(self, rules: Mapping[Any, Treatment], measure: Callable[[LinearMap], float], folds: bool) -> None:
        self.rules, self.measure, self.folds = rules, measure, folds
        self.largest = 0.0
        self.alive: list[weakref.ref[Tracked]] = []
        self.sorted: dict[Any, Node] = {}
        self.kept: list[Node] = []  # whose identities are keys of ``sorted``

    def apply(self, function: Any, args: Args, kwargs: Kwargs) -> Any:
        """What the function gives, by its rule."""
        rule = self.rules.get(function)
        name = getattr(function, "__name__", str(function)).strip("_")
        if rule is None:
            raise UnknownConstantError(f"`{name}`")
        if kwargs.get("out") is not None:
            raise UnknownConstantError(f"`{name}` into a tensor that was there before")
        return rule(self, function, args, kwargs)

    def apply_method(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return self.apply(function, args, kwargs)

    def computed(
        self, x: Tracked, value: Tensor, constant: float | Callable[[], float], others: Sequence[Any] = ()
    ) -> Tracked:
        """The value of a function of x with this constant. Where it was computed in place, x is it from now on."""
        node = Node(constant)
        if any(_shares(value, other) for other in others if isinstance(other, Tensor)):
            raise UnknownConstantError("a constant that is written to")
        if not _shares(value, x.value):
            return Tracked(self, value, node)
        x.node, x.positions, x.ring = node, None, None
        self.alive = [reference for reference in self.alive if reference() is not None]
        for other in (reference() for reference in self.alive):
            if other is not None and other is not x and _shares(value, other.value):
                # each of its entries is what it was before, or one of the new ones
                before, repeats = other.constant, _repeats(other.value)
                other.node = Node(math.hypot(before, math.sqrt(repeats) * node.constant))
                other.positions, other.ring = None, None
        return x

    def linear(self, value: Tensor, ways: Sequence[tuple[LinearMap, float]], foldable: bool) -> Tracked:
        """The value of a layer that is a linear map of something with a constant, in ways that are all the same
        function, the first of which has the layer's own weights. It is foldable where the second axis of the value is
        that of its channels."""
        self.largest = max(self.largest, ways[0][0].largest)
        return self.mapped(value, ways, foldable)

    def mapped(self, value: Tensor, ways: Sequence[tuple[LinearMap, float]], foldable: bool) -> Tracked:
        """The same, of maps that are no layer's own."""
        node = Node(
            lambda: min(self.measure(each) * constant for each, constant in ways), ways if foldable else ()
        )
        return Tracked(self, value, node)


def alone(args: Args, kwargs: Kwargs, what: str) -> Tracked:
    """The first argument, where it is the only one that depends on the point."""
    if len([*found(args, kwargs)]) != 1 or not isinstance(args[0], Tracked):
        raise UnknownConstantError(f"{what} that depends on the data twice")
    return args[0]


def run_plainly(function: Function, args: Args, kwargs: Kwargs) -> Any:
    """The function of the sample point's own numbers."""
    return function(*plain(args), **plain(kwargs))


def per_axis(value: Any, axes: int) -> tuple[Any, ...]:
    """A number for every axis, where torch takes one for all."""
    parts = tuple(value) if isinstance(value, list | tuple) else (value,)
    return parts * axes if len(parts) == 1 else parts


def _shares(one: Tensor, other: Tensor) -> bool:
    return one.numel() > 0 and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _repeats(value: Tensor) -> int:
    """How often an entry in memory occurs in an expanded tensor."""
    return math.prod(size for size, step in zip(value.shape, value.stride(), strict=True) if step == 0)
