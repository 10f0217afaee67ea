"""The columns of rows, timing lines and measurements: what they are called, and what they may hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

#: Version of the columns below; part of every key.
SCHEMA = 2

#: Versions of a study's records that are read. In the first an exact value is told with its gap, its dual violation and
#: its marginal error, without the interval that these prove, and no peak memory is told.
STUDY_SCHEMAS = (1, SCHEMA)

#: A whole number a table can hold.
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class SampleColumns(BaseModel):
    """The columns that say what a row is of, and what is known of its samples whatever the critic."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, str | bool | Whole | float | None]

    schema_: int = Field(alias="schema")
    key: str = Field(min_length=64, max_length=64)
    seed: Whole
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
    # the exact side
    primal: float | None
    primal_lower: float | None
    primal_upper: float | None
    longest_move: float | None
    gap: float | None
    violation: float | None
    marginal_error: float | None


class RowColumns(SampleColumns):
    """The measured columns of a row; its cell stands beside them as problem.*, sampling.*, method.* and seed.

    A column is None where it has no value: no closed form, no such constant, a diverged critic.
    ``slope_constant`` None in an "ok" row means infinite, ``population_kl`` None where ``population_js`` is known too.
    Ratios and rungs are derived (``tables``), not stored.
    """

    raw: float | None
    raw_error: float | None
    clip_constant: float | None
    spectral_constant: float | None
    slope_constant: float | None
    scale: float | None
    c_transform: float | None
    nearest: float | None
    cosine: float | None
    gradient_l2: float | None
    gradient_l2_repaired: float | None
    gradient_scale: float | None
    coincident_atoms: Whole | None
    grad_norm_mean: float | None
    grad_norm_min: float | None
    grad_norm_max: float | None
    saturation_start: float | None
    saturation: float | None
    slope_half: float | None
    raw_gradient: float | None
    # the logit of a discriminator
    js: float | None
    js_gradient: float | None


class TimingColumns(BaseModel):
    """The columns of a timing line: wall seconds of one cell by phase, and where they were spent."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    schema_: int = Field(alias="schema")
    key: str
    seconds_draw: float
    seconds_exact: float
    seconds_fit: float
    seconds_evaluate: float
    critics_in_batch: Whole
    compiled: bool = False
    machine: str
    device: str
    workers: Whole


class MeasurementColumns(BaseModel):
    """What every measurement of a timing experiment says; what it measured stands beside."""

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


class GeneratorColumns(BaseModel):
    """The columns of one reading of one GAN in training; None where it diverged, or nothing is known.

    ``slope_constant`` None in an "ok" record means infinite. ``seconds_critic`` and ``seconds_generator`` are the
    GAN's share of the training since the reading before, ``seconds_exact`` of one solve with its cost matrix.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    schema_: int = Field(alias="schema")
    key: str
    kind: Literal["generator"]
    machine: str
    device: str
    dataset: str
    lr: float
    clip: float
    seed: Whole
    iteration: Whole
    status: str = Field(pattern="^(ok|diverged|refused)$")
    n: Whole
    floor: float
    printed: float | None
    raw: float | None
    raw_error: float | None
    slope_constant: float | None
    scale: float | None
    c_transform: float | None
    nearest: float | None
    primal: float | None
    primal_lower: float | None = None
    primal_upper: float | None = None
    longest_move: float | None = None
    gap: float | None
    violation: float | None
    marginal_error: float | None
    modes: Whole | None
    seconds_critic: float
    seconds_generator: float
    seconds_exact: float | None


MEASUREMENTS = TypeAdapter(list[Annotated[MeasurementColumns | GeneratorColumns, Field(discriminator="kind")]])
ROWS = TypeAdapter(list[RowColumns])
TIMINGS = TypeAdapter(list[TimingColumns])
