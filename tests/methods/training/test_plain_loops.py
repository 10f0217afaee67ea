"""Every trained critic against a plain loop of its paper: one network, torch's autograd and optimiser, 50 steps."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from otbench.methods import METHODS, method
from otbench.methods.neural import Neural
from otbench.methods.training.minibatch import MinibatchSource, stream_seed
from otbench.methods.training.neural import train_networks
from otbench.methods.training.step import Chance
from otbench.problems import problem

STEPS, WIDTHS, BATCH, DIM, SEEDS = 50, (12, 10), 20, 3, (4, 9)

NETWORK = {"widths": WIDTHS, "batch": BATCH, "steps": STEPS, "dtype": "float64", "lr": 3e-3}

#: What is tried of each method: fields away from their defaults as well.
CASES = {
    "gradient_penalty": [{}, {"one_sided": True, "penalty": 3.0}, {"activation": "tanh"}, {"activation": "leaky_relu"}],
    "spectral_norm": [{}, {"iterations": 3, "activation": "tanh"}, {"derivative": "of_weights"}],
    "group_sort": [
        {},
        {"activation": "maxmin", "iterations": 5, "decay": "none"},
        {"orthonormalisation": "exponential", "lr": 0.05},
    ],
    "c_transform": [{}, {"sides": "y"}],
    "quadratic": [{}, {"slope": 2.5}],
    "least_squares": [{}, {"eps": 0.3, "decay": "linear"}],
    "three_player": [{"mover_steps": 2}, {"mover_steps": 3, "reverse": True}],
    "consistency": [{}, {"dropout": 0.0, "margin": 0.01}, {"dropout": 0.2, "consistency": 5.0, "penalty": 1.0}],
}

EVERY = [(name, fields) for name, several in CASES.items() for fields in several]


def test_every_trained_method_has_a_plain_loop():
    assert {name for name, kind in METHODS.items() if issubclass(kind, Neural)} == set(CASES)


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    sample = problem("balls", dim=DIM).sample(50, 40, mode="independent", seed=1)
    return type(sample)(sample.x, sample.y, rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(40)))


@pytest.mark.parametrize(("name", "fields"), EVERY, ids=str)
def test_the_engine_is_the_plain_loop(name, fields, pair):
    recipe = method(name, **NETWORK | fields)
    fitted = train_networks([pair] * len(SEEDS), [recipe] * len(SEEDS), SEEDS)
    for fit, seed in zip(fitted, SEEDS, strict=True):
        loop, y = LOOPS[name](recipe, pair, seed), torch.from_numpy(pair.y)
        untrained = loop.f(y).detach().numpy()
        loop.run()
        expected = loop.f(y).detach().numpy()
        assert np.abs(expected - untrained).max() > 1e-3  # or the law would hold of engines that do nothing
        assert fit.critic.values(pair.y) == pytest.approx(expected, rel=1e-8, abs=1e-9)


class PlainLoop:
    """One critic, the points and the random numbers of its seed."""

    def __init__(self, recipe, pair, seed):
        self.recipe, self.seed = recipe, seed
        like = torch.empty(0, dtype=torch.float64)
        self.source, self.chance = MinibatchSource([pair], [seed], BATCH, like), Chance([seed], like)
        self.critic = self.network(seed, 1)
        self.adam = self.optimiser(self.critic)

    def network(self, seed, out):
        torch.manual_seed(seed)
        sizes = (DIM, *WIDTHS, out)
        act = {"relu": nn.ReLU, "tanh": nn.Tanh, "leaky_relu": lambda: nn.LeakyReLU(0.2)}.get(self.recipe.activation)
        layers = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), act() if act else Sort(self.recipe.activation)]
        return nn.Sequential(*layers[:-1]).double()

    def optimiser(self, network):
        return torch.optim.Adam(network.parameters(), lr=self.recipe.lr, betas=self.recipe.betas)

    def run(self):
        for step in range(STEPS):
            if step % self.source.block == 0:
                self.source.draw(step, self.source.block)
            points = self.source.points(step % self.source.block)[0]
            self.chance.begin(step)
            self.slow_down(1 - step / STEPS if self.recipe.decay == "linear" else 1)
            self.step(points[:BATCH].clone(), points[BATCH : 2 * BATCH].clone())

    def slow_down(self, left):
        for name, adam in vars(self).items():
            if name.startswith("adam"):
                adam.param_groups[0]["lr"] = self.recipe.lr * left

    def step(self, x, y):
        self.descend(self.loss(x, y), self.adam)

    def descend(self, loss, *optimisers):
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()

    def f(self, z):
        return self.critic(z)[:, 0]

    def loss(self, x, y):
        return self.f(y).mean() - self.f(x).mean()

    def excess(self, x, y):
        share = self.chance.uniform(BATCH)[0][:, None]
        between = (share * x + (1 - share) * y).requires_grad_()
        (slopes,) = torch.autograd.grad(self.f(between).sum(), between, create_graph=True)
        return slopes.norm(dim=1) - 1


class GradientPenalty(PlainLoop):
    def loss(self, x, y):
        excess = self.excess(x, y)
        penalty = (torch.relu(excess) if self.recipe.one_sided else excess).pow(2).mean()
        return self.f(y).mean() - self.f(x).mean() + self.recipe.penalty * penalty


class SpectralNorm(PlainLoop):
    """torch's own spectral normalisation, started from our vectors: it keeps u for the rows of W, and we do too."""

    def __init__(self, recipe, pair, seed):
        super().__init__(recipe, pair, seed)
        generator = torch.Generator().manual_seed(seed)
        self.vectors = [torch.randn(len(w), generator=generator).double() for w in self.weights()]
        self.plain = [nn.Parameter(w.detach().clone()) for w in self.weights()]
        biases = [layer.bias for layer in self.critic if isinstance(layer, nn.Linear)]
        self.adam = torch.optim.Adam([*self.plain, *biases], lr=recipe.lr, betas=recipe.betas)
        self.renew()

    def weights(self):
        return [layer.weight for layer in self.critic if isinstance(layer, nn.Linear)]

    def renew(self):
        self.scales = []
        for k, weight in enumerate(self.plain):
            right = self.vectors[k]
            for _ in range(self.recipe.iterations):
                left = weight.detach().T @ right
                left = left / left.norm()
                right = weight.detach() @ left
                right = right / right.norm()
            self.vectors[k] = right
            self.scales.append((left, right))

    def f(self, z):
        used = {}
        for k, (weight, (left, right)) in enumerate(zip(self.plain, self.scales, strict=True)):
            size = right @ weight @ left
            used[f"{2 * k}.weight"] = weight / (size if self.recipe.derivative == "whole" else size.detach())
        return torch.func.functional_call(self.critic, used, (z,))[:, 0]

    def step(self, x, y):
        super().step(x, y)
        self.renew()


class BjorckStep(nn.Module):
    """One step, through which autograd goes; it is the same from either side."""

    def forward(self, w):
        return 1.5 * w - 0.5 * (w @ w.T @ w)


class GroupSort(PlainLoop):
    def __init__(self, recipe, pair, seed):
        super().__init__(recipe, pair, seed)
        chance = torch.Generator().manual_seed(seed)
        for layer in self.linear():
            left, _, right = torch.linalg.svd(layer.weight.data, full_matrices=False)
            layer.weight.data = left @ right
            if recipe.orthonormalisation == "exponential":
                self.trivialise(layer, chance)
            else:
                nn.utils.parametrize.register_parametrization(layer, "weight", BjorckStep())
        self.adam = self.optimiser(self.critic)

    def trivialise(self, layer, chance):
        """torch's own exponential of what Adam moves, with columns of our stream where it completes weights."""
        nn.utils.parametrizations.orthogonal(layer, orthogonal_map="matrix_exp", use_trivialization=True)
        (held,), weight = layer.parametrizations.weight, layer.weight.detach()
        tall = weight if len(weight) >= weight.shape[1] else weight.T
        size, count = tall.shape
        others = torch.randn(size, size - count, generator=chance, dtype=torch.float64)
        held.base.copy_(torch.hstack([tall, torch.linalg.qr(others - tall @ (tall.T @ others)).Q]))

    def linear(self):
        return [layer for layer in self.critic if isinstance(layer, nn.Linear)]

    def project(self):
        for layer in self.linear():
            free = layer.parametrizations.weight.original
            for _ in range(self.recipe.iterations):
                free.data = BjorckStep()(free.data)

    def step(self, x, y):
        super().step(x, y)
        if self.recipe.orthonormalisation == "bjorck":
            self.project()


class CTransform(PlainLoop):
    def loss(self, x, y):
        values = []
        with torch.no_grad():
            nearest_x = (torch.cdist(y, x) - self.f(x)).argmin(dim=1)
            nearest_y = (torch.cdist(x, y) + self.f(y)).argmin(dim=1)
        along_y = self.f(x).mean() + ((y - x[nearest_x]).norm(dim=1) - self.f(x[nearest_x])).mean()
        along_x = -self.f(y).mean() + ((x - y[nearest_y]).norm(dim=1) + self.f(y[nearest_y])).mean()
        plain = self.f(x).mean() - self.f(y).mean()
        if self.recipe.sides == "y" or along_y < plain:
            return -along_y
        values = along_x if along_x < plain else plain
        return -values


class Quadratic(PlainLoop):
    def loss(self, x, y):
        rise, far = self.f(x) - self.f(y), (x - y).norm(dim=1)
        return -(rise - rise**2 / (2 * self.recipe.slope * far)).mean()


class LeastSquares(PlainLoop):
    def __init__(self, recipe, pair, seed):
        super().__init__(recipe, pair, seed)
        self.second = self.network(stream_seed("second", seed) % 2**63, 1)
        self.adam_of_second = self.optimiser(self.second)

    def step(self, x, y):
        f, g = self.f(x), self.second(y)[:, 0]
        excess = torch.relu(f + g - (x - y).norm(dim=1))
        loss = -f.mean() - g.mean() + (excess**2).mean() / (4 * self.recipe.eps)
        self.descend(loss, self.adam, self.adam_of_second)


class ThreePlayer(PlainLoop):
    def __init__(self, recipe, pair, seed):
        super().__init__(recipe, pair, seed)
        self.mover = self.network(stream_seed("mover", seed) % 2**63, DIM)
        self.adam_of_mover = self.optimiser(self.mover)

    def step(self, x, y):
        start, other, sign = (x, y, -1) if self.recipe.reverse else (y, x, 1)
        for _ in range(self.recipe.mover_steps):
            moved = self.mover(start)
            self.descend(((moved - start).norm(dim=1) - sign * self.f(moved)).mean(), self.adam_of_mover)
        self.descend(sign * (self.f(self.mover(start).detach()).mean() - self.f(other).mean()), self.adam)


class Consistency(GradientPenalty):
    def look(self, z):
        """Values and last hidden layer, with units dropped by the numbers of the stream."""
        for layer in self.critic[:-1]:
            z = layer(z)
            if not isinstance(layer, nn.Linear) and self.recipe.dropout:
                kept = self.chance.uniform(*z.shape)[0] >= self.recipe.dropout
                z = z * kept / (1 - self.recipe.dropout)
        return self.critic[-1](z)[:, 0], z

    def loss(self, x, y):
        (first, hidden), (again, other) = self.look(x), self.look(x)
        of_y, _ = self.look(y)
        apart = (first - again) ** 2 + 0.1 * ((hidden - other) ** 2).mean(dim=1)
        disagreement = torch.relu(self.recipe.consistency * apart - self.recipe.margin).mean()
        penalty = self.recipe.penalty * (self.excess(x, y) ** 2).mean()
        return of_y.mean() - first.mean() + penalty + disagreement


class Sort(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, z):
        if self.kind == "full_sort":
            return z.sort(dim=1, descending=True).values
        return z.reshape(len(z), -1, 2).sort(dim=2, descending=True).values.reshape(z.shape)


LOOPS = {
    "gradient_penalty": GradientPenalty,
    "spectral_norm": SpectralNorm,
    "group_sort": GroupSort,
    "c_transform": CTransform,
    "quadratic": Quadratic,
    "least_squares": LeastSquares,
    "three_player": ThreePlayer,
    "consistency": Consistency,
}
