"""How long a run will take, found by probing its kinds of cells on this machine."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from otbench.experiment.cell import Cell
from otbench.experiment.run.tasks import run_task

#: The training steps of the probe that measures a kind of cell.
PROBE_STEPS = 64


def expected_seconds(cells: Sequence[Cell], workers: int, device: str) -> float:
    """The wall seconds that ``cells`` are expected to take: each kind of cell is probed once, and scaled by its steps.

    Cells are of one kind where all that sets their cost is equal: the method but for clip value and rate, the dimension
    and the sample sizes. The probe is a real run, from points to rows, with ``PROBE_STEPS`` steps.
    """
    kinds: dict[object, list[Cell]] = {}
    for cell in cells:
        shape = cell.method.batch_key() if cell.method.trained else None
        kinds.setdefault((shape, cell.problem.dim, cell.sizes()), []).append(cell)
    total = 0.0
    with TemporaryDirectory() as folder:
        for kind in kinds.values():
            total += sum(_probe(kind[:8], len(kind), Path(folder), device))
    return total / workers


def _probe(some: Sequence[Cell], count: int, folder: Path, device: str) -> list[float]:
    """The seconds that ``count`` cells like ``some`` take, for training and for the rest."""
    shortened = [_shorten(cell) for cell in some]
    groups: dict[str, list[Cell]] = {}
    for cell in shortened:
        groups.setdefault(cell.sample_key, []).append(cell)
    start = time.perf_counter()
    timings = [timing for _, timing in run_task(list(groups.values()), folder, device)]
    wall = time.perf_counter() - start
    fit = statistics.median(float(t["seconds_fit"] or 0) for t in timings)
    steps = max(_steps(cell) for cell in some)
    training = fit * steps / min(steps, PROBE_STEPS) if steps else fit
    return [count * training, count * max(0.0, wall / len(some) - fit)]


def _shorten(cell: Cell) -> Cell:
    if _steps(cell) > PROBE_STEPS:
        method = cell.method.model_copy(update={"steps": PROBE_STEPS})
        return Cell(cell.problem, cell.sampling, method, cell.seed)
    return cell


def _steps(cell: Cell) -> int:
    """The training steps of a cell; 0 where nothing is trained."""
    return int(getattr(cell.method, "steps", 0))


def in_words(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
