"""How far two rows of one cell may be apart: not at all on one machine, and by rounding on two machines."""

from collections.abc import Iterator, Mapping
from typing import Any

from otbench.results.schema import SampleColumns, stored_fields
from otbench.results.store import Row
from otbench.spec import Scalar
from otbench.types import Proof

#: The relative difference that another library's summation may make where nothing is trained; 1e-11 was seen at most.
ROUNDING = 1e-6

#: By how much, in units of W1, two trainings of one cell may prove different bounds on machines that round differently.
#: Training amplifies rounding: between two instruction sets the slopes of 144 critics were 0.01 apart at most.
TRAINED = 0.1

#: Columns that are themselves sizes of rounding, so that they may be anything below their bounds.
NOISE = frozenset({"gap", "violation", "marginal_error", "raw_error"})

#: Columns in the data's unit. A number among them below ROUND_OFF times the samples' spread is cancellation.
LENGTHS = frozenset({
    "population_w1", "coupled_w1", "coupled_stderr", "sampling_floor", "shift", "shift_l1", "primal", "primal_lower",
    "primal_upper", "longest_move", "nearest", "c_transform",
})  # fmt: skip

#: What a solver has found of a sample: of two that may be stopped it is as good as their machines are fast.
OF_THE_SOLVER = frozenset({*stored_fields(Proof), "sampling_floor", "plan_cosine", "coincident_atoms", "reason"})

#: What belongs to an optimal plan, of which a sample may have several, as points have that move along common rays:
#: which of them a solver finds hangs on the rounding of a machine.
OF_THE_PLAN = frozenset({"longest_move", "plan_cosine"})

#: What cancellation leaves of numbers of size 1.
ROUND_OFF = 1e-12

#: The facts of a machine that decide its rounding: two machines for which they are equal compute the same bits.
ARITHMETIC = (
    "system", "processor", "device", "torch", "pot", "numpy", "scipy", "scikit-learn",
    "instruction_set", "torch_blas", "mkl_mode", "numpy_blas", "numpy_blas_kernels",
)  # fmt: skip


def round_alike(*metas: Mapping[str, Any]) -> bool:
    """Whether all machines that made the rows of these meta.json files compute the same bits, by what they tell."""
    machines = [facts for meta in metas for facts in meta.get("machines", {}).values()]
    told = all(facts.get("instruction_set") for facts in machines)
    return told and len({tuple(facts.get(name) for name in ARITHMETIC) for facts in machines}) == 1


def differences(one: Row, other: Row, *, alike: bool) -> Iterator[str]:
    """Every column in which two rows of a cell differ by more than rounding explains, with both values.

    NOISE is never compared. Numbers of a trained critic may differ by ROUNDING where the machines round ``alike``.
    Elsewhere only what it proves is compared, its slope and c_transform, which may differ by TRAINED times W1, and
    nothing that belongs to one optimal plan. Of W1 whose solver may be stopped only that both intervals can hold it,
    and of the potential, which is the solver's own, only the sample.
    """
    amplified, limited = not alike and _is_trained(one), one.get("sampling.exact_seconds") is not None
    of_sample = amplified or (limited and one.get("method.name") == "potential")
    for name in dict.fromkeys([*one, *other]):
        compared = not of_sample or "." in name or name in SampleColumns.model_fields
        compared &= not (limited and name in OF_THE_SOLVER)
        compared &= alike or name not in OF_THE_PLAN
        if compared and name not in NOISE and not _close(one.get(name), other.get(name), _floor(name, one)):
            yield f"{name} {one.get(name)!r} and {other.get(name)!r}"
    if limited:
        yield from _disjoint(one, other)
    if amplified and one.get("status") == other.get("status") == "ok":
        yield from _apart(one, other)


def _close(left: Scalar, right: Scalar, floor: float) -> bool:
    """Whether two values are equal; numbers may differ by ROUNDING times their size, or by ``floor``."""
    numbers = [float(v) for v in (left, right) if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < 2:
        return left == right
    return abs(numbers[0] - numbers[1]) <= max(floor, ROUNDING * max(map(abs, numbers)))


def _floor(name: str, row: Row) -> float:
    """The size below which a number is cancellation: ``raw_error`` for raw, else ROUND_OFF times the samples' spread
    for a length, and ROUND_OFF for any other number."""
    scale = row.get("raw_error") if name == "raw" else row.get("spread") if name in LENGTHS else 1.0
    size = float(scale) if isinstance(scale, int | float) else 0.0
    return size if name == "raw" else ROUND_OFF * size


def _is_trained(row: Row) -> bool:
    steps = row.get("method.steps")
    return isinstance(steps, int) and steps > 0


def _disjoint(one: Row, other: Row) -> Iterator[str]:
    """The intervals of W1 of two rows where they have no point in common, up to rounding."""
    ends = [(row.get("primal_lower"), row.get("primal_upper")) for row in (one, other)]
    known = [(low, high) for low, high in ends if isinstance(low, float) and isinstance(high, float)]
    low, high = max((low for low, _ in known), default=0.0), min((high for _, high in known), default=0.0)
    if low > high and not _close(low, high, _floor("primal", one)):
        yield f"intervals of W1 {ends[0]} and {ends[1]}"


def _apart(one: Row, other: Row) -> Iterator[str]:
    """The bounds that two trainings of one cell prove, where they differ by more than TRAINED times W1."""
    primal = one.get("primal_upper") if one.get("primal") is None else one.get("primal")
    for name, prove in (("slope", _slope), ("c_transform", lambda row: row.get("c_transform"))):
        left, right = prove(one), prove(other)
        if not (isinstance(left, float) and isinstance(right, float) and isinstance(primal, float)):
            far = left != right
        else:
            far = not abs(left - right) <= TRAINED * primal
        if far:
            yield f"{name} {left!r} and {right!r}"


def _slope(row: Row) -> Scalar:
    """raw / S as tables derive it: 0 where raw <= 0 or S is infinite."""
    raw, constant = row.get("raw"), row.get("slope_constant")
    proves = isinstance(raw, float) and raw > 0 and isinstance(constant, float) and constant > 0
    return raw / constant if proves else 0.0  # type: ignore[operator]
