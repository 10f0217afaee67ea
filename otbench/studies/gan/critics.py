"""Clipped critics of a study of generators: one per clip value, which take their steps together."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from otbench.methods.mlp import Mlp
from otbench.methods.training.network import Stack
from otbench.methods.training.optimisers import RMSProp
from otbench.methods.training.parameters import initial_parameters
from otbench.methods.training.stopwatch import Stopwatch
from otbench.studies.gan.plan import GeneratorPlan

#: The parameters of RMSProp, as in torch.
SMOOTHING, RMSPROP_EPS = 0.99, 1e-8


class ClippedCritics:
    """E critics with first weights of one seed, each with its clip value and its rate, clipped after every step.

    ``watch`` tells the seconds of the steps so far, without drawing their data.
    """

    def __init__(self, plan: GeneratorPlan, dim: int, seed: int, rates: Sequence[float], device: str) -> None:
        clips = torch.tensor(plan.clip, device=device)
        self.clips = clips.tolist()  # as the box holds them: float32 holds c to 6e-8 only
        self.stack = same_networks([dim, *plan.critic, 1], seed, len(plan.clip), 2 * plan.batch, device)
        self.optimise = rmsprop(self.stack, rates)
        self.box = self.stack.per_parameter(clips)
        self.pull = torch.full((len(plan.clip), 2 * plan.batch, 1), 1 / plan.batch, device=device)
        self.pull[:, : plan.batch] *= -1
        self.loss: Tensor | None = None
        self.watch = Stopwatch(device)
        self._clip()

    def train(self, minibatches: Sequence[tuple[Tensor, Tensor]], generators: Stack) -> None:
        """One step on the loss -mean f(x) + mean f(g(z)) for every pair of minibatches x (E, batch, d), z.

        ``printed`` is then every critic's loss on the last of them, before that step, which is what a loop prints.
        """
        with self.watch.running():
            for k, (real, latent) in enumerate(minibatches, start=1):
                points = torch.cat([real, generators.values(latent)], dim=1)
                if k == len(minibatches):
                    self.loss = (self.pull * self.stack.values(points)).sum(dim=(1, 2))
                self.stack.backward(points, self.pull)
                self.optimise(self.stack.gradient)
                self._clip()

    @property
    def printed(self) -> list[float] | None:
        """What each critic last printed, None before any step; a GPU is waited for when it is read, not before."""
        return None if self.loss is None else self.loss.tolist()

    def read(self) -> list[Mlp]:
        """The critics as float64 functions."""
        return self.stack.read(self.stack.parameters, self.clips)

    def _clip(self) -> None:
        torch.clamp(self.stack.parameters, -self.box, self.box, out=self.stack.parameters)


def same_networks(sizes: Sequence[int], seed: int, count: int, rows: int, device: str) -> Stack:
    """``count`` networks with layers of these sizes and equal first weights, which train on ``rows`` points a step."""
    shapes = list(itertools.pairwise(sizes))
    initial = initial_parameters(shapes, seed, None).to(device)
    return Stack(initial.expand(count, -1), shapes, "relu", rows)


def rmsprop(stack: Stack, rates: Sequence[float]) -> RMSProp:
    """RMSProp of a stack, with a rate for each of its networks."""
    rate = stack.per_parameter(torch.tensor(rates, device=stack.parameters.device))
    return RMSProp(stack.parameters, rate, torch.full_like(stack.parameters, RMSPROP_EPS), SMOOTHING)
