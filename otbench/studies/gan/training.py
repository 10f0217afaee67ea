"""The training of GANs: a clipped critic and a generator for every clip value, all of which take steps together."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from otbench.methods.mlp import Mlp
from otbench.methods.training.minibatch import stream_seed
from otbench.methods.training.stopwatch import Stopwatch
from otbench.studies.gan.critics import ClippedCritics, rmsprop, same_networks
from otbench.studies.gan.plan import GanBatch, GeneratorPlan
from otbench.types import Array


@dataclass(frozen=True, eq=False)
class Readers:
    """The critics by which E generators are read, one per clip value, and what they cost.

    ``halfway`` are the critics after half of their steps, None where their training has no end. ``printed`` are their
    last minibatch losses -mean f(x) + mean f(g(z)), None where no step was taken. ``seconds`` are those of the
    steps of all since they were read before, without drawing their data.
    """

    critics: list[Mlp]
    halfway: list[Mlp] | None
    printed: list[float] | None
    seconds: float


class Gans:
    """E pairs of a critic and a generator, one per clip value, which differ in nothing else.

    First weights, minibatches and latent points follow from the seed alone. ``watch`` tells the seconds that the
    generators' steps have taken so far, without drawing their data.
    """

    def __init__(self, plan: GeneratorPlan, job: GanBatch, seen: Array, device: str) -> None:
        self.plan, self.job, self.device = plan, job, device
        self.seen = torch.from_numpy(seen).float().to(device)
        self.dim, count = seen.shape[1], len(plan.clip)
        rates, seeds = [job.lr] * count, (stream_seed(part, job.seed) for part in ("critic", "generator"))
        self.critics = ClippedCritics(plan, self.dim, next(seeds), rates, device)
        sizes = [plan.latent, *plan.generator, self.dim]
        self.generators = same_networks(sizes, next(seeds), count, plan.batch, device)
        self.optimise_generators = rmsprop(self.generators, rates)
        self.rng = np.random.default_rng(stream_seed("steps", job.seed) % 2**64)
        fixed = np.random.default_rng(stream_seed("held-out latent points", job.seed) % 2**64)
        self.fixed_latent = self._shared(fixed.standard_normal((plan.n, plan.latent)))
        self.watch = Stopwatch(device)

    def run(self, iterations: int) -> Readers:
        """Do so many iterations, and return the critics as they stand then."""
        before = self.critics.watch.seconds
        for _ in range(iterations):
            of_critics, of_generators = self._draw(self.rng, self.job.loop), self._latent(self.rng, 1)[0]
            self.critics.train(of_critics, self.generators)
            with self.watch.running():
                slopes = self.critics.stack.slopes(self.generators.values(of_generators))
                self.generators.backward(of_generators, slopes / -self.plan.batch)
                self.optimise_generators(self.generators.gradient)
        return Readers(self.critics.read(), None, self.critics.printed, self.critics.watch.seconds - before)

    def retrain(self, iteration: int) -> Readers:
        """Critics that begin anew and take ``retrain_steps`` steps on the generators as they stand.

        Their first weights, minibatches and latent points follow from the seed and the iteration, so that the loop
        goes on as if they had not been.
        """
        plan, seed = self.plan, stream_seed("retrained", self.job.seed, iteration)
        fresh = ClippedCritics(plan, self.dim, seed, [plan.retrain_rate * clip for clip in plan.clip], self.device)
        rng, half = np.random.default_rng(seed % 2**64), plan.retrain_steps // 2
        for steps in (half, plan.retrain_steps - half):
            halfway = fresh.read()
            fresh.train(self._draw(rng, steps), self.generators)
        return Readers(fresh.read(), halfway, fresh.printed, fresh.watch.seconds)

    def _draw(self, rng: np.random.Generator, steps: int) -> list[tuple[Tensor, Tensor]]:
        """The real and latent minibatches of so many steps of critics, which are the same for all pairs."""
        rows = torch.from_numpy(rng.integers(0, len(self.seen), (steps, self.plan.batch)))
        real = self.seen[rows.to(self.device)]
        return [(self._shared(x), z) for x, z in zip(real, self._latent(rng, steps), strict=True)]

    def _latent(self, rng: np.random.Generator, count: int) -> list[Tensor]:
        """So many latent minibatches (E, batch, latent), which are the same for all pairs."""
        return [self._shared(z) for z in rng.standard_normal((count, self.plan.batch, self.plan.latent))]

    def _shared(self, points: Array | Tensor) -> Tensor:
        """Points (k, d) as a view (E, k, d) that shows them to every pair."""
        points = torch.as_tensor(points, dtype=torch.float32, device=self.device)
        return points.expand(len(self.plan.clip), -1, -1)

    def generated(self) -> Array:
        """The generated points g(z) (E, n, d), float64, at latent points that are always the same."""
        points: Array = self.generators.values(self.fixed_latent).double().cpu().numpy()
        return points
