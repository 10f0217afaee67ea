"""Modules of every kind whose Lipschitz constants are known, with the shapes of the points that they take."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

LINE, IMAGE, SOLID = (4, 9), (3, 7, 6), (2, 4, 5, 3)


class Does(nn.Module):
    """What a function does, with a few parameters at hand."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, z: Tensor) -> Tensor:
        return self.function(z, self.first, self.second)


def with_statistics(layer: nn.Module, *shape: int) -> nn.Module:
    """A normalisation whose running statistics and weights are not those it starts with."""
    layer.running_mean.copy_(torch.randn(shape[0]))
    layer.running_var.copy_(torch.rand(shape[0]) + 0.1)
    if layer.weight is not None:
        nn.init.normal_(layer.weight)
    return layer


def pruned() -> nn.Module:
    return prune.l1_unstructured(nn.Linear(6, 5), "weight", amount=0.5)


def maxmin(z: Tensor, *_: nn.Module) -> Tensor:
    one, other = z[:, 0::2], z[:, 1::2]
    return torch.cat([torch.maximum(one, other), torch.minimum(one, other)], dim=1)


def grouped(z: Tensor, *_: nn.Module) -> Tensor:
    pairs = z.view(len(z), -1, 2)
    return torch.cat([pairs.min(2, keepdim=True)[0], pairs.max(2, keepdim=True)[0]], dim=2).view_as(z)


def in_place(z: Tensor, first: nn.Module, _: nn.Module) -> Tensor:
    hidden = first(z)
    view = hidden[:, 1:4]
    hidden.mul_(-3.0)
    view.mul_(2.0)
    hidden += 0.5 * z
    return torch.cat([hidden, view], dim=1)


def in_place_and_before(z: Tensor, first: nn.Module, _: nn.Module) -> Tensor:
    before = first(z)
    after = functional.leaky_relu(before, 3.0, inplace=True)  # so that both are what comes after
    return before + after


#: Where the constant is exact for linear maps, up to a percent: |A|_2 of the map itself.
EXACT: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(6, 5), (6,)),
    "Conv1d": (lambda: nn.Conv1d(4, 5, 3, padding=1), LINE),
    "Conv2d": (lambda: nn.Conv2d(3, 4, 3, padding=1), IMAGE),
    "Conv2d strided": (lambda: nn.Conv2d(3, 4, (4, 3), stride=2, padding=1), IMAGE),
    "Conv2d dilated, groups": (lambda: nn.Conv2d(3, 6, 2, dilation=2, groups=3, padding=2), IMAGE),
    "Conv2d same": (lambda: nn.Conv2d(3, 4, (3, 5), padding="same", dilation=(3, 1)), IMAGE),
    "Conv3d": (lambda: nn.Conv3d(2, 3, 2, stride=(1, 2, 1), padding=1), SOLID),
    **{
        f"Conv2d {mode}": (lambda mode=mode: nn.Conv2d(3, 4, 3, padding=2, padding_mode=mode), IMAGE)
        for mode in ("circular", "reflect", "replicate")
    },
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1), LINE),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 6, 3, stride=2, output_padding=1, groups=3), IMAGE),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 3, 2, dilation=2), SOLID),
    "BatchNorm1d": (lambda: with_statistics(nn.BatchNorm1d(6), 6), (6,)),
    "BatchNorm2d": (lambda: with_statistics(nn.BatchNorm2d(3, affine=False), 3), IMAGE),
    "InstanceNorm2d": (lambda: with_statistics(nn.InstanceNorm2d(3, affine=True, track_running_stats=True), 3), IMAGE),
    "convolution, then BatchNorm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), with_statistics(nn.BatchNorm2d(4), 4)), IMAGE),
    "padded, then BatchNorm": (
        lambda: nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(3, 4, 3), with_statistics(nn.BatchNorm2d(4), 4)), IMAGE),
    "linear, then BatchNorm": (lambda: nn.Sequential(nn.Linear(6, 4), with_statistics(nn.BatchNorm1d(4), 4)), (6,)),
    "transposed, then BatchNorm": (
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 6, 3, groups=3), with_statistics(nn.BatchNorm2d(6), 6)), IMAGE),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    "AvgPool2d without padding": (
        lambda: nn.AvgPool2d((3, 2), 1, 1, ceil_mode=True, count_include_pad=False), IMAGE),
    "AvgPool2d with a divisor": (lambda: nn.AvgPool2d(2, 1, divisor_override=3), IMAGE),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, 4)), IMAGE),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(4), LINE),
    "Flatten, Unflatten": (lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (9, 2, 7))), IMAGE),
    "Identity, Dropout": (lambda: nn.Sequential(nn.Identity(), nn.Dropout(0.5), nn.Dropout2d()), IMAGE),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (4, 3, 2)),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(3), (2, 6, 3)),
    "Upsample": (lambda: nn.Upsample(scale_factor=(2, 3)), IMAGE),
    "Upsample bilinear": (lambda: nn.Upsample(scale_factor=1.7, mode="bilinear"), IMAGE),
    "Upsample with corners": (lambda: nn.Upsample(size=9, mode="linear", align_corners=True), LINE),
    "area": (lambda: Does(lambda z, *_: functional.interpolate(z, size=(3, 4), mode="area")), IMAGE),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 2, 0, -1)), IMAGE),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d((2, 0, 1, 3)), IMAGE),
    "CircularPad1d": (lambda: nn.CircularPad1d(2), LINE),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(2), IMAGE),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), (4, 3, 3)),
    "slices": (lambda: Does(lambda z, *_: torch.cat([z[:, 1:4], z[:, 2:], z.flip(1)[:, :2]], 1)), (6,)),
    "mean": (lambda: Does(lambda z, *_: z.mean(dim=(2, 3))), IMAGE),
    "sum": (lambda: Does(lambda z, *_: z.sum(1)), IMAGE),
    "scalars": (lambda: Does(lambda z, *_: (-2 * z + 1) / 3 - torch.ones(6)), (6,)),
    "repeated": (lambda: Does(lambda z, *_: z.repeat(1, 3) + torch.ones(18)), (6,)),
    "matrices": (lambda: Does(lambda z, a, _: z @ a.weight), (6,)),
    "matrix first": (lambda: Does(lambda z, a, _: torch.matmul(a.weight, z)), (6, 3)),
    "spectral_norm": (lambda: parametrizations.spectral_norm(nn.Linear(6, 5)), (6,)),
    "weight_norm": (lambda: parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), IMAGE),
    "orthogonal": (lambda: parametrizations.orthogonal(nn.Linear(6, 6)), (6,)),
    "old spectral_norm": (lambda: nn.utils.spectral_norm(nn.Conv1d(4, 3, 2)), LINE),
    "pruned": (pruned, (6,)),
}  # fmt: skip

#: Activations, which are steepest at one point.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    **{
        name: getattr(nn, name)
        for name in (
            "ReLU", "ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "GELU", "SiLU", "Mish", "Softplus", "Softsign", "Tanh",
            "Sigmoid", "LogSigmoid", "Hardtanh", "Hardswish", "Hardsigmoid", "Softshrink", "Tanhshrink", "PReLU",
            "RReLU",
        )
    },
    "LeakyReLU 1.5": lambda: nn.LeakyReLU(-1.5),
    "ELU 2.5": lambda: nn.ELU(2.5),
    "CELU 0.3": lambda: nn.CELU(0.3),
    "GELU tanh": lambda: nn.GELU("tanh"),
    "PReLU 2": lambda: nn.PReLU(init=-2.0),
    "Softplus 3": lambda: nn.Softplus(beta=3.0),
    "erf, atan": lambda: Does(lambda z, *_: torch.erf(z).atan()),
    "clamp, abs": lambda: Does(lambda z, *_: z.clamp(-1, 2).abs()),
}  # fmt: skip

#: Everything else: its constant is a bound that may not be attained.
BOUNDED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), IMAGE),
    "MaxPool1d": (lambda: nn.MaxPool1d(2, 1, dilation=2), LINE),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((3, 4)), IMAGE),
    "Softmax": (lambda: nn.Softmax(1), (6,)),
    "logsumexp": (lambda: Does(lambda z, *_: torch.logsumexp(z, 1)), (6,)),
    "norm": (lambda: Does(lambda z, *_: z.norm(dim=1)), (6,)),
    "MaxMin": (lambda: Does(maxmin), (6,)),
    "GroupSort": (lambda: Does(grouped), (6,)),
    "sort": (lambda: Does(lambda z, *_: torch.sort(z, dim=1)[0]), (6,)),
    "extremes": (lambda: Does(lambda z, *_: torch.stack([z.amax(1), z.min(1).values])), (6,)),
    "residual": (lambda: Does(lambda z, a, b: z + b(torch.relu(a(z)))), (6,)),
    "twice": (lambda: Does(lambda z, a, _: a(torch.tanh(a(z)))), (6,)),
    "joined": (lambda: Does(lambda z, a, b: torch.cat([a(z), functional.gelu(b(z)), z], 1)), (6,)),
    "clamped to several": (
        lambda: Does(lambda z, *_: z[:, None].clamp(min=-torch.arange(18.0).reshape(3, 6) / 9)), (6,)),
    "broadcast": (lambda: Does(lambda z, a, _: a(z)[:, :, None] - 2 * z[:, None]), (6,)),
    "in place": (lambda: Does(in_place), (6,)),
    "in place and before": (lambda: Does(in_place_and_before), (6,)),
    "product of parts": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ELU(2.0), nn.MaxPool2d(2, 1), nn.Flatten(),
                                               nn.Linear(48, 2)), IMAGE),
}  # fmt: skip

ZOO = {**EXACT, **{name: (make, (6,)) for name, make in ACTIVATIONS.items()}, **BOUNDED}


def alive(name: str, seed: int = 0) -> tuple[nn.Module, tuple[int, ...]]:
    """A module of the zoo in evaluation mode and float64, and the shape of its points."""
    make, shape = ZOO[name]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        return make().double().eval().requires_grad_(False), shape
