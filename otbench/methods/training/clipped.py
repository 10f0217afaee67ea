"""Train clipped critics: one, or many of a shape in batches sized for the cache or the GPU's memory."""

import re
import time
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from otbench.errors import InputError
from otbench.inputs import as_whole
from otbench.methods.fitted import Fitted
from otbench.methods.mlp import Activation
from otbench.methods.training.compiled_step import worth_compiling
from otbench.methods.training.engine import DTYPES, Engine
from otbench.methods.training.minibatch import STEPS_PER_BLOCK
from otbench.methods.training.network import CPU_ROWS, Stack, filled, filled_shapes, initial_parameters
from otbench.methods.training.recipes import ClippedRecipe
from otbench.types import Law, SamplePair

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes of parameters, optimiser state and activations one batch may occupy on a CPU: small critics are bound by
#: calls (many at once), large ones by the second-level cache (few at once).
CPU_WORKING_SET = 4 * 2**20

#: Share of a GPU's memory one batch may take.
GPU_SHARE = 0.5


def train(
    pair: SamplePair, method: ClippedRecipe, *, seed: int = 0, device: str = "cpu", law: Law | None = None
) -> Fitted:
    """Train one clipped critic on one pair of samples; the same arguments give the same critic.

    The loss is -mean f(x) + mean f(y), so f is large on x and small on y. ``law``: a problem, of which every step
    sees fresh draws; the pair then gives the dimension only.

    Returns:
        Fitted, its ``critic`` a float64 function; status "diverged" when a parameter is not finite.

    Raises:
        InputError: a device that is not there, or a dtype it does not have.

    Source: Arjovsky, Chintala, Bottou 2017, Algorithm 1.
    """
    return train_many([pair], [method], [seed], device=device, laws=None if law is None else [law])[0]


def train_many(
    pairs: Sequence[SamplePair],
    methods: Sequence[ClippedRecipe],
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    laws: Sequence[Law] | None = None,
) -> list[Fitted]:
    """Train critic k on pairs[k], or fresh draws of laws[k], by methods[k] with seeds[k], all in batched calls.

    The methods may differ in clip, learning rate and eps only, the pairs must agree in sizes. On a CPU a critic's
    parameters do not depend, bit for bit, on the critics it shares a batch with.

    Raises:
        InputError: critics that cannot share a batch; a device that is not there.
    """
    counts = [len(part) for part in (pairs, methods, seeds, *([] if laws is None else [laws]))]
    if len(set(counts)) > 1:
        raise InputError(f"train_many takes one pair, method, seed (and law) a critic; got {counts}")
    if not pairs:
        return []
    seeds = [as_whole("seed", seed, 0) for seed in seeds]
    for method in methods:
        if not hasattr(method, "clip"):
            raise InputError(f"train takes a WeightClip; got {type(method).__name__}, which experiments run by name")
    methods = [method.at(pair.dim) for method, pair in zip(methods, pairs, strict=True)]
    if laws is not None and methods[0].batch == "full":
        raise InputError("fresh draws have no full batch: give batch a number, or train on a sample")
    if len({(m.batch_key(), p.dim) for m, p in zip(methods, pairs, strict=True)}) > 1:
        raise InputError(
            "critics trained together must agree in dimension and in all but clip, lr, lr_unit and eps: "
            "group them by batch_key()"
        )
    check_device(device)
    if methods[0].dtype == "tf32" and not device.startswith("cuda"):
        raise InputError('dtype "tf32" is a CUDA device\'s; use "float32", or --device cuda')
    size = batch_size(pairs[0], methods[0], device)
    fitted: list[Fitted] = []
    with one_thread():
        for some in np.array_split(np.arange(len(pairs)), -(-len(pairs) // size)):  # batches of almost equal size
            chosen = [pairs[k] for k in some], [methods[k] for k in some], [seeds[k] for k in some]
            fitted += _train_batch(*chosen, None if laws is None else [laws[k] for k in some], device)
    return fitted


def batch_size(pair: SamplePair, method: ClippedRecipe, device: str) -> int:
    """How many critics of one shape share a batch: what fits the cache on a CPU, the memory on a GPU."""
    rows = len(pair.x) + len(pair.y) if method.batch == "full" else 2 * method.batch
    shapes = filled_shapes(method.shapes(pair.dim))
    parameters = sum(i * o + o for i, o in shapes)
    widths = [out for _, out in shapes[:-1]]
    width = sum(widths) + max(widths, default=0)  # every layer's outputs, and one buffer to spare
    if device.startswith("cuda"):
        _, total = torch.cuda.mem_get_info(device)  # all of it: what is free counts memory torch keeps for reuse
        draws = 0 if method.batch == "full" else 8 * 8 * STEPS_PER_BLOCK * rows  # 64-bit numbers and what makes them
        return max(1, int(GPU_SHARE * total) // (8 * (7 * parameters + rows * (pair.dim + width)) + draws))
    floats = 7 * parameters + min(rows, CPU_ROWS) * width  # 7: theta, g, v, a temporary, rate, both walls
    return max(1, min(64, CPU_WORKING_SET // (4 * floats)))


def trains_alone(method: ClippedRecipe, pair: SamplePair, device: str, compiled: bool) -> bool:
    """Whether a single critic is trained without a twin: where this machine rounds it as it would in company.

    A compiled step is another program for one critic than for several. Elsewhere a critic's slices of every tensor
    are aligned alike (``LANE``), and whether the BLAS at hand then rounds one product as it does many is found by
    trying. On a GPU no bits are promised.
    """
    if compiled or device != "cpu":
        return not compiled
    rows = filled(len(pair.x) + len(pair.y) if method.batch == "full" else 2 * method.batch)
    return _rounds_alike(tuple(method.shapes(pair.dim)), method.activation, min(rows, 2 * CPU_ROWS), method.dtype)


@cache
def _rounds_alike(shapes: tuple[tuple[int, ...], ...], activation: Activation, rows: int, dtype: str) -> bool:
    """Whether the gradients of one network have the same bits beside a twin as alone."""
    kept, products = DTYPES[dtype]
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(1, rows, shapes[0][0], generator=generator).to(kept)
    pull = torch.randn(1, rows, 1, generator=generator).to(kept)
    initial = initial_parameters(shapes, 0, None).to(kept)[None]
    found = []
    for count in (1, 2):
        stack = Stack(initial.repeat(count, 1), shapes, activation, rows, products)
        stack.backward(points.repeat(count, 1, 1), pull.repeat(count, 1, 1))
        found.append(stack.by_critic(stack.gradient)[0])
    return torch.equal(*found)


def check_device(device: str) -> None:
    """InputError unless ``device`` is a CPU or CUDA device this torch can compute on."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"device {device!r} cannot be used: it is not cpu, cuda or cuda:N; use --device cpu")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device!r} cannot be used: {reason}; use --device cpu") from None


@contextmanager
def one_thread() -> "Iterator[None]":
    """One torch thread: several on a small shared machine can be a hundred times slower, and sum differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train_batch(
    pairs: list[SamplePair], methods: list[ClippedRecipe], seeds: list[int], laws: list[Law] | None, device: str
) -> list[Fitted]:
    count, steps = len(pairs), methods[0].steps
    compiled = worth_compiling(methods[0], device)
    if count == 1 and not trains_alone(methods[0], pairs[0], device, compiled):
        pairs, methods, seeds, laws = pairs * 2, methods * 2, seeds * 2, laws and laws * 2
    engine = Engine(pairs, methods, seeds, device, laws=laws, compiled=compiled)
    start = time.perf_counter()
    saturation_start = engine.saturation()
    engine.run(0, steps // 2)
    halfway = engine.stack.parameters.clone()
    engine.run(steps // 2, steps)
    finite, saturation = engine.finite(), engine.saturation()  # the device is waited for here
    seconds = (time.perf_counter() - start) / count
    box = engine.clip.tolist()  # float32 holds c only to 6e-8: the box as the engine had it
    critics = engine.stack.read(engine.stack.parameters, box)
    halves = engine.stack.read(halfway, box) if steps else [None] * len(critics)
    return [
        Fitted(
            critic=critics[k] if finite[k] else None,
            status="ok" if finite[k] else "diverged",
            reason="" if finite[k] else f"a parameter or its second moment is not finite after {steps} steps",
            halfway=halves[k] if finite[k] else None,
            saturation_start=saturation_start[k],
            saturation=saturation[k] if finite[k] else None,
            seconds=seconds,
            batch=count,
            compiled=engine.compiled is not None,
        )
        for k in range(count)
    ]
