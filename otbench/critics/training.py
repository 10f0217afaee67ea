"""The training engine: many clipped critics of one shape trained in one batched loop."""

import time
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otbench.critics.minibatch import random_bits, stream_seed, uniform_indices, weighted_indices
from otbench.critics.network import Stack, initial_parameters
from otbench.critics.optimisers import Step, adam, rmsprop, sgd
from otbench.errors import InputError
from otbench.methods.base import Fitted
from otbench.types import SamplePair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otbench.methods.weight_clip import WeightClip

#: Steps whose minibatch indices are drawn at once: long enough to forget the call, small enough for the cache.
STEPS_A_BLOCK = 64

#: Bytes of parameters, optimiser state and activations that one batch of critics may occupy on a CPU: small
#: critics are bound by calls (many at once), large ones by the second-level cache (few at once).
CPU_WORKING_SET = 4 * 2**20


def train(pair: SamplePair, method: "WeightClip", *, seed: int = 0, device: str = "cpu") -> Fitted:
    """Train one clipped critic on one pair of samples; the same arguments give the same critic.

    The loss is -mean f(x) + mean f(y), so f is large on x and small on y.

    Returns:
        Fitted, its ``critic`` a float64 function; status "diverged" when a parameter is not finite.

    Raises:
        InputError: a device that is not there, or too few points for full batches of both samples.

    Source: Arjovsky, Chintala, Bottou 2017, Algorithm 1.
    """
    return train_many([pair], [method], [seed], device=device)[0]


def train_many(
    pairs: Sequence[SamplePair], methods: Sequence["WeightClip"], seeds: Sequence[int], *, device: str = "cpu"
) -> list[Fitted]:
    """Train critic k on pairs[k] by methods[k] with seeds[k], all in batched calls.

    The methods may differ in clip, learning rate and eps only. A critic's parameters do not depend, bit for bit
    on a CPU, on the critics it shares a batch with.
    """
    if not len(pairs) == len(methods) == len(seeds):
        raise InputError(
            f"train_many takes one pair, method and seed a critic; got {len(pairs)}, {len(methods)}, {len(seeds)}"
        )
    if len({(m.batch_key(), p.dim) for m, p in zip(methods, pairs, strict=True)}) > 1:
        raise InputError(
            "critics trained together must agree in dimension and in all but clip, lr, lr_unit and eps: "
            "group them by batch_key()"
        )
    check_device(device)
    fitted: list[Fitted] = []
    with _one_thread():
        for some in _chunks(pairs, methods):
            fitted += _train_chunk(list(pairs[some]), list(methods[some]), list(seeds[some]), device)
    return fitted


def check_device(device: str) -> None:
    """InputError unless ``device`` is a device this torch can compute on."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device!r} cannot be used: {reason}; use --device cpu") from None


@contextmanager
def _one_thread() -> "Iterator[None]":
    """One torch thread: several on a small shared machine can be a hundred times slower, and sum differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _chunks(pairs: Sequence[SamplePair], methods: Sequence["WeightClip"]) -> list[slice]:
    if not pairs:
        return []
    method, pair = methods[0], pairs[0]
    shapes = method.shapes(pair.dim)
    rows = len(pair.x) + len(pair.y) if method.batch == "full" else 2 * method.batch
    floats = sum(i * o + o for i, o in shapes) * 4 + rows * (pair.dim + 2 * sum(method.widths))
    size = max(1, min(64, CPU_WORKING_SET // (floats * 4)))
    return [slice(k, k + size) for k in range(0, len(pairs), size)]


def _train_chunk(
    pairs: list[SamplePair], methods: list["WeightClip"], seeds: list[int], device: str
) -> list[Fitted]:
    start = time.perf_counter()
    count, shared = len(pairs), methods[0]
    if count == 1:  # a product of one matrix takes another path in BLAS, with other rounding: never go alone
        pairs, methods, seeds = pairs * 2, methods * 2, seeds * 2
    shapes = shared.shapes(pairs[0].dim)
    dtype = torch.float32 if shared.dtype == "float32" else torch.float64
    clip = _column([m.clip for m in methods], dtype, device)
    parameters = torch.stack(
        [
            initial_parameters(shapes, seed, m.clip if m.init == "box" else None)
            for m, seed in zip(methods, seeds, strict=True)
        ]
    ).to(device, dtype)
    stack = Stack(parameters, shapes, shared.activation)
    bound = _bounds(stack, clip, shared.clip_parameters)
    clip_to_box(parameters, bound)
    saturation_start = _saturation(parameters, bound)
    halfway = _loop(stack, bound, pairs, methods, seeds, device)
    saturation = _saturation(parameters, bound)
    finite = torch.isfinite(parameters).all(dim=1).tolist()
    if device != "cpu":
        torch.cuda.synchronize(device)
    seconds = (time.perf_counter() - start) / count
    # float32 holds c only to 6e-8: the box that is read in float64 is the one the engine clipped to
    box = clip[:, 0].tolist()
    critics = stack.read(parameters, box)
    halves = stack.read(halfway, box) if halfway is not None else [None] * len(critics)
    return [
        Fitted(
            critic=critics[k] if finite[k] else None,
            status="ok" if finite[k] else "diverged",
            reason="" if finite[k] else f"a parameter is not finite after {shared.steps} steps",
            halfway=halves[k] if finite[k] else None,
            saturation_start=saturation_start[k],
            saturation=saturation[k] if finite[k] else None,
            seconds=seconds,
            batch=count,
        )
        for k in range(count)
    ]


def _loop(
    stack: Stack,
    bound: Tensor,
    pairs: list[SamplePair],
    methods: list["WeightClip"],
    seeds: list[int],
    device: str,
) -> Tensor | None:
    """All steps; returns the parameters at half the budget (None when there are no steps)."""
    shared = methods[0]
    source = MinibatchSource(pairs, seeds, shared.batch, stack.parameters)
    optimise = _optimiser(stack.parameters, methods)
    halfway = None
    for first in range(0, shared.steps, STEPS_A_BLOCK):
        last = min(first + STEPS_A_BLOCK, shared.steps)
        source.draw(first, last - first)
        for step in range(first, last):
            if step == shared.steps // 2:
                halfway = stack.parameters.clone()
            if shared.clip_when == "before":
                clip_to_box(stack.parameters, bound)
            stack.backward(source.points(step - first), source.pull)
            optimise(stack.gradient)
            if shared.clip_when == "after":
                clip_to_box(stack.parameters, bound)
    return halfway


def clip_to_box(parameters: Tensor, bound: Tensor) -> None:
    """theta ← min(max(theta, -c), c), in place; ``bound`` (E, 1) or (E, P) holds c."""
    torch.clamp(parameters, -bound, bound, out=parameters)


class MinibatchSource:
    """The points of each step: 'batch' draws with replacement of either sample a critic, or all of both.

    ``pull`` (E, R, 1) is d loss / d f at those points: minus the share of a point of x, plus that of y.
    """

    def __init__(
        self, pairs: list[SamplePair], seeds: list[int], batch: int | str, like: Tensor
    ) -> None:
        distinct = list({id(p): p for p in pairs}.values())
        n, m = {len(p.x) for p in distinct}, {len(p.y) for p in distinct}
        if len(n) > 1 or len(m) > 1:
            raise InputError("critics trained together need samples of equal size; group them by n and m")
        self.n, self.m, self.batch = n.pop(), m.pop(), batch
        which = {id(p): k for k, p in enumerate(distinct)}
        device, dtype = like.device, like.dtype
        self.sample = torch.tensor([which[id(p)] for p in pairs], device=device)
        both = [torch.cat([torch.from_numpy(p.x), torch.from_numpy(p.y)]) for p in distinct]
        self.atoms = torch.stack(both).to(device, dtype)  # (S, n + m, d)
        self.flat = self.atoms.flatten(0, 1)
        self.seeds = torch.tensor([stream_seed("minibatches", s) for s in seeds], device=device)
        self.cumulative = None if all(map(_uniform, distinct)) else self._running_sums(distinct, device)
        self.pull = self._pull(pairs, like)

    def _running_sums(self, distinct: list[SamplePair], device: torch.device) -> tuple[Tensor, Tensor]:
        sums = [torch.stack([torch.from_numpy(w) for w in ws]).cumsum(1).to(device) for ws in
                ([p.a for p in distinct], [p.b for p in distinct])]  # fmt: skip
        return sums[0][self.sample], sums[1][self.sample]

    def _pull(self, pairs: list[SamplePair], like: Tensor) -> Tensor:
        if self.batch == "full":
            pull = torch.stack([torch.cat([-torch.from_numpy(p.a), torch.from_numpy(p.b)]) for p in pairs])
        else:
            pull = torch.full((len(pairs), 2 * int(self.batch)), 1 / int(self.batch))
            pull[:, : int(self.batch)] *= -1
        return pull.to(like.device, like.dtype)[:, :, None]

    def draw(self, first: int, count: int) -> None:
        """The minibatch indices of steps first ... first + count - 1, as rows of ``flat``."""
        if self.batch == "full":
            return
        size, critics = int(self.batch), len(self.seeds)
        bits = random_bits(self.seeds, first * 2 * size, count * 2 * size).view(critics, count, 2, size)
        of_x, of_y = bits[:, :, 0].flatten(1), bits[:, :, 1].flatten(1)
        if self.cumulative is None:
            x, y = uniform_indices(of_x, self.n), uniform_indices(of_y, self.m)
        else:
            x, y = (weighted_indices(*pair) for pair in zip((of_x, of_y), self.cumulative, strict=True))
        rows = torch.stack([x.view(critics, count, size), y.view(critics, count, size) + self.n], dim=2)
        rows += (self.sample * (self.n + self.m))[:, None, None, None]
        self.rows = rows.transpose(0, 1).flatten(1).contiguous()  # (count, E * 2 batch)

    def points(self, step: int) -> Tensor:
        """The points (E, R, d) of one step of the block last drawn."""
        if self.batch == "full":
            return self.atoms[self.sample]
        return self.flat.index_select(0, self.rows[step]).view(len(self.seeds), -1, self.flat.shape[1])


def _uniform(pair: SamplePair) -> bool:
    return bool((pair.a == pair.a[0]).all() and (pair.b == pair.b[0]).all())


def _optimiser(parameters: Tensor, methods: list["WeightClip"]) -> Step:
    shared = methods[0]
    rate = _column([m.rate for m in methods], parameters.dtype, parameters.device)
    eps = _column([m.eps for m in methods], parameters.dtype, parameters.device)
    if shared.optimiser == "rmsprop":
        return rmsprop(parameters, rate, eps, shared.smoothing)
    if shared.optimiser == "adam":
        return adam(parameters, rate, eps, shared.betas)
    return sgd(parameters, rate)


def _bounds(stack: Stack, clip: Tensor, which: str) -> Tensor:
    """c for every clipped parameter, infinity for the others: (E, 1), or (E, P) where biases are free."""
    if which == "all":
        return clip
    bound = torch.full_like(stack.parameters, torch.inf)
    weights, _ = stack.views(bound)
    for weight in weights:
        weight.copy_(clip[:, :, None].expand_as(weight))
    return bound


def _saturation(parameters: Tensor, bound: Tensor) -> list[float]:
    """Share of the clipped parameters of each critic with |theta| >= 0.999 c."""
    clipped = torch.isfinite(bound).expand_as(parameters)
    at_wall = (parameters.abs() >= 0.999 * bound) & clipped
    return (at_wall.sum(1).double() / clipped.sum(1)).tolist()


def _column(values: list[float], dtype: torch.dtype, device: str | torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device)[:, None]
