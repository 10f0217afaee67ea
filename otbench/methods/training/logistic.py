"""Training of classical GAN discriminators on the logistic loss, in batches of one shape."""

from collections.abc import Sequence

import torch

from otbench.methods.fitted import Fitted
from otbench.methods.training.device import Pace, check_device, one_thread
from otbench.methods.training.minibatch import MinibatchSource
from otbench.methods.training.network import Stack
from otbench.methods.training.optimisers import ADAM_EPS, Adam
from otbench.methods.training.parameters import initial_parameters
from otbench.methods.training.population import PopulationSource
from otbench.methods.training.recipes import LogisticRecipe
from otbench.methods.training.source import PointSource
from otbench.methods.training.stopwatch import now, warm_up
from otbench.types import Law, SamplePair

#: Discriminators that are trained together: enough that calls cost little, few enough for the cache.
TOGETHER = 16


def train_discriminators(
    pairs: Sequence[SamplePair],
    method: LogisticRecipe,
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    laws: Sequence[Law] | None = None,
) -> list[Fitted]:
    """One discriminator per pair of samples, with logit f, trained to minimise E softplus(-f(x)) + E softplus(f(y)).

    With ``laws`` every step sees fresh points of them, and the samples are not trained on. On a CPU no bit of a
    discriminator depends on those with which it shares a batch.

    Raises:
        InputError: a device that is not there.

    Source: Goodfellow et al. 2014, Algorithm 1, the discriminator's steps.
    """
    check_device(device)
    fitted: list[Fitted] = []
    with one_thread():
        for k in range(0, len(pairs), TOGETHER):
            some = slice(k, k + TOGETHER)
            drawn = None if laws is None else list(laws[some])
            fitted += _train_batch(list(pairs[some]), method, list(seeds[some]), drawn, device)
    return fitted


def _train_batch(
    pairs: list[SamplePair], method: LogisticRecipe, seeds: list[int], laws: list[Law] | None, device: str
) -> list[Fitted]:
    """The discriminators of one batch, whose samples have the same sizes."""
    begun, count = now(device), len(pairs)
    warm_up(device)
    if count == 1:  # beside its twin, as BLAS rounds a single network in another way
        pairs, seeds, laws = pairs * 2, seeds * 2, laws and laws * 2
    shapes = method.shapes(pairs[0].dim)
    initial = torch.stack([initial_parameters(shapes, seed, None) for seed in seeds]).to(device)
    source: PointSource = (
        MinibatchSource(pairs, seeds, method.batch, initial)
        if laws is None
        else PopulationSource(laws, seeds, method.batch, pairs[0].dim, initial)
    )
    stack = Stack(initial, shapes, method.activation, source.points_per_step)
    rate, eps = torch.full_like(stack.parameters, method.lr), torch.full_like(stack.parameters, ADAM_EPS)
    optimise = Adam(stack.parameters, rate, eps, method.betas)
    side = source.pull * method.batch  # -1 at points of x, 1 at points of y: the loss is mean softplus(side f)
    pace = Pace.of(initial.device)
    start = now(device)
    for first in range(0, method.steps, source.block):
        pace.check()
        steps = min(source.block, method.steps - first)
        source.draw(first, steps, method.steps - first - steps)
        for k in range(steps):
            points = source.points(k)
            pull = side * torch.sigmoid(side * stack.values(points)) / method.batch
            stack.backward(points, pull)
            optimise(stack.gradient)
    finite = torch.isfinite(stack.by_critic(stack.parameters)).all(dim=1).tolist()
    seconds, prepare = (now(device) - start) / count, (start - begun) / count
    critics = stack.read(stack.parameters, [None] * len(pairs))
    why = f"a parameter is not finite after {method.steps} steps"
    return [
        Fitted(critics[k], batch=count, seconds=seconds, seconds_prepare=prepare)
        if finite[k]
        else Fitted(None, "diverged", why, batch=count, seconds=seconds, seconds_prepare=prepare)
        for k in range(count)
    ]
