"""Training of networks on any loss of their values and slopes, many critics of one shape at once."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otbench.methods.fitted import Fitted
from otbench.methods.training.batches import in_batches
from otbench.methods.training.device import Pace, check_device, gpu_room, one_thread
from otbench.methods.training.differentiable import Differentiable
from otbench.methods.training.engine import DTYPES
from otbench.methods.training.minibatch import MinibatchSource, stream_seed
from otbench.methods.training.optimisers import ADAM_EPS, Adam
from otbench.methods.training.parameters import Shapes, filled_shapes, initial_parameters
from otbench.methods.training.population import PopulationSource
from otbench.methods.training.recipes import NeuralRecipe
from otbench.methods.training.source import PointSource
from otbench.methods.training.step import Chance, Step
from otbench.methods.training.stopwatch import now, warm_up
from otbench.types import Indices, Law, SamplePair

#: Bytes of activations that the critics of one batch may have on a CPU, and critics in a batch.
ACTIVATIONS_AT_ONCE, MOST_TOGETHER = 8 * 2**20, 64

#: How many times the bytes of its activations a critic's step takes of a GPU at most, in float64 and with slopes that
#: are functions of the parameters: estimated, and a batch that does not fit is halved.
KEPT_BY_AUTOGRAD = 16


def train_networks(
    pairs: Sequence[SamplePair],
    methods: Sequence[NeuralRecipe],
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    laws: Sequence[Law] | None = None,
) -> list[Fitted]:
    """The critics of ``otbench.train_many`` by the loss and the updates of their methods, with its arguments as it has
    checked them. On a CPU no bit of a critic depends on those with which it shares a batch.

    Raises:
        InputError: a device that is not there.
    """
    device = check_device(device)
    methods = [method.at(pair.dim) for method, pair in zip(methods, pairs, strict=True)]
    size = batch_size(methods[0], pairs[0].dim, device)

    def train(some: Indices) -> list[Fitted]:
        chosen = [pairs[k] for k in some], [methods[k] for k in some], [seeds[k] for k in some]
        return _train_batch(*chosen, None if laws is None else [laws[k] for k in some], device)

    with one_thread():
        return in_batches(len(pairs), size, train)


def batch_size(method: NeuralRecipe, dim: int, device: str) -> int:
    """How many critics share a batch: as many as have their activations in a CPU's cache, or, with what autograd keeps
    of them, in a share of a GPU's free memory."""
    width = sum(out for layers in method.networks(dim).values() for _, out in filled_shapes(layers))
    activations = 4 * 2 * method.batch * (width + dim)
    if device == "cpu":
        return max(1, min(MOST_TOGETHER, ACTIVATIONS_AT_ONCE // activations))
    most = min(64 * MOST_TOGETHER, 64 * ACTIVATIONS_AT_ONCE // activations)
    return max(1, min(most, gpu_room(device) // (KEPT_BY_AUTOGRAD * activations)))


class NeuralEngine:
    """E critics in training, with whatever networks are trained beside them; ``run`` does steps."""

    def __init__(
        self,
        pairs: Sequence[SamplePair],
        methods: Sequence[NeuralRecipe],
        seeds: Sequence[int],
        device: str,
        laws: Sequence[Law] | None = None,
    ) -> None:
        self.method, dim = methods[0], pairs[0].dim
        like = torch.empty(0, dtype=DTYPES[self.method.dtype][0], device=device)
        self.pace = Pace.of(like.device)
        self.networks = {
            name: self._network(name, layers, seeds, like) for name, layers in self.method.networks(dim).items()
        }
        self.source: PointSource = (
            MinibatchSource(list(pairs), list(seeds), self.method.batch, like)
            if laws is None
            else PopulationSource(laws, seeds, self.method.batch, dim, like)
        )
        self.fields = {
            name: torch.tensor([getattr(method, name) for method in methods], dtype=like.dtype, device=device)
            for name in self.method.own_fields
        }
        self.chance = Chance(seeds, like)
        self.rates = {name: network.per_parameter(self.fields["lr"]) for name, network in self.networks.items()}
        self.optimisers = {name: self._adam(self.networks[name], rate) for name, rate in self.rates.items()}

    def _network(self, name: str, layers: Shapes, seeds: Sequence[int], like: Tensor) -> Differentiable:
        """A network with its first parameters; the critic's are those of a clipped critic of equal seed."""
        critic = name == "critic"
        places = [int(seed) if critic else stream_seed(name, int(seed)) % 2**63 for seed in seeds]
        initial = torch.stack([initial_parameters(layers, place, None) for place in places]).to(like)
        network = Differentiable(initial, layers, self.method.activation if critic else "relu")
        if critic:
            held = self.method.constraint(network.leaves[: len(layers)], layers, places)
            network.constraint = held or network.constraint
        network.renew()
        return network

    def _adam(self, network: Differentiable, rate: Tensor) -> Adam:
        return Adam(network.parameters, rate, torch.full_like(rate, ADAM_EPS), self.method.betas)

    def run(self, first: int, last: int) -> None:
        """Do steps first ... last - 1."""
        at = first
        while at < last:
            self.pace.check()
            block = at // self.source.block * self.source.block
            count = min(block + self.source.block, last) - at
            self.source.draw(at, count, last - at - count)
            for k in range(count):
                self.step(at + k, self.source.points(k))
            at += count

    def step(self, number: int, points: Tensor) -> None:
        """One training step on points (E, R, d)."""
        batch = self.method.batch
        self.chance.begin(number)
        x, y = points[:, :batch].contiguous(), points[:, batch : 2 * batch].contiguous()
        step = Step(x, y, self.networks, self.fields, self.chance)
        if self.method.decay == "linear":
            for name, rate in self.rates.items():
                torch.mul(rate, number / self.method.steps - 1, out=self.optimisers[name].down)
        for update in self.method.updates():
            for _ in range(update.times):
                moved = [self.networks[name] for name in update.networks]
                self._descend(update.loss(step).sum(), moved)
                for name in update.networks:
                    self.optimisers[name](self.networks[name].gradient)
                    self.networks[name].renew()

    def _descend(self, loss: Tensor, networks: list[Differentiable]) -> None:
        """Put the gradient of the loss into the networks; critics have their own parameters, so that the sum of their
        losses gives each its own gradient."""
        parts = torch.autograd.grad(loss, [leaf for network in networks for leaf in network.leaves])
        for network in networks:
            count = len(network.leaves)
            network.put_gradient(parts[:count])
            parts = parts[count:]

    def finite(self) -> list[bool]:
        """For each critic, whether the parameters of all its networks are finite, and the weights made of them."""
        sound = [torch.isfinite(n.by_critic(n.parameters)).all(dim=1) for n in self.networks.values()]
        sound += [torch.isfinite(weight).all(dim=2).all(dim=1) for n in self.networks.values() for weight in n.used]
        return torch.stack(sound).all(dim=0).tolist()

    def critics(self) -> list[Any]:
        """The critics as float64 functions."""
        read = {name: network.functions() for name, network in self.networks.items()}
        return [self.method.critic(dict(zip(read, each, strict=True))) for each in zip(*read.values(), strict=True)]


def _train_batch(
    pairs: list[SamplePair], methods: list[NeuralRecipe], seeds: list[int], laws: list[Law] | None, device: str
) -> list[Fitted]:
    """The critics of one batch; a single one has a twin where this machine rounds it differently alone."""
    count, steps = len(pairs), methods[0].steps
    if count == 1 and steps and device == "cpu" and not _rounds_alike(methods[0], pairs[0].dim):
        pairs, methods, seeds, laws = pairs * 2, methods * 2, seeds * 2, laws and laws * 2
    begun = now(device)
    warm_up(device)
    engine = NeuralEngine(pairs, methods, seeds, device, laws)
    start = now(device)
    engine.run(0, steps // 2)
    halves = engine.critics()
    engine.run(steps // 2, steps)
    finite = engine.finite()
    seconds, prepare = (now(device) - start) / count, (start - begun) / count
    critics = engine.critics()
    why = f"a parameter is not finite after {steps} steps"
    return [
        Fitted(critics[k], halfway=halves[k] if steps else None, batch=count, seconds=seconds, seconds_prepare=prepare)
        if finite[k]
        else Fitted(None, "diverged", why, batch=count, seconds=seconds, seconds_prepare=prepare)
        for k in range(count)
    ]


@cache
def _rounds_alike(method: Any, dim: int) -> bool:
    """Whether two training steps of a critic give the same bits beside a twin as alone."""
    rng = np.random.default_rng(0)
    pair = SamplePair(rng.standard_normal((method.batch, dim)), rng.standard_normal((method.batch, dim)))
    found = []
    for count in (1, 2):
        engine = NeuralEngine([pair] * count, [method] * count, [0] * count, "cpu")
        engine.run(0, 2)
        found.append([network.by_critic(network.parameters)[0] for network in engine.networks.values()])
    return all(torch.equal(alone, beside) for alone, beside in zip(*found, strict=True))
