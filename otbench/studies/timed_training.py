"""How fast an engine trains, beside the plain loop and the device's own matrix products, and what memory it takes."""

import gc
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np

from otbench.problems import problem
from otbench.results.store import Row
from otbench.studies.device_state import DeviceState
from otbench.studies.peak_memory import growth, in_a_fresh_process
from otbench.types import SamplePair

#: Seconds that one timed block of steps should last: long beside a clock tick, short beside a burst of another process,
#: of which a GPU that is timed has none.
BLOCK_SECONDS, GPU_BLOCK_SECONDS = 0.4, 0.1

#: The side of the square matrices with whose product a step is compared, by device: large enough to occupy it.
PRODUCT_SIDE = {"cpu": 1024, "cuda": 8192}

#: The bytes that are copied to know what memory can move, by device: far more than any cache holds.
COPY_BYTES = {"cpu": 2**28, "cuda": 2**30}

#: The types of matrix products that are timed.
Rounding = Literal["float32", "tf32", "bfloat16"]

#: What the engines of a plan are: whether their steps are replayed from graphs, and whether they are compiled.
ENGINES = {
    "batched": (False, False),
    "compiled": (False, True),
    "graph": (True, False),
    "compiled_graph": (True, True),
}


@dataclass(frozen=True)
class Training:
    """A measurement: the seconds of one step of ``critics`` critics in one batch.

    The plain loop, a matrix product and a copy are timed in turns with it, so that all are of the same minutes. The
    critics have two hidden layers of ``width`` and see ``batch`` points of either sample in R^``dim``. ``key`` says all
    that the measurement depends on, so that no row of another plan is taken for it.
    """

    kind: ClassVar[str] = "training"

    engine: str
    width: int
    critics: int
    dim: int
    batch: int
    repeats: int
    dtype: Rounding = "float32"

    @property
    def key(self) -> str:
        rounding = "" if self.dtype == "float32" else f" dtype={self.dtype}"
        return (f"training {self.engine} {self.width} {self.critics} d={self.dim} batch={self.batch} "
                f"repeats={self.repeats}{rounding}")  # fmt: skip

    @property
    def layer_products(self) -> int:
        """The multiplications that take one point through the layers: as many as there are weights."""
        return self.width * (self.dim + self.width + 1)

    def build(self, device: str, engine: str | None = None) -> Any:
        """The engine with its critics, before any step; ``engine`` names another than the measured one, which is then
        of float32."""
        from otbench.methods import WeightClip

        dtype: Rounding = self.dtype if engine in (None, self.engine) else "float32"
        method = WeightClip(widths=(self.width, self.width), batch=self.batch, dtype=dtype)
        pair = problem("translation", dim=self.dim).sample(1024, mode="coupled")
        return engine_of(engine or self.engine, method, [pair] * self.critics, device)

    def first_steps(self, device: str) -> Any:
        """The engine after all that first steps alone do, as compiling, capturing and loading."""
        subject = self.build(device)
        subject.prepare()
        return subject

    def measure(self, device: str) -> Row:
        """The measured columns; without any time, and with a ``reason``, where a step was not compiled that should."""
        from otbench.methods.training.device import one_thread

        with one_thread():
            gc.collect()
            memory = peak_memory(self, device) if device == "cpu" else None
            subject, columns = self._prepared(device)
            if not columns["compiled"] and self._compiles:
                return {**asdict(self), **columns}
            seconds, state = self._seconds(subject, device)
            del subject
            memory = memory if device == "cpu" else peak_memory(self, device)
        side, copied = (sizes["cpu" if device == "cpu" else "cuda"] for sizes in (PRODUCT_SIDE, COPY_BYTES))
        return {
            **asdict(self),
            **columns,
            "peak_memory_bytes": memory,
            **quartiles("seconds_per_step", seconds[0]),
            **quartiles("plain_seconds_per_step", seconds[1]),
            **quartiles("product_seconds", seconds[2]),
            **quartiles("copy_seconds", seconds[3]),
            # 2 operations forwards and 4 backwards for each weight and row
            "flop_per_step": 6.0 * 2 * self.batch * self.layer_products * self.critics,
            "product_flop": 2.0 * side**3,
            "copy_bytes": 2.0 * copied,  # each byte is read and written
            **state.columns(),
        }

    @property
    def _compiles(self) -> bool:
        """Whether the engine's name says that its step is compiled."""
        return ENGINES.get(self.engine, (False, False))[1]

    def _prepared(self, device: str) -> tuple[Any, Row]:
        """The engine ready for steady steps; what that took, on a GPU beside the first use of the device by a process;
        and whether the step is compiled."""
        from otbench.methods.training.stopwatch import now

        with _cold_compiler(self._compiles), _warnings() as said:
            start = now(device)
            subject = self.first_steps(device)
            prepared = now(device)
        compiled = getattr(subject, "compiled", None) is not None
        columns: Row = {"seconds_prepare": prepared - start, "compiled": compiled}
        if device != "cpu":
            columns["seconds_context"] = context_seconds(device)
        if self._compiles and not compiled:
            columns["reason"] = " ".join(" ".join(said).split()) or "the compiler gave no reason"
        return subject, columns

    def _seconds(self, subject: Any, device: str) -> tuple[list[list[float]], DeviceState]:
        """The seconds per step, per step of the plain loop, per product and per copy, and the device's state
        meanwhile."""
        import torch

        where = "cpu" if device == "cpu" else "cuda"
        plain, state = self.build(device, "plain"), DeviceState(device)
        square = torch.rand(PRODUCT_SIDE[where], PRODUCT_SIDE[where], device=device)
        square = square.to(torch.bfloat16) if self.dtype == "bfloat16" else square
        source = torch.zeros(COPY_BYTES[where], dtype=torch.uint8, device=device)
        target = torch.zeros_like(source)

        def product(count: int) -> None:
            with _products(self.dtype):
                for _ in range(count):
                    square @ square

        def copy(count: int) -> None:
            for _ in range(count):
                target.copy_(source)

        works: list[Callable[[int], Any]] = [
            lambda k: subject.run(0, k), lambda k: plain.run(0, k), product, copy
        ]  # fmt: skip
        return in_turns(works, self.repeats, device, state.look), state


@contextmanager
def _products(dtype: str) -> Iterator[None]:
    """Within this context torch multiplies float32 by float32, or in ten bits for "tf32"."""
    import torch

    from otbench.transport.products import whole_float32

    with whole_float32():
        if dtype == "tf32":
            torch.set_float32_matmul_precision("high")
        yield


@contextmanager
def _cold_compiler(wanted: bool) -> Iterator[None]:
    """Within this context what torch has compiled before is compiled anew, in this process and from the disk."""
    if not wanted:
        yield
        return
    import torch._dynamo
    import torch._inductor.config

    torch._dynamo.reset()
    with torch._inductor.config.patch(force_disable_caches=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="dynamo_pgo force disabled")
        yield


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Within this context what otbench warns of is collected too."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("otbench")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


@cache
def context_seconds(device: str) -> float | None:
    """The seconds that a new process takes for its first use of a device: its context, and what a product loads; None
    where this cannot be measured."""
    code = "import sys, otbench.studies.timed_training as t; print(t.context_nanoseconds_here(sys.argv[1]))"
    nanoseconds = in_a_fresh_process(code, device)
    return None if nanoseconds is None else nanoseconds / 1e9


def context_nanoseconds_here(device: str) -> int:
    """``context_seconds`` of this process, a fresh one, in whole nanoseconds."""
    import time

    import torch

    start = time.perf_counter()
    square = torch.ones(64, 64, device=device)
    (square @ square).sum().item()  # the device is waited for
    return round(1e9 * (time.perf_counter() - start))


def peak_memory(training: Training, device: str) -> int | None:
    """The most bytes that the engine and its first steps hold at once; None where this cannot be measured.

    On a GPU these are bytes of the device, as torch allocates them. On a CPU they are resident bytes of a fresh
    process, above what it held after one critic of another size had taken its first steps in the same engine, by when
    libraries are loaded.
    """
    if device == "cpu":
        code = "import sys, otbench.studies.timed_training as t; print(t.peak_memory_here(sys.argv[1]))"
        return in_a_fresh_process(code, json.dumps(asdict(training)))
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    subject = training.first_steps(device)
    peak = torch.cuda.max_memory_allocated(device) - before
    del subject
    return int(peak) if peak > 0 else None


def peak_memory_here(fields: str) -> int | None:
    """``peak_memory`` on the CPU of the training with the fields ``fields`` (JSON), in this process, a fresh one."""
    from otbench.methods.training.device import one_thread

    training = Training(**json.loads(fields))
    with one_thread():
        replace(training, critics=1, width=2, batch=2).first_steps("cpu")
        gc.collect()
        return growth(lambda: training.first_steps("cpu"))


def engine_of(engine: str, method: Any, pairs: list[SamplePair], device: str, seed: int = 0) -> Any:
    """The engine of that name with one critic of ``method`` per pair, whose seeds count up from ``seed``."""
    from otbench.methods.training.engine import Engine
    from otbench.methods.training.plain_loop import PlainLoop

    if engine == "plain":
        return PlainLoop(pairs[0], method, device)
    graphs, compiled = ENGINES[engine]
    if compiled and len(pairs) == 1:
        pairs = pairs * 2  # the compiled step never trains one critic alone, and the twin it needs is part of its cost
    several = pairs, [method] * len(pairs), [seed + k for k in range(len(pairs))]
    return Engine(*several, device, graphs=graphs, compiled=compiled)


def in_turns(
    works: Sequence[Callable[[int], Any]], repeats: int, device: str, look: Callable[[], object] = lambda: None
) -> list[list[float]]:
    """The seconds per unit of each work, measured ``repeats`` times in blocks, one work after the other in turns.

    A work is called with the number of units to do. After every block of the first work ``look`` is called, while the
    device is still warm.
    """
    counts, block = [], BLOCK_SECONDS if device == "cpu" else GPU_BLOCK_SECONDS
    for work in works:
        work(1)
        count = 1
        for _ in range(2):  # the second estimate is of a warm machine
            count = max(1, min(4096, round(block * count / clock(work, count, device))))
        counts.append(count)
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for k, (work, count) in enumerate(zip(works, counts, strict=True)):
            seconds[k].append(clock(work, count, device) / count)
            if k == 0:
                look()
    return seconds


def clock(work: Callable[[int], Any], count: int, device: str) -> float:
    """The seconds that ``count`` units of work take on a device that has nothing else to do."""
    from otbench.methods.training.stopwatch import Stopwatch, wait

    watch = Stopwatch(device)
    wait(device)
    with watch.running():
        work(count)
    return watch.seconds


def quartiles(name: str, values: Sequence[float]) -> Row:
    """The quartiles of ``values`` as the columns ``name``_q1, _median and _q3."""
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    return {f"{name}_q1": float(q1), f"{name}_median": float(median), f"{name}_q3": float(q3)}
