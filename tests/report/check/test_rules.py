"""The checker finds nothing in true results, and every rule of it finds the fault planted against it."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small import Line, change, lines, trained, write_lines

from otbench.errors import ResultsError
from otbench.files import dump
from otbench.report.check.proof_rules import PROOF
from otbench.report.check.rules import RULES, Violation, check_results, complete, keys
from otbench.report.markdown import write_tables
from otbench.results.folder import load
from otbench.results.store import Results
from otbench.results.tables.cells import RUNGS, frame_of

Where = Callable[[Line], bool]


def coupled(row: Line) -> bool:
    return row["sampling.mode"] == "coupled"


def anyone(row: Line) -> bool:
    return True


def moved(row: Line) -> bool:
    return row["primal"] > 0.5


def linear(row: Line) -> bool:
    return row["method.name"] == "linear" and row["primal"] > 0.5


def found_after(copy: Results) -> dict[str, list[Violation]]:
    """What the checker says of damaged rows whose tables were made anew."""
    write_tables(copy, "csv")
    found = check_results(copy)
    assert found["tables"] == []
    return found


def broken(rule: str, copy: Results) -> list[Violation]:
    """What one rule says of damaged rows."""
    rows = copy.rows()
    if rule in RULES:
        return list(RULES[rule](frame_of(rows)))
    return list(keys(rows)) if rule == "keys" else list(complete(rows, copy.meta()))


def test_true_results_break_no_rule(small_results: Path) -> None:
    assert {rule: found for rule, found in check_results(Results(small_results)).items() if found} == {}


def test_every_rule_is_reported_by_name_even_where_it_holds(small_results: Path) -> None:
    others = ["failures", "keys", "complete", "declaration", "seal", "pooled", "tables", "agreement"]
    assert list(check_results(Results(small_results))) == [*RULES, *others]


#: Rule, its sub-rule, the row that is changed, and the change.
FAULTS: list[tuple[str, str, Where, dict[str, Any]]] = [
    ("certificates", "gap", anyone, {"gap": 1e-8}),
    ("certificates", "gap", anyone, {"gap": -1e-8}),
    ("certificates", "violation >= 0", anyone, {"violation": -1e-300}),
    ("certificates", "interval's width", moved, {"primal_lower": 0.0}),
    ("certificates", "interval's width", moved, {"primal_upper": 5.0}),
    ("certificates", "lower <= primal", moved, {"primal_lower": 5.0}),
    ("certificates", "primal <= upper", moved, {"primal_upper": 0.0}),
    ("certificates", "lower >= 0", anyone, {"primal_lower": -1e-300}),
    ("certificates", "primal <= longest move", moved, {"longest_move": 1e-9}),
    ("certificates", "marginal error", anyone, {"marginal_error": 1.1e-9}),
    ("certificates", "marginal error", anyone, {"marginal_error": -1.1e-9}),
    ("certificates", "certificate", anyone, {"status": "refused"}),
    ("intervals", "W1 is exact", anyone, {"primal": None}),
    *(
        ("certificates", "certificate", anyone, {name: None})
        for name in ("primal_lower", "primal_upper", "longest_move", "gap")
    ),
    ("certificates", "certificate", anyone, {"violation": None}),
    ("certificates", "certificate", anyone, {"marginal_error": None}),
    ("certificates", "primal", anyone, {"primal": -1e-12}),
    ("ladder", "c_transform >= 0", anyone, {"c_transform": -1e-12}),
    ("ladder", "primal >= 0", anyone, {"primal": -1e-12}),
    ("ladder", "clip_bound <= spectral", trained, {"clip_constant": 1e-7}),
    ("ladder", "clip_bound <= slope", trained, {"clip_constant": 1e-7}),
    ("ladder", "clip_bound <= c_transform", trained, {"clip_constant": 1e-7}),
    ("ladder", "clip_bound <= primal", trained, {"clip_constant": 1e-7}),
    ("ladder", "spectral <= slope", trained, {"spectral_constant": 1e-7}),
    ("ladder", "spectral <= c_transform", trained, {"spectral_constant": 1e-7}),
    ("ladder", "spectral <= primal", linear, {"spectral_constant": 1e-7}),
    ("ladder", "slope <= c_transform", trained, {"slope_constant": 1e-7}),
    ("ladder", "slope <= primal", trained, {"slope_constant": 1e-7}),
    ("ladder", "c_transform <= primal", linear, {"c_transform": 5.0}),
    ("ladder", "c_transform <= primal", linear, {"primal_upper": 0.1}),
    ("ladder", "nearest <= c_transform", linear, {"nearest": 5.0}),
    ("ladder", "raw <= S W1", trained, {"raw": 5.0}),
    ("ladder", "spectral <= clip constant", trained, {"spectral_constant": 5.0}),
    *(("ladder", "ladder", trained, {name: None}) for name in ("raw", "raw_error", "scale", "c_transform", "nearest")),
    ("ranges", "skill <= 1", linear, {"c_transform": 5.0}),
    ("ranges", "skill >= 0", linear, {"c_transform": 0.0}),
    *(
        ("ranges", f"{name} <= 1", anyone, {name: 1.01})
        for name in ("cosine", "coincident", "population_overlap", "saturation", "saturation_start")
    ),
    ("ranges", "cosine >= -1", anyone, {"cosine": -1.01}),
    *(
        ("ranges", f"{name} >= 0", anyone, {name: -0.01})
        for name in ("coincident", "population_overlap", "saturation", "saturation_start")
    ),
    ("ranges", "|grad| <= spectral", trained, {"grad_norm_max": 5.0}),
    ("ranges", "mean |grad| <= max", trained, {"grad_norm_mean": 5.0}),
    ("ranges", "min |grad| <= mean", trained, {"grad_norm_min": 5.0}),
    ("ranges", "|grad| >= 0", trained, {"grad_norm_min": -1e-12}),
    ("ranges", "slope at half budget <= primal", trained, {"slope_half": 5.0}),
    ("closed forms", "|primal - coupled W1| <= sampling floor", coupled, {"primal": 1.0 + 2e-9}),
    ("closed forms", "|primal - coupled W1| <= sampling floor", coupled, {"coupled_w1": 1.1}),
    ("closed forms", "|primal - coupled W1| <= sampling floor", lambda r: not coupled(r), {"sampling_floor": 0.0}),
    ("closed forms", "floor is 0 when coupled", coupled, {"sampling_floor": 1e-12}),
    ("closed forms", "|coupled W1 - population W1| <= 6 standard errors", coupled, {"population_w1": 3.0}),
    ("closed forms", "standard error >= 0", coupled, {"coupled_stderr": -1e-12}),
    *(
        ("same points", f"one {name} per sample", coupled, {name: value})
        for name, value in {
            "n": 47, "m": 47, "primal": 1.0 + 1e-5, "primal_lower": 1.5, "primal_upper": 1.5, "longest_move": 1.5,
            "coincident": 0.5, "coupled_w1": 1.5, "coupled_stderr": 1e-9, "sampling_floor": 1e-9, "nearest": 0.1,
            "population_w1": 1.5, "population_overlap": 0.123,
        }.items()
    ),
    ("clip constants", "K(c) = c^L sqrt(d) prod h", trained, {"clip_constant": 1.0}),
    ("clip constants", "K(c) = c^L sqrt(d) prod h", lambda r: r.get("method.steps") == 0, {"method__clip": 0.2}),
    ("keys", "key is the hash of the cell", anyone, {"problem__overlap": 0.25}),
    ("keys", "key is the hash of the cell", trained, {"method__version": 99}),
    ("keys", "key is the hash of the cell", anyone, {"problem__news": 2}),
    ("keys", "key is the hash of the cell", anyone, {"seed": 7}),
    ("keys", "key is the hash of the cell", anyone, {"key": "0" * 64}),
    ("complete", "every declared cell has a row", anyone, {"key": "0" * 64}),
]  # fmt: skip


def test_the_rounding_of_another_machine_is_not_another_sample(copy: Results) -> None:
    for name in ("primal", "coupled_w1", "coupled_stderr", "sampling_floor", "nearest"):
        at = next(k for k, row in enumerate(lines(copy.rows_file)) if coupled(row) and row[name] is not None)
        before = lines(copy.rows_file)[at][name]
        change(copy, coupled, **{name: before * (1 + 1e-12) + 1e-14})
    assert broken("same points", copy) == []


@pytest.mark.parametrize(("rule", "part", "where", "columns"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_planted_fault_is_reported_by_its_rule(
    rule: str, part: str, where: Where, columns: dict[str, Any], copy: Results
) -> None:
    change(copy, where, **columns)
    reported = [violation for violation in broken(rule, copy) if violation.rule == part]
    assert reported, f"{part} says nothing"
    for violation in reported:
        assert violation.observed
        assert violation.bound
        where = f"{violation.cell}, column {violation.column}" if violation.column else violation.cell
        assert str(violation) == f"{part}: {where}: observed {violation.observed}, must be {violation.bound}"
        if rule != "complete":
            assert re.search(r" \[[0-9a-f]{12}\]$", violation.cell), "the cell is not named"


@pytest.mark.parametrize("unit", [1e-14, 1e-9, 1.0, 1e9])
@pytest.mark.parametrize("name", ["c_transform", "primal_upper", "slope_half"])
def test_what_is_above_w1_by_a_millionth_is_seen_in_any_unit(name: str, unit: float, small_results: Path) -> None:
    frame = load(small_results)
    lengths = [*PROOF[:-1], "spread", "slope_half", "raw_error", *RUNGS]
    frame[lengths] *= unit
    frame = frame[(frame["critic"] == "weight_clip") & (frame["primal"] > 0)].head(1)
    rules = ("certificates", "ladder", "ranges")
    assert not [violation for rule in rules for violation in RULES[rule](frame)]
    frame[name] = frame["primal"] * (1 + 1e-6)
    assert [violation for rule in rules for violation in RULES[rule](frame)]


@pytest.mark.parametrize("name", ["clip_bound", "spectral", "slope"])
def test_a_derived_rung_below_zero_is_reported(name: str, small_results: Path) -> None:
    frame = load(small_results)
    frame.loc[frame[name].first_valid_index(), name] = -1e-12
    assert f"{name} >= 0" in [violation.rule for violation in RULES["ladder"](frame)]


@pytest.mark.parametrize("name", ["clip_constant", "spectral_constant", "slope_constant"])
def test_a_known_constant_that_goes_missing_is_reported(name: str, copy: Results) -> None:
    """Without its constant a critic's value is not comparable with anything (rule 2 of the house)."""
    change(copy, trained, **{name: None})
    assert any(broken(rule, copy) for rule in ("ladder", "clip constants"))


def test_a_violation_says_what_was_seen_what_is_allowed_and_in_which_cell(copy: Results) -> None:
    index = change(copy, trained, c_transform=5.0)
    row = lines(copy.rows_file)[index]
    (violation,) = [v for v in broken("ladder", copy) if v.rule == "c_transform <= primal"]
    assert (violation.observed, violation.column) == ("5", "c_transform")
    assert float(violation.bound.removeprefix("<= ")) == pytest.approx(row["primal"], rel=1e-8)
    place = f"problem shared_mass, dim 2, method weight_clip, clip {row['method.clip']}, seed {row['seed']}"
    assert violation.cell == f"{place} [{row['key'][:12]}]"


def test_a_row_that_is_gone_is_missed(copy: Results) -> None:
    write_lines(copy.rows_file, lines(copy.rows_file)[:-1])
    (violation,) = found_after(copy)["complete"]
    assert (violation.observed, violation.bound) == ("112 rows", "113")


def test_a_row_that_stands_twice_is_seen(copy: Results) -> None:
    rows = lines(copy.rows_file)
    write_lines(copy.rows_file, [*rows, rows[5]])
    found = found_after(copy)
    assert [v.rule for v in found["keys"]] == ["one row per cell"]
    assert [v.observed for v in found["complete"]] == ["114 rows"]


def test_rows_without_their_declaration_are_incomplete(copy: Results) -> None:
    copy.meta_file.unlink()
    assert [v.rule for v in broken("complete", copy)] == ["meta.json"]


def test_a_changed_byte_and_a_missing_table_are_seen(copy: Results) -> None:
    names = ["matrix", "agreement", "clip", "exact", "timing"]
    expected = {}
    for name in names:
        file = copy.tables / f"{name}.csv"
        right = list(csv.reader(file.read_text().splitlines()))
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        number, k = next(
            (number, k) for number, other in enumerate(csv.reader(data.decode().splitlines()))
            for k, value in enumerate(other) if value != right[number][k]
        )  # fmt: skip
        expected[name] = f"{name}.csv, line {number + 1} (", right[0][k], right[number][k] or "an empty cell"
    found = check_results(copy)["tables"]
    assert len(found) == len(names)
    for violation in found:
        cell, column, bound = expected.pop(violation.cell.partition(".")[0])
        assert violation.cell.startswith(cell)
        assert (violation.column, violation.bound) == (column, bound)
        assert violation.observed != violation.bound
    for name in names:
        (copy.tables / f"{name}.csv").unlink()
    missing = {(v.cell, v.observed) for v in check_results(copy)["tables"]}
    assert missing == {(f"{name}.csv", "missing") for name in names}


GOOD = {"ratio": "slope_over_w1", "at_least": 0.999, "where": {"method.name": "potential"}}


NOT_KEPT: list[tuple[dict[str, Any], str]] = [
    ({"where": {"method.name": "linear"}}, " over 17 rows"),
    ({"where": {"method.name": "potential", "problem.dim": 5}}, "nan over 0 rows"),
    ({"where": {"method.name": "weight_clip", "method.clip": 0.1}}, " over 32 rows"),
    ({"where": {"method.nme": "potential"}}, "no column method.nme"),
    ({"ratio": "slope_over_w2"}, "no column slope_over_w2"),
    ({"where": {"method.name": 3}}, "nan over 0 rows"),
    ({"where": {"seed": "zero"}}, "nan over 0 rows"),
    ({"ratio": "critic"}, ""),
    ({"ratio": "status"}, ""),
]


def test_every_promise_that_is_not_kept_is_reported_and_no_other(copy: Results) -> None:
    meta = copy.meta() | {"agree": [GOOD, *(GOOD | promise for promise, _ in NOT_KEPT), GOOD]}
    copy.meta_file.write_bytes(dump(meta))
    found = check_results(copy)["agreement"]
    assert len(found) == len(NOT_KEPT)
    for violation, (promise, observed) in zip(found, NOT_KEPT, strict=True):
        assert violation.rule == f"{(GOOD | promise)['ratio']} agreement"
        assert violation.observed.endswith(observed)


def test_a_promise_on_every_row_may_leave_where_empty(copy: Results) -> None:
    meta = copy.meta() | {"agree": [GOOD | {"where": {}, "at_least": 0.1}, GOOD | {"where": {}}]}
    copy.meta_file.write_bytes(dump(meta))
    (violation,) = check_results(copy)["agreement"]
    assert violation.observed.endswith("over 113 rows")


@pytest.mark.parametrize("agree", [3, [3], [{}], [{"ratio": "slope"}], {"ratio": "slope"}, [{**GOOD, "where": 3}]])
def test_a_promise_that_is_damaged_is_one_line(agree: object, copy: Results) -> None:
    copy.meta_file.write_text(json.dumps(copy.meta() | {"agree": agree}))
    with pytest.raises(ResultsError) as error:
        check_results(copy)
    assert "\n" not in str(error.value)
