"""A cell of an experiment: one problem, one sampling, one method and one seed, which together make one row."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import Field

from otbench.files import dump
from otbench.methods import Method
from otbench.problems import Problem
from otbench.results.schema import SCHEMA
from otbench.results.store import Row, cell_key
from otbench.spec import Spec
from otbench.types import SamplePair


class Sampling(Spec):
    """How many points of P and Q are drawn, how, and how they are solved.

    Without n and m there are 1024 of a law, and all rows of data.

    "coupled" and "independent" say how y is drawn. With "population" critics train on fresh draws at every step, and
    are read on n points, coupled where an optimal coupling is known. ``fresh`` points of each law are held out: every
    critic is read on them once more, so that it says something of the laws. They are drawn independently of the sample,
    or are rows of data that the sample leaves over; without ``fresh`` there are none.

    ``exact_seconds`` stop the exact solver, as ``time_limit`` of ``otbench.solve_exact`` does: what it has proved by
    then, an interval that holds W1, takes the place of the value. Without them W1 is exact, or the cell is refused.
    """

    kind: ClassVar[str] = "sampling"
    added: ClassVar[frozenset[str]] = frozenset({"exact_seconds"})

    n: int | None = Field(
        None, ge=1, le=2**31 - 1, description="points of P; without n and m 1024 of a law, and all rows of data"
    )
    m: int | None = Field(None, ge=1, le=2**31 - 1, description="points of Q; without as many as of P, or all rows")
    mode: Literal["coupled", "independent", "population"] = Field(
        "independent", description="how y is drawn; population: training draws afresh at every step"
    )
    fresh: int | None = Field(None, ge=2, le=2**31 - 1, description="points of each law that are held out")
    exact_seconds: float | None = Field(None, gt=0, description="after which the exact solver stops with an interval")


@dataclass(frozen=True)
class Cell:
    """What one row is computed from; its key is the hash of all that decides the row's numbers.

    ``seed`` is of the points, ``training_seed`` of the critic's first weights and minibatches.
    """

    problem: Problem
    sampling: Sampling
    method: Method
    seed: int
    training_seed: int

    def columns(self) -> Row:
        """The cell as flat columns, as they stand in its row."""
        return {
            **self.problem.columns("problem"),
            **self.sampling.columns("sampling"),
            **self.method.columns("method"),
            "seed": self.seed,
            "training_seed": self.training_seed,
        }

    @cached_property
    def key(self) -> str:
        """SHA-256 of the row schema and the cell's columns, among them the versions of problem and method."""
        return cell_key(self.columns())

    @cached_property
    def sample_key(self) -> str:
        """The hash of what decides the points and how long they may be solved, which is the same for every method of a
        problem, sampling and seed."""
        points = [self.problem.columns("problem"), self.sampling.columns("sampling"), self.seed]
        return hashlib.sha256(dump(points)).hexdigest()

    def known_as(self, key: str, sample_key: str) -> Self:
        """This cell, whose keys are known: they are not computed again."""
        self.__dict__.update(key=key, sample_key=sample_key)
        return self

    def sizes(self) -> tuple[int, int]:
        """The sizes n and m of the samples; InputError where the problem cannot give them, or the points held out."""
        sampling = self.sampling
        if sampling.fresh is not None:
            self.problem.check_fresh(sampling.fresh, sampling.n, sampling.m, sampling.mode)
        return self.problem.sizes(sampling.n, sampling.m, sampling.mode)

    def sample(self) -> SamplePair:
        """The samples."""
        return self.problem.sample(
            self.sampling.n, self.sampling.m, mode=self.sampling.mode, seed=self.seed
        )

    def held_out(self) -> SamplePair | None:
        """The points held out, which no critic of the cell was fitted to; None where there are none."""
        sampling = self.sampling
        if sampling.fresh is None:
            return None
        return self.problem.held_out(
            sampling.fresh, sampling.n, sampling.m, mode=sampling.mode, seed=self.seed
        )


class CellMaker:
    """Makes cells whose keys are known at once, of descriptions that are written as JSON once, and not once per cell.

    The canonical JSON of a cell's columns has them in alphabetical order: those of the method, the problem and the
    sampling, and the two seeds. It is put together from the JSON of each.
    """

    def __init__(self) -> None:
        self.texts: dict[tuple[str, int], tuple[Spec, bytes]] = {}
        self.samples: dict[tuple[int, int, int], str] = {}

    def cell(self, problem: Problem, sampling: Sampling, method: Method, seed: int, training_seed: int) -> Cell:
        """The cell of these, which must be the same objects wherever they are meant to be the same."""
        columns = b",".join(
            self._text(prefix, spec)[1:-1]
            for prefix, spec in (("method", method), ("problem", problem), ("sampling", sampling))
        )
        text = b'[%d,{%b,"seed":%d,"training_seed":%d}]' % (SCHEMA, columns, seed, training_seed)
        cell = Cell(problem, sampling, method, seed, training_seed)
        of_sample = (id(problem), id(sampling), seed)
        sample_key = self.samples.get(of_sample) or self.samples.setdefault(of_sample, cell.sample_key)
        return cell.known_as(hashlib.sha256(text).hexdigest(), sample_key)

    def _text(self, prefix: str, spec: Spec) -> bytes:
        """A description's columns as canonical JSON; the description is kept, so that its id stays its own."""
        known = self.texts.get((prefix, id(spec)))
        if known is None:
            known = self.texts[prefix, id(spec)] = spec, dump(spec.columns(prefix))
        return known[1]
