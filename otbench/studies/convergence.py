"""The study of convergence: how far W1 of n against n independent points is from W1 of their laws, as n grows."""

import itertools
import time
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from otbench.errors import UncertifiedError
from otbench.problems import Problem, problem
from otbench.results.schema import CONVERGENCE_SCHEMA, as_columns
from otbench.results.store import Row
from otbench.spec import Spec
from otbench.studies.plan import StudyPlan
from otbench.transport.exact import solve_pair
from otbench.types import ExactSolution, Proof, SamplePair


@dataclass(frozen=True)
class SampleSize:
    """A job: all samples of n against n points of one pair of laws, one per seed."""

    law: Problem
    n: int
    seeds: range

    @property
    def key(self) -> str:
        fields = {"version": self.law.version, **self.law.model_dump()}
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        return f"convergence {told} n={self.n}"

    def records(self) -> dict[int, str]:
        """The key of each seed's record."""
        return {seed: f"{self.key} seed={seed}" for seed in self.seeds}


class LawsAtSizes(Spec):
    """Every pair of laws at every size, with as many seeds as the size has.

    A list in a table of ``problem`` is an axis, as in a block of cells. ``samples`` are pairs [n, seeds]: points of
    either side, and how many independent samples are drawn.
    """

    kind: ClassVar[str] = "extra table of convergence"

    problem: list[dict[str, Any]] = Field(min_length=1)
    samples: list[Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for law in self.laws():
            if law.population_stderr != 0:
                raise ValueError(f"problem: W1 of the laws of {law.name!r} has no closed form, so there is no error")
        return self

    def laws(self) -> list[Problem]:
        """Every pair of laws once, in the declared order."""
        axes = [{name: v if isinstance(v, list) else [v] for name, v in table.items()} for table in self.problem]
        tables = [dict(zip(each, values, strict=True)) for each in axes for values in itertools.product(*each.values())]
        return list(dict.fromkeys(problem(**{"name": "", **table}) for table in tables))

    def sizes(self) -> list[SampleSize]:
        """Every pair of laws at every size."""
        return [SampleSize(law, n, range(seeds)) for n, seeds in sorted(self.samples) for law in self.laws()]


class ConvergencePlan(LawsAtSizes, StudyPlan):
    """What to solve: every pair of laws at every size, and some at sizes that all of them would take too long at."""

    kind: ClassVar[str] = "convergence table"

    extra: list[LawsAtSizes] = Field(default_factory=list)

    def jobs(self) -> dict[str, SampleSize]:
        """Every job by its key, small samples first; of one that is declared twice that with more seeds."""
        found = [job for part in (self, *self.extra) for job in part.sizes()]
        return {job.key: job for job in sorted(found, key=lambda job: (job.n, len(job.seeds)))}

    def records(self, device: str) -> dict[str, list[str]]:
        return {key: list(job.records().values()) for key, job in self.jobs().items()}


def measure(plan: ConvergencePlan, job: str, device: str = "cpu") -> list[Row]:
    """The records of the job of that key; ``device`` is where large samples are looked through."""
    size = plan.jobs()[job]
    return [_record(size, seed, key, device) for seed, key in size.records().items()]


def _record(size: SampleSize, seed: int, key: str, device: str) -> Row:
    """One sample with its exact W1, the interval that proves it, and the error |W1(P_n, Q_n) - W1(P, Q)|."""
    pair, known = size.law.sample(size.n, seed=seed), size.law.population_w1
    assert known is not None
    start = time.perf_counter()
    solved = _solved(pair, device)
    return {
        "schema": CONVERGENCE_SCHEMA, "key": key, "kind": "convergence", "device": device,
        **size.law.columns("problem"), "sampling.n": size.n, "seed": seed,
        "status": "refused" if solved is None else "ok",
        "population_w1": known,
        "error": None if solved is None else abs(solved.w1 - known),
        **as_columns(Proof, solved),
        "route": None if solved is None else solved.route,
        "seconds_exact": time.perf_counter() - start,
    }  # fmt: skip


def _solved(pair: SamplePair, device: str) -> ExactSolution | None:
    """The exact solution; None where there is no proof of one, or memory is enough for an interval alone."""
    try:
        found = solve_pair(pair, device=device)
    except UncertifiedError:
        return None
    return found if found.is_exact else None
