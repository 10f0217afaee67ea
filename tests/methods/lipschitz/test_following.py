"""A forward is followed as it is written: compositions have the constants of algebra, what is not known is named."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from zoo import Does, grouped, maxmin

from otbench.methods.lipschitz.activations import GELU, SILU
from otbench.methods.lipschitz.everywhere import lipschitz_everywhere


def scaled(factor: float, size: int = 6) -> nn.Linear:
    """A layer whose constant is ``factor``."""
    layer = nn.Linear(size, size)
    with torch.no_grad():
        layer.weight.copy_(factor * torch.linalg.qr(torch.randn(size, size))[0])
    return layer.double()


class Two(nn.Module):
    """Two layers of constants 2 and 3, put together by a function of the point and both."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList([scaled(2.0), scaled(3.0)])
        self.register_buffer("offset", torch.randn(6, dtype=torch.float64))

    def forward(self, z: Tensor) -> Any:
        return self.function(z, *self.layers)


@pytest.mark.parametrize(
    ("function", "constant"),
    [
        (lambda z, two, three: three(two(z)), 6),
        (lambda z, two, three: z + three(functional.relu(two(z))), 1 + 6),
        (lambda z, two, three: two(z) - three(z), 5),
        (lambda z, two, three: torch.sub(two(z), three(z), alpha=2), 8),
        (lambda z, two, three: torch.cat([two(z), three(z)], dim=1), math.sqrt(13)),
        (lambda z, two, _: two(two(two(z))), 8),
        (lambda z, two, _: two(z) + two(z), 4),
        (lambda z, two, _: -0.5 * functional.leaky_relu(two(z), 3.0) / 2 + 7, 1.5),
        (lambda z, two, _: functional.gelu(two(z)), 2 * GELU),
        (lambda z, two, three: three(functional.silu(two(z))), 6 * SILU),
        (lambda z, two, _: two(z).sigmoid().mean(1), 0.5 / math.sqrt(6)),
        (lambda z, two, _: two(z).reshape(-1, 2, 3).sum((1, 2)), 2 * math.sqrt(6)),
        (lambda z, two, _: maxmin(two(z)), 2),
        (lambda z, two, _: grouped(two(z)), 2),
        (lambda z, two, _: torch.cat([torch.sort(part, 1)[0] for part in two(z).chunk(2, 1)], 1), 2 * math.sqrt(2)),
        (lambda z, two, _: torch.cat(two(z).split([1, 5], 1)[::-1], dim=1), 2),
        (lambda z, two, _: torch.stack([two(z), z.detach().clone()]), math.sqrt(5)),
        (lambda z, two, _: torch.zeros_like(z) + two.bias * torch.ones(len(z), 1), 0),
        (lambda z, two, _: torch.where(torch.ones(6) > 0, 1.0, 0.0) * two(z), 2),
        (lambda z, two, three: two(z) if z.shape[1] == 6 and z.dim() == 2 and len(z) else three(z), 2),
        (lambda z, two, _: sum(column * 2.0 for column in two(z).unbind(1)), 2 * 2 * 6),
    ],
)
def test_what_modules_compute_has_the_constant_of_algebra(function: Callable[..., Any], constant: float) -> None:
    torch.manual_seed(0)
    found = lipschitz_everywhere(Two(function), (6,))
    assert found.reason is None
    assert found.spectral == pytest.approx(constant, rel=2e-3)


class MyBlock(nn.Module):
    """Of which nothing is known."""

    def forward(self, z: Tensor) -> Tensor:
        return z * torch.tanh(z)


class Fork(nn.Module):
    """Takes one of two ways, by the data."""

    def forward(self, z: Tensor) -> Tensor:
        return z if z.sum() > 0 else 2 * z


class Writes(nn.Module):
    """Keeps what it saw in a buffer, and reads it as if it were a constant."""

    def __init__(self, how: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.how = how
        self.register_buffer("seen", torch.zeros(6, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        self.how(self.seen, z[0])
        return self.seen + 0 * z


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Sequential(nn.Linear(6, 6), nn.Sequential(MyBlock())),
         "`MyBlock` (at 1.0) is not known: the product of two tensors that depend on the data"),
        (nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)), "`LayerNorm` (at 1) is not known: `layer_norm` divides by"),
        (nn.GroupNorm(2, 6), "`GroupNorm` is not known: `group_norm` divides by the size of its own input"),
        (nn.Sequential(nn.Unflatten(1, (2, 3)), nn.InstanceNorm1d(2)), "`InstanceNorm1d` (at 1) is not known: "),
        (nn.BatchNorm1d(6, track_running_stats=False), "`BatchNorm1d` is not known: `batch_norm` by statistics of"),
        (Fork(), "`Fork` is not known: what it does depends on the data (`gt`)"),
        (Does(lambda z, a, b: a(z) if float(z[0, 0]) else b(z)), "`Does` is not known: what it does depends on the da"),
        (Does(lambda z, *_: z if z[0, 0].item() else 2 * z), "`Does` is not known: `item`"),
        (Does(lambda z, *_: torch.from_numpy(z.numpy())), "`Does` is not known: `numpy`"),
        (Does(lambda z, *_: torch.tensor(z[0, 0]) * z), "`Does` is not known: "),
        (Does(lambda z, *_: z.new_tensor(z)), "`Does` is not known: `new_tensor` that depends on the data twice"),
        (Does(lambda z, *_: torch.full_like(z, z[0, 0])), "`Does` is not known: `full_like` that depends on the data"),
        (nn.Bilinear(6, 6, 1), "`Bilinear` is not known: it raises TypeError when its course is followed: "),
        (Does(lambda z, *_: functional.bilinear(z, z, torch.ones(1, 6, 6))), "`Does` is not known: `bilinear`"),
        (nn.Dropout(0.5).train(), "`Dropout` is not known: dropout in training mode"),
        (nn.Threshold(0.1, 20.0), "`Threshold` is not known: `threshold` with these settings"),
        (nn.Hardshrink(), "`Hardshrink` is not known: `hardshrink`"),
        (Does(lambda z, *_: z**2), "`Does` is not known: `pow`"),
        (Does(lambda z, *_: 1 / z), "`Does` is not known: a division by what depends on the data"),
        (Does(lambda z, *_: z.to(torch.int64)), "`Does` is not known: a tensor of whole numbers"),
        (Does(lambda z, *_: z.view(torch.int64)), "`Does` is not known: a tensor whose bits are read"),
        (Does(lambda z, *_: z / torch.zeros(6)), "`Does` is not known: its constant is not finite"),
        (Does(lambda z, *_: z.max(1).indices * 1.0), "`Does` is not known: its constant is not finite"),
        (Writes(lambda seen, z: seen.add_(z)), "`Writes` is not known: a constant that is written to"),
        (Writes(lambda seen, z: seen.copy_(z)), "`Writes` is not known: `copy`"),
        (Writes(lambda seen, z: seen.__setitem__(0, z[0])), "`Writes` is not known: `setitem`"),
        (Writes(lambda seen, z: torch.tanh(z, out=seen)), "`Writes` is not known: `tanh` into a tensor that was"),
        (torch.jit.script(nn.Linear(6, 1)), "`RecursiveScriptModule` is not known: "),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_not_known_is_named_in_one_line(module: nn.Module, said: str) -> None:
    found = lipschitz_everywhere(module.double(), (6,))
    assert (found.spectral, found.entries) == (None, None)
    assert found.reason is not None
    assert found.reason.startswith(said)
    assert "\n" not in found.reason


def test_a_constant_can_be_given_by_type_or_by_name() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(scaled(2.0), MyBlock(), scaled(3.0), MyBlock())
    assert lipschitz_everywhere(net, (6,), given={MyBlock: 5.0}).spectral == pytest.approx(2 * 5 * 3 * 5, rel=1e-6)
    found = lipschitz_everywhere(net, (6,), given={"1": 5.0, "3": 7.0})
    assert found.spectral == pytest.approx(2 * 5 * 3 * 7, rel=1e-6)
    assert lipschitz_everywhere(net, (6,), given={"1": 5.0}).reason == (
        "`MyBlock` (at 3) is not known: the product of two tensors that depend on the data"
    )
    residual = Two(lambda z, two, three: three(two(z)) + two(z))
    residual.layers[0] = MyBlock()
    assert lipschitz_everywhere(residual, (6,), given={MyBlock: 4.0}).spectral == pytest.approx(16, rel=1e-6)


def test_the_module_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten()).double().eval()
    own = net[2].forward
    net[2].forward = own
    before, attributes = copy.deepcopy(net.state_dict()), [set(vars(part)) for part in net.modules()]
    chance = torch.get_rng_state()
    assert lipschitz_everywhere(net, (3, 5, 5)).reason is None
    assert torch.equal(chance, torch.get_rng_state())
    assert [set(vars(part)) for part in net.modules()] == attributes
    assert net[2].forward is own
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_constant_by_entries_is_that_of_the_clip_value_for_a_chain() -> None:
    """K(c) = c^L sqrt(d) prod h, for the largest weight c and for a clip value above it."""
    chain = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 1)).double()
    largest = max(float(layer.weight.detach().abs().max()) for layer in (chain[0], chain[2]))
    for clip in (None, 2.0):
        found = lipschitz_everywhere(chain, (4,), clip=clip)
        assert found.entries == pytest.approx(GELU * (clip or largest) ** 2 * math.sqrt(4) * 8)


def test_an_image_s_convolution_by_entries_counts_what_an_output_sees_and_what_sees_an_input() -> None:
    layer = nn.Conv2d(3, 8, 4, stride=2, padding=1)
    nn.init.constant_(layer.weight, 0.1)
    found = lipschitz_everywhere(layer.double(), (3, 16, 16))
    assert found.entries == pytest.approx(0.1 * math.sqrt(3 * 16 * 8 * 4), rel=1e-6)


def test_a_batch_norm_is_folded_into_the_convolution_before_it() -> None:
    """diag(1, 0) after W: only the first channel is left."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2, eps=0.0)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 9.0]])[:, :, None, None])
        norm.weight.copy_(torch.tensor([3.0, 0.1]))
    found = lipschitz_everywhere(nn.Sequential(conv, norm).double().eval(), (2, 4, 4))
    assert found.spectral == pytest.approx(3.0, rel=1e-6)
    assert found.entries == pytest.approx(3 * 9 * 2, rel=1e-6)
