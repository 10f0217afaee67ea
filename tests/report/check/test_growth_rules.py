"""Every limit of the rules on solvers that grow and on samples that converge: inside passes, beyond is reported."""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from otbench.report.check.convergence_rules import convergence_certificates, convergence_errors
from otbench.report.check.growth_rules import growth_agreement, growth_certificates, growth_costs
from otbench.report.check.violation import Violation
from otbench.results.tables.convergence import convergence_frame
from otbench.results.tables.growth import growth_frame

Row = dict[str, Any]

NONE = dict.fromkeys(
    ("accuracy", "primal_lower", "primal_upper", "longest_move", "rounds", "pairs", "iterations", "reg")
)

RUN: Row = {"schema": 1, "kind": "growth", "machine": "m", "device": "cpu", "threads": 2, "load": 1.0, "dim": 3,
            "n": 1000, "seed": 0, "seconds": 1.0, "peak_memory_bytes": 10**9, "primal": 2.0, **NONE}  # fmt: skip

#: One measurement of every solver on the same points, none of which breaks a rule.
RUNS: dict[str, Row] = {
    name: RUN | {"key": f"growth {name}", "solver": name} | told
    for name, told in {
        "dense": {"primal_lower": 2.0, "primal_upper": 2.0, "longest_move": 3.0},
        "sparse": {"primal_lower": 2.0, "primal_upper": 2.0, "longest_move": 3.0, "rounds": 2, "pairs": 5000,
                   "peak_memory_bytes": 10**6},
        "lazy": {"peak_memory_bytes": None},
        "assignment": {},
        "sinkhorn": {"primal": 2.01, "primal_lower": 1.995, "primal_upper": 2.01, "accuracy": 0.01, "iterations": 9,
                     "reg": 0.1},
    }.items()
}  # fmt: skip


def grown(solver: str, change: Row) -> pd.DataFrame:
    """The measurements of all solvers, of which one is changed."""
    return growth_frame([row | (change if name == solver else {}) for name, row in RUNS.items()], {})


#: rule, its part, whose row, and what stands there at a share t of the limit.
LIMITS: list[tuple[Any, str, str, Callable[[float], Row]]] = [
    (growth_certificates, "lower <= value", "dense", lambda t: {"primal_lower": 2.0 + 1e-12 * (t > 1)}),
    (growth_certificates, "value <= upper", "sparse", lambda t: {"primal_upper": 2.0 - 1e-12 * (t > 1)}),
    (growth_certificates, "lower >= 0", "dense", lambda t: {"primal_lower": 2.0 if t < 1 else -1e-9}),
    (growth_certificates, "interval's width", "dense", lambda t: {"primal_lower": 2.0 - t * 2e-9}),
    (growth_certificates, "interval's width", "sparse", lambda t: {"primal_upper": 2.0 + t * 2e-9}),
    (growth_certificates, "interval's width", "sparse",
     lambda t: {"primal": 2e-9, "primal_lower": 2e-9, "primal_upper": 2e-9 + t * 16 * 2.0**-52 * 3}),
    (growth_certificates, "certificate", "sparse", lambda t: {"primal_lower": 2.0 if t < 1 else None}),
    (growth_certificates, "interval", "sinkhorn", lambda t: {"primal_upper": 2.01 if t < 1 else None}),
    (growth_certificates, "relative gap", "sinkhorn", lambda t: {"primal_lower": 2.01 * (1 - 0.01 * t)}),
    (growth_agreement, "intervals have W1 in common", "sinkhorn", lambda t: {"primal_lower": 2.0 * (1 + t * 1e-12)}),
    (growth_agreement, "intervals have W1 in common", "sparse",
     lambda t: {"primal_lower": 1.9, "primal_upper": 2.0 * (1 - t * 1e-12)}),
    (growth_agreement, "value <= certified upper", "lazy", lambda t: {"primal": 2.0 * (1 + t * 1e-9)}),
    (growth_agreement, "value >= certified lower", "assignment", lambda t: {"primal": 2.0 * (1 - t * 1e-9)}),
    (growth_costs, "seconds > 0", "lazy", lambda t: {"seconds": 1e-9 * (t < 1)}),
    *((growth_costs, "bytes of the matrix that are missing", name,
       lambda t: {"peak_memory_bytes": int(0.9 * 8e6 * (2 - t))}) for name in ("dense", "assignment", "sinkhorn")),
    (growth_costs, "rounds and pairs", "sparse", lambda t: {"rounds": 2 if t < 1 else None}),
    (growth_costs, "pairs >= n", "sparse", lambda t: {"pairs": 1000 - (t > 1)}),
]  # fmt: skip


def names(found: Iterator[Violation]) -> set[str]:
    return {violation.rule for violation in found}


@pytest.mark.parametrize(("rule", "part", "solver", "change"), LIMITS,
                         ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_the_limits_of_measurements_are_where_they_are_said_to_be(
    rule: Any, part: str, solver: str, change: Callable[[float], Row]
) -> None:
    for share, reported in ((0.99, False), (1.01, True)):
        assert (part in names(rule(grown(solver, change(share))))) == reported, share


def test_measurements_that_break_no_rule_are_not_reported_and_one_that_does_is_named_by_its_key() -> None:
    whole = grown("dense", {})
    assert [names(rule(whole)) for rule in (growth_certificates, growth_agreement, growth_costs)] == [set()] * 3
    (found,) = growth_costs(grown("lazy", {"seconds": 0.0}))
    assert (found.cell, found.column) == ("seed 0 [growth lazy]", "seconds")


@pytest.mark.parametrize("other", [{"seed": 1}, {"n": 2000}, {"dim": 4}])
def test_values_of_other_points_are_not_compared(other: Row) -> None:
    assert names(growth_agreement(grown("lazy", {"primal": 5.0}))) == {"value <= certified upper"}
    assert names(growth_agreement(grown("lazy", {"primal": 5.0, **other}))) == set()


#: A sample that breaks no rule.
SAMPLE: Row = {
    "schema": 1, "kind": "convergence", "key": "k", "machine": "m", "device": "cpu", "problem.name": "balls",
    "problem.dim": 3, "sampling.n": 64, "seed": 0, "status": "ok", "population_w1": 0.75, "error": 0.25, "primal": 1.0,
    "primal_lower": 1.0, "primal_upper": 1.0, "longest_move": 2.0, "gap": 0.0, "violation": 0.0, "marginal_error": 0.0,
    "route": "dense", "seconds_exact": 0.1,
}  # fmt: skip


@pytest.mark.parametrize(("rule", "part", "change"), [
    (convergence_certificates, "interval's width", {"primal_upper": 1 + 2e-9}),
    (convergence_certificates, "lower <= primal", {"primal_lower": 1 + 1e-12}),
    (convergence_certificates, "primal <= upper", {"primal_upper": 1 - 1e-12}),
    (convergence_certificates, "gap", {"gap": 1e-3}),
    (convergence_certificates, "marginal error", {"marginal_error": 1e-8}),
    (convergence_certificates, "certificate", {"status": "refused"}),
    (convergence_certificates, "certificate", {"gap": None}),
    (convergence_errors, "error = |primal - population W1|", {"error": 0.25 + 1e-15}),
    (convergence_errors, "error = |primal - population W1|", {"error": -0.25}),
    (convergence_errors, "error = |primal - population W1|", {"error": None}),
    (convergence_errors, "error = |primal - population W1|", {"primal": 1 + 1e-15}),
    (convergence_errors, "one population W1 per problem", {"population_w1": 0.5, "error": 0.5}),
])  # fmt: skip
def test_a_planted_fault_in_a_sample_is_found(rule: Any, part: str, change: Row) -> None:
    other = SAMPLE | {"key": "other", "seed": 1, "primal": 0.5, "primal_lower": 0.5, "primal_upper": 0.5}
    assert not names(rule(convergence_frame([SAMPLE, other])))
    assert names(rule(convergence_frame([SAMPLE | change, other]))) == {part}
