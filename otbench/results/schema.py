"""The columns of everything that is stored: what they are called, and what they may hold."""

import math
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from otbench.confidence import HeldOut
from otbench.spec import Scalar
from otbench.types import Alignment, Bounds, Column, Proof

#: The version of the columns below, which is part of every row's key.
SCHEMA = 3

#: The versions of the records of timings that are read. Records of the first one tell no peak memory.
TIMING_SCHEMAS = (1, 2, SCHEMA)

#: The version of the records of generators in training.
GENERATOR_SCHEMA = 3

#: The versions of the records of solvers that grow, and of samples that converge.
GROWTH_SCHEMA, CONVERGENCE_SCHEMA = 1, 1
#: The starts of exact solves that need no critic: from the potentials of a coarser problem, and from zero.
SUBSAMPLE, COLD = "subsample", "cold"

#: What stands for a number of critic steps where critics are trained afresh at every reading.
CONVERGED: Literal["converged"] = "converged"

#: A whole number a table can hold.
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]


@cache
def stored_fields(kind: type) -> dict[str, tuple[str, Any]]:
    """The columns that a value's class marks by ``Column``: column → (its field, the field's type), in their order."""
    hints = get_type_hints(kind, include_extras=True).items()
    marks = [(name, mark, hint) for name, hint in hints for mark in getattr(hint, "__metadata__", ())]
    return {m.name or name: (name, hint.__origin__) for name, m, hint in marks if isinstance(m, Column)}


def as_columns(kind: type, value: object) -> dict[str, Scalar]:
    """A value of ``kind`` as columns; each is None where there is no value, and where its number is infinite."""
    found = {column: getattr(value, field, None) for column, (field, _) in stored_fields(kind).items()}
    return {name: None if isinstance(v, float) and math.isinf(v) else v for name, v in found.items()}


def _columns(kind: type) -> type[BaseModel]:
    """The stored fields of ``kind`` as columns of a schema, each of which may be None."""
    types = {name: Whole if of is int else of for name, (_, of) in stored_fields(kind).items()}
    fields: dict[str, Any] = {name: (of | None, ...) for name, of in types.items()}
    return create_model(f"{kind.__name__}Columns", **fields)


class DrawnColumns(BaseModel):
    """The columns that say what a row is of, and what is known of its samples before they are solved."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, str | bool | Whole | float | None]

    schema_: int = Field(alias="schema")
    key: str = Field(min_length=64, max_length=64)
    seed: Whole
    training_seed: Whole
    status: str = Field(pattern="^(ok|diverged|refused|failed)$")
    reason: str
    # the samples
    n: Whole
    m: Whole
    population_w1: float | None
    population_stderr: float | None
    population_overlap: float | None
    population_js: float | None
    population_kl: float | None
    coincident: float | None
    shift: float | None
    shift_l1: float | None
    spread: float | None
    coupled_w1: float | None
    coupled_stderr: float | None
    ray_cosine: float | None
    sampling_floor: float | None


class SampleColumns(_columns(Proof), DrawnColumns):  # type: ignore[misc]
    """The columns that are of a row's samples, whatever the critic: what was drawn, and the exact W1 with its proof."""


class RowColumns(_columns(HeldOut), _columns(Alignment), _columns(Bounds), SampleColumns):  # type: ignore[misc]
    """The measured columns of a row; its cell stands beside them as problem.*, sampling.*, method.* and seed.

    A column is None where it has no value: no closed form, no such constant, a diverged critic.
    ``slope_constant`` None in an "ok" row means infinite, ``population_kl`` None where ``population_js`` is known too.
    Ratios and rungs are derived in ``otbench.results.tables.cells``, not stored.
    """

    saturation_start: float | None
    saturation: float | None
    slope_half: float | None
    fresh_cosine: float | None
    raw_gradient: float | None
    # the logit of a discriminator
    js: float | None
    js_gradient: float | None


class TimingColumns(BaseModel):
    """The columns of a timing line: the wall seconds of one cell by phase, and where they were spent.

    ``seconds_prepare`` are its share of those before the first training step; older lines do not tell them.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    schema_: int = Field(alias="schema")
    key: str
    seconds_draw: float
    seconds_exact: float
    seconds_fit: float
    seconds_prepare: float | None = None
    seconds_evaluate: float
    critics_in_batch: Whole
    compiled: bool = False
    machine: str
    device: str
    workers: Whole


class MeasurementColumns(BaseModel):
    """The columns that every measurement of a timing experiment has; those that it measured are beside them."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, str | bool | Whole | float | None]

    schema_: int = Field(alias="schema")
    key: str
    kind: Literal["training", "exact", "arrival"]
    machine: str
    device: str
    threads: Whole
    repeats: Whole
    load: float


class GeneratorColumns(_columns(Proof), _columns(Bounds)):  # type: ignore[misc]
    """The columns of one reading of one GAN in training; they are None where it diverged, or nothing is known.

    ``n_critic`` is the number of the critic's steps per iteration as text, or "converged" (``GeneratorPlan``).
    ``printed`` is the critic's loss on its last minibatches, as a loop prints it; all else is read on held-out points.
    ``raw_half`` is raw after half of a critic's training, None where that has no end. ``floor`` is W1 of the held-out
    points and as many of those that critics train on. ``slope_constant`` None in an "ok" record means infinite.
    ``seconds_critic`` and ``seconds_generator`` are the GAN's share of the training time since the reading before,
    ``seconds_exact`` is the time of one solve with its cost matrix.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    schema_: int = Field(alias="schema")
    key: str
    kind: Literal["generator"]
    machine: str
    device: str
    dataset: str
    lr: float
    n_critic: str = Field(pattern="^([1-9][0-9]*|converged)$")
    clip: float
    seed: Whole
    iteration: Whole
    status: str = Field(pattern="^(ok|diverged|refused)$")
    n: Whole
    floor: float
    printed: float | None
    raw_half: float | None
    modes: Whole | None
    seconds_critic: float
    seconds_generator: float
    seconds_exact: float | None


class GrowthColumns(BaseModel):
    """The columns of one measurement of a solver of W1 on n against n points.

    ``primal`` is its value. Where a solver proves an interval, ``primal_lower`` and ``primal_upper`` are its ends; the
    ``accuracy`` that was asked of it is relative, and None of an exact solver. ``longest_move`` is the largest distance
    that its plan uses. ``rounds`` and ``pairs`` are of the sparse route, ``iterations`` and ``reg`` of Sinkhorn.
    ``peak_memory_bytes`` are resident, above what the process held with its libraries and the points.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    schema_: int = Field(alias="schema")
    key: str
    kind: Literal["growth"]
    machine: str
    device: str
    threads: Whole
    load: float
    solver: str = Field(pattern="^(dense|sparse|lazy|assignment|sinkhorn)$")
    dim: Whole
    n: Whole
    seed: Whole
    accuracy: float | None
    seconds: float
    peak_memory_bytes: Whole | None
    primal: float
    primal_lower: float | None
    primal_upper: float | None
    longest_move: float | None
    rounds: Whole | None
    pairs: Whole | None
    iterations: Whole | None
    reg: float | None


class ConvergenceColumns(_columns(Proof)):  # type: ignore[misc]
    """The columns of one pair of independent samples with its exact W1; the problem's fields stand beside them.

    ``error`` is |primal - population_w1|. It and the proof are None where the solver's answer was refused.
    """

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, str | bool | Whole | float | None]

    schema_: int = Field(alias="schema")
    key: str
    kind: Literal["convergence"]
    machine: str
    device: str
    n: Whole = Field(alias="sampling.n")
    seed: Whole
    status: str = Field(pattern="^(ok|refused)$")
    population_w1: float
    error: float | None
    route: str | None
    seconds_exact: float


class PricingColumns(_columns(Proof)):  # type: ignore[misc]
    """The columns of one start of an exact solve, on points that all starts of its plan share.

    ``status`` is "ok", "stopped" where the start was given up, for a ``reason``, and has an interval at most, or
    "diverged" where there is no critic. ``start_lower`` is the bound of W1 that the start's potentials prove before any
    round. ``seconds_start`` are those of making the potentials, of a critic with its reading and its scale,
    ``seconds_fit`` those of its training. ``scale`` is the one that a critic starts with. ``c_transform`` and
    ``nearest`` are of its ladder on all points, or where they are very many on a part of them, of which
    ``part_primal`` is the exact W1; ``plan_cosine`` is of all points.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    schema_: int = Field(alias="schema")
    key: str
    kind: Literal["pricing"]
    machine: str
    device: str
    threads: Whole
    load: float
    problem: str
    dim: Whole
    n: Whole
    seed: Whole
    start: str
    method: str | None
    clip: float | None
    depth: Whole | None
    steps: Whole | None
    status: str = Field(pattern="^(ok|stopped|diverged)$")
    reason: str
    rounds: Whole | None
    pairs: Whole | None
    pairs_in_all: Whole | None
    start_lower: float | None
    seconds_start: float | None
    seconds_solve: float | None
    seconds_fit: float | None
    scale: float | None
    c_transform: float | None
    nearest: float | None
    part_primal: float | None
    plan_cosine: float | None


def schemas_of(kind: object) -> tuple[int, ...]:
    """The versions that are read of a study's records of that kind."""
    if kind == "growth":
        return (GROWTH_SCHEMA,)
    if kind == "convergence":
        return (CONVERGENCE_SCHEMA,)
    return (GENERATOR_SCHEMA,) if kind == "generator" else TIMING_SCHEMAS


def names_of(columns: type[BaseModel]) -> tuple[str, ...]:
    """The columns' names as they stand in files."""
    return tuple(field.alias or name for name, field in columns.model_fields.items())


#: The columns of a study's record, by its kind.
RecordColumns = Annotated[
    MeasurementColumns
    | GeneratorColumns
    | GrowthColumns
    | ConvergenceColumns
    | PricingColumns,
    Field(discriminator="kind"),
]  # fmt: skip

MEASUREMENTS = TypeAdapter(list[RecordColumns])
ROWS = TypeAdapter(list[RowColumns])
TIMINGS = TypeAdapter(list[TimingColumns])
