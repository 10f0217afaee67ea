"""What a critic of one's own certifies of the laws: as otbench reads its own, and nothing without a constant."""

from typing import Any

import numpy as np
import pytest
import torch

import otbench
from otbench.confidence import held_out
from otbench.errors import InputError
from otbench.transport.bounds import VALUE_ROUNDING


def points(seed: int, n: int = 90, m: int = 70) -> tuple[np.ndarray, np.ndarray]:
    pair = otbench.problem("translation", dim=3, shift=2.0).sample(n, m, seed=seed)
    return pair.x, pair.y


def test_a_trained_critic_certifies_what_its_values_and_its_constant_say() -> None:
    pair = otbench.problem("translation", dim=3, shift=2.0).sample(128, seed=0)
    fitted = otbench.train(pair, otbench.WeightClip(clip=0.1, steps=50), seed=0)
    x, y = points(1)
    found = otbench.certify(fitted, x, y, level=0.9)
    said = held_out(fitted.values(x), fitted.values(y), np.full(90, 1 / 90), np.full(70, 1 / 70), VALUE_ROUNDING)
    constant = min(value for value in fitted.constants() if value is not None)
    assert found.constant == constant
    assert found.estimate == pytest.approx(said.raw / constant, rel=1e-9)
    assert found.lower == pytest.approx(said.lower_bound(constant, 0.9), rel=1e-9)
    assert str(found) == f"{found.estimate:.6g}, at least {found.lower:.6g} with confidence 90 %"


def test_a_torch_module_of_linear_layers_has_a_constant_everywhere() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    found = otbench.certify(module, *points(0))
    layers = [np.linalg.norm(module[k].weight.detach().numpy().astype(float), 2) for k in (0, 2)]
    assert found.constant == pytest.approx(np.prod(layers), rel=1e-6)


def test_a_function_without_a_constant_certifies_nothing_however_steep_it_is_on_the_points() -> None:
    found = otbench.certify(lambda z: z[:, 0], *points(0))
    assert (found.constant, found.estimate, found.lower) == (None, None, None)
    assert str(found) == "no Lipschitz constant is known everywhere: it certifies no law"


def test_a_critic_of_float32_is_read_with_its_own_rounding() -> None:
    module = torch.nn.Linear(3, 1)
    with torch.no_grad():
        module.weight.fill_(0.0)
        module.bias.fill_(1e6)
    found = otbench.certify(lambda z: (1e6 + 1e-12 * z[:, 0]).astype(np.float32), *points(0))
    assert found.held_out.raw_error > 1.0


@pytest.mark.parametrize(
    ("critic", "arguments", "said"),
    [
        (lambda z: z[:, 0], {"level": 1.0}, "level must be a number between 0 and 1"),
        (lambda z: z, {}, "one value a point"),
        (torch.nn.Linear(3, 1), {"a": [1.0] + [0.0] * 89}, "weigh as 2 equal ones at least"),
        (lambda z: 1 / 0, {}, "the critic raised ZeroDivisionError"),
        (lambda z: z[:, 0] - z[:, 0].mean(), {}, "depends on the points beside it or on chance"),
    ],
)
def test_what_audit_refuses_is_refused(critic: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        otbench.certify(critic, *points(0), **arguments)
