"""How fast an engine trains, beside the plain loop and the device's own matrix products, and what memory it takes."""

import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from otbench.problems import problem
from otbench.results.store import Row
from otbench.studies.peak_memory import growth, in_a_fresh_process
from otbench.types import SamplePair

#: Seconds that one timed block of steps should last: long beside a clock tick, short beside a burst of another process.
BLOCK_SECONDS = 0.4

#: The side of the square matrices with whose product a step is compared, by device: large enough to occupy it.
PRODUCT_SIDE = {"cpu": 1024, "cuda": 8192}


@dataclass(frozen=True)
class Training:
    """A measurement: the seconds of one step of ``critics`` critics in one batch.

    The plain loop and a matrix product are timed in turns with it, so that all three are of the same minutes. The
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

    @property
    def key(self) -> str:
        return (f"training {self.engine} {self.width} {self.critics} d={self.dim} batch={self.batch} "
                f"repeats={self.repeats}")  # fmt: skip

    @property
    def layer_products(self) -> int:
        """The multiplications that take one point through the layers: as many as there are weights."""
        return self.width * (self.dim + self.width + 1)

    def build(self, device: str, engine: str | None = None) -> Any:
        """The engine with its critics, before any step; ``engine`` names another than the measured one."""
        from otbench.methods import WeightClip

        method = WeightClip(widths=(self.width, self.width), batch=self.batch)
        pair = problem("translation", dim=self.dim).sample(1024, mode="coupled")
        return engine_of(engine or self.engine, method, [pair] * self.critics, device)

    def first_steps(self, device: str) -> Any:
        """The engine after all that first steps alone do, as compiling, capturing and loading."""
        subject = self.build(device)
        subject.prepare()
        return subject

    def measure(self, device: str) -> Row:
        """The measured columns."""
        import torch

        from otbench.methods.training.device import one_thread

        side = PRODUCT_SIDE["cpu" if device == "cpu" else "cuda"]
        with one_thread():
            gc.collect()
            memory = peak_memory(self, device)
            start = time.perf_counter()
            subject = self.first_steps(device)
            build = time.perf_counter() - start
            plain, square = self.build(device, "plain"), torch.rand(side, side, device=device)

            def product(count: int) -> None:
                for _ in range(count):
                    square @ square

            works: list[Callable[[int], Any]] = [lambda k: subject.run(0, k), lambda k: plain.run(0, k), product]
            seconds = in_turns(works, self.repeats, device)
        return {
            **asdict(self),
            "build_seconds": build,  # with what a first step alone does
            "peak_memory_bytes": memory,
            **quartiles("seconds_per_step", seconds[0]),
            **quartiles("plain_seconds_per_step", seconds[1]),
            **quartiles("product_seconds", seconds[2]),
            # 2 operations forwards and 4 backwards for each weight and row
            "flop_per_step": 6.0 * 2 * self.batch * self.layer_products * self.critics,
            "product_flop": 2.0 * side**3,
        }


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
    if engine == "compiled" and len(pairs) == 1:
        pairs = pairs * 2  # the compiled step never trains one critic alone, and the twin it needs is part of its cost
    several = pairs, [method] * len(pairs), [seed + k for k in range(len(pairs))]
    return Engine(*several, device, graphs=engine == "graph", compiled=engine == "compiled")


def in_turns(works: Sequence[Callable[[int], Any]], repeats: int, device: str) -> list[list[float]]:
    """The seconds per unit of each work, measured ``repeats`` times in blocks, one work after the other in turns.

    A work is called with the number of units to do.
    """
    counts = []
    for work in works:
        work(1)
        count = 1
        for _ in range(2):  # the second estimate is of a warm machine
            count = max(1, min(4096, round(BLOCK_SECONDS * count / clock(work, count, device))))
        counts.append(count)
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for k, (work, count) in enumerate(zip(works, counts, strict=True)):
            seconds[k].append(clock(work, count, device) / count)
    return seconds


def clock(work: Callable[[int], Any], count: int, device: str) -> float:
    """The seconds that ``count`` units of work take on a device, which is waited for."""
    import torch

    def now() -> float:
        if device != "cpu":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    start = now()
    work(count)
    return now() - start


def quartiles(name: str, values: Sequence[float]) -> Row:
    """The quartiles of ``values`` as the columns ``name``_q1, _median and _q3."""
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    return {f"{name}_q1": float(q1), f"{name}_median": float(median), f"{name}_q3": float(q3)}
