"""The training of GANs: a clipped critic and a generator for every clip value, all of which take steps together."""

import itertools
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from otbench.methods.mlp import Mlp
from otbench.methods.training.minibatch import stream_seed
from otbench.methods.training.network import Stack, initial_parameters
from otbench.methods.training.optimisers import RMSProp
from otbench.studies.gan.plan import GanBatch, GeneratorPlan
from otbench.types import Array

#: The parameters of RMSProp, as in torch.
SMOOTHING, RMSPROP_EPS = 0.99, 1e-8


class Gans:
    """E pairs of a critic and a generator, one per clip value, which differ in nothing else.

    First weights, minibatches and latent points follow from the seed alone. ``seconds_critic`` and
    ``seconds_generator`` are the wall time that the steps of all E have taken so far, without drawing their data.
    """

    def __init__(self, plan: GeneratorPlan, job: GanBatch, seen: Array, device: str) -> None:
        self.plan, self.clips, self.device = plan, plan.clip, device
        self.seen = torch.from_numpy(seen).float().to(device)
        dim, seeds = seen.shape[1], (stream_seed(part, job.seed) for part in ("critic", "generator"))
        self.critics = self._stack([dim, *plan.critic, 1], next(seeds), 2 * plan.batch)
        self.generators = self._stack([plan.latent, *plan.generator, dim], next(seeds), plan.batch)
        self.optimise_critics, self.optimise_generators = (
            self._rmsprop(stack, job.lr) for stack in (self.critics, self.generators)
        )
        self.box = self.critics.per_parameter(torch.tensor(plan.clip, device=device))
        self.pull = torch.full((len(plan.clip), 2 * plan.batch, 1), 1 / plan.batch, device=device)
        self.pull[:, : plan.batch] *= -1
        self.rng = np.random.default_rng(stream_seed("steps", job.seed) % 2**64)
        fixed = np.random.default_rng(stream_seed("held-out latent points", job.seed) % 2**64)
        self.fixed_latent = self._shared(fixed.standard_normal((plan.n, plan.latent)))
        self.printed: list[float] | None = None
        self.seconds_critic = self.seconds_generator = 0.0
        self._clip()

    def _stack(self, sizes: Sequence[int], seed: int, rows: int) -> Stack:
        shapes = list(itertools.pairwise(sizes))
        initial = initial_parameters(shapes, seed, None).to(self.device)
        return Stack(initial.expand(len(self.clips), -1), shapes, "relu", rows)

    @staticmethod
    def _rmsprop(stack: Stack, lr: float) -> RMSProp:
        rate, eps = (torch.full_like(stack.parameters, value) for value in (lr, RMSPROP_EPS))
        return RMSProp(stack.parameters, rate, eps, SMOOTHING)

    def _clip(self) -> None:
        torch.clamp(self.critics.parameters, -self.box, self.box, out=self.critics.parameters)

    def run(self, iterations: int) -> None:
        """Do so many iterations; ``printed`` is then every critic's last minibatch loss -mean f(x) + mean f(g(z))."""
        for left in range(iterations, 0, -1):
            of_critic, of_generator = self._draw()
            start = time.perf_counter()
            for real, latent in of_critic:
                points = torch.cat([real, self.generators.values(latent)], dim=1)
                if left == 1:
                    loss = (self.pull * self.critics.values(points)).sum(dim=(1, 2))
                self.critics.backward(points, self.pull)
                self.optimise_critics(self.critics.gradient)
                self._clip()
            between = time.perf_counter()
            slopes = self.critics.slopes(self.generators.values(of_generator))
            self.generators.backward(of_generator, slopes / -self.plan.batch)
            self.optimise_generators(self.generators.gradient)
            self.seconds_critic += between - start
            self.seconds_generator += time.perf_counter() - between
        self.printed = loss.tolist() if iterations else None

    def _draw(self) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """The real and latent minibatches of one iteration's critic steps, and the latent one of its generator step.

        They are the same for all pairs.
        """
        plan = self.plan
        rows = torch.from_numpy(self.rng.integers(0, len(self.seen), (plan.critic_steps, plan.batch)))
        latent = self.rng.standard_normal((plan.critic_steps + 1, plan.batch, plan.latent))
        real = self.seen[rows.to(self.device)]
        pairs = [(self._shared(x), self._shared(z)) for x, z in zip(real, latent[:-1], strict=True)]
        return pairs, self._shared(latent[-1])

    def _shared(self, points: Array | Tensor) -> Tensor:
        """Points (k, d) as a view (E, k, d) that shows them to every pair."""
        return torch.as_tensor(points, dtype=torch.float32, device=self.device).expand(len(self.clips), -1, -1)

    def generated(self) -> Array:
        """The generated points g(z) (E, n, d), float64, at latent points that are always the same."""
        points: Array = self.generators.values(self.fixed_latent).double().cpu().numpy()
        return points

    def read(self) -> list[Mlp]:
        """The critics as float64 functions."""
        return self.critics.read(self.critics.parameters, self.clips)
