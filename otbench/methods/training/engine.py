"""The engine: the training steps of one batch of clipped critics, done together for all of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otbench.deadline import check_deadline
from otbench.methods.training.compiled_step import compiled_step
from otbench.methods.training.minibatch import sample_source
from otbench.methods.training.network import Stack
from otbench.methods.training.optimisers import SGD, Adam, RMSProp
from otbench.methods.training.parameters import initial_parameters
from otbench.methods.training.population import PopulationSource
from otbench.methods.training.recipes import ClippedRecipe
from otbench.methods.training.source import PointSource
from otbench.types import Law, SamplePair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Steps in one captured CUDA graph; divides every source's block.
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
        graphs: whether steps are replayed from captured CUDA graphs; None does so on a GPU.
        compiled: whether the step is given to a compiler, where there is one.
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
    ) -> None:
        self.uses_graphs = device.startswith("cuda") if graphs is None else graphs
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
        self.graphs: list[torch.cuda.CUDAGraph] = []
        self.clip_to_box()
        self.compiled = self._compiled_step() if compiled else None

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
        rate, eps = (
            self.stack.per_parameter(torch.tensor(values, dtype=parameters.dtype, device=self.device))
            for values in ([m.rate for m in methods], [m.eps for m in methods])
        )
        if shared.optimiser == "rmsprop":
            return RMSProp(parameters, rate, eps, shared.smoothing)
        if shared.optimiser == "adam":
            return Adam(parameters, rate, eps, shared.betas)
        return SGD(parameters, rate)

    def _compiled_step(self) -> Callable[[Tensor], None] | None:
        """The step as the compiler makes it; None where there is no compiler."""
        assert isinstance(self.optimise, RMSProp)
        source, box = self.source, (self.low, self.high)
        return compiled_step(self.optimise, self.stack.views, box, source.points(0), source.pull)

    def clip_to_box(self) -> None:
        """theta ← min(max(theta, -c), c)."""
        torch.clamp(self.stack.parameters, self.low, self.high, out=self.stack.parameters)

    def step(self, k: int) -> None:
        """Step k of the block last drawn."""
        if self.compiled is not None:
            self.compiled(self.source.points(k))
            return
        if self.method.clip_when == "before":
            self.clip_to_box()
        self.stack.backward(self.source.points(k), self.source.pull)
        self.optimise(self.stack.gradient)
        if self.method.clip_when == "after":
            self.clip_to_box()

    def run(self, first: int, last: int) -> None:
        """Do steps first ... last - 1; nothing is read back from the device meanwhile."""
        with _tf32(self.method.dtype == "tf32"), self._current_device():
            steps = self._graphed if self.uses_graphs else self._eager
            for start in range(first, last, self.source.block):
                check_deadline()
                count = min(self.source.block, last - start)
                self.source.draw(start, count)
                steps(count)

    def _eager(self, count: int) -> None:
        for k in range(count):
            self.step(k)

    def _graphed(self, count: int) -> None:
        """Do steps in whole graphs of STEPS_PER_GRAPH, and those left over one by one."""
        if not self.graphs:
            self.graphs = self._capture()
        whole = count // STEPS_PER_GRAPH
        for graph in self.graphs[:whole]:
            graph.replay()
        for k in range(whole * STEPS_PER_GRAPH, count):
            self.step(k)

    def _capture(self) -> list[torch.cuda.CUDAGraph]:
        """One graph for every STEPS_PER_GRAPH steps of the block's buffer; the state is left as it was."""
        state = [t.clone() for t in self._state()]
        side = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):  # libraries allocate their workspaces before the capture
            for k in range(3):
                self.step(k)
        torch.cuda.current_stream(self.device).wait_stream(side)
        graphs: list[torch.cuda.CUDAGraph] = []
        for first in range(0, self.source.block, STEPS_PER_GRAPH):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=graphs[0].pool() if graphs else None):
                for k in range(first, first + STEPS_PER_GRAPH):
                    self.step(k)
            graphs.append(graph)
        for tensor, before in zip(self._state(), state, strict=True):
            tensor.copy_(before)
        return graphs

    def prepare(self) -> None:
        """Do what a first step alone has to do, as compiling, capturing and loading; no parameter changes."""
        state = [t.clone() for t in self._state()]
        self.run(0, STEPS_PER_GRAPH)
        for tensor, before in zip(self._state(), state, strict=True):
            tensor.copy_(before)

    def _current_device(self) -> AbstractContextManager[object]:
        """A context in which the engine's device is the current one: graphs are captured on a stream of that one."""
        return torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()

    def _state(self) -> list[Tensor]:
        """Every tensor that a step changes and a later step reads."""
        return [self.stack.parameters, *self.optimise.state]

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


@contextmanager
def _tf32(wanted: bool) -> "Iterator[None]":
    """Within this context matrix products are TensorFloat-32 on a GPU if ``wanted``, and float32 if not."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = wanted
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
