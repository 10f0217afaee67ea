"""A cell: one problem, one sampling, one method, one seed; its key is the hash of all that decides its numbers."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field

from otbench.files import dump
from otbench.methods import Method
from otbench.problems import Problem
from otbench.results.store import Row, cell_key
from otbench.spec import Spec
from otbench.types import SamplePair


class Sampling(Spec):
    """How points are drawn: n from P, m from Q (left out: 1024 of a law, all rows of data), coupled or not.

    In mode "population" critics train on fresh draws at every step, and are read on n coupled points.
    """

    kind: ClassVar[str] = "sampling"

    n: int | None = Field(None, ge=1, le=2**31 - 1)
    m: int | None = Field(None, ge=1, le=2**31 - 1)
    mode: Literal["coupled", "independent", "population"] = "independent"


@dataclass(frozen=True)
class Cell:
    """One row's worth of work."""

    problem: Problem
    sampling: Sampling
    method: Method
    seed: int

    def columns(self) -> Row:
        """The cell as flat columns, as they stand in its row."""
        return {
            **self.problem.columns("problem"),
            **self.sampling.columns("sampling"),
            **self.method.columns("method"),
            "seed": self.seed,
        }

    @cached_property
    def key(self) -> str:
        """SHA-256 of the row schema and the cell's columns, among them the versions of problem and method."""
        return cell_key(self.columns())

    @cached_property
    def sample_key(self) -> str:
        """The same for what decides the points: every method of equal problem, sampling and seed sees these."""
        points = [self.problem.columns("problem"), self.sampling.columns("sampling"), self.seed]
        return hashlib.sha256(dump(points)).hexdigest()

    def sizes(self) -> tuple[int, int]:
        """n and m of its samples; InputError where the problem cannot give them."""
        return self.problem.sizes(self.sampling.n, self.sampling.m, self.sampling.mode)

    def sample(self) -> SamplePair:
        """Its points."""
        return self.problem.sample(
            self.sampling.n, self.sampling.m, mode=self.sampling.mode, seed=self.seed
        )
