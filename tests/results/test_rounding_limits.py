"""How far two results of a cell may be apart: just inside each limit they are one, just beyond they differ."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import Line, lines

import otbench.results.store
from otbench.files import dump
from otbench.report.check.violation import at_least, at_most
from otbench.results.compare import Comparison, _number
from otbench.results.rounding import ARITHMETIC, differences, round_alike
from otbench.results.store import Results
from otbench.results.tables.clip_sweeps import is_sweep

ROW: Line = {
    "key": "k", "status": "ok", "reason": "", "seed": 0, "method.name": "weight_clip", "method.steps": 40,
    "method.clip": 0.5, "primal": 2.0, "raw": 0.5, "raw_error": 1e-3, "slope_constant": 0.5, "c_transform": 1.5,
    "spread": 7.0, "coupled_w1": 2.5, "shift": 0.25, "cosine": 0.75, "gap": 1e-12, "violation": 0.0,
    "marginal_error": 0.0, "coincident": 0.5, "n": 9,
}  # fmt: skip
UNTRAINED = ROW | {"method.steps": 0}


def named(one: Line, other: Line, *, alike: bool = True) -> set[str]:
    return {text.split()[0] for text in differences(one, other, alike=alike)}


@pytest.mark.parametrize("trained", [False, True])
def test_numbers_of_machines_that_round_alike_may_be_a_millionth_apart(trained: bool) -> None:
    row = ROW if trained else UNTRAINED
    for name in ("primal", "c_transform", "coupled_w1", "shift", "cosine", "slope_constant", "coincident"):
        for share, differ in ((0.99, False), (1.01, True)):
            other = row | {name: row[name] * (1 + share * 1e-6)}
            assert (named(row, other) == {name}) == differ == (named(other, row) == {name})
    for name in ("gap", "violation", "marginal_error", "raw_error"):
        assert not named(row | {"raw_error": 1e-3}, row | {name: 1e-3 if name == "raw_error" else 0.7})
    assert named(row, row | {"status": "diverged"}) == {"status"}
    assert named(row, row | {"n": 10}) == {"n"}


def test_machines_that_round_otherwise_may_find_other_optimal_plans() -> None:
    row = UNTRAINED | {"longest_move": 3.0, "plan_cosine": 0.5}
    for other in (row | {"longest_move": 2.0}, row | {"plan_cosine": 0.6}):
        assert not named(row, other, alike=False)
        assert len(named(row, other, alike=True)) == 1


def test_cancellation_is_told_by_the_size_of_the_samples() -> None:
    """1e-12 of the spread, 7, for lengths; the critic's own rounding for raw; 1e-12 for numbers without a unit."""
    for name, room in (("primal", 7e-12), ("c_transform", 7e-12), ("shift", 7e-12), ("raw", 1e-3), ("cosine", 1e-12)):
        for share, differ in ((0.99, False), (1.01, True)):
            one, other = UNTRAINED | {name: 0.0}, UNTRAINED | {name: share * room}
            assert (named(one, other) == {name}) == differ, name


@pytest.mark.parametrize("unit", [2.0**-20, 1.0, 2.0**20])
def test_two_trainings_on_machines_that_round_otherwise_may_prove_bounds_a_tenth_of_w1_apart(unit: float) -> None:
    """Whatever the unit of the data is."""
    lengths = ("primal", "raw", "raw_error", "c_transform", "spread", "coupled_w1", "shift")
    row = ROW | {name: ROW[name] * unit for name in lengths}
    for share, differ in ((0.99, False), (1.01, True)):
        other = row | {"c_transform": (1.5 - share * 0.2) * unit}
        assert (named(row, other, alike=False) == {"c_transform"}) == differ
        other = row | {"raw": (0.5 + share * 0.1) * unit}  # raw / 0.5 is then 0.2 units larger
        assert (named(row, other, alike=False) == {"slope"}) == differ


def test_what_is_not_of_the_training_is_compared_whatever_machines_round() -> None:
    assert not named(ROW, ROW | {"cosine": -0.75, "slope_constant": 0.4999}, alike=False)
    assert named(UNTRAINED, UNTRAINED | {"cosine": -0.75}, alike=False) == {"cosine"}, "nothing amplifies rounding"
    for name in ("primal", "shift", "method.clip", "n"):
        assert named(ROW, ROW | {name: ROW[name] * 3}, alike=False) >= {name}, "not of the training"
    assert named(ROW, ROW | {"raw": -1.0}, alike=False) == {"slope"}, "a bound of 0, where the other proves 1"


@pytest.mark.parametrize("name", [*ARITHMETIC, "memory_gib"])
def test_machines_round_alike_where_all_facts_that_decide_it_are_equal(name: str) -> None:
    facts = dict.fromkeys(ARITHMETIC, "one") | {"memory_gib": 3}
    one, other = {"machines": {"a": facts}}, {"machines": {"b": facts | {name: "another"}}}
    assert round_alike(one, {"machines": {"b": facts}})
    assert round_alike(one, other) == (name == "memory_gib")
    assert not round_alike(one, {"machines": {"b": facts | {"instruction_set": None}}})


def test_a_change_is_told_from_the_spread_of_seeds() -> None:
    def changed(a: list[float], b: list[float]) -> tuple[int, int, int]:
        found = Comparison((1, 1, 1), True, "cells")
        _number("raw", np.array(a), np.array(b), "here", found)
        return len(found.changed), found.within, found.equal

    assert changed([2.0], [2.0 * (1 + 0.99e-6)]) == (0, 0, 1)
    assert changed([2.0], [2.0 * (1 + 1.01e-6)]) == (1, 0, 0)
    one, spread = [1.0, 2.0, 3.0], 1.0  # the deviation of a sample of three, with two degrees of freedom
    assert changed(one, [value + 0.99 * spread for value in one]) == (0, 3, 0)
    assert changed(one, [value + 1.01 * spread for value in one]) == (1, 0, 0)
    assert changed([1.0, 1.0, 1.0], [0.0, 2.0, 1.0 + 1e-9]) == (0, 2, 1)
    wide = [2.0, 6.0, 10.0]  # the larger deviation counts, on whichever side: 4, and the medians are 4 apart or more
    for shift, told in ((-0.01, 0), (0.01, 1)):
        near = [value - shift for value in one]
        assert changed(near, wide)[0] == changed(wide, near)[0] == told
    skew = [1.0, 2.0, 30.0]  # the middle is the median: the means are 9 apart
    assert changed(one, skew)[0] == changed(skew, one)[0] == 0


@pytest.mark.parametrize(("extra", "packs"), [(0, False), (-1, True)])
def test_rows_are_packed_from_the_first_byte_beyond_the_limit(
    extra: int, packs: bool, small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = lines(small_results / "rows.jsonl")[:4]
    size = sum(len(dump(row)) + 1 for row in rows)
    monkeypatch.setattr(otbench.results.store, "COMPRESS_ABOVE", size + extra)
    for given in (rows, rows[::-1]):  # in order already, or to be put into it
        results = Results(tmp_path / str(given is rows))
        results.folder.mkdir()
        results.append(given, [])
        results.settle([str(row["key"]) for row in rows])
        assert (results.packed_file.is_file(), results.rows_file.is_file()) == (packs, not packs)
        assert results.rows() == rows
        assert not packs or len(gzip.decompress(results.packed_file.read_bytes())) == size


def test_two_clip_values_are_no_sweep_and_three_are() -> None:
    assert not is_sweep(pd.DataFrame({"method.clip_over_c_star": [0.1, 1.0, 0.1, None]}))
    assert is_sweep(pd.DataFrame({"method.clip_over_c_star": [0.1, 1.0, 10.0]}))
    assert not is_sweep(pd.DataFrame({"method.clip": [0.1, 1.0, 10.0]}))


def test_what_equals_a_limit_keeps_it_and_what_is_empty_breaks_none() -> None:
    frame = pd.DataFrame({"key": ["a" * 12, "b" * 12, "c" * 12], "raw": [1.0, np.nextafter(1.0, 2.0), np.nan]})
    (found,) = at_most("rule", frame, frame["raw"], 1.0)
    assert (found.cell, found.column) == (f" [{'b' * 12}]", "raw")
    assert not list(at_least("rule", frame, frame["raw"], 1.0))
    assert len(list(at_least("rule", frame, frame["raw"], np.nextafter(1.0, 2.0)))) == 1


STOPPED = UNTRAINED | {
    "sampling.exact_seconds": 5.0, "primal": None, "primal_lower": 1.0, "primal_upper": 2.0, "gap": None,
    "plan_cosine": None, "sampling_floor": None, "method.name": "linear",
}  # fmt: skip


@pytest.mark.parametrize(
    "proved",
    [
        {"primal_lower": 1.4, "primal_upper": 1.5},
        {"primal_lower": 2.0 * (1 + 0.99e-6), "primal_upper": 3.0},
        {"primal": 1.5, "primal_lower": 1.5, "primal_upper": 1.5, "gap": 0.0, "plan_cosine": 0.5, "reason": "",
         "sampling_floor": 0.25},
    ],
)  # fmt: skip
def test_solvers_that_may_be_stopped_agree_where_their_intervals_meet(proved: Line) -> None:
    assert not named(STOPPED, STOPPED | proved)
    assert not named(STOPPED | proved, STOPPED)
    assert named(STOPPED | {"sampling.exact_seconds": None}, STOPPED | proved | {"sampling.exact_seconds": None})


def test_intervals_of_one_sample_that_do_not_meet_are_a_conflict() -> None:
    apart = STOPPED | {"primal_lower": 2.0 * (1 + 1.01e-6), "primal_upper": 3.0}
    assert named(STOPPED, apart) == named(apart, STOPPED) == {"intervals"}
    assert named(STOPPED, STOPPED | {"c_transform": 1.6}) == {"c_transform"}
    assert named(STOPPED, STOPPED | {"coincident": 0.6}) == {"coincident"}


def test_the_potential_of_a_solver_that_may_be_stopped_is_as_good_as_its_machine() -> None:
    one, other = STOPPED | {"method.name": "potential"}, STOPPED | {"method.name": "potential", "c_transform": 1.9}
    assert not named(one, other)
    assert named(one, other | {"coincident": 0.6}) == {"coincident"}
    assert named(one, other | {"primal_lower": 2.5, "primal_upper": 3.0}) == {"intervals"}


def test_critics_trained_on_two_machines_are_compared_in_units_of_the_upper_end() -> None:
    one = STOPPED | {"method.steps": 40}
    for share, differ in ((0.99, False), (1.01, True)):
        assert (named(one, one | {"c_transform": 1.5 + share * 0.2}, alike=False) == {"c_transform"}) == differ
