"""Every column of every table of a matrix, worked out row by row from made rows in which no two columns are alike."""

import math
import statistics
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import TIMING, Line, derive

from otbench.results.schema import RowColumns, TimingColumns, names_of
from otbench.results.tables.cells import frame_of
from otbench.results.tables.intervals import median_interval

PROBLEMS: list[Line] = [
    {"problem.name": "segments", "problem.dim": 2, "problem.theta": 1.5},
    {"problem.name": "segments", "problem.dim": 2, "problem.theta": 0.25},
    {"problem.name": "translation", "problem.dim": 3, "problem.shift": -0.7},
    {"problem.name": "shared_mass", "problem.dim": 4, "problem.overlap": 0.0},
    {"problem.name": "shared_mass", "problem.dim": 4, "problem.overlap": 0.5},
]
CLIPPED = {"method.name": "weight_clip", "method.depth": 2, "method.widths": "8x7", "method.batch": 16,
           "method.lr": 0.01, "method.lr_unit": "clip"}  # fmt: skip
METHODS: list[Line] = [
    CLIPPED | {"method.clip": 0.1, "method.steps": 40},
    CLIPPED | {"method.clip": 0.3, "method.steps": 40},
    CLIPPED | {"method.clip": 0.1, "method.steps": 0},
    {"method.name": "discriminator", "method.depth": 1, "method.widths": "6", "method.batch": 32, "method.steps": 30},
    {"method.name": "mine", "method.steps": 0},
]
SEEDS = range(4)

#: What is of the sample, and so the same for all its critics; the other numbers are of a critic.
OF_SAMPLE = {
    "n", "m", "population_w1", "population_stderr", "population_overlap", "population_js", "population_kl",
    "coincident", "shift", "shift_l1", "spread", "coupled_w1", "coupled_stderr", "ray_cosine", "sampling_floor",
    "primal", "primal_lower", "primal_upper", "longest_move", "gap", "violation", "marginal_error", "nearest",
}  # fmt: skip
OF_LAW = {"n", "m"} | {name for name in OF_SAMPLE if name.startswith("population_")}
TEXTS = {"schema", "key", "seed", "training_seed", "status", "reason"}
CLIP_ALONE = {"clip_constant", "saturation", "saturation_start", "slope_half"}
LOGIT_ALONE = {"js", "js_gradient"}

#: Rows at the edges of what is derived, by problem, method and seed.
EDGES: dict[tuple[int, int, int], Line] = {
    (0, 0, 0): {"raw": -0.5},
    (0, 0, 1): {"raw": 0.01, "raw_error": 0.02},
    (0, 0, 2): {"slope_constant": None},
    (0, 1, 0): {"scale": 0.0},
    (0, 1, 1): {"grad_norm_max": 0.0},
    (0, 1, 2): {"fresh_raw": -0.7, "fresh_raw_error": 0.2},
    (0, 1, 3): {"fresh_raw": -0.1, "fresh_raw_error": 0.2},
    (0, 3, 0): {"spectral_constant": None},
    (1, 0, 0): {"status": "diverged", "raw": None, "slope_constant": None, "scale": None, "c_transform": None,
                "clip_constant": None, "spectral_constant": None, "slope_half": None},
    (1, 1, 0): {"status": "refused", "raw": None, "slope_constant": None},
    (2, 3, 1): {"clip_constant": 0.0},
}  # fmt: skip


def numbers(rng: np.random.Generator, names: Iterable[str]) -> Line:
    whole = {"n", "m", "coincident_atoms"}
    found: Line = {
        name: int(rng.integers(2, 10**6)) if name in whole else float(rng.uniform(0.1, 2.0)) for name in names
    }
    return found | ({"fresh_dof": 20 * found["fresh_dof"]} if "fresh_dof" in found else {})


def made_rows() -> list[Line]:
    """Rows of every problem, method and seed; no number occurs in two columns."""
    rng = np.random.default_rng(0)
    own = [name for name in names_of(RowColumns) if name not in OF_SAMPLE | TEXTS]
    rows = []
    for p, law in enumerate(PROBLEMS):
        of_law = numbers(rng, sorted(OF_LAW)) | ({"population_kl": None} if law["problem.name"] == "segments" else {})
        for seed in SEEDS:
            sample = of_law | numbers(rng, sorted(OF_SAMPLE - OF_LAW))
            sample["primal"] = 0.0 if (p, seed) == (3, 2) else 2.0 + sample["primal"]
            sample["nearest"] = sample["primal"] * (1 - 1e-7) if (p, seed) == (4, 1) else sample["nearest"]
            for k, method in enumerate(METHODS):
                row = {"schema": 3, "key": f"{len(rows):064x}", "seed": seed, "training_seed": 10 - seed,
                       "status": "ok", "reason": "", "sampling.n": 7, "sampling.fresh": 9,
                       "sampling.mode": "independent" if p == 2 else "coupled"}  # fmt: skip
                row |= {**law, **method, **sample, **numbers(rng, own)}
                row |= dict.fromkeys(CLIP_ALONE) if method["method.name"] != "weight_clip" else {}
                row |= dict.fromkeys(LOGIT_ALONE) if method["method.name"] != "discriminator" or p > 2 else {}
                rows.append(row | EDGES.get((p, k, seed), {}))
    blank = dict.fromkeys(name for name in names_of(RowColumns) if name not in {*TEXTS, "n", "m"})
    for row in rows:
        if (row["problem.name"], row.get("problem.overlap"), row["seed"]) == ("shared_mass", 0.5, 3):
            row |= blank | {"status": "failed"}
    return rows


def divided(raw: float | None, constant: float | None) -> float | None:
    """A lower bound of W1 that a constant gives: 0 where raw is not above 0, nothing where either is unknown."""
    if raw is None or constant is None:
        return None
    return raw / constant if raw > 0 and constant > 0 else 0.0


def less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def of_laws(row: Line) -> Line:
    """What a critic certifies of the laws by points held out: its mean difference there over the smaller constant that
    holds everywhere, once nearer to 0 by what rounding may do, and once less that and Student's quantile at 95 %."""
    known = [row[name] for name in ("clip_constant", "spectral_constant") if row[name] is not None]
    if row["fresh_raw"] is None or not known:
        return {"held_out": None, "held_out_lower": None}
    if min(known) == 0:
        return {"held_out": 0.0, "held_out_lower": 0.0}
    raw, error = row["fresh_raw"], row["fresh_raw_error"]
    lower = raw - error - stats.t.ppf(0.95, row["fresh_dof"]) * row["fresh_stderr"]
    sure = math.copysign(max(0.0, abs(raw) - error), raw)
    return {"held_out": sure / min(known), "held_out_lower": lower / min(known)}


def derived(row: Line) -> Line:
    """What follows from one row, by the definitions in words."""
    raw, primal = row["raw"], row["primal"]
    sure = less(raw, row["raw_error"])
    rungs = {
        "raw": raw,
        "clip_bound": divided(sure, row["clip_constant"]),
        "spectral": divided(sure, row["spectral_constant"]),
        "slope": None,
        "c_transform": row["c_transform"],
        "nearest": row["nearest"],
    }
    if row["status"] == "ok":
        rungs["slope"] = divided(raw, row["slope_constant"]) if row["slope_constant"] is not None else 0.0
    shares = {f"{name}_over_w1": value / primal if value is not None and primal else None
              for name, value in rungs.items()}  # fmt: skip
    slope, room = rungs["slope"], less(primal, row["nearest"])
    told = row["c_transform"] is not None and room is not None and room > 1e-6 * primal
    clipped, constant = row["method.name"] == "weight_clip", row["clip_constant"]
    certified = of_laws(row)
    bounds = {"slope": slope, "c_transform": row["c_transform"]} | certified
    alive = (row["grad_norm_max"] or 0.0) > 0 and (raw or 0.0) > 0
    return {
        "critic": "untrained" if clipped and row["method.steps"] == 0 else row["method.name"],
        **{name: rungs[name] for name in ("clip_bound", "spectral", "slope")},
        **shares,
        **certified,
        **{f"{name}_over_population_w1": value / row["population_w1"]
           if value is not None and row["population_w1"] else None for name, value in bounds.items()},
        "k_eff": 1 / row["scale"] if row["scale"] else None,
        "skill": (row["c_transform"] - row["nearest"]) / room if told else None,
        "c_over_c_star": constant ** (1 / (row["method.depth"] + 1)) if constant else None,
        "slope_half_ratio": row["slope_half"] / slope if row["slope_half"] is not None and slope else None,
        "sampling_error": less(primal, row["population_w1"]),
        "dead": float(not alive) if clipped else None,
    }


ROWS = made_rows()
FULL = [row | derived(row) for row in ROWS]
TIMINGS = [
    TIMING | numbers(np.random.default_rng(k), ("seconds_draw", "seconds_exact", "seconds_fit", "seconds_evaluate"))
    | {"key": row["key"], "critics_in_batch": 5, "machine": "a machine"}
    for again in (0, 1) for k, row in enumerate(ROWS, start=1000 * again) if row["status"] != "failed"
]  # fmt: skip
TABLES = derive(ROWS, TIMINGS)


def same(seen: Any, due: Any) -> bool:
    """Whether a cell of a table is what it is due to be, where nothing may be written as NaN."""
    if due is None or (isinstance(due, float) and math.isnan(due)):
        return bool(pd.isna(seen))
    return seen == due if isinstance(due, str) else seen == pytest.approx(due, rel=1e-12)


def test_no_two_columns_of_the_made_rows_are_alike() -> None:
    """What every test here rests on: a column that takes its neighbour's value has another value."""
    for row in ROWS[:20]:
        found = [row[name] for name in names_of(RowColumns) if isinstance(row[name], float) and name not in TEXTS]
        assert len(set(found)) == len(found)


def test_the_frame_has_every_stored_column_and_what_follows_from_it() -> None:
    frame = frame_of(ROWS)
    assert set(frame.columns) == {name for row in FULL for name in row}
    assert set(frame["key"]) == {row["key"] for row in ROWS}
    by_key = {row["key"]: row for row in FULL}
    for line in frame.to_dict("records"):
        row = by_key[line["key"]]
        wrong = {name: (line[name], row.get(name)) for name in line if not same(line[name], row.get(name))}
        assert wrong == {}


def quantile(values: list[float], share: float) -> float | None:
    """The quantile between order statistics, by its definition."""
    if not values:
        return None
    ranked, place = sorted(values), share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (place - low) * (ranked[high] - ranked[low])


def test_the_quantiles_of_these_tests_are_the_usual_ones() -> None:
    for values in ([3.0], [1.0, 4.0], [5.0, 1.0, 2.0], [1.0, 7.0, 2.0, 9.0]):
        assert quantile(values, 0.5) == statistics.median(values)
        assert quantile(values, 0.25) == pytest.approx(np.percentile(values, 25))


def assert_summary(table: pd.DataFrame, rows: list[Line], columns: Iterable[str], pooled: set[str]) -> None:
    """A line per cell but for what is ``pooled``: how many rows there are, how many have no numbers and why, and the
    median, the quartiles and the median's interval of each of ``columns``, and nothing besides."""
    failed = any(row["status"] == "failed" for row in rows)
    wide = [f"{name}_{part}" for name in columns for part in ("median", "q1", "q3", "low", "high")]
    told = ["cells", "diverged", *(["failed"] if failed else []), *wide]
    keys = [name for name in table if name not in told]
    assert set(table) == {*keys, *told}
    assert table["cells"].sum() == len(rows)
    for line in table.to_dict("records"):
        here = [row for row in rows if all(same(line[name], row.get(name)) for name in keys)]
        assert line["cells"] == len(here) > 0
        statuses = [row["status"] for row in here]
        assert line["diverged"] == statuses.count("diverged") + statuses.count("refused")
        assert not failed or line["failed"] == statuses.count("failed")
        of_cell = [name for name in here[0] if "." in name and name not in pooled]
        assert all(len({row.get(name) for row in here}) == 1 for name in of_cell), "unlike cells in one median"
        for name in columns:
            values = [float(row[name]) for row in here if row[name] is not None]
            for part, share in (("median", 0.5), ("q1", 0.25), ("q3", 0.75)):
                assert same(line[f"{name}_{part}"], quantile(values, share)), (name, part)
            low, high = line[f"{name}_low"], line[f"{name}_high"]
            if len({row["seed"] for row in here}) == len(here):
                due = median_interval(np.array([values]))[0] if values else (math.nan,) * 3
                assert same(low, due[1]), name
                assert same(high, due[2]), name
            elif values:
                assert min(values) <= low <= high <= max(values), name


RUNGS = [f"{name}_over_w1" for name in ("raw", "clip_bound", "spectral", "slope", "c_transform", "nearest")]
COSINES = ["plan_cosine", "cosine", "fresh_cosine"]
OF_LAWS = [f"{name}_over_population_w1" for name in ("slope", "c_transform", "held_out", "held_out_lower")]


def test_agreement_has_a_line_a_cell_over_its_seeds() -> None:
    assert_summary(TABLES["agreement"], FULL, [*RUNGS, "skill", *COSINES, *OF_LAWS], set())
    assert len(TABLES["agreement"]) == (len(PROBLEMS) + 1) * len(METHODS)  # what failed does not know its overlap


def test_the_table_of_clip_values_pools_seeds_alone() -> None:
    rows = [row for row in FULL if row["critic"] == "weight_clip"]
    columns = [
        "raw_over_w1", "slope_over_w1", "clip_constant", "c_over_c_star", "saturation_start", "saturation",
        "grad_norm_mean", *COSINES, *OF_LAWS, "dead", "slope_half_ratio",
    ]  # fmt: skip
    assert_summary(TABLES["clip"], rows, columns, set())
    assert len(TABLES["clip"]) == len(PROBLEMS) * 2


def test_the_table_of_losses_is_of_the_problems_with_a_logit() -> None:
    def of(row: Line) -> Line:
        theta = row.get("problem.theta", row.get("problem.shift"))
        kl = row["population_kl"] if row["population_kl"] is not None else math.inf
        ratio = row["raw_gradient"] / row["slope_constant"] if row["slope_constant"] else None
        return row | {"theta": theta, "population_tv": 1 - row["population_overlap"], "population_kl": kl,
                      "raw_gradient_over_slope": ratio}  # fmt: skip

    rows = [of(row) for row in FULL if row["problem.name"] in {"segments", "translation"}]
    columns = ["js", "js_gradient", "raw", "raw_gradient", "raw_gradient_over_slope", "slope", "c_transform", "primal"]
    table = TABLES["saturation"]
    assert_summary(table, rows, columns, set())
    assert {"population_kl", "population_js", "population_tv", "population_w1", "theta", "critic"} <= set(table)


def test_the_exact_table_has_the_columns_of_every_sample() -> None:
    """A sample whose cells all failed is not among them."""
    fields = {"problem.name", "problem.dim", "problem.theta", "problem.shift", "problem.overlap", "sampling.mode",
              "sampling.n", "sampling.fresh", "seed"}  # fmt: skip
    measured = (OF_SAMPLE | {"sampling_error"}) - {
        "shift", "shift_l1", "spread", "ray_cosine", "population_stderr", "population_js", "population_kl",
    }  # fmt: skip
    table = TABLES["exact"]
    assert set(table) == fields | measured
    samples = {(row["problem.name"], row.get("problem.theta"), row.get("problem.overlap"), row["seed"]): row
               for row in FULL if row["status"] != "failed"}  # fmt: skip
    assert len(table) == len(samples)
    for line in table.to_dict("records"):
        parts = (line["problem.name"], line["problem.theta"], line["problem.overlap"], line["seed"])
        row = samples[tuple(None if pd.isna(part) else part for part in parts)]
        assert {name for name in table if not same(line[name], row.get(name))} == set()


def test_the_last_timing_of_a_cell_counts_and_a_step_is_told_in_microseconds() -> None:
    last = {timing["key"]: timing for timing in TIMINGS}
    rows = [row | last[row["key"]] for row in FULL if row["key"] in last]
    for row in rows:
        steps = row.get("method.steps")
        row["microseconds_a_step"] = row["seconds_fit"] * 1e6 / steps if steps else None
    columns = ["seconds_fit", "microseconds_a_step", "seconds_evaluate", "seconds_draw", "seconds_exact"]
    pooled = {name for row in ROWS for name in row if name.startswith(("problem.", "sampling.", "method."))}
    assert_summary(TABLES["timing"], rows, columns, pooled - {"problem.dim", "method.steps"})
    assert {"critic", "problem.dim", "n", "m", "method.steps", "critics_in_batch", "device"} <= set(TABLES["timing"])
    assert set(TIMINGS[0]) | {"compiled", "seconds_prepare"} == set(names_of(TimingColumns))


