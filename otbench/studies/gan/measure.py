"""The measurement of generators in training: what critics print, what that is worth, and the exact W1, over time."""

import time
from collections.abc import Iterator

import numpy as np

from otbench.errors import UncertifiedError
from otbench.methods.functions import on_union
from otbench.methods.mlp import Mlp
from otbench.methods.training.clipped import check_device, one_thread
from otbench.results.schema import OF_WEIGHTS, SCHEMA, as_columns
from otbench.results.store import Row
from otbench.studies.gan.plan import GeneratorPlan, record_key
from otbench.studies.gan.targets import Target, target
from otbench.studies.gan.training import Gans
from otbench.transport.bounds import Ladder
from otbench.transport.exact import cost_matrix, solve_cost, solve_exact
from otbench.types import Array, Bounds, ExactSolution, Proof


def measure(plan: GeneratorPlan, name: str, device: str) -> list[Row]:
    """The records of the job of that name: at one reading after another, those of the GANs of all clip values."""
    check_device(device)
    job = plan.jobs()[name]
    goal = target(job.dataset, plan.n, job.seed)
    shared: Row = {
        "schema": SCHEMA, "kind": "generator", "device": device, "dataset": job.dataset, "lr": job.lr, "seed": job.seed,
        "n": plan.n, "floor": solve_exact(goal.seen[: plan.n], goal.held_out).w1,
    }  # fmt: skip
    with one_thread():
        gans = Gans(plan, job, goal.seen, device)
        records: list[Row] = []
        for iteration in plan.readings():
            critic, generator = gans.seconds_critic, gans.seconds_generator
            gans.run(plan.every if iteration else 0)
            spent: Row = {
                "seconds_critic": (gans.seconds_critic - critic) / len(plan.clip),
                "seconds_generator": (gans.seconds_generator - generator) / len(plan.clip),
            }
            for clip, reading in zip(plan.clip, _readings(gans, goal), strict=True):
                key: Row = {"key": record_key(name, clip, iteration), "clip": clip, "iteration": iteration}
                records.append(shared | key | spent | reading)
    return records


def _readings(gans: Gans, goal: Target) -> Iterator[Row]:
    """What is read of each GAN now, one clip value after another."""
    for k, (critic, points) in enumerate(zip(gans.read(), gans.generated(), strict=True)):
        loss = gans.printed[k] if gans.printed else None
        yield _reading(critic, points, goal) | {"printed": loss if loss is not None and np.isfinite(loss) else None}


def _reading(critic: Mlp, points: Array, goal: Target) -> Row:
    """The ladder of one critic on held-out and generated points, with the exact W1 and its certificate.

    The status is "diverged" where points or values are not finite, and "refused" where W1 cannot be proved.
    """
    blank = _ladder(None, None) | {"modes": None, "seconds_exact": None}
    if not np.isfinite(points).all():
        return blank | {"status": "diverged"}
    fx, fy, *_ = on_union(critic, goal.held_out, points)
    if not (np.isfinite(fx).all() and np.isfinite(fy).all()):
        return blank | {"status": "diverged"}
    start = time.perf_counter()
    cost = cost_matrix(goal.held_out, points)
    a, b = (np.full(size, 1.0 / size) for size in cost.shape)
    try:
        exact = solve_cost(cost, a, b)
    except UncertifiedError:
        return blank | {"status": "refused"}
    seconds = time.perf_counter() - start
    bounds = Ladder(cost, a, b).bounds(fx, fy)
    return {
        "status": "ok",
        **_ladder(exact, bounds),
        "modes": goal.modes(points) if goal.modes else None,
        "seconds_exact": seconds,
    }


def _ladder(exact: ExactSolution | None, bounds: Bounds | None) -> Row:
    """The columns of a ladder and of the exact value below which it stands; None where they are not known."""
    columns = as_columns(Bounds, bounds) | as_columns(Proof, exact)
    return {name: value for name, value in columns.items() if name not in OF_WEIGHTS}
