"""How long a run will take, found by probing its kinds of cells on this machine."""

import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from otbench.experiment.cell import Cell
from otbench.experiment.run.filling import CRITICS_PER_GPU_TASK, CRITICS_PER_TASK
from otbench.experiment.run.tasks import run_task

#: The training steps of the probe that measures a kind of cell.
PROBE_STEPS = 64

#: The points of a side that a probe is given at most, and the power of n m with which an exact solve of more takes
#: longer (results/timing/tables/timing.csv, n = 1000 to 8000).
PROBE_POINTS, SOLVE_POWER = 1024, 1.37


def expected_seconds(cells: Sequence[Cell], workers: int, device: str) -> float:
    """The wall seconds that ``cells`` are expected to take: each kind of cell is probed once, and scaled by its steps,
    or where a fit takes none by its pairs of points. What comes before the first step is scaled by batches alone.

    Cells are of one kind where all that sets their cost is equal: the method but for clip value and rate, the dimension
    and the sample sizes. The probe is a real run of some cells of one sample, from points to rows, with ``PROBE_STEPS``
    steps and ``PROBE_POINTS`` points at most.
    """
    kinds: dict[object, list[Cell]] = {}
    for cell in cells:
        shape = cell.method.batch_key() if cell.method.trained else None
        kinds.setdefault((shape, cell.problem.dim, cell.sizes()), []).append(cell)
    total = 0.0
    with TemporaryDirectory() as folder:
        for kind in kinds.values():
            of_one_sample = [cell for cell in kind if cell.sample_key == kind[0].sample_key]
            total += sum(_probe(of_one_sample[:8], kind, Path(folder), device))
    return total / workers


def _probe(some: Sequence[Cell], kind: Sequence[Cell], folder: Path, device: str) -> list[float]:
    """The seconds that the cells of a kind take for training, before its first step and for the rest, measured on
    ``some`` of one sample."""
    shortened = [_shorten(cell) for cell in some]
    start = time.perf_counter()
    timings = [timing for _, timing in run_task([shortened], folder, device)]
    wall = time.perf_counter() - start
    fit = statistics.median(float(t["seconds_fit"] or 0) for t in timings)
    steps = max(_steps(cell) for cell in some)
    (n, m), (p, q) = some[0].sizes(), shortened[0].sizes()
    training = fit * steps / min(steps, PROBE_STEPS) if steps else fit * (n * m / (p * q))
    samples = len({cell.sample_key for cell in kind})
    larger, limit = (n * m / (p * q)) ** SOLVE_POWER, some[0].sampling.exact_seconds
    solving = sum(float(t["seconds_exact"] or 0) for t in timings)
    prepare = sum(float(t.get("seconds_prepare") or 0) for t in timings)
    rest = max(0.0, wall - len(some) * fit - prepare - solving) * larger
    batches = math.ceil(len(kind) / (CRITICS_PER_TASK if device == "cpu" else CRITICS_PER_GPU_TASK))
    # a limit is that of one solve: of the sample, and of its floor
    solving = solving * larger if limit is None else min(solving * larger, 2 * limit)
    return [len(kind) * training, batches * prepare, samples * (rest + solving)]


def _shorten(cell: Cell) -> Cell:
    """The cell with fewer steps and points, where it has more than a probe."""
    method, sampling = cell.method, cell.sampling
    if _steps(cell) > PROBE_STEPS:
        method = method.model_copy(update={"steps": PROBE_STEPS})
    if max(cell.sizes()) > PROBE_POINTS and max(sampling.n or 0, sampling.m or 0) > PROBE_POINTS:
        fewer = {name: min(size, PROBE_POINTS) for name in ("n", "m") if (size := getattr(sampling, name))}
        sampling = sampling.model_copy(update=fewer)
    return Cell(cell.problem, sampling, method, cell.seed, cell.training_seed)


def _steps(cell: Cell) -> int:
    """The training steps of a cell; 0 where nothing is trained."""
    return int(getattr(cell.method, "steps", 0))


def in_words(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
