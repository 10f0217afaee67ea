"""One number of the committed rows changed: which share the theorems alone notice, and which with the tables."""

from pathlib import Path

import numpy as np
import pytest
from processes import figure

from otbench.report.check.rules import RULES, Violation, keys, tables
from otbench.results.folder import Stored
from otbench.results.store import Results, Row
from otbench.results.tables.cells import frame_of

pytestmark = [pytest.mark.torture, pytest.mark.timeout(500)]

MATRIX = Path(__file__).parent.parent.parent / "results" / "matrix"

COUNT, RANDOM = 200, 60

#: Corruptions that break a theorem wherever they are made: column, its new value from the row's others.
BREAKS = {
    "gap": lambda row: 1e-3 * max(1.0, row["primal"]),
    "violation": lambda row: -1e-300,
    "primal_lower": lambda row: 1.01 * row["primal"] + 1e-3,
    "primal_upper": lambda row: 0.99 * row["primal"] - 1e-3,
    "longest_move": lambda row: 0.99 * row["primal"] - 1e-3,
    "marginal_error": lambda row: 1e-6,
    "primal": lambda row: -row["primal"] - 1,
    "c_transform": lambda row: 1.01 * row["primal"] + 1e-3,
    "nearest": lambda row: 1.01 * row["c_transform"] + 1e-3,
    "raw": lambda row: 1.01 * row["slope_constant"] * row["primal"] + row["raw_error"] + 1e-3,
    "clip_constant": lambda row: 1.001 * row["clip_constant"],
    "spectral_constant": lambda row: 1.001 * row["clip_constant"],
    "cosine": lambda row: 1.001,
    "saturation": lambda row: -0.01,
    "coincident": lambda row: 1.5,
    "grad_norm_max": lambda row: 1.01 * row["spectral_constant"] + 1e-6,
    "grad_norm_min": lambda row: 1.01 * row["grad_norm_mean"] + 1e-6,
    "slope_half": lambda row: 1.01 * row["primal"] + 1e-3,
    "seed": lambda row: row["seed"] + 17,
    "n": lambda row: row["n"] + 1,
}


def noticed(rows: list[Row]) -> list[Violation]:
    """What the theorems say, tables apart."""
    frame = frame_of(rows)
    return [v for rule in RULES.values() for v in rule(frame)] + list(keys(rows))


def around(rows: list[Row], k: int) -> list[Row]:
    """Row k's sample: what the theorems compare it with."""
    points = [name for name in rows[k] if name.startswith(("problem.", "sampling.")) or name == "seed"]
    return [row for row in rows if all(row.get(name) == rows[k].get(name) for name in points)]


def corrupted(value: float, rng: np.random.Generator) -> float:
    """Another number: a digit, a sign, a factor, a zero, a neighbour in the last place but few."""
    kind = rng.integers(5)
    if kind == 0:
        return -value
    if kind == 1:
        return value * 10.0 ** rng.integers(-3, 4) + 1e-12
    if kind == 2:
        return value * (1 + 10.0 ** -rng.integers(1, 13))
    return 0.0 if kind == 3 else value + rng.normal()


def test_two_hundred_corruptions_that_break_a_theorem_are_all_caught() -> None:
    rows, rng = Results(MATRIX).rows(), np.random.default_rng(0)
    trained = [k for k, row in enumerate(rows) if row["method.name"] == "weight_clip" and row.get("method.steps")]
    trained = [k for k in trained if rows[k]["status"] == "ok" and float(rows[k]["raw"] or 0) > 0]
    caught, sound = 0, set[object]()
    for k in rng.choice(trained, COUNT):
        name = list(BREAKS)[rng.integers(len(BREAKS))]
        sample = around(rows, k)
        if sample[0]["key"] not in sound:
            assert not noticed(sample)
            sound.add(sample[0]["key"])
        changed = [row | {name: BREAKS[name](row)} if row is rows[k] else row for row in sample]
        caught += bool(noticed(changed))
    assert caught == COUNT
    figure(f"{caught} of {COUNT} seeded corruptions that break a theorem caught by the theorems alone")


def test_any_corruption_is_caught_by_theorem_or_table(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, rng = Stored(Results(MATRIX)), np.random.default_rng(1)
    rows = stored.rows
    by_theorem = by_table = silent = 0
    for _ in range(RANDOM):
        k = int(rng.integers(len(rows)))
        numbers = [name for name, value in rows[k].items() if isinstance(value, float) and name in stored.frame]
        name = numbers[rng.integers(len(numbers))]
        value = float(corrupted(float(rows[k][name] or 0), rng))
        if value == rows[k][name]:
            silent += 1  # zero, negated: no corruption
            continue
        sample = around(rows, k)
        if noticed([row | {name: value} if row is rows[k] else row for row in sample]):
            by_theorem += 1
        changed = Stored(Results(MATRIX))
        changed.__dict__["rows"] = [row | {name: value} if row is rows[k] else row for row in rows]
        monkeypatch.setattr("otbench.results.folder.TABLES", {"matrix": lambda stored: stored.frame})
        by_table += bool(list(tables(changed)))
    made = RANDOM - silent
    assert by_table == made
    figure(
        f"{made} random corruptions of one number: {by_table / made:.0%} caught with the tables there are, "
        f"{by_theorem / made:.0%} by the theorems alone, the tables being written anew"
    )
