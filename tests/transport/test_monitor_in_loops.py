"""otbench.monitor in training loops: the tensors it takes, the line it prints, and what it refuses."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from two_batches import batch, w1

import otbench
from otbench.errors import InputError
from otbench.report.advice import CODE

# tensors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("column", [True, False])
def test_tensors_of_any_float_type_are_read_as_the_numbers_they_hold(dtype: torch.dtype, column: bool) -> None:
    fx, fy, x, y = (torch.from_numpy(array).to(dtype) for array in batch(13))
    same = [tensor.double().numpy() for tensor in (fx, fy, x, y)]
    values = (fx[:, None], fy[:, None]) if column else (fx, fy)
    found = otbench.monitor(*values, x.requires_grad_(), y)
    assert found == otbench.monitor(*same)
    assert 0 < found.bound <= w1(*same[2:])


def test_types_and_containers_may_be_mixed() -> None:
    fx, fy, x, y = (np.round(array * 8) / 8 for array in batch(14))
    mixed = torch.from_numpy(fx).bfloat16(), fy.tolist(), torch.from_numpy(x).half(), y.astype(np.float32)
    assert otbench.monitor(*mixed) == otbench.monitor(fx, fy, x, y)


def test_the_graph_is_neither_kept_nor_touched() -> None:
    critic = nn.Linear(5, 1)
    x, y = torch.randn(8, 5, requires_grad=True), torch.randn(8, 5)
    fx, fy = critic(x), critic(y)
    otbench.monitor(fx, fy, x, y)
    (fx.mean() - fy.mean()).backward()
    assert critic.weight.grad is not None
    assert x.grad is not None


@pytest.mark.gpu
def test_tensors_on_a_gpu_give_what_they_give_on_the_cpu() -> None:
    tensors = [torch.from_numpy(array).float() for array in batch(15)]
    assert otbench.monitor(*(tensor.cuda() for tensor in tensors)) == otbench.monitor(*tensors)


def test_numpy_batches_load_no_torch() -> None:
    code = "import sys, otbench; otbench.monitor([1], [0], [[1.0]], [[0.0]]); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shift", np.linspace(0.5, 1.5, 20))
def test_a_printed_number_is_not_rounded_above_w1(shift: float, capsys: pytest.CaptureFixture[str]) -> None:
    """A linear critic on mass moved along a line proves all of W1, so that any rounding upwards shows."""
    y = torch.arange(8.0, dtype=torch.float64)[:, None]
    x = y + shift
    exec(CODE, {"critic": lambda z: 3 * z, "x": x, "y": y})
    assert float(capsys.readouterr().out.split(",")[0]) <= otbench.solve_exact(x, y).w1 * (1 + 1e-12)


# the printed lines ----------------------------------------------------------------------------------------------------


def mlp(dim: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(dim, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))


def conv(channels: int, size: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 4, 4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (size // 4) ** 2, 1))


def loops() -> dict[str, tuple[nn.Module, torch.Tensor, torch.Tensor]]:
    """Critics with two batches each, as training loops have them."""
    points, images = torch.randn(64, 8), torch.rand(64, 1, 28, 28)
    doubled = torch.randn(32, 8).repeat(2, 1)
    return {
        "points": (mlp(8), points, torch.randn(64, 8) - 1),
        "shared points": (mlp(8), points, torch.cat([points[:8], torch.randn(56, 8) - 1])),
        "all points shared": (mlp(8), points, points.flip(0)),
        "duplicates": (mlp(8), doubled, torch.cat([doubled[:9], doubled[:55] + 1])),
        "far apart": (nn.Linear(8, 1), points, points - 5),
        "bfloat16": (mlp(8).bfloat16(), points.bfloat16(), torch.randn(64, 8).bfloat16() - 1),
        "colour images": (conv(3, 64), torch.rand(64, 3, 64, 64), torch.rand(64, 3, 64, 64) * 0.8),
        "grey images": (conv(1, 28), images, torch.rand(64, 1, 28, 28) * 0.8),
        "images flattened by the critic": (mlp(784), images, images * 0.8),
        "generated": (mlp(8), points, nn.Linear(3, 8)(torch.randn(64, 3))),
    }


with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    LOOPS = loops()


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_lines_that_advise_prints_run_on_what_people_have(
    kind: str, sign: int, capsys: pytest.CaptureFixture[str]
) -> None:
    critic, x, y = LOOPS[kind]

    def signed(z: torch.Tensor) -> torch.Tensor:
        return sign * critic(z)

    exec(CODE, {"torch": torch, "critic": signed, "x": x, "y": y})
    (line,) = capsys.readouterr().out.splitlines()
    flat_x, flat_y = (z.detach().double().flatten(1).numpy() for z in (x, y))
    bound = float(line.split(",")[0])
    assert 0 <= bound <= w1(flat_x, flat_y) * (1 + 1e-6)
    raw = sign * float((critic(x).double().mean() - critic(y).double().mean()).detach())
    assert (bound > 0) == (kind != "all points shared")
    assert ("read as -f because the critic is low on x" in line) == (raw < 0 and bound > 0)


# refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({0: np.zeros(29)}, r"critic_x must hold one value a point .*, shape \(30,\) or \(30, 1\); got \(29,\)"),
        ({1: np.zeros((30, 2))}, r"critic_y must hold one value a point .*; got \(30, 2\)"),
        ({0: np.zeros((1, 30))}, r"critic_x must hold one value a point .*; got \(1, 30\)"),
        ({0: 0.5}, r"critic_x must hold one value a point .*; got \(\)"),
        ({1: np.full(30, np.nan)}, "critic_y must be finite; the critic has diverged: it is NaN or infinite in row 0"),
        ({0: torch.full((30, 1), torch.inf)}, "critic_x must be finite"),
        ({0: np.zeros(30) * 1j}, "critic_x must be an array of real numbers"),
        ({1: None}, "critic_y must be an array of real numbers; got NoneType"),
        ({0: (np.zeros(30), np.zeros((30, 10)))}, "critic_x must be an array of real numbers; got tuple"),
        ({2: np.zeros(30)}, r"x must be a batch of points \(n, d\) or of images .*; got shape \(30,\)"),
        ({2: np.zeros((0, 5))}, r"x must be a batch .*not empty; got shape \(0, 5\)"),
        ({3: np.zeros((30, 6))}, r"points of x and y must have one shape; got \(5,\) and \(6,\)"),
        ({3: np.zeros((30, 1, 5))}, r"points of x and y must have one shape; got \(5,\) and \(1, 5\)"),
        ({2: np.full((30, 5), -np.inf)}, "x must be finite; it holds NaN or infinite in row 0"),
        ({3: [["a"] * 5] * 30}, "y must be an array of real numbers"),
    ],
)
def test_what_is_no_batch_or_no_values_is_refused_in_one_line(change: dict[int, Any], said: str) -> None:
    drawn: list[Any] = list(batch(16))
    for place, value in change.items():
        drawn[place] = value
    with pytest.raises(InputError, match=said) as refused:
        otbench.monitor(*drawn)
    assert "\n" not in str(refused.value)


def test_it_prints_on_one_line_that_begins_with_the_bound() -> None:
    x, y = [[0.0], [1.0]], [[2.0], [3.0]]
    line = "1.99999, a lower bound of W1 of the two batches: raw -4, slope 2, read as -f because the critic is low on x"
    assert str(otbench.monitor([0.0, 2.0], [4.0, 6.0], x, y)) == line
    assert str(otbench.monitor([0, -2], [-4, -6], x, y)) == line.split(", read")[0].replace("-4", "4")
