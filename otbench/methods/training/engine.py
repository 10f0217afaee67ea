"""The engine: the training steps of one batch of clipped critics, done together for all of them."""

from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otbench.methods.training.compiled_step import compiled_step
from otbench.methods.training.device import Pace
from otbench.methods.training.minibatch import sample_source
from otbench.methods.training.network import Stack
from otbench.methods.training.one_pass import Descend, one_pass
from otbench.methods.training.optimisers import SGD, Adam, RMSProp
from otbench.methods.training.parameters import initial_parameters
from otbench.methods.training.population import PopulationSource
from otbench.methods.training.recipes import ClippedRecipe
from otbench.methods.training.replay import Replay, replay_of
from otbench.methods.training.source import PointSource
from otbench.transport.products import float32_products
from otbench.types import Law, SamplePair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Steps in one captured CUDA graph, for which the block of every source has room.
STEPS_PER_GRAPH = 16

#: By the method's ``dtype``: the type in which parameters are kept, and that of the matrix products.
DTYPES = {
    "float32": (torch.float32, torch.float32),
    "tf32": (torch.float32, torch.float32),
    "bfloat16": (torch.float32, torch.bfloat16),
    "float64": (torch.float64, torch.float64),
}


class Engine:
    """E clipped critics in training: their parameters, their points, an optimiser and a box; ``run`` does steps.

    Args:
        pairs: the samples of each critic, all of the same sizes.
        methods: the recipe of each critic; they agree in all but clip value, learning rate and eps.
        seeds: the seed of each critic's first weights and points.
        device: where the critics are trained.
        laws: the problem of which critic k sees fresh draws at every step; None shows it its sample.
        graphs: whether steps are replayed from a captured CUDA graph; None does so on a GPU. On a CPU steps are
            replayed one by one.
        compiled: whether the step is given to a compiler, where there is one.
        single_pass: whether the optimiser and the clamp after it are one compiled pass over the parameters, where
            there is a compiler; None does so on a GPU. What rounds a CPU's critics is the order of its calls.
    """

    def __init__(
        self,
        pairs: list[SamplePair],
        methods: list[ClippedRecipe],
        seeds: list[int],
        device: str,
        *,
        laws: "Sequence[Law] | None" = None,
        graphs: bool | None = None,
        compiled: bool = False,
        single_pass: bool | None = None,
    ) -> None:
        on_gpu = device.startswith("cuda")
        self.uses_graphs = on_gpu if graphs is None else graphs
        self.method, self.device = methods[0], torch.device(device)
        dtype, products = DTYPES[self.method.dtype]
        shapes = self.method.shapes(pairs[0].dim)
        boxes = [m.clip if m.init == "box" else None for m in methods]
        initial = torch.stack([initial_parameters(shapes, s, box) for s, box in zip(seeds, boxes, strict=True)])
        self.clip = torch.tensor([m.clip for m in methods], dtype=dtype, device=self.device)
        self.source = self._source(pairs, seeds, laws, initial.to(self.device, dtype))
        self.stack = Stack(
            initial.to(self.device, dtype), shapes, self.method.activation, self.source.points_per_step, products
        )
        self.high = self.stack.per_parameter(self.clip, biases=self._bias_wall())
        self.low = -self.high
        self.optimise = self._optimiser(methods)
        self.at = torch.zeros(1, dtype=torch.int64, device=self.device)  # the step of the block that a graph does next
        self.graph: Replay | None = None
        self.pace = Pace.of(self.device)
        self.clip_to_box()
        with self._set_up():
            self.compiled = self._compiled_step() if compiled else None
            wanted = (on_gpu if single_pass is None else single_pass) and self.compiled is None
            self.single_pass = self._single_pass(methods) if wanted else None

    def _bias_wall(self) -> float | None:
        """The largest size of a bias where that is not the clip value: infinite, or 0 where there are no biases."""
        if not self.method.biases:
            return 0.0
        return torch.inf if self.method.clip_parameters == "weights" else None

    def _source(
        self, pairs: list[SamplePair], seeds: list[int], laws: "Sequence[Law] | None", like: Tensor
    ) -> PointSource:
        if laws is None:
            return sample_source(pairs, seeds, self.method.batch, like)
        assert self.method.batch != "full"
        return PopulationSource(laws, seeds, self.method.batch, pairs[0].dim, like)

    def _optimiser(self, methods: list[ClippedRecipe]) -> RMSProp | Adam | SGD:
        parameters, shared = self.stack.parameters, self.method
        rate, eps = (self.stack.per_parameter(column) for column in self._columns(methods))
        if shared.optimiser == "rmsprop":
            return RMSProp(parameters, rate, eps, shared.smoothing)
        if shared.optimiser == "adam":
            return Adam(parameters, rate, eps, shared.betas)
        return SGD(parameters, rate)

    def _columns(self, methods: list[ClippedRecipe]) -> tuple[Tensor, Tensor]:
        """The learning rate (E,) and the eps (E,) of every critic."""
        rate, eps = (self.clip.new_tensor(values) for values in ([m.rate for m in methods], [m.eps for m in methods]))
        return rate, eps

    def _single_pass(self, methods: list[ClippedRecipe]) -> Descend | None:
        """The optimiser and the clamp, if one follows, in one pass; None where there is no compiler."""
        wall = self._bias_wall()
        walls = torch.cat([self.clip, self.clip if wall is None else torch.full_like(self.clip, wall)])
        if self.method.clip_when == "before":
            walls.fill_(torch.inf)
        rate, eps = (column.repeat(2) for column in self._columns(methods))
        return one_pass(self.optimise, self.stack.owners(), rate, eps, walls)

    def _compiled_step(self) -> Callable[[Tensor], None] | None:
        """The step as the compiler makes it; None where there is no compiler."""
        assert isinstance(self.optimise, RMSProp)
        source, box = self.source, (self.low, self.high)
        return compiled_step(self.optimise, self.stack.views, box, source.points(0), source.pull)

    def clip_to_box(self) -> None:
        """theta ← min(max(theta, -c), c)."""
        torch.clamp(self.stack.parameters, self.low, self.high, out=self.stack.parameters)

    def step(self, k: int | Tensor) -> None:
        """Step k of the block last drawn, a number or a tensor (1,) on the device."""
        if self.compiled is not None:
            self.compiled(self.source.points(k))
            return
        if self.method.clip_when == "before":
            self.clip_to_box()
        self.stack.backward(self.source.points(k), self.source.pull)
        if self.single_pass is not None:
            self.single_pass(self.stack.gradient)
            return
        self.optimise(self.stack.gradient)
        if self.method.clip_when == "after":
            self.clip_to_box()

    def run(self, first: int, last: int) -> None:
        """Do steps first ... last - 1; nothing is read back from the device meanwhile."""
        with self._set_up():
            steps = self._graphed if self.uses_graphs else self._eager
            for start in range(first, last, self.source.block):
                self.pace.check()
                count = min(self.source.block, last - start)
                self.source.draw(start, count, last - start - count)
                steps(count)

    def _eager(self, count: int) -> None:
        for k in range(count):
            self.step(k)

    def _graphed(self, count: int) -> None:
        """Do steps in whole graphs of STEPS_PER_GRAPH, and those left over one by one."""
        self.at.zero_()
        if self.graph is None:
            with self._state_kept():
                self.graph = replay_of(self._next_step, STEPS_PER_GRAPH, self.device)
        for _ in range(count // STEPS_PER_GRAPH):
            self.graph.replay()
        for _ in range(count % STEPS_PER_GRAPH):
            self._next_step()

    def _next_step(self) -> None:
        """The step of the block whose number lies on the device: one graph does any of them."""
        self.step(self.at)
        self.at.add_(1)

    def prepare(self) -> None:
        """Do what a first step alone has to do, as compiling, capturing and loading; no parameter changes."""
        with self._state_kept():
            self.run(0, STEPS_PER_GRAPH)

    @contextmanager
    def _state_kept(self) -> "Iterator[None]":
        """A context after which everything that a later step reads is as it was before."""
        before = [tensor.clone() for tensor in self._state()]
        yield
        for tensor, value in zip(self._state(), before, strict=True):
            tensor.copy_(value)

    @contextmanager
    def _set_up(self) -> "Iterator[None]":
        """A context in which products of float32 are what the method says, and the engine's device is the current one:
        graphs are captured on a stream of that one."""
        current = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with float32_products("high" if self.method.dtype == "tf32" else "highest"), current:
            yield

    def _state(self) -> list[Tensor]:
        """Every tensor that a step changes and a later step reads."""
        return [self.stack.parameters, *self.optimise.state, self.at]

    def saturation(self) -> list[float]:
        """For each critic, the share of its clipped parameters with |theta| >= 0.999 c."""
        clipped = torch.isfinite(self.high) & (self.high > 0)
        at_wall = (self.stack.parameters.abs() >= 0.999 * self.high) & clipped
        walls, boxed = (self.stack.by_critic(flags.double()).sum(1) for flags in (at_wall, clipped))
        return (walls / boxed).tolist()

    def finite(self) -> list[bool]:
        """For each critic, whether parameters and optimiser state are finite: infinite second moments stop a critic."""
        flat = [tensor for tensor in self._state() if tensor.shape == self.stack.parameters.shape]
        parts = [torch.isfinite(self.stack.by_critic(tensor)).all(dim=1) for tensor in flat]
        return torch.stack(parts).all(dim=0).tolist()
