"""The declaration of an experiment: a TOML file of blocks, in which every list is an axis, or the plan of a study."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import Field, model_validator

from otbench.errors import InputError, UnknownNameError
from otbench.experiment.cell import Cell, CellMaker, Sampling
from otbench.experiment.known import Known, known
from otbench.experiment.locate import declaration_digest, find_experiment
from otbench.experiment.plugin import Plugin
from otbench.experiment.promise import Promise
from otbench.files import read_toml
from otbench.methods import Method
from otbench.problems import Problem
from otbench.results.store import keys_digest
from otbench.spec import Spec, is_sequence_field
from otbench.studies.convergence import ConvergencePlan
from otbench.studies.gan.plan import GeneratorPlan
from otbench.studies.growth import GrowthPlan
from otbench.studies.plan import StudyPlan
from otbench.studies.pricing import PricingPlan
from otbench.studies.timing import TimingPlan

#: More cells than this in an experiment are a slip of the keyboard: their rows would fill 8 GiB, a month of a cluster.
MAX_CELLS = 2_000_000


class Block(Spec):
    """A full product of problems, samplings, methods and seeds, in which the lists of each table are expanded.

    ``seeds`` are of the points. ``training_seeds``, of first weights and minibatches, are crossed with them; where they
    are left out a critic trains with the seed of its points. Methods without chance have one cell per sample.
    """

    kind: ClassVar[str] = "block"

    problem: dict[str, Any] | list[dict[str, Any]]
    sampling: dict[str, Any] | list[dict[str, Any]] = Field(default_factory=dict)
    method: dict[str, Any] | list[dict[str, Any]]
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(min_length=1)
    training_seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] | None = Field(None, min_length=1)


class Declaration(Spec):
    """A whole file: the question that the experiment answers, and either blocks of cells or the plan of a study."""

    kind: ClassVar[str] = "experiment file"

    question: str
    block: list[Block] = Field(default_factory=list)
    agree: list[Promise] = Field(default_factory=list)
    timing: TimingPlan | None = None
    generator: GeneratorPlan | None = None
    growth: GrowthPlan | None = None
    convergence: ConvergencePlan | None = None
    pricing: PricingPlan | None = None

    @property
    def plan(self) -> StudyPlan | None:
        """The plan of a study, where there is one."""
        return next(iter(self._plans()), None)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.block) + len(self._plans()) != 1:
            fields = Declaration.model_fields.items()
            names = [f"[{name}]" for name, field in fields if _is_plan(get_args(field.annotation))]
            raise ValueError(f"give either [[block]] tables or one {', '.join(names[:-1])} or {names[-1]} table")
        return self

    def _plans(self) -> list[StudyPlan]:
        """The plans that are given: one at most, in a valid file."""
        return [plan for _, plan in self if isinstance(plan, StudyPlan)]


def _is_plan(alternatives: tuple[Any, ...]) -> bool:
    return any(isinstance(each, type) and issubclass(each, StudyPlan) for each in alternatives)


@dataclass(frozen=True)
class Experiment:
    """A validated experiment: its name, its question, and its distinct cells in the declared order, or its plan.

    ``digest`` is the hash of the tables in its file, ``agree`` are its promises.
    """

    name: str
    question: str
    digest: str
    agree: tuple[Promise, ...]
    cells: tuple[Cell, ...]
    plan: StudyPlan | None = None

    @cached_property
    def keys(self) -> str:
        """The digest of the keys of all cells."""
        return keys_digest(cell.key for cell in self.cells)


def load_experiment(name_or_path: str, pairs: Path | None = None, plugins: Sequence[Plugin] = ()) -> Experiment:
    """The experiment of that name, or in that .toml file; ``pairs`` is the file for problems that take their pairs
    from one, ``plugins`` are what it may name besides otbench's own problems and methods.

    Raises:
        InputError: there is no such experiment or file, or something in it is not understood.
    """
    file = find_experiment(name_or_path)
    tables = read_toml(file)
    data, there = None if pairs is None else str(pairs.resolve()), known(plugins)
    try:
        declared = Declaration(**tables)
        tables_of_problems = [table for block in declared.block for table in _tables(block.problem)]
        if pairs is not None and not any(_takes_pairs(table, there) for table in tables_of_problems):
            raise InputError("no problem here takes its pairs from a file; leave --pairs out")
        cells = {cell.key: cell for cell in _cells(declared.block, str(file.parent), data, there)}
        digest = declaration_digest(tables)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    agree, distinct = tuple(declared.agree), tuple(cells.values())
    return Experiment(file.stem, declared.question, digest, agree, distinct, declared.plan)


def _cells(blocks: Sequence[Block], folder: str, pairs: str | None, there: Known) -> Iterator[Cell]:
    """The cells of all blocks, in their order; InputError before the first where they are too many."""
    axes = [_Axes.of(block, folder, pairs, there) for block in blocks]
    size = sum(each.size() for each in axes)
    if size > MAX_CELLS:
        raise InputError(f"an experiment of {size} cells is more than the {MAX_CELLS} allowed; split it into several")
    maker = CellMaker()
    for each in axes:
        yield from each.cells(maker)


@dataclass(frozen=True)
class _Axes:
    """The values along each axis of a block."""

    problems: list[Problem]
    samplings: list[Sampling]
    methods: list[Method]
    seeds: list[int]
    training_seeds: list[int] | None

    @classmethod
    def of(cls, block: Block, folder: str, pairs: str | None, there: Known) -> Self:
        """The axes of a block, each expanded."""
        return cls(
            [p for table in _tables(block.problem) for p in _expand_problem(table, folder, pairs, there)],
            [Sampling(**fields) for table in _tables(block.sampling) for fields in _axes(Sampling, table)],
            [m for table in _tables(block.method) for m in _expand_method(table, there)],
            block.seeds,
            block.training_seeds,
        )

    def size(self) -> int:
        """How many cells the full product has."""
        samples = len(self.problems) * len(self.samplings) * len(self.seeds)
        return samples * len(self.methods) * len(self.training_seeds or [0])

    def cells(self, maker: CellMaker) -> Iterator[Cell]:
        """The cells of the product; those of methods without chance once per sample."""
        placed = {problem.dim: [method.at(problem.dim) for method in self.methods] for problem in self.problems}
        for problem, sampling, seed in itertools.product(self.problems, self.samplings, self.seeds):
            for method in placed[problem.dim]:
                for training_seed in self.training_seeds if self.training_seeds and method.chance else [seed]:
                    yield maker.cell(problem, sampling, method, seed, training_seed)


def _takes_pairs(table: Mapping[str, Any], there: Known) -> bool:
    """Whether a problem's table needs a file of pairs that it does not name."""
    chosen = _named("problem", there.problems, table)
    try:
        for axes in _axes(chosen, table):
            chosen.instances(axes, None)
    except InputError:
        return True
    return False


def _expand_problem(table: Mapping[str, Any], folder: str, pairs: str | None, there: Known) -> list[Problem]:
    chosen = _named("problem", there.problems, table)
    return [
        chosen.parse(fields, folder) for axes in _axes(chosen, table) for fields in chosen.instances(axes, pairs)
    ]


def _expand_method(table: Mapping[str, Any], there: Known) -> list[Method]:
    chosen = _named("method", there.methods, table)
    return [chosen(**fields) for fields in _axes(chosen, table)]


def _named(kind: str, known: Mapping[str, Any], table: Mapping[str, Any]) -> Any:
    name = table.get("name")
    if name is None:
        raise InputError(f"a {kind} table needs a name; known: {', '.join(sorted(known))}")
    if not isinstance(name, str) or name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


def _axes(described: type[Spec], table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of a table's axes.

    A list is an axis. Where one value of a field is itself a list, as of widths, a list of lists is one.
    """
    axes = []
    for name, value in table.items():
        field = described.model_fields.get(name)
        lists = isinstance(value, list)
        if lists and field is not None and is_sequence_field(field):
            lists = any(isinstance(part, list) for part in value)
        if lists and not value:
            raise InputError(f"{described.kind} field {name!r} is an empty list; give at least one value")
        axes.append(value if lists else [value])
    _affordable(math.prod(map(len, axes)))
    for values in itertools.product(*axes):
        yield dict(zip(table, values, strict=True))


def _affordable(size: int) -> None:
    if size > MAX_CELLS:
        raise InputError(f"a table of {size} entries is more than the {MAX_CELLS} cells allowed; split the experiment")


def _tables(value: dict[str, Any] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    if value == []:
        raise InputError("a block's problem, sampling and method must each be a table or a list of at least one")
    return value if isinstance(value, list) else [value]
