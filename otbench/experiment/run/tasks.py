"""A task turned from points into rows, by one process."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from otbench.confidence import HeldOut, held_out
from otbench.errors import UncertifiedError
from otbench.experiment.cell import Cell
from otbench.experiment.run.filling import Task
from otbench.methods import Discriminator, Fitted, Job
from otbench.methods.fitting import fit_together
from otbench.methods.functions import Critic, DistinctPoints, values_and_gradients
from otbench.results.schema import SCHEMA, RowColumns, as_columns, names_of
from otbench.results.store import Row
from otbench.transport.alignment import alignment, mean_cosine
from otbench.transport.bounds import VALUE_ROUNDING, Ladder
from otbench.transport.divergences import js_estimate, js_gradient, raw_gradient
from otbench.transport.exact_cache import exact_solution
from otbench.transport.point_ladder import ladder_of
from otbench.types import Alignment, Array, Bounds, ExactSolution, Proof, SamplePair, moments


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
        ladder, pair = None, sample.pair
        if sample.exact is not None:
            ladder, points = ladder_of(pair.x, pair.y, pair.a, pair.b), DistinctPoints(pair.x, pair.y)
        shared = _sample_columns(sample)
        for cell in group:
            start = time.perf_counter()
            fit = fitted.get(cell.key)
            columns = {} if ladder is None or fit is None else _critic_columns(cell, sample, points, ladder, fit)
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
        found = fit_together([cell.method for cell, _ in batch], [job for _, job in batch], device)
        fitted |= {cell.key: fit for (cell, _), fit in zip(batch, found, strict=True)}
    return fitted


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


def _critic_columns(cell: Cell, sample: Sample, points: DistinctPoints, ladder: Ladder, fit: Fitted) -> Row:
    """The columns of one fitted critic; a diverged one has only the bound that needs no critic."""
    own: Row = {"nearest": ladder.nearest, "saturation_start": fit.saturation_start, "saturation": fit.saturation}
    if fit.critic is None or sample.exact is None:
        return own
    pair = sample.pair
    fx, fy, gx, gy = points.read(fit.critic)
    clip_constant, spectral_constant = fit.critic.constants()
    bounds = ladder.bounds(fx, fy, clip_constant=clip_constant, spectral_constant=spectral_constant)
    plan = sample.exact.plan if sample.exact.is_exact else None  # a plan that is not optimal has no transport rays
    rays = alignment(pair, plan, gx, gy) if gx is not None and gy is not None else None
    return {
        **own,
        **as_columns(Bounds, bounds),
        **as_columns(Alignment, rays),
        "slope_half": _slope(fit.halfway, points, ladder) if fit.halfway else None,
        **_fresh_columns(fit.critic, sample.fresh),
        **_generator_columns(cell, pair, fx, fy, gy),
    }


def _fresh_columns(critic: Critic, fresh: SamplePair | None) -> Row:
    """What a critic says on the points held out, and how its gradient points there along that of the potential."""
    if fresh is None:
        return {}
    fx, gradients = (critic.values(fresh.x), None) if fresh.rays is None else values_and_gradients(critic, fresh.x)
    said = held_out(fx, critic.values(fresh.y), fresh.a, fresh.b, VALUE_ROUNDING)
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


def _slope(critic: Critic, points: DistinctPoints, ladder: Ladder) -> float:
    """The rung raw/S of a critic."""
    fx, fy, _, _ = points.read(critic)
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
        "seconds_prepare": fit.seconds_prepare if fit else 0.0,
        "critics_in_batch": fit.batch if fit else 0,
        "compiled": fit.compiled if fit else False,
        "seconds_evaluate": seconds,
    }
