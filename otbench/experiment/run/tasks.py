"""Tasks: samples with all their cells, which one process turns from points into rows."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otbench.confidence import HeldOut, held_out
from otbench.errors import UncertifiedError
from otbench.experiment.cell import Cell
from otbench.experiment.run.machine import free_device_memory, is_out_of_memory
from otbench.methods import Discriminator, Fitted, Job, Method
from otbench.methods.functions import Critic, on_union
from otbench.results.schema import SCHEMA, RowColumns, as_columns, names_of
from otbench.results.store import Row
from otbench.transport.alignment import alignment, mean_cosine
from otbench.transport.bounds import VALUE_ROUNDING, Ladder
from otbench.transport.divergences import js_estimate, js_gradient, raw_gradient
from otbench.transport.exact_cache import exact_solution
from otbench.transport.point_ladder import ladder_of
from otbench.types import Alignment, Array, Bounds, ExactSolution, Proof, SamplePair, moments

#: Trained critics that a task should have: enough to fill a batch and to outweigh its sending, few enough that progress
#: is seen.
CRITICS_PER_TASK = 32

CRITICS_PER_GPU_TASK = 1024

#: Floating-point operations of a critic that counts as one; a critic that takes more counts as several.
WORK_PER_CRITIC = 1e11

#: Tasks that every worker should get at least, so that none is idle while another has many cells left.
TASKS_PER_WORKER = 4

#: The cells of one sample.
Group = Sequence[Cell]

#: Samples with their cells: what a worker is sent.
Task = Sequence[Group]


@dataclass(frozen=True)
class Sample:
    """Drawn samples with their exact solution. ``unproved`` says why there is none, or no more than an interval."""

    pair: SamplePair
    fresh: SamplePair | None
    exact: ExactSolution | None
    unproved: str
    sampling_floor: float | None
    seconds_draw: float
    seconds_exact: float


def make_tasks(cells: Iterable[Cell], device: str) -> list[Task]:
    """The cells as tasks of about CRITICS_PER_TASK trained critics, or CRITICS_PER_GPU_TASK on a GPU.

    A task has groups of one kind where there are enough of them, wherever they stand in the experiment: critics of one
    shape on samples of one dimension and size share a batch. Kinds of which little is left share tasks.

    On a CPU all cells of a sample are one group, so that it is solved once. On a GPU the critics of each shape are a
    group of their own, so that a batch is as large as a task: their sample is then drawn and proved once per shape.
    """
    kinds: dict[object, list[Group]] = {}
    for kind, group in _groups(cells, device):
        kinds.setdefault(kind, []).append(group)
    size = CRITICS_PER_TASK if device == "cpu" else CRITICS_PER_GPU_TASK
    full: list[Task] = []
    rest: list[Task] = []
    for groups in kinds.values():
        *whole, last = _cut(groups, size)
        full += whole
        rest.append(last)
    return full + [[group for task in together for group in task] for together in _cut(rest, size)]


def _groups(cells: Iterable[Cell], device: str) -> Iterator[tuple[object, Group]]:
    """The cells that stay together, with what decides in which batches they are."""
    groups: dict[object, list[Cell]] = {}
    shapes: dict[object, object] = {}  # a description's shape, found once for each of the many cells it is in
    for cell in cells:
        method = cell.method
        if id(method) not in shapes:
            shapes[id(method)] = (type(method), method.batch_key()) if method.trained else None
        shape = shapes[id(method)]
        # two solvers of one sample would stop at two intervals
        apart = shape if device != "cpu" and cell.sampling.exact_seconds is None else None
        groups.setdefault((cell.sample_key, apart), []).append(cell)
    for group in groups.values():
        first = group[0]
        trained = dict.fromkeys(shape for cell in group if (shape := shapes[id(cell.method)]) is not None)
        population = first.sampling.mode == "population"
        yield (first.problem.dim, first.sizes(), population, tuple(trained)), group


def _cut(parts: Sequence[Any], size: float) -> list[list[Any]]:
    """Groups, or tasks, in their order, cut where more than ``size`` critics would come together."""
    found: list[list[Any]] = []
    load = 0.0
    for part in parts:
        weight = max(1.0, sum(_weight(cell) for cell in _cells_of(part)))
        if not found or load + weight > size:
            found.append([])
            load = 0.0
        found[-1].append(part)
        load += weight
    return found


def _cells_of(part: Any) -> Iterator[Cell]:
    """The cells of a group, or of a task."""
    for each in part:
        yield from [each] if isinstance(each, Cell) else each


def halved(task: Task) -> list[Task]:
    """The halves of a task, cut between samples where it has several; none where it is one cell.

    Of a task in which one cell fails this leaves that cell alone after few steps, and the others done in company.
    """
    if len(task) > 1:
        return _halves(task)
    (group,) = task
    middle = len(group) // 2
    return [[group[:middle]], [group[middle:]]] if middle else []


def share_out(tasks: Sequence[Task], workers: int) -> list[Task]:
    """The tasks, halved between samples until every worker has TASKS_PER_WORKER, or each task has one sample.

    Those with the most work come first, so that the last ones to end are short (Graham 1969).
    """
    found = list(tasks)
    while len(found) < TASKS_PER_WORKER * workers and any(len(task) > 1 for task in found):
        found = [part for task in found for part in _halves(task)]
    return sorted(found, key=lambda task: -_work_of(task))


def _halves(task: Task) -> list[Task]:
    middle = len(task) // 2
    return [task[:middle], task[middle:]] if middle else [task]


def _work_of(task: Task) -> float:
    """How many small critics a task's training is worth; an untrained critic counts a little."""
    return sum(max(0.1, _weight(cell)) for group in task for cell in group)


def _weight(cell: Cell) -> float:
    """How many small critics a cell's training is worth."""
    return max(1.0, cell.method.work(cell.problem.dim) / WORK_PER_CRITIC) if cell.method.trained else 0.0


def run_task(task: Task, solutions: Path, device: str) -> list[tuple[Row, Row]]:
    """The row and the timing line of every cell of the task, in order.

    First all samples are drawn and solved, then critics are trained in batches across the samples, and then the ladder
    is read sample by sample, so that there is one cost matrix at a time. ``solutions`` is the folder in which exact
    solutions are kept.
    """
    samples = [_draw(group[0], solutions, device) for group in task]
    fitted = _fit(task, samples, device)
    done = []
    for group, sample in zip(task, samples, strict=True):
        ladder = None
        if sample.exact is not None:
            ladder = ladder_of(sample.pair.x, sample.pair.y, sample.pair.a, sample.pair.b)
        shared = _sample_columns(sample)
        for cell in group:
            start = time.perf_counter()
            fit = fitted.get(cell.key)
            columns = _critic_columns(cell, sample, ladder, fit) if ladder is not None and fit is not None else {}
            row = _row(cell, shared | columns, sample, fit)
            done.append((row, _timing(cell, sample, fit, len(group), time.perf_counter() - start)))
    return done


def _draw(cell: Cell, solutions: Path, device: str) -> Sample:
    """The sample of a cell, drawn, and solved with the help of a device."""
    start = time.perf_counter()
    pair, fresh, limit = cell.sample(), cell.held_out(), cell.sampling.exact_seconds
    drawn = time.perf_counter()
    floor = None
    try:
        exact, unproved = exact_solution(pair, cell.sample_key, solutions, limit, device), ""
        if not exact.is_exact:
            unproved = f"W1 is an interval alone: its solver was stopped, after {limit:g} s or for memory"
        if pair.images is not None:
            floor = _sampling_floor(pair, cell, solutions, exact, device)
    except UncertifiedError as error:
        exact, unproved = None, str(error)
    return Sample(pair, fresh, exact, unproved, floor, drawn - start, time.perf_counter() - drawn)


def _sampling_floor(
    pair: SamplePair, cell: Cell, solutions: Path, exact: ExactSolution, device: str
) -> float | None:
    """W1 of two independent samples of Q, which are y and the images of x; 0 where y is the images of x.

    By the triangle inequality |W1(x, y) - W1(x, images)| is no larger, and W1(x, images) is known in closed form. None
    where the solver was stopped on these or on those samples.
    """
    assert pair.images is not None
    if cell.sampling.mode != "independent":
        return 0.0
    if not exact.is_exact:
        return None
    images = SamplePair(pair.images, pair.y, pair.a, pair.b)
    floor = exact_solution(images, f"{cell.sample_key}-floor", solutions, cell.sampling.exact_seconds, device)
    return floor.w1 if floor.is_exact else None


def _fit(task: Task, samples: Sequence[Sample], device: str) -> dict[str, Fitted]:
    """The fitted critics by the key of their cell; those of one shape, dimension and sample size share a batch."""
    batches: dict[object, list[tuple[Cell, Job]]] = {}
    for group, sample in zip(task, samples, strict=True):
        if sample.exact is None:
            continue
        sizes = (sample.pair.dim, len(sample.pair.x), len(sample.pair.y))
        for cell in group:
            law = cell.problem if cell.sampling.mode == "population" else None
            key = (type(cell.method), cell.method.batch_key(), sizes, law is None)
            batches.setdefault(key, []).append((cell, Job(sample.pair, cell.training_seed, sample.exact, law)))
    fitted: dict[str, Fitted] = {}
    for batch in batches.values():
        found = _fit_batch([cell.method for cell, _ in batch], [job for _, job in batch], device)
        fitted |= {cell.key: fit for (cell, _), fit in zip(batch, found, strict=True)}
    return fitted


def _fit_batch(methods: Sequence[Method], jobs: Sequence[Job], device: str) -> list[Fitted]:
    """The critics of one batch; of half a batch after the other where all together do not fit in memory."""
    try:
        return type(methods[0]).fit(methods, jobs, device)
    except (MemoryError, RuntimeError) as error:
        if len(jobs) == 1 or not is_out_of_memory(error):
            raise
    # here the error is gone, and with it what its traceback kept of the batch
    free_device_memory(device)
    middle = len(jobs) // 2
    return [
        fit
        for some in (slice(None, middle), slice(middle, None))
        for fit in _fit_batch(methods[some], jobs[some], device)
    ]


def _sample_columns(sample: Sample) -> Row:
    """The columns that all cells of a sample have in common."""
    pair = sample.pair
    return {
        "n": len(pair.x),
        "m": len(pair.y),
        "coincident": pair.coincident(),
        **moments(pair),
        "coupled_w1": pair.coupled_w1,
        "coupled_stderr": pair.coupled_stderr,
        "ray_cosine": pair.ray_cosine,
        "sampling_floor": sample.sampling_floor,
        **_proof_columns(sample.exact),
    }


def _proof_columns(exact: ExactSolution | None) -> Row:
    """The exact value with its proof; of an interval alone there is neither a value nor a gap to it."""
    found = as_columns(Proof, exact)
    return found if exact is None or exact.is_exact else found | {"primal": None, "gap": None}


def _critic_columns(cell: Cell, sample: Sample, ladder: Ladder, fit: Fitted) -> Row:
    """The columns of one fitted critic; a diverged one has only the bound that needs no critic."""
    own: Row = {"nearest": ladder.nearest, "saturation_start": fit.saturation_start, "saturation": fit.saturation}
    if fit.critic is None or sample.exact is None:
        return own
    pair = sample.pair
    fx, fy, gx, gy = on_union(fit.critic, pair.x, pair.y)
    clip_constant, spectral_constant = fit.critic.constants()
    bounds = ladder.bounds(fx, fy, clip_constant=clip_constant, spectral_constant=spectral_constant)
    plan = sample.exact.plan if sample.exact.is_exact else None  # a plan that is not optimal has no transport rays
    rays = alignment(pair, plan, gx, gy) if gx is not None and gy is not None else None
    return {
        **own,
        **as_columns(Bounds, bounds),
        **as_columns(Alignment, rays),
        "slope_half": _slope(fit.halfway, pair, ladder) if fit.halfway else None,
        **_fresh_columns(fit.critic, sample.fresh),
        **_generator_columns(cell, pair, fx, fy, gy),
    }


def _fresh_columns(critic: Critic, fresh: SamplePair | None) -> Row:
    """What a critic says on the points held out, and how its gradient points there along that of the potential."""
    if fresh is None:
        return {}
    said = held_out(critic.values(fresh.x), critic.values(fresh.y), fresh.a, fresh.b, VALUE_ROUNDING)
    gradients = None if fresh.rays is None else critic.gradients(fresh.x)
    cosine = None
    if gradients is not None and fresh.rays is not None:
        cosine = mean_cosine(gradients, fresh.rays, fresh.a)
    return {**as_columns(HeldOut, said), "fresh_cosine": cosine}


def _generator_columns(cell: Cell, pair: SamplePair, fx: Array, fy: Array, gy: Array | None) -> Row:
    """What a generator with the family's parameter would receive from a critic, and the JS that a logit estimates."""
    logit = isinstance(cell.method, Discriminator)
    columns: Row = {"js": js_estimate(fx, fy, pair.a, pair.b)} if logit else {}
    velocity = cell.problem.velocity(pair.y)
    if velocity is not None and gy is not None:
        columns["raw_gradient"] = raw_gradient(gy, velocity, pair.b)
        columns |= {"js_gradient": js_gradient(fy, gy, velocity, pair.b)} if logit else {}
    return columns


def _slope(critic: Critic, pair: SamplePair, ladder: Ladder) -> float:
    """The rung raw/S of a critic."""
    fx, fy, _, _ = on_union(critic, pair.x, pair.y)
    return ladder.slope(fx, fy)[1]


def _row(cell: Cell, measured: Row, sample: Sample, fit: Fitted | None) -> Row:
    """A cell's row: all columns of the schema, with None where nothing was measured."""
    kl = cell.problem.population_kl
    blank: Row = dict.fromkeys(names_of(RowColumns))
    return {
        **blank,
        **cell.columns(),
        "schema": SCHEMA,
        "key": cell.key,
        "status": "refused" if fit is None else fit.status,
        "reason": fit.reason if fit is not None and fit.reason else sample.unproved,
        "population_w1": cell.problem.population_w1,
        "population_stderr": cell.problem.population_stderr,
        "population_overlap": cell.problem.population_overlap,
        "population_js": cell.problem.population_js,
        "population_kl": kl if kl is not None and np.isfinite(kl) else None,
        **measured,
    }


def _timing(cell: Cell, sample: Sample, fit: Fitted | None, sharers: int, seconds: float) -> Row:
    """The wall seconds of one cell by phase.

    The cells of a sample share equally what it took to draw it and to find its exact value: the cost matrix, the solve
    or the proof of a stored solution, and the sampling floor. ``sharers`` is their number, ``seconds`` the time that
    reading this cell's critic took.
    """
    return {
        "schema": SCHEMA,
        "key": cell.key,
        "seconds_draw": sample.seconds_draw / sharers,
        "seconds_exact": sample.seconds_exact / sharers,
        "seconds_fit": fit.seconds if fit else 0.0,
        "critics_in_batch": fit.batch if fit else 0,
        "compiled": fit.compiled if fit else False,
        "seconds_evaluate": seconds,
    }
