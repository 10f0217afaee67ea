"""Training of clipped critics: one, or many of one shape in batches that fit the cache or the GPU's memory."""

from collections.abc import Sequence
from functools import cache

import torch

from otbench.errors import InputError
from otbench.methods.fitted import Fitted
from otbench.methods.mlp import Activation
from otbench.methods.training.batches import in_batches
from otbench.methods.training.compiled_step import worth_compiling
from otbench.methods.training.device import check_device, gpu_room, one_thread
from otbench.methods.training.engine import DTYPES, Engine
from otbench.methods.training.minibatch import STEPS_PER_BLOCK
from otbench.methods.training.network import CPU_ROWS, Stack
from otbench.methods.training.parameters import filled, filled_shapes, initial_parameters
from otbench.methods.training.population import STEPS_PER_DRAW
from otbench.methods.training.recipes import ClippedRecipe
from otbench.methods.training.stopwatch import now
from otbench.types import Indices, Law, SamplePair

#: Bytes that parameters, optimiser state and activations of one batch may take on a CPU. Small critics spend their time
#: in calls, so that many at once are fast; large ones in the second-level cache, so that few are.
CPU_WORKING_SET = 4 * 2**20

#: Tensors of the size of the parameters that a GPU holds of a batch at most: parameters, gradient and two halves of
#: Adam's state with two temporaries; rates, eps, walls and owners; the copies at a capture, and those halfway.
TENSORS_ON_GPU = 16

#: 64-bit numbers for every point drawn of a sample: what is drawn, and what makes it.
NUMBERS_PER_DRAW = 8


def train_clipped(
    pairs: Sequence[SamplePair],
    methods: Sequence[ClippedRecipe],
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    laws: Sequence[Law] | None = None,
) -> list[Fitted]:
    """The critics of ``otbench.train_many`` by clipped recipes, with its arguments as it has checked them.

    Raises:
        InputError: fresh draws for a full batch, or a dtype that the device does not have.

    Source: Arjovsky, Chintala, Bottou 2017, Algorithm 1.
    """
    methods = [method.at(pair.dim) for method, pair in zip(methods, pairs, strict=True)]
    if laws is not None and methods[0].batch == "full":
        raise InputError("fresh draws have no full batch: give batch a number, or train on a sample")
    device = check_device(device)
    if methods[0].dtype == "tf32" and not device.startswith("cuda"):
        raise InputError('dtype "tf32" is a CUDA device\'s; use "float32", or --device cuda')
    size = batch_size(pairs[0], methods[0], device, fresh=laws is not None)

    def train(some: Indices) -> list[Fitted]:
        chosen = [pairs[k] for k in some], [methods[k] for k in some], [seeds[k] for k in some]
        return _train_batch(*chosen, None if laws is None else [laws[k] for k in some], device)

    with one_thread():
        return in_batches(len(pairs), size, train)


def batch_size(pair: SamplePair, method: ClippedRecipe, device: str, fresh: bool = False) -> int:
    """How many critics of one shape share a batch: as many as fit a CPU's cache, or what a GPU has free.

    ``fresh`` says whether steps see fresh draws and not the samples.
    """
    rows = len(pair.x) + len(pair.y) if method.batch == "full" else 2 * method.batch
    shapes = filled_shapes(method.shapes(pair.dim))
    parameters = sum(i * o + o for i, o in shapes)
    widths = [out for _, out in shapes[:-1]]
    width = sum(widths) + max(widths, default=0)  # the outputs of every layer, and the spare buffer
    if device.startswith("cuda"):
        number = 8 if method.dtype == "float64" else 4
        drawn = number * STEPS_PER_DRAW * rows * pair.dim if fresh else 8 * NUMBERS_PER_DRAW * STEPS_PER_BLOCK * rows
        # activations twice: a compiled step keeps the way back beside the way there
        held = number * (TENSORS_ON_GPU * parameters + 2 * rows * (pair.dim + width))
        return max(1, gpu_room(device) // (held + (0 if method.batch == "full" else drawn)))
    floats = 7 * parameters + min(rows, CPU_ROWS) * width  # 7: theta, g, v, a temporary, rate, both walls
    return max(1, min(64, CPU_WORKING_SET // (4 * floats)))


def trains_alone(method: ClippedRecipe, pair: SamplePair, device: str, compiled: bool) -> bool:
    """Whether a single critic is trained without a twin, as this machine then rounds it as it does among others.

    A compiled step is another program for one critic than for several, so that it needs a twin. In other steps a
    critic's slices of every tensor are aligned in the same way (``LANE``), and whether the BLAS at hand then rounds one
    product as it does many is tried out. On a GPU no bits are promised.
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


def _train_batch(
    pairs: list[SamplePair], methods: list[ClippedRecipe], seeds: list[int], laws: list[Law] | None, device: str
) -> list[Fitted]:
    """The critics of one batch; a single one has a twin where this machine rounds it differently alone."""
    count, steps = len(pairs), methods[0].steps
    compiled = worth_compiling(methods[0], device)
    if count == 1 and not trains_alone(methods[0], pairs[0], device, compiled):
        pairs, methods, seeds, laws = pairs * 2, methods * 2, seeds * 2, laws and laws * 2
    begun = now(device)
    engine = Engine(pairs, methods, seeds, device, laws=laws, compiled=compiled)
    if steps and device != "cpu":
        engine.prepare()
    start = now(device)
    saturation_start = engine.saturation()
    engine.run(0, steps // 2)
    halfway = engine.stack.parameters.clone()
    engine.run(steps // 2, steps)
    finite, saturation = engine.finite(), engine.saturation()
    seconds = (now(device) - start) / count
    box = engine.clip.tolist()  # the clip value as the engine had it: float32 holds c to 6e-8 only
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
            seconds_prepare=(start - begun) / count,
            batch=count,
            compiled=engine.compiled is not None,
        )
        for k in range(count)
    ]
