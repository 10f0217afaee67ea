"""The measurement of generators in training: what critics print, what that is worth, and the exact W1, over time."""

import time
from collections.abc import Iterator

import numpy as np

from otbench.errors import UncertifiedError
from otbench.methods.functions import on_union
from otbench.methods.mlp import Mlp
from otbench.methods.training.device import check_device, one_thread
from otbench.results.schema import CONVERGED, GENERATOR_SCHEMA, as_columns
from otbench.results.store import Row
from otbench.studies.gan.plan import GeneratorPlan, record_key
from otbench.studies.gan.targets import Target, target
from otbench.studies.gan.training import Gans, Readers
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix, solve_cost
from otbench.transport.exact import solve_exact
from otbench.types import Array, Bounds, ExactSolution, Proof

#: What a generator's points tell without a critic, where they tell nothing.
UNSOLVED: Row = {"modes": None, "seconds_exact": None}


def measure(plan: GeneratorPlan, name: str, device: str) -> list[Row]:
    """The records of the job of that name: at one reading after another, those of the GANs of all clip values."""
    check_device(device)
    job = plan.jobs()[name]
    goal = target(job.dataset, plan.n, job.seed)
    shared: Row = {
        "schema": GENERATOR_SCHEMA, "kind": "generator", "device": device, "dataset": job.dataset, "lr": job.lr,
        "seed": job.seed, "n": plan.n, "floor": solve_exact(goal.seen[: plan.n], goal.held_out).w1,
    }  # fmt: skip
    with one_thread():
        gans = Gans(plan, job, goal.seen, device)
        records: list[Row] = []
        for iteration in plan.readings():
            generator = gans.watch.seconds
            of_loop = gans.run(plan.every if iteration else 0)
            spent: Row = {"seconds_generator": (gans.watch.seconds - generator) / len(plan.clip)}
            scenes = [Scene(goal, points) for points in gans.generated()]
            for arm in plan.arms(job):
                readers = gans.retrain(iteration) if arm == CONVERGED else of_loop
                for clip, reading in zip(plan.clip, _readings(readers, scenes), strict=True):
                    key: Row = {"key": record_key(name, arm, clip, iteration), "n_critic": arm, "clip": clip}
                    records.append(shared | key | {"iteration": iteration} | spent | reading)
    return records


def _readings(readers: Readers, scenes: list["Scene"]) -> Iterator[Row]:
    """What is read of each generator by its critic, one clip value after another."""
    for k, (critic, scene) in enumerate(zip(readers.critics, scenes, strict=True)):
        loss = readers.printed[k] if readers.printed else None
        yield scene.read(critic, readers.halfway[k] if readers.halfway else None) | {
            "printed": loss if loss is not None and np.isfinite(loss) else None,
            "seconds_critic": readers.seconds / len(scenes),
        }


class Scene:
    """The points of one generator beside the held-out points of the data, with their exact W1 and its proof.

    ``status`` is "diverged" where points are not finite, "refused" where W1 cannot be proved, and else "ok".
    """

    def __init__(self, goal: Target, points: Array) -> None:
        self.goal, self.points, self.status = goal, points, "ok"
        if not np.isfinite(points).all():
            self.status = "diverged"
            return
        start = time.perf_counter()
        cost = cost_matrix(goal.held_out, points)
        a, b = (np.full(size, 1.0 / size) for size in cost.shape)
        try:
            self.exact = solve_cost(cost, a, b)
        except UncertifiedError:
            self.status = "refused"
            return
        seconds = time.perf_counter() - start
        self.ladder = Ladder(cost, a, b)
        self.solved: Row = {"modes": goal.modes(points) if goal.modes else None, "seconds_exact": seconds}

    def read(self, critic: Mlp, halfway: Mlp | None) -> Row:
        """The ladder of a critic on these points, and raw of the same critic after half of its training.

        The status is "diverged" where a critic's values are not finite.
        """
        blank = _ladder(None, None) | UNSOLVED | {"raw_half": None}
        if self.status != "ok":
            return blank | {"status": self.status}
        (fx, fy), *half = (self._values(each) for each in (critic, halfway) if each is not None)
        if not all(np.isfinite(values).all() for values in (fx, fy, *sum(half, ()))):
            return blank | {"status": "diverged"}
        clip_constant, spectral_constant = critic.constants()
        bounds = self.ladder.bounds(fx, fy, clip_constant=clip_constant, spectral_constant=spectral_constant)
        raw_half = self.ladder.raw(*half[0]) if half else None
        return _ladder(self.exact, bounds) | self.solved | {"raw_half": raw_half, "status": "ok"}

    def _values(self, critic: Mlp) -> tuple[Array, Array]:
        fx, fy, *_ = on_union(critic, self.goal.held_out, self.points)
        return fx, fy


def _ladder(exact: ExactSolution | None, bounds: Bounds | None) -> Row:
    """The columns of a ladder and of the exact value below which it stands; None where they are not known."""
    return as_columns(Bounds, bounds) | as_columns(Proof, exact)
