"""The table of rules: which function of torch is treated how. A function that is not in it has no known constant."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from otbench.methods.lipschitz import arithmetic, pooling, selecting
from otbench.methods.lipschitz.activations import ELEMENTWISE
from otbench.methods.lipschitz.course import Treatment

#: Where torch keeps its functions: one may be in several, under one name.
PLACES = (torch, Tensor, functional, torch._C._nn, torch.special, torch.linalg)

#: Functions below those of ``functional``, with scales that these do not have.
SCALED = ("elu", "elu_")

#: The rules by the names of their functions.
NAMED: tuple[tuple[Treatment, Iterable[str]], ...] = (
    (selecting.same, selecting.SAME),
    (selecting.select, [name for name in selecting.SELECTING if name != "pad"]),
    (selecting.pad, ["pad"]),
    (selecting.facts, selecting.FACTS),
    (selecting.join, selecting.JOINING),
    (selecting.sort, ["sort", "msort", "topk", "kthvalue"]),
    (selecting.extreme, ["max", "min", "amax", "amin", "maximum", "minimum", "fmax", "fmin"]),
    (arithmetic.elementwise, [*ELEMENTWISE, *(f"{name}_" for name in ELEMENTWISE), "__neg__", "__abs__"]),
    (arithmetic.add, ["add", "add_", "__add__", "__radd__", "__iadd__", "sub", "sub_", "subtract", "__sub__",
                      "__rsub__", "__isub__", "rsub"]),
    (arithmetic.multiply, ["mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__", "div", "div_", "divide",
                           "true_divide", "__truediv__", "__rtruediv__", "__itruediv__", "__div__", "__rdiv__"]),
    (arithmetic.reduce, ["sum", "mean"]),
    (arithmetic.norm, ["norm", "vector_norm", "linalg_vector_norm"]),
    (arithmetic.linear, ["linear"]),
    (arithmetic.matmul, ["matmul", "mm", "mv", "__matmul__", "__rmatmul__"]),
    (arithmetic.convolve, ["conv1d", "conv2d", "conv3d"]),
    (arithmetic.transpose, ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]),
    (pooling.max_pool, ["max_pool1d", "max_pool2d", "max_pool3d"]),
    (pooling.average_pool, ["avg_pool1d", "avg_pool2d", "avg_pool3d"]),
    (pooling.adaptive_pool, [f"adaptive_{kind}_pool{axes}d" for kind in ("avg", "max") for axes in (1, 2, 3)]),
    (pooling.resize, ["interpolate"]),
    (pooling.batch_norm, ["batch_norm", "instance_norm"]),
    (pooling.useless, ["layer_norm", "group_norm", "rms_norm", "local_response_norm", "normalize"]),
)  # fmt: skip


def _table() -> dict[Any, Treatment]:
    rules: dict[Any, Treatment] = {}
    for rule, names in NAMED:
        for name in names:
            rules.update({getattr(place, name): rule for place in PLACES if hasattr(place, name)})
    for name in SCALED:
        del rules[getattr(torch._C._nn, name)]
    return rules


#: The rules by their functions.
RULES_OF_TORCH = _table()
