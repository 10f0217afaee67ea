"""Constants that a user vouches for are taken where they are needed, and refused where the critic breaks them."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import otbench
from otbench.errors import InputError

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 3)) + 1.0, RNG.standard_normal((50, 3))


class Waves(nn.Module):
    """A sum of products that no table knows; 5-Lipschitz, as |sin a cos b| has gradients of length 1 at most."""

    def forward(self, z: Tensor) -> Tensor:
        return z + 4 * torch.sin(z) * torch.cos(z)


def critic() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), Waves(), nn.Linear(3, 1)).double()


@pytest.mark.parametrize("claim", [{Waves: 5.0}, {"1": 5}])
def test_a_claim_of_a_part_gives_the_critic_a_constant(claim: Any) -> None:
    module = critic()
    without, found = otbench.audit(module, X, Y), otbench.audit(module, X, Y, lipschitz=claim)
    assert without.spectral is None
    assert without.unknown == "`Waves` (at 1) is not known: the product of two tensors that depend on the data"
    norms = [float(torch.linalg.matrix_norm(module[k].weight.detach(), 2)) for k in (0, 2)]
    assert found.spectral_constant == pytest.approx(5 * norms[0] * norms[1], rel=1e-6)
    assert 0 <= found.clip_bound <= found.spectral <= found.slope
    assert found.unknown == ""
    certified = otbench.certify(module, X, Y, lipschitz=claim)
    assert certified.constant == found.spectral_constant
    assert "not known" in str(otbench.certify(module, X, Y))


def test_a_claim_of_the_whole_is_taken_for_modules_and_functions_unless_a_smaller_one_is_known() -> None:
    assert otbench.audit(lambda z: z[:, 0], X, Y, lipschitz=1.5).spectral_constant == 1.5
    assert otbench.certify(lambda z: z[:, 0], X, Y, lipschitz=1).constant == 1.0
    assert otbench.audit(critic(), X, Y, lipschitz=100.0).spectral_constant == 100.0
    assert otbench.audit(nn.Linear(3, 1), X, Y, lipschitz=100.0).spectral_constant < 1


@pytest.mark.parametrize(
    ("module", "claim", "said"),
    [
        (critic(), {Waves: 0.5}, "by what lipschitz says the critic's constant is .*, but it has a slope of"),
        (critic(), 0.01, "by what lipschitz says the critic's constant is 0.01, but it has a slope of"),
        (lambda z: 2 * z[:, 0], 1.0, "by what lipschitz says the critic's constant is 1, but it has a slope of"),
        (critic(), "1", "lipschitz must be a finite number of at least 0, or for a module a mapping"),
        (critic(), {Waves: -1.0}, "lipschitz must be a finite number of at least 0"),
        (critic(), {Waves: True}, "lipschitz must be a finite number of at least 0"),
        (critic(), float("inf"), "lipschitz must be a finite number of at least 0"),
        (critic(), {"11": 5.0}, "unknown module '11': did you mean '1'?"),
        (critic(), {nn.LSTM: 5.0}, "lipschitz names LSTM, of which the critic has no module"),
        (lambda z: z[:, 0], {Waves: 5.0}, "lipschitz must be a finite number of at least 0"),
        (otbench.train(otbench.SamplePair(X, Y), otbench.WeightClip(steps=1, widths=(4,))), 1.0,
         "a Fitted tells its constants itself: leave lipschitz out"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ask", [otbench.audit, otbench.certify])
def test_a_claim_that_is_none_or_is_broken_is_refused(ask: Any, module: Any, claim: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        ask(module, X, Y, lipschitz=claim)
    assert "\n" not in str(refused.value)
