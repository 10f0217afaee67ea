"""Modules as people have them are read as torch reads them, and left as they were."""

import copy
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from peoples import Returns, ReturnsFloat32, TurnsToFloat32, X, Y, chain, normed, raw, refusal, same_state
from torch import Tensor, nn

import otbench
from otbench.types import Array

pytestmark = pytest.mark.usefixtures("fixed_seed")


class Remembers(nn.Module):
    """Keeps what it computed, graph included, as published code does for logs."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.net, self.how = chain(), how
        self.kept: Any = {"list": [], "dict": {}, "tensor": None}[how]

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.net(z)
        if self.how == "list":
            self.kept.append(out)
        elif self.how == "dict":
            self.kept["last"] = (out, out * 2)
        else:
            self.kept = out
        return out


def hooked() -> nn.Module:
    net = chain()
    net[0].register_forward_hook(lambda layer, _points, out: setattr(layer, "seen", out))
    net[1].register_forward_hook(lambda _layer, _points, out: 2 * out)
    return net


AS_TRAINED = {
    "weight_norm": lambda: normed(nn.utils.weight_norm),
    "spectral_norm": lambda: normed(nn.utils.spectral_norm),
    "parametrized weight_norm": lambda: normed(nn.utils.parametrizations.weight_norm),
    "parametrized spectral_norm": lambda: normed(nn.utils.parametrizations.spectral_norm),
    "parametrized orthogonal": lambda: normed(nn.utils.parametrizations.orthogonal),
    "keeps a list": lambda: Remembers("list"),
    "keeps a dict": lambda: Remembers("dict"),
    "keeps a tensor": lambda: Remembers("tensor"),
    "hooks": hooked,
    "DataParallel": lambda: nn.DataParallel(chain()),
    "nested DataParallel": lambda: nn.Sequential(nn.DataParallel(nn.Linear(4, 8)), nn.ReLU(), nn.Linear(8, 1)),
    "batch normalisation": lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)),
    "dropout": lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1)),
    "bfloat16": lambda: chain().bfloat16(),
    "half": lambda: chain().half(),
    "float64": lambda: chain().double(),
}


@pytest.mark.parametrize("name", AS_TRAINED)
@pytest.mark.parametrize("training", [True, False])
def test_a_module_is_read_as_torch_reads_it_and_left_as_it_was(name: str, training: bool) -> None:
    critic = AS_TRAINED[name]()
    kind = next(critic.parameters()).dtype
    critic(torch.randn(7, 4, dtype=kind))  # as after a training step
    critic.train(training)
    before = copy.deepcopy(critic.state_dict())
    chance = torch.get_rng_state()
    found = otbench.audit(critic, X, Y)
    assert torch.equal(torch.get_rng_state(), chance)
    assert critic.training == training
    assert same_state(critic, before)
    assert all(p.grad is None and p.requires_grad for p in critic.parameters())
    roughly = {torch.bfloat16: 0.05, torch.float16: 5e-3}.get(kind, 1e-5)
    assert found.raw == pytest.approx(raw(critic.eval(), kind), abs=roughly)
    assert found.raw_error < 1e-12  # read in float64
    assert found.alignment is not None
    assert 0 <= found.slope <= found.c_transform <= found.primal * (1 + 1e-12)


@pytest.mark.parametrize("kind", ["compiled", "scripted", "frozen"])
def test_modules_that_torch_has_rewritten_are_read(kind: str) -> None:
    critic = chain()
    want = raw(critic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rewritten = {
            "compiled": lambda: torch.compile(critic),
            "scripted": lambda: torch.jit.script(critic),
            "frozen": lambda: torch.jit.freeze(torch.jit.script(copy.deepcopy(critic).eval())),
        }[kind]()
        found = otbench.audit(rewritten, X, Y)
    assert found.raw == pytest.approx(want, abs=1e-5)


def test_parameters_that_need_no_gradient_and_modules_without_any_are_critics() -> None:
    frozen = chain().requires_grad_(False)
    assert otbench.audit(frozen, X, Y).alignment is not None
    assert not any(p.requires_grad for p in frozen.parameters())

    class Norm(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z.norm(dim=1)

    found = otbench.audit(Norm(), X, Y, clip=0.01)
    assert found.saturation is None
    assert found.raw == pytest.approx(np.linalg.norm(X, axis=1).mean() - np.linalg.norm(Y, axis=1).mean())


def test_the_random_numbers_of_the_caller_are_left_as_they_were() -> None:
    chance = torch.get_rng_state()
    otbench.audit(Returns(lambda z: z[:, 0] + 0 * torch.rand(())), X, Y)
    refusal(Returns(lambda z: z[:, 0] + torch.rand(())))
    refusal(lambda z: torch.rand(len(z)))
    assert torch.equal(torch.get_rng_state(), chance)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)])
@pytest.mark.parametrize("float32_inside", [True, False])
def test_the_mode_of_the_caller_changes_nothing(mode: Callable[[], Any], float32_inside: bool) -> None:
    critic = TurnsToFloat32() if float32_inside else chain()
    plain = otbench.audit(critic, X, Y)
    with mode():
        assert otbench.audit(critic, X, Y) == plain


def test_lazy_layers_not_yet_run_are_refused_with_the_remedy_and_read_once_run() -> None:
    lazy = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
    assert "lazy layers that have not run yet, hence no weights: run it on a batch first" in refusal(lazy)
    assert "lazy layers" in refusal(nn.DataParallel(nn.Sequential(nn.LazyConv2d(3, 2))))
    lazy(torch.randn(3, 4))
    assert otbench.audit(lazy, X, Y).raw == pytest.approx(raw(lazy), abs=1e-5)


@pytest.mark.parametrize("held", [threading.Lock(), (n for n in range(3)), memoryview(b"1")], ids=["a", "b", "c"])
def test_a_module_that_cannot_be_copied_is_refused_with_a_remedy_that_works(held: object) -> None:
    critic = chain()
    critic.held = held
    assert "cannot be copied (TypeError: cannot pickle" in refusal(critic)
    found = otbench.audit(lambda z: critic(torch.from_numpy(z).float()), X, Y)
    assert found.raw == pytest.approx(raw(critic), abs=1e-5)


class Fourier(nn.Module):
    """float32 frequencies as a plain attribute, in a list or made in forward."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.head = where, nn.Linear(8, 1)
        self.frequencies: Any = torch.randn(4, 8)
        if where == "list":
            self.frequencies = [self.frequencies]

    def forward(self, z: Tensor) -> Tensor:
        kept = self.frequencies[0] if self.where == "list" else self.frequencies
        return self.head(torch.sin(z @ (torch.ones(4, 8) / 3 if self.where == "forward" else kept)))


class InsistsOnFloat32(TurnsToFloat32):
    def forward(self, z: Tensor) -> Tensor:
        assert z.dtype == torch.float32, "float32, please"
        return self.head(z)


@pytest.mark.parametrize(
    ("critic", "in_float64"),
    [
        (lambda: Fourier("attribute"), True),
        (lambda: Fourier("list"), True),
        (lambda: Fourier("forward"), False),
        (TurnsToFloat32, False),
        (InsistsOnFloat32, False),
        (lambda: nn.Sequential(chain(), ReturnsFloat32()), False),
    ],
)
def test_what_is_float32_inside_is_read_so_and_its_rounding_is_allowed_for(
    critic: Callable[[], nn.Module], in_float64: bool
) -> None:
    module = critic()
    found = otbench.audit(module, X, Y)
    assert found.raw == pytest.approx(raw(module), abs=1e-6)
    largest = max(float(module(torch.from_numpy(z).float()).abs().max().detach()) for z in (X, Y))
    assert found.raw_error == pytest.approx(256 * 2.0 ** (-52 if in_float64 else -23) * largest, rel=1e-4)
    assert found.alignment is not None


class Doubles(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        z.mul_(2)
        return z.sum(dim=1)


class Blanks(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        z[:, 1:] = 0
        return 2 * z[:, 0] + z[:, 1:].sum(dim=1)


def writes(z: Array) -> Array:
    z *= 2
    return z.sum(axis=1)


@pytest.mark.parametrize(
    ("critic", "slope"),
    [
        (nn.Sequential(nn.LeakyReLU(1.0, inplace=True), nn.Linear(4, 1, bias=False)), None),
        (Doubles(), np.full(4, 2.0)),
        (Blanks(), np.array([2.0, 0, 0, 0])),
        (writes, np.full(4, 2.0)),
    ],
)
def test_a_critic_that_works_in_place_changes_no_point(critic: Any, slope: Array | None) -> None:
    x, y = X.copy(), Y.copy()
    found = otbench.audit(critic, x, y)
    assert (x == X).all()
    assert (y == Y).all()
    slope = critic[1].weight.detach().double().numpy()[0] if slope is None else slope
    assert found.raw == pytest.approx(float((X - Y).mean(axis=0) @ slope))
    if isinstance(critic, nn.Module):
        assert found.alignment is not None
        assert found.alignment.grad_norm_min == pytest.approx(np.linalg.norm(slope))


@pytest.mark.parametrize(
    "form",
    [
        lambda z: torch.tanh(z.detach()).sum(dim=1),
        lambda z: torch.from_numpy(np.tanh(z.detach().numpy()).sum(axis=1)),
        lambda z: torch.from_numpy(np.asarray([float(row.sum()) for row in z.tolist() and z.detach()])),
        torch.no_grad()(lambda z: z.sum(dim=1)),
        torch.inference_mode()(lambda z: z.sum(dim=1)),
    ],
)
def test_a_module_that_hands_back_no_gradients_has_no_alignment_rather_than_zero(form: Callable[[Tensor], Any]) -> None:
    found = otbench.audit(Returns(form), X, Y)
    assert found.alignment is None
    assert found.raw != 0


def test_a_gradient_that_is_not_finite_is_no_gradient() -> None:
    x = np.concatenate([X, np.zeros((1, 4))])
    assert otbench.audit(Returns(lambda z: (z**2).sum(dim=1).sqrt()), x, Y).alignment is None


def test_a_constant_module_has_gradients_that_are_zero() -> None:
    found = otbench.audit(Returns(lambda z: torch.zeros(len(z))), X, Y)
    assert found.alignment is not None
    assert found.alignment.grad_norm_max == 0
