"""The plain WGAN loop everyone writes: one torch module, one torch optimiser, autograd, clamp."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from otbench.methods import WeightClip
from otbench.methods.training.minibatch import random_bits, stream_seed, uniform_indices
from otbench.types import Array, SamplePair

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(0.2), "tanh": nn.Tanh}


def initial_module(method: WeightClip, dim: int, seed: int) -> nn.Sequential:
    """The network as torch draws it after manual_seed(seed), before any clipping."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((dim, *method.widths, 1)):
            layers += [nn.Linear(fan_in, fan_out), ACTIVATIONS[method.activation]()]
        module = nn.Sequential(*layers[:-1])
        if method.init == "box":
            torch.manual_seed(seed)
            for parameter in module.parameters():
                nn.init.uniform_(parameter, -method.clip, method.clip)
    return module.to(getattr(torch, method.dtype))


def optimiser_of(module: nn.Module, method: WeightClip) -> torch.optim.Optimizer:
    parameters, rate = module.parameters(), method.rate
    if method.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, alpha=method.smoothing, eps=method.eps)
    if method.optimiser == "adam":
        return torch.optim.Adam(parameters, rate, betas=method.betas, eps=method.eps)
    return torch.optim.SGD(parameters, rate)


def clip_(module: nn.Module, method: WeightClip) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            if method.clip_parameters == "all" or parameter.ndim == 2:
                parameter.clamp_(-method.clip, method.clip)


def minibatch(pair: SamplePair, seed: int, step: int, size: int) -> tuple[Array, Array]:
    """The points of one step: the first ``size`` numbers of its part of the stream draw x, the next y."""
    seeds = torch.tensor([stream_seed("minibatches", seed)])
    bits = random_bits(seeds, 2 * size * step, 2 * size)[0]
    drawn = []
    for points, weights, numbers in ((pair.x, pair.a, bits[:size]), (pair.y, pair.b, bits[size:])):
        if (weights == weights[0]).all():
            rows = uniform_indices(numbers, len(points)).numpy()
        else:
            rows = np.searchsorted(np.cumsum(weights), (numbers.numpy() + 0.5) / 2**53)
        drawn.append(points[rows])
    return drawn[0], drawn[1]


def loss_of(module: nn.Module, pair: SamplePair, method: WeightClip, seed: int, step: int) -> Tensor:
    def tensor(values: Array) -> Tensor:
        return torch.from_numpy(values).to(getattr(torch, method.dtype))

    if method.batch == "full":
        fx, fy = module(tensor(pair.x))[:, 0], module(tensor(pair.y))[:, 0]
        return tensor(pair.b) @ fy - tensor(pair.a) @ fx
    x, y = minibatch(pair, seed, step, method.batch)
    return -module(tensor(x)).mean() + module(tensor(y)).mean()


def reference_parameters(pair: SamplePair, method: WeightClip, seed: int) -> list[Array]:
    """W_1 (in, out), b_1, W_2, b_2, ... after ``method.steps`` steps of the plain loop, float64."""
    module = initial_module(method, pair.dim, seed)
    optimiser = optimiser_of(module, method)
    clip_(module, method)
    for step in range(method.steps):
        if method.clip_when == "before":
            clip_(module, method)
        optimiser.zero_grad()
        loss_of(module, pair, method, seed, step).backward()
        optimiser.step()
        if method.clip_when == "after":
            clip_(module, method)
    return [p.detach().double().numpy().T for p in module.parameters()]
