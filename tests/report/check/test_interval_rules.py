"""Rules of intervals in place of W1, each with the fault planted against it, and what holds beside them."""

from collections.abc import Callable
from typing import Any

import pytest
from small import Line, lines
from stopped import run_stopped, twins

from otbench.report.check.rules import RULES
from otbench.results.tables.cells import frame_of

Where = Callable[[Line], bool]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    return lines(run_stopped(tmp_path_factory.mktemp("stopped")) / "rows.jsonl")


def interval(row: Line) -> bool:
    return row["primal"] is None


def wide(row: Line) -> bool:
    return row["primal"] is None and row["primal_upper"] > 1.01 * row["primal_lower"]


def trained(row: Line) -> bool:
    return interval(row) and row["method.name"] == "weight_clip" and row["raw"] > 0


def middle(row: Line) -> float:
    return float(row["primal_lower"] + row["primal_upper"]) / 2


def above(row: Line) -> float:
    """A little more than any W1 that the row allows."""
    return float(row["primal_upper"]) * (1 + 1e-6)


#: What is planted, in which row, and the rule with its part that must see it. A value may be made from the row.
FAULTS: dict[str, tuple[Where, dict[str, Any], str, str]] = {
    "an interval sold as exact": (wide, {"primal": middle, "gap": 0.0}, "certificates", "interval's width"),
    "and without a gap": (wide, {"primal": middle}, "certificates", "certificate"),
    "an exact row robbed of its value": (
        lambda r: not interval(r), {"primal": None}, "intervals", "no value beside an interval",
    ),
    "nobody allowed it": (interval, {"sampling.exact_seconds": None}, "intervals", "W1 is exact"),
    "lower > upper": (interval, {"primal_lower": above}, "intervals", "lower <= upper"),
    "lower < 0": (interval, {"primal_lower": -1e-300}, "intervals", "primal_lower >= 0"),
    "violation < 0": (interval, {"violation": -1e-300}, "intervals", "violation >= 0"),
    "marginal error < 0": (interval, {"marginal_error": -1e-300}, "intervals", "marginal_error >= 0"),
    **{f"no {name}": (interval, {name: None}, "intervals", "interval")
       for name in ("longest_move", "violation", "marginal_error")},
    "a gap": (interval, {"gap": 0.0}, "intervals", "no value beside an interval"),
    "a cosine with a plan that is not optimal": (
        trained, {"plan_cosine": 0.5}, "intervals", "no value beside an interval",
    ),
    "a floor": (
        lambda r: interval(r) and r["sampling.mode"] == "independent", {"sampling_floor": 0.1}, "intervals",
        "no value beside an interval",
    ),
    "an interval beside W1": (
        wide, {"primal_lower": lambda r: 1.2 * r["primal_upper"], "primal_upper": lambda r: 1.3 * r["primal_upper"]},
        "intervals", "intervals of a sample have W1 in common",
    ),
    "a potential that proves less": (
        lambda r: interval(r) and r["method.name"] == "potential", {"raw": lambda r: 0.999 * r["primal_lower"]},
        "intervals", "the potential proves the lower end",
    ),
    "a rung above the upper end": (trained, {"c_transform": above}, "ladder", "c_transform <= primal"),
    "a slope above the upper end": (
        trained, {"slope_constant": lambda r: r["raw"] / above(r)}, "ladder", "slope <= primal",
    ),
    "raw beyond the reach of any W1": (
        trained, {"raw": lambda r: r["slope_constant"] * above(r)}, "ladder", "raw <= S W1",
    ),
    "a half budget above the upper end": (trained, {"slope_half": above}, "ranges", "slope at half budget <= primal"),
    "a closed form above the interval": (
        lambda r: interval(r) and r["sampling.mode"] == "coupled", {"coupled_w1": above}, "closed forms",
        "|primal - coupled W1| <= sampling floor",
    ),
    "a closed form below it": (
        lambda r: interval(r) and r["sampling.mode"] == "coupled",
        {"coupled_w1": lambda r: r["primal_lower"] * (1 - 1e-6)}, "closed forms",
        "|primal - coupled W1| <= sampling floor",
    ),
    "other points": (interval, {"nearest": lambda r: r["nearest"] + 1e-3}, "same points", "one nearest per sample"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault: str, rows: list[Line]) -> None:
    where, columns, rule, part = FAULTS[fault]
    index = next(k for k, row in enumerate(rows) if where(row))
    row = rows[index]
    planted = row | {name: value(row) if callable(value) else value for name, value in columns.items()}
    assert not list(RULES[rule](frame_of(rows)))
    found = [v for v in RULES[rule](frame_of([*rows[:index], planted, *rows[index + 1 :]])) if v.rule == part]
    assert found
    assert all(f"problem {row['problem.name']}" in v.cell and f"seed {row['seed']} " in v.cell for v in found)


def test_two_machines_may_have_proved_different_intervals_of_one_sample(rows: list[Line]) -> None:
    """One may even have got to the value."""
    index = next(k for k, row in enumerate(rows) if wide(row) and row["method.name"] == "zero")
    row = rows[index]
    whole = next(other for one, other in twins(rows) if one["key"] == row["key"])
    solver = ("primal", "primal_lower", "primal_upper", "longest_move", "gap", "violation", "marginal_error")
    narrower = row | {"primal_lower": (row["primal_lower"] + whole["primal"]) / 2}
    for other in (narrower, row | {name: whole[name] for name in (*solver, "sampling_floor", "plan_cosine")}):
        frame = frame_of([*rows[:index], other, *rows[index + 1 :]])
        assert [str(violation) for rule in RULES.values() for violation in rule(frame)] == []
