"""Critics that a loss trains, many at once, against the loop of one torch module that everyone writes."""

import deel.torchlip as torchlip
import pytest
import torch
from side_by_side import take_turns
from torch import nn

from otbench.methods import method
from otbench.methods.training.neural import NeuralEngine
from otbench.problems import problem

PAIR = problem("translation", dim=16).sample(1024, mode="coupled")
WIDTH, BATCH, CRITICS = 64, 64, 16


class Loop:
    """zero_grad, a loss, backward and Adam on one module."""

    def __init__(self, layer, activation):
        self.critic = nn.Sequential(layer(16, WIDTH), activation(), layer(WIDTH, WIDTH), activation(), layer(WIDTH, 1))
        self.adam = torch.optim.Adam(self.critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
        self.x, self.y = (torch.from_numpy(z).float() for z in (PAIR.x, PAIR.y))

    def run(self, steps):
        for _ in range(steps):
            x, y = (z[torch.randint(len(z), (BATCH,))] for z in (self.x, self.y))
            self.adam.zero_grad()
            self.loss(x, y).backward()
            self.adam.step()

    def loss(self, x, y):
        return self.critic(y).mean() - self.critic(x).mean()


class DoubleBackward(Loop):
    """The gradient penalty as the WGAN-GP loops have it."""

    def loss(self, x, y):
        share = torch.rand(BATCH, 1)
        between = (share * x + (1 - share) * y).requires_grad_()
        (slopes,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        return super().loss(x, y) + 10 * (slopes.norm(dim=1) - 1).square().mean()


def spectral(fan_in, fan_out):
    return nn.utils.parametrizations.spectral_norm(nn.Linear(fan_in, fan_out))


def exponential(fan_in, fan_out):
    layer = nn.Linear(fan_in, fan_out)
    return nn.utils.parametrizations.orthogonal(layer, orthogonal_map="matrix_exp", use_trivialization=True)


#: What is timed: a method, fields of it, and its plain loop.
TIMED = {
    "gradient_penalty": ("gradient_penalty", {}, lambda: DoubleBackward(nn.Linear, nn.ReLU)),
    "spectral_norm": ("spectral_norm", {}, lambda: Loop(spectral, nn.ReLU)),
    "group_sort": ("group_sort", {}, lambda: Loop(torchlip.SpectralLinear, torchlip.FullSort)),
    "exponentials": (
        "group_sort", {"orthonormalisation": "exponential"}, lambda: Loop(exponential, torchlip.FullSort)
    ),
}  # fmt: skip


@pytest.mark.parametrize("label", TIMED)
def test_sixteen_critics_outrun_the_plain_loop_five_times(label, benchmark):
    name, fields, loop = TIMED[label]
    recipe, plain = method(name, widths=[WIDTH, WIDTH], batch=BATCH, **fields), loop()
    engine = NeuralEngine([PAIR] * CRITICS, [recipe] * CRITICS, list(range(CRITICS)), "cpu")
    steps = 32 if benchmark.enabled else 2
    benchmark.pedantic(engine.run, (0, steps), rounds=3)
    turns = take_turns(
        {"plain loop": lambda: plain.run(steps), "engine": lambda: engine.run(0, steps)},
        turns=15 if benchmark.enabled else 1,
    )
    ratio = turns.ratio("plain loop", "engine") * CRITICS
    print("\n" + turns.report(f"{label}, {steps} steps of {CRITICS} critics: {ratio:.1f} x plain per critic-step"))
    if benchmark.enabled:
        assert ratio >= 5
