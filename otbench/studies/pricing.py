"""The study of starts: what a critic saves an exact solver that starts from it, beside starts without a critic."""

import hashlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from otbench.errors import UncertifiedError
from otbench.files import dump
from otbench.methods import METHODS, Job, Method, WeightClip, method
from otbench.methods.fitted import Fitted
from otbench.methods.reading import read_critic
from otbench.methods.warm_start import ladder_on_part, part_of, potentials_of, some_points
from otbench.problems import Problem, problem
from otbench.results.schema import COLD, SCHEMA, SUBSAMPLE, PricingColumns, as_columns, names_of
from otbench.results.store import Row
from otbench.studies.plan import StudyPlan
from otbench.transport.alignment import alignment
from otbench.transport.exact import solve_pair
from otbench.transport.potentials import of_coarser_problem, proved_by
from otbench.transport.pricing import threads
from otbench.types import Array, ExactSolution, Indices, Proof, SamplePair

#: A solve is never given up before this many seconds, however quick the one is with which it is compared.
LEAST_SECONDS = 1.0

#: Points of either side on which a critic's skill is read: all of smaller samples, else a part, as of more the ladder
#: takes longer than all solves.
SKILL_POINTS = 2000

Start = tuple[Array, Array]


@dataclass(frozen=True)
class Points:
    """A job: the samples on which all starts are timed."""

    problem: Problem
    n: int
    seed: int

    def sample(self) -> SamplePair:
        """Two independent samples of n points."""
        return self.problem.sample(self.n, seed=self.seed)


class PricingPlan(StudyPlan):
    """Exact solves of the same points from several starts: ``critics``, a coarser problem, and potentials of zero.

    ``problems`` are descriptions without their dimension. A size is [dimension, points of either sample]. ``critics``
    are descriptions of methods by the names that the starts have in tables. Critics are fitted to the very points. A
    solve is given up, between two rounds, after ``patience`` times the seconds of the start from a coarser problem.
    """

    kind: ClassVar[str] = "pricing table"
    timed: ClassVar[bool] = True

    problems: list[dict[str, Any]] = Field(min_length=1)
    sizes: list[Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(min_length=1)
    critics: dict[Annotated[str, Field(pattern=r"^[\w.+-]+$")], dict[str, Any]]
    patience: float = Field(1.5, gt=0)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if taken := {SUBSAMPLE, COLD} & set(self.critics):
            raise ValueError(f"a start named {min(taken)} is there without being asked for: name the critic otherwise")
        for table in self.problems:
            if "name" not in table or "dim" in table:
                raise ValueError("a problem needs a name, and takes its dimension from sizes")
        for table in self.critics.values():
            if "name" not in table:
                raise ValueError(f"a critic needs the name of a method; known: {', '.join(sorted(METHODS))}")
        self.jobs()
        return self

    def methods(self) -> dict[str, Method]:
        """The methods of the critics by the names of their starts."""
        return {start: method(**table) for start, table in self.critics.items()}

    def jobs(self) -> dict[str, Points]:
        """Every job by its name."""
        jobs = [
            Points(problem(**table, dim=dim), n, seed)
            for table in self.problems for dim, n in self.sizes for seed in self.seeds
        ]  # fmt: skip
        starts = {start: recipe.columns("method") for start, recipe in self.methods().items()}
        laws = list({job.problem.name: job.problem.columns("problem") | {"problem.dim": None} for job in jobs}.values())
        shared = hashlib.sha256(dump([self.version, self.patience, starts, laws])).hexdigest()[:12]
        named = {f"{p.problem.name} d={p.problem.dim} n={p.n} seed={p.seed} plan={shared}": p for p in jobs}
        if len(named) < len(jobs):
            raise ValueError("problems, sizes and seeds must each be given once; problems are told apart by name")
        return named

    def records(self, device: str) -> dict[str, list[str]]:
        starts = [SUBSAMPLE, COLD, *self.critics]
        return {name: [record_key(name, start) for start in starts] for name in self.jobs()}


def record_key(job: str, start: str) -> str:
    """The key of one start on the points of a job."""
    return f"pricing {job} start={start}"


def measure(plan: PricingPlan, job: str, device: str) -> list[Row]:
    """The records of a job: one for every start, all on the same points, one after the other."""
    points = plan.jobs()[job]
    pair = points.sample()
    _first_solve()
    coarse = _Timed(pair, lambda: of_coarser_problem(pair), math.inf)
    if coarse.solution is None:
        raise UncertifiedError("the start from a coarser problem", coarse.reason, "exact", "solve other points")
    limit = max(LEAST_SECONDS, plan.patience * coarse.seconds)
    rows = [coarse.row(), _Timed(pair, lambda: (np.zeros(len(pair.x)), np.zeros(len(pair.y))), limit).row()]
    part = some_points(pair, SKILL_POINTS)
    part_primal = coarse.solution.w1 if points.n <= SKILL_POINTS else solve_pair(part_of(pair, *part)).w1
    methods, fitted = plan.methods(), _fit(plan.methods(), pair, points.seed, coarse.solution, device)
    for start, fit in fitted.items():
        row = _row_of_critic(pair, coarse.solution, fit, limit, part)
        rows.append({"part_primal": None if fit.critic is None else part_primal} | _recipe(methods[start]) | row)
    own: Row = {"schema": SCHEMA, "kind": "pricing", "device": device, "threads": threads(),
                "problem": points.problem.name, "dim": points.problem.dim, "n": points.n,
                "seed": points.seed}  # fmt: skip
    blank: Row = dict.fromkeys(names_of(PricingColumns))
    starts = [SUBSAMPLE, COLD, *fitted]
    named = [{"key": record_key(job, start), "start": start} for start in starts]
    return [blank | own | name | row for name, row in zip(named, rows, strict=True)]


class _Timed:
    """A start that was made and solved from, with the seconds of either. ``solution`` is None where there is no value,
    for a ``reason``."""

    def __init__(self, pair: SamplePair, make: Callable[[], Start], limit: float) -> None:
        self.pair, self.reason = pair, ""
        begun = time.perf_counter()
        self.u, self.v = make()
        made = time.perf_counter()
        self.solution: ExactSolution | None = None
        self.found: ExactSolution | None = None
        try:
            self.found = solve_pair(pair, "sparse", None if math.isinf(limit) else limit, (self.u, self.v))
            if self.found.is_exact:
                self.solution = self.found
            else:
                self.reason = f"given up after {self.found.rounds} rounds"
        except UncertifiedError as error:
            self.reason = str(error)
        self.seconds_start, self.seconds_solve = made - begun, time.perf_counter() - made
        self.load = os.getloadavg()[0]

    @property
    def seconds(self) -> float:
        return self.seconds_start + self.seconds_solve

    def row(self) -> Row:
        """The columns of a start, whatever it was made of."""
        rounds = {name: getattr(self.found, name, None) for name in ("rounds", "pairs", "pairs_in_all")}
        proof = as_columns(Proof, self.found)
        return {
            "status": "ok" if self.solution is not None else "stopped", "reason": self.reason, "load": self.load,
            **{name: None if isinstance(v, float) and math.isnan(v) else v for name, v in proof.items()}, **rounds,
            "start_lower": proved_by(self.pair, self.u, self.v), "seconds_start": self.seconds_start,
            "seconds_solve": self.seconds_solve,
        }  # fmt: skip


def _row_of_critic(
    pair: SamplePair, exact: ExactSolution, fit: Fitted, limit: float, part: tuple[Indices, Indices]
) -> Row:
    """The columns of the start from a critic, with what its ladder and its gradients say; none of one that diverged."""
    fitted: Row = {"seconds_fit": fit.seconds}
    if fit.critic is None:
        return fitted | {"status": "diverged", "reason": " ".join(fit.reason.split()), "load": os.getloadavg()[0]}
    scales = []

    def start() -> Start:
        read = read_critic(fit, pair.x, pair.y, pair.a, pair.b, None, gradients=False)
        potentials, scale = potentials_of(read)
        scales.append(scale)
        return potentials

    timed = _Timed(pair, start, limit)
    read = read_critic(fit, pair.x, pair.y, pair.a, pair.b, None)
    told: Row = {"scale": scales[0], "plan_cosine": None}
    if read.gx is not None and read.gy is not None:
        told["plan_cosine"] = alignment(pair, exact.plan, read.gx, read.gy).plan_cosine
    bounds = ladder_on_part(read, *part)
    return fitted | timed.row() | told | {"c_transform": bounds.c_transform, "nearest": bounds.nearest}


def _fit(
    methods: dict[str, Method], pair: SamplePair, seed: int, exact: ExactSolution, device: str
) -> dict[str, Fitted]:
    """The critics of all methods, those that can be together in one batch."""
    batches: dict[object, list[str]] = {}
    for start, recipe in methods.items():
        batches.setdefault((type(recipe), recipe.at(pair.dim).batch_key()), []).append(start)
    fitted: dict[str, Fitted] = {}
    for starts in batches.values():
        recipes = [methods[start].at(pair.dim) for start in starts]
        found = type(recipes[0]).fit(recipes, [Job(pair, seed, exact)] * len(starts), device)
        fitted |= zip(starts, found, strict=True)
    return {start: fitted[start] for start in methods}


def _recipe(recipe: Method) -> Row:
    """What a critic is: its method, and where it is a clipped one its clip value, its depth and its steps."""
    columns: Row = {"method": recipe.name, "steps": getattr(recipe, "steps", None)}
    if isinstance(recipe, WeightClip):
        columns |= {"clip": recipe.clip, "depth": recipe.depth}
    return columns


def _first_solve() -> None:
    """Do what first solves alone do, as loading the solver."""
    pair = problem("translation", dim=2).sample(8)
    solve_pair(pair, "sparse")
