"""A user's torch module as a critic: read in float64, left as it was, constants only where they are known."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otbench.errors import InputError
from otbench.methods.accept import as_critic
from otbench.methods.functions import clip_constant
from otbench.methods.modules import TorchFunction

CHAIN = (nn.Linear(2, 5), nn.LeakyReLU(0.2), nn.Dropout(0.5), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1))


class Doubled(nn.Module):
    """A forward of its own: the parts do not tell its slope."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(2, 1)

    def forward(self, z: Tensor) -> Tensor:
        return 2 * self.part(z)


class Louder(nn.Sequential):
    """A chain by inheritance only."""

    def forward(self, z: Tensor) -> Tensor:
        return 7 * super().forward(z)


class LouderLinear(nn.Linear):
    """A Linear layer by inheritance only."""

    def forward(self, z: Tensor) -> Tensor:
        return 7 * super().forward(z)


class Squared(nn.Module):
    """Steeper, the further out."""

    def forward(self, z: Tensor) -> Tensor:
        return z**2


@pytest.fixture
def module() -> nn.Sequential:
    torch.manual_seed(0)
    return copy.deepcopy(nn.Sequential(*CHAIN))


def steepest(critic: TorchFunction, dim: int) -> float:
    z = np.random.default_rng(0).standard_normal((400, dim))
    return float(np.linalg.norm(critic.gradients(z), axis=1).max())


def test_a_module_is_read_in_float64_and_evaluation_mode_and_left_as_it_was(module: nn.Sequential) -> None:
    before = copy.deepcopy(module.state_dict())
    critic = TorchFunction(module)
    z = np.random.default_rng(1).standard_normal((6, 2))
    assert (critic.values(z) == critic.values(z)).all()
    assert critic.values(z).dtype == critic.gradients(z).dtype == np.float64
    assert module.training
    for name, value in module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
    assert all(p.grad is None for p in module.parameters())
    reference = copy.deepcopy(module).double().eval()(torch.from_numpy(z))[:, 0]
    np.testing.assert_allclose(critic.values(z), reference.detach(), rtol=1e-14)


def test_training_on_does_not_change_a_critic_already_read(module: nn.Sequential) -> None:
    critic, z = TorchFunction(module), np.ones((1, 2))
    before = critic.values(z)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    assert critic.values(z) == before


def test_the_constants_of_a_chain_are_those_of_its_weights(module: nn.Sequential) -> None:
    weights = [m.weight.detach().double().numpy() for m in module if isinstance(m, nn.Linear)]
    largest = max(np.abs(w).max() for w in weights)
    known, spectral = TorchFunction(module).constants()
    assert known == pytest.approx(clip_constant(largest, [(2, 5), (5, 3), (3, 1)]))
    assert spectral == pytest.approx(np.prod([np.linalg.svd(w)[1][0] for w in weights]))
    assert TorchFunction(module, clip=3.0).constants()[0] == pytest.approx(3**3 * np.sqrt(2) * 15)
    assert steepest(TorchFunction(module), 2) <= spectral <= known


def test_a_single_linear_layer_is_a_chain() -> None:
    layer = nn.Linear(3, 1)
    _, spectral = TorchFunction(layer).constants()
    assert spectral == pytest.approx(layer.weight.norm().item(), rel=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        Doubled(),
        nn.Sequential(Doubled()),
        Louder(nn.Linear(2, 1)),
        nn.Sequential(LouderLinear(2, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)),
        nn.Sequential(nn.Unflatten(1, (1, 2)), nn.Conv1d(1, 1, 2), nn.Flatten()),
        nn.Sequential(nn.Linear(2, 4), nn.LeakyReLU(1.5), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.Linear(4, 1)),
        nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(2, 1))),
    ],
    ids=lambda module: "-".join(type(m).__name__ for m in module.modules()),
)
def test_whatever_else_a_module_computes_is_followed(other: nn.Module) -> None:
    critic = TorchFunction(other)
    assert critic.constants() == (None, None)
    assert critic.unknown == "it depends on the shape of the points, and none was read"
    steepest_slope = steepest(critic, 2)
    known, spectral = critic.constants()
    assert steepest_slope <= spectral * (1 + 1e-9)
    assert spectral <= known
    assert critic.unknown == ""


@pytest.mark.parametrize(
    ("unknown", "why"),
    [
        (nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Linear(4, 1)), "`LayerNorm` (at 1) is not known: "),
        (nn.Sequential(nn.Linear(2, 1), Squared()), "`Squared` (at 1) is not known: `pow`"),
    ],
)
def test_what_is_not_known_is_named(unknown: nn.Module, why: str) -> None:
    critic = TorchFunction(unknown)
    critic.values(np.ones((2, 2)))
    assert critic.constants() == (None, None)
    assert critic.unknown.startswith(why)


def test_a_layer_used_twice_counts_twice_or_not_at_all() -> None:
    shared = nn.Linear(3, 3)
    with torch.no_grad():
        shared.weight.copy_(5 * torch.eye(3))
    critic = TorchFunction(nn.Sequential(shared, nn.Identity(), shared, nn.Linear(3, 1)))
    for constant in critic.constants():
        assert constant is None or steepest(critic, 3) <= constant * (1 + 1e-12)


def test_a_hook_that_changes_the_output_changes_the_constants() -> None:
    layer = nn.Linear(2, 1)
    layer.register_forward_hook(lambda _module, _inputs, output: 9 * output)
    critic = TorchFunction(nn.Sequential(layer))
    assert steepest(critic, 2) == pytest.approx(critic.constants()[1], rel=1e-6)


def test_a_clip_value_smaller_than_a_weight_is_refused(module: nn.Sequential) -> None:
    text = "clip is 0.001, but the critic has a weight of size .*: it is not clipped to that; pass its own"
    with pytest.raises(InputError, match=text) as refused:
        as_critic(module, clip=0.001).constants()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("outputs", [2, 3])
def test_a_module_with_several_outputs_is_refused(outputs: int) -> None:
    with pytest.raises(InputError, match="one value a point"):
        TorchFunction(nn.Linear(2, outputs)).values(np.ones((4, 2)))
