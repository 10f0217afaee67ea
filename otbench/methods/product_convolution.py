"""Convolutions of float64 images as fast as they go: one product for all images, or the layout that suits torch."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

#: Up to so many positions of an output torch's own float64 convolution, a product per image, is several times slower.
FEW_POSITIONS = 32

#: Numbers that are laid out for a product at once, 32 MiB.
NUMBERS_LAID_OUT = 2**22


class ProductConvolutions(TorchFunctionMode):
    """Within it ``torch.conv2d`` of float64 images is a product over all of them where outputs are few, and else has
    its channels laid out last, which is several times as fast; gradients included."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.conv2d:
            names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
            given = dict(zip(names, args, strict=False)) | (kwargs or {})
            if _is_plain(given):
                if 0 < math.prod(_sizes(**given)) <= FEW_POSITIONS:
                    return _product(**given)
                last = {name: given[name].contiguous(memory_format=torch.channels_last) for name in names[:2]}
                return torch.conv2d(**given | last)
        return function(*args, **(kwargs or {}))


def _is_plain(given: dict[str, Any]) -> bool:
    """Whether it is a convolution of several float64 images with one weight for all of their channels."""
    image, weight = given["input"], given["weight"]
    if not (isinstance(weight, Tensor) and type(image) is Tensor and image.dim() == weight.dim() == 4):
        return False
    if not (image.dtype == weight.dtype == torch.float64 and image.is_cpu and weight.is_cpu):
        return False
    if given.get("groups", 1) != 1 or isinstance(given.get("padding", 0), str):
        return False
    return len(image) > 1 and image.shape[1:2] == weight.shape[1:2]


def _sizes(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> list[int]:
    """The sizes of the output."""
    stride, padding, dilation = ((part,) * 2 if isinstance(part, int) else tuple(part) * (2 // len(part))
                                 for part in (stride, padding, dilation))  # fmt: skip
    ends = zip(input.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    return [max(0, (size + 2 * p - d * (k - 1) - 1) // s + 1) for size, k, s, p, d in ends]


def _product(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    sizes = _sizes(input, weight, bias, stride, padding, dilation)
    flat, parts = weight.flatten(1), []
    step = max(1, NUMBERS_LAID_OUT // (flat.shape[1] * math.prod(sizes)))
    for images in torch.split(input, step):
        seen = functional.unfold(images, weight.shape[2:], dilation=dilation, padding=padding, stride=stride)
        outputs = seen.transpose(1, 2).reshape(-1, flat.shape[1]) @ flat.mT
        parts.append(outputs.reshape(len(images), -1, len(flat)).transpose(1, 2).reshape(len(images), -1, *sizes))
    whole = torch.cat(parts)
    return whole if bias is None else whole + bias[:, None, None]
