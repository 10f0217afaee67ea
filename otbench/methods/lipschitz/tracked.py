"""A tensor on its way through a module: numbers of a sample point, and how fast they can change with the point."""

import functools
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from otbench.methods.lipschitz.dense import LinearMap


class UnknownConstantError(Exception):
    """A function of which no Lipschitz constant is known; its text says which and why."""


class Node:
    """A tensor that a forward has computed, as a function of the point: |node(z) - node(z')| <= constant |z - z'|.

    ``constant`` is computed when it is asked for. ``linear`` are the ways in which the node is a linear map, without
    its bias, of something with a constant: pairs of both, the second axis being that of its channels.
    """

    def __init__(
        self, constant: float | Callable[[], float], linear: Sequence[tuple[LinearMap, float]] = ()
    ) -> None:
        self._constant, self.linear = constant, linear

    @functools.cached_property
    def constant(self) -> float:
        return self._constant() if callable(self._constant) else self._constant


class Tracked:
    """What a module's forward is given for a tensor: it computes on ``value``, and every function that touches it is
    looked up in the table of rules, or refused.

    ``value`` holds entries of ``node``. ``positions``, of its shape, says which: the index of each in the flattened
    node, -1 for a constant; None where it is the whole node, in its order. ``ring`` are the sizes of an image that has
    been padded circularly, None otherwise.

    It is no ``torch.Tensor``, so that nothing can take its numbers past the rules. What would turn them into Python
    numbers is refused: the course of the computation would depend on them.
    """

    def __init__(self, course: Any, value: Tensor, node: Node, positions: Tensor | None = None) -> None:
        self.course, self.value, self.node, self.positions = course, value, node, positions
        self.ring: tuple[int, ...] | None = None
        course.alive.append(weakref.ref(self))

    @property
    def constant(self) -> float:
        """The Lipschitz constant of ``value`` as a function of the point."""
        return joint([self])

    @property
    def places(self) -> Tensor:
        """``positions``, also where it is the whole node; float64, as torch pads and resizes no integers."""
        if self.positions is not None:
            return self.positions
        return torch.arange(self.value.numel(), dtype=torch.float64).reshape(self.value.shape)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = next(found(args, kwargs))
        return first.course.apply(function, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        method = getattr(Tensor, name, None)
        if name.startswith("__") or method is None:
            raise AttributeError(f"a tensor has no attribute {name!r}")
        if callable(method):
            return functools.partial(self.course.apply_method, method, self)
        if name in ("T", "mT"):
            return self.transpose(-2, -1) if self.value.dim() == 2 or name == "mT" else self.refuse(name)
        if name == "data":
            return self.detach()
        if name in ("shape", "ndim", "dtype", "device", "layout", "is_cuda", "requires_grad", "is_sparse", "grad_fn"):
            return getattr(self.value, name)
        return self.refuse(name)

    def refuse(self, what: str) -> NoReturn:
        raise UnknownConstantError(f"what it does depends on the data (`{what}`)")

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.unbind(0))

    def __hash__(self) -> int:
        return id(self)


def _operator(name: str) -> Callable[..., Any]:
    def operate(self: Tracked, *args: Any) -> Any:
        return self.course.apply_method(getattr(Tensor, name), self, *args)

    return operate


def _refusal(name: str) -> Callable[..., Any]:
    def operate(self: Tracked, *args: Any) -> NoReturn:
        self.refuse(name.strip("_"))

    return operate


for _name in ("add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "truediv", "rtruediv", "itruediv",
              "matmul", "rmatmul", "neg", "abs", "getitem", "setitem", "pow"):  # fmt: skip
    setattr(Tracked, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ("bool", "int", "float", "index", "complex", "contains", "eq", "ne", "lt", "le", "gt", "ge", "array",
              "rpow", "mod", "floordiv", "invert", "and", "or", "xor", "format"):  # fmt: skip
    setattr(Tracked, f"__{_name}__", _refusal(f"__{_name}__"))


def found(*parts: Any) -> Iterator[Tracked]:
    """The tracked tensors among arguments, also inside lists, tuples and dictionaries."""
    for part in parts:
        if isinstance(part, Tracked):
            yield part
        elif isinstance(part, list | tuple):
            yield from found(*part)
        elif isinstance(part, dict):
            yield from found(*part.values())


def plain(part: Any, of: Callable[[Tracked], Tensor] = lambda tracked: tracked.value) -> Any:
    """Arguments with a plain tensor for every tracked one."""
    if isinstance(part, Tracked):
        return of(part)
    if isinstance(part, list | tuple):
        parts = [plain(each, of) for each in part]
        return type(part)(parts) if type(part) in (list, tuple) else tuple(parts)
    if isinstance(part, dict):
        return {key: plain(each, of) for key, each in part.items()}
    return part


def joint(parts: Sequence[Tracked]) -> float:
    """The Lipschitz constant of several tensors side by side.

    |(u, v)|^2 = |u|^2 + |v|^2. Entries of one node count as often as the entry that occurs most often among them.
    """
    nodes: dict[Node, list[Tracked]] = {}
    for part in parts:
        nodes.setdefault(part.node, []).append(part)
    return math.sqrt(sum(node.constant**2 * _most_often(group) for node, group in nodes.items()))


def _most_often(parts: Sequence[Tracked]) -> int:
    if len(parts) == 1 and parts[0].positions is None:
        return 1
    places = torch.cat([part.places.flatten() for part in parts])
    places = places[places >= 0].long()
    return int(torch.bincount(places).max()) if places.numel() else 0
