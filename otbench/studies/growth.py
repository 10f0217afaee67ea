"""The study of growth: seconds and memory of the solvers of W1 as samples grow, with the value that each gives."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar, Self, get_args

from pydantic import Field, model_validator

from otbench.errors import ResultsError
from otbench.problems import problem
from otbench.results.schema import GROWTH_SCHEMA
from otbench.results.store import Row
from otbench.spec import Spec
from otbench.studies import peak_memory
from otbench.studies.plan import StudyPlan
from otbench.studies.solvers import Solver, solve_by

Count = Annotated[int, Field(ge=1)]

#: The points of a small sample that a process solves first, so that libraries are loaded before anything is measured.
WARM_UP = 64

#: The variables from which numerical libraries, and the sparse route, take their number of threads.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class SolverRun:
    """A measurement: one solver on n against n independent points of one seed, in a process with so many threads."""

    solver: Solver
    dim: int
    n: int
    seed: int
    threads: int
    accuracy: float | None

    @property
    def key(self) -> str:
        aim = "" if self.accuracy is None else f" gap={self.accuracy:g}"
        return f"growth {self.solver} d={self.dim} n={self.n} seed={self.seed} threads={self.threads}{aim}"


class Largest(Spec):
    """A size at which a solver is measured in one dimension, whatever its limit is."""

    kind: ClassVar[str] = "extra table of growth"

    solver: Solver
    dim: Count
    n: Count


class GrowthPlan(StudyPlan):
    """What to measure: every solver in every dimension at every n up to its own limit in ``most``, and ``extra`` sizes.

    The samples are of the problem ``translation``, drawn independently, with the seeds 0, 1, ...: ``repeats`` of them
    up to ``repeats_up_to`` points, and one above. Each is solved in a process of its own, with ``threads`` threads for
    those that can use them. Sinkhorn goes on until its interval is ``accuracy`` times W1 wide.
    """

    kind: ClassVar[str] = "growth table"
    timed: ClassVar[bool] = True

    dims: list[Count] = Field(min_length=1)
    n: list[Count] = Field(min_length=1)
    most: dict[str, Count] = Field(min_length=1, description="points per solver: dense, sparse, lazy, assignment, "
                                                             "sinkhorn")  # fmt: skip
    extra: list[Largest] = Field(default_factory=list)
    repeats: int = Field(3, ge=1)
    repeats_up_to: int = Field(8000, ge=1)
    threads: int = Field(2, ge=1)
    accuracy: float = Field(0.01, gt=0, lt=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in self.most:
            if name not in get_args(Solver):
                raise ValueError(f"most: {name!r} is no solver; known: {', '.join(get_args(Solver))}")
        return self

    def records(self, device: str) -> dict[str, list[str]]:
        return {run.key: [run.key] for run in self.runs()}

    def runs(self) -> list[SolverRun]:
        """What is measured, small samples first, so that what would not end is the last to be begun."""
        cells = {(n, dim, name) for n in self.n for dim in self.dims for name, most in self.most.items() if n <= most}
        cells |= {(extra.n, extra.dim, extra.solver) for extra in self.extra}
        order = {name: k for k, name in enumerate(get_args(Solver))}
        return [
            SolverRun(name, dim, n, seed, self.threads, self.accuracy if name == "sinkhorn" else None)  # type: ignore[arg-type]
            for n, dim, name in sorted(cells, key=lambda cell: (*cell[:2], order[cell[2]]))
            for seed in range(self.repeats if n <= self.repeats_up_to else 1)
        ]


def measure(plan: GrowthPlan, job: str) -> Row:
    """The measurement of that key as a row, with the larger of the machine's loads before and after it.

    Raises:
        ResultsError: the process that made it failed, as where memory runs out.
    """
    (run,) = (run for run in plan.runs() if run.key == job)
    load = os.getloadavg()[0]
    measured = _in_a_process(run)
    load = max(load, os.getloadavg()[0])
    row: Row = {"schema": GROWTH_SCHEMA, "key": run.key, "kind": "growth", "device": "cpu", "load": load}
    return row | asdict(run) | measured


def _in_a_process(run: SolverRun) -> Row:
    code = "import sys, otbench.studies.growth as g; print(g.measured_here(sys.argv[1]))"
    environment = {**os.environ, **dict.fromkeys(THREADS, str(run.threads))}
    command = [sys.executable, "-c", code, json.dumps(asdict(run))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}, as where memory runs out"])[-1]
        raise ResultsError(f"{run.key} failed: {last}; the other measurements are kept")
    measured: Row = json.loads(done.stdout)
    return measured


def measured_here(fields: str) -> str:
    """The measured columns of the run with the fields ``fields``, both as JSON, in this process, a fresh one.

    ``seconds`` go from the points to the value, the distances and the certificate among them where the solver has them.
    ``peak_memory_bytes`` are what is resident at most above what the process held with its libraries and the points.
    """
    run = SolverRun(**json.loads(fields))
    law, accuracy = problem("translation", dim=run.dim), run.accuracy or 0.0
    solve_by(run.solver, law.sample(WARM_UP, seed=run.seed), accuracy)
    pair, found, seconds = law.sample(run.n, seed=run.seed), [], []

    def solve() -> None:
        start = time.perf_counter()
        found.append(solve_by(run.solver, pair, accuracy))
        seconds.append(time.perf_counter() - start)

    peak = peak_memory.growth(solve)
    if not found:  # the system tells no peak, and nothing was done
        solve()
    return json.dumps({"seconds": seconds[0], "peak_memory_bytes": peak, **asdict(found[0])})
