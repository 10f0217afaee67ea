"""Every column of the tables of sweeps and measured times, from made rows, by hand."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_every_column_of_generators import with_ends

from otbench.results.tables.clip_sweeps import exponents, worth
from otbench.results.tables.timing import scaling, timing, timing_frame

Record = dict[str, Any]


# measured times

TIMES = ("seconds_per_step", "plain_seconds_per_step", "product_seconds", "exact_seconds", "arrival_seconds")
META: dict[str, object] = {"machines": {"small": {"cores": 2}, "large": {"cores": 16}}}


def training(rng: np.random.Generator, machine: str, load: float, wide: str = "", width: float = 0.0) -> Record:
    """One measurement, whose quartiles of ``wide`` are ``width`` of the median apart."""
    row: Record = {"schema": 3, "kind": "training", "machine": machine, "device": "cpu", "threads": 1, "load": load,
                   "repeats": 3, "engine": "batched", "width": int(rng.integers(4, 99)),
                   "critics": int(rng.integers(2, 99)), "dim": 5, "batch": 16,
                   "build_seconds": float(rng.uniform(1, 2)),
                   "peak_memory_bytes": int(rng.integers(10**6, 10**7)), "flop_per_step": float(rng.uniform(1e6, 1e7)),
                   "product_flop": float(rng.uniform(1e8, 1e9))}  # fmt: skip
    for name in TIMES[:3]:
        median = float(rng.uniform(0.1, 2.0))
        half = (width if name == wide else 0.1) * median / 2
        row |= {f"{name}_q1": median - half, f"{name}_median": median, f"{name}_q3": median + half}
    return row | {"key": f"training batched {row['width']} {row['critics']}"}


#: A measurement, and whether its time is to be believed: quartiles a quarter of the median apart are, and a load of as
#: many as there are cores is.
MEASURED: list[tuple[Record, bool]] = [
    (training(np.random.default_rng(k), *facts), valid)
    for k, (facts, valid) in enumerate([
        (("small", 2.0), True), (("small", 2.01), False), (("large", 15.9), True), (("large", 16.1), False),
        (("nobody's", 0.5), False),
        *((("small", 0.5, name, 0.2499), True) for name in TIMES[:3]),
        *((("small", 0.5, name, 0.2501), False) for name in TIMES[:3]),
    ])
]  # fmt: skip


def test_a_time_is_believed_where_its_quartiles_and_the_load_allow_it() -> None:
    table = timing(timing_frame([row for row, _ in MEASURED], META))
    assert set(table) == set(MEASURED[0][0]) - {"schema", "key"} | {"timing_valid"}
    assert len(table) == len(MEASURED)
    for row, valid in MEASURED:
        here = table[table["build_seconds"] == row["build_seconds"]].to_dict("records")
        assert len(here) == 1
        assert here[0] == {name: row[name] for name in row if name not in {"schema", "key"}} | {"timing_valid": valid}


@pytest.mark.parametrize("name", TIMES[3:])
def test_the_times_of_other_measurements_are_held_to_their_quartiles_too(name: str) -> None:
    row = {"schema": 3, "kind": "exact", "machine": "large", "device": "cpu", "load": 1.0}
    rows = [row | {"key": str(k), f"{name}_q1": 1.0, f"{name}_median": 2.0, f"{name}_q3": top}
            for k, top in enumerate((1.49, 1.51))]  # fmt: skip
    assert timing_frame(rows, META)["timing_valid"].tolist() == [True, False]


def test_scaling_is_steps_and_operations_per_second_beside_the_plain_loop_and_the_product() -> None:
    other = {"schema": 3, "kind": "exact", "key": "exact 2 3", "machine": "small", "device": "cpu", "load": 0.0}
    table = scaling(timing_frame([*(row for row, _ in MEASURED), other], META))
    assert len(table) == len(MEASURED)
    for row, valid in MEASURED:
        (line,) = table[table["peak_memory_bytes"] == row["peak_memory_bytes"]].to_dict("records")
        step, flop = row["seconds_per_step_median"], row["flop_per_step"]
        due = {name: row[name] for name in ("device", "machine", "dim", "batch", "width", "engine", "critics",
                                            "peak_memory_bytes")}  # fmt: skip
        due |= {"critic_steps_per_second": row["critics"] / step, "flop_per_second": flop / step, "timing_valid": valid}
        plain = [row["critics"] * row[f"plain_seconds_per_step_{part}"] for part in ("median", "q1", "q3")]
        ends = (row["seconds_per_step_q3"], row["seconds_per_step_q1"])
        due |= {"times_plain_q1": plain[1] / ends[0], "times_plain_q3": plain[2] / ends[1]}
        due["times_plain"] = plain[0] / step
        due["share_of_product_rate"] = (flop / step) / (row["product_flop"] / row["product_seconds_median"])
        assert line == pytest.approx(due)


# sweeps of the clip value

RATIOS = (0.02, 0.1, 0.5, 1.0, 2.0, 10.0, 50.0)


def sweep(power: float, at: float, **fields: Any) -> list[Record]:
    """Two seeds of a sweep whose raw/W1 is (c/c* / at)^power, on W1 = 2."""
    rows = []
    for seed in (0, 1):
        for k, ratio in enumerate(RATIOS):
            share = (ratio / at) ** (power + seed * 0.2)
            rows.append({
                "problem.name": "p", "problem.dim": 2, "method.depth": 3, "method.widths": "8x8x8",
                "critic": "weight_clip", "method.lr_unit": "clip", "method.eps": 1e-8, "method.init": "box",
                "method.biases": True,
                "method.clip_parameters": "all", "problem.version": 1, "method.clip_over_c_star": ratio, "seed": seed,
                "status": "ok", "raw": 2 * share, "raw_over_w1": share, "slope_over_w1": 0.3 + 0.01 * k + seed * 0.002,
                "cosine": 0.1 + 0.03 * k, "plan_cosine": 0.7 + 0.02 * k + seed * 0.001, "grad_norm_max": 1.0,
            } | fields)  # fmt: skip
    return rows


def two_sweeps() -> dict[str, list[Record]]:
    steep, flat = sweep(4.0, 1.3), sweep(2.0, 0.8, **{"method.lr_unit": "absolute"})
    flat[0] |= {"raw": -1.0}  # below 0.1 c*, where no exponent is fitted
    flat[6] |= {"grad_norm_max": 0.0}
    none = dict.fromkeys(("raw", "raw_over_w1", "slope_over_w1", "cosine", "plan_cosine"))
    flat[13] |= none | {"status": "diverged"}
    steep[0]["raw"] *= 1000.0  # what lies outside of 0.1 c* to 10 c* bends no exponent
    return {"clip": steep, "absolute": flat}


def frame_of_both() -> pd.DataFrame:
    return pd.DataFrame([row for rows in two_sweeps().values() for row in rows])


def at_ratio(rows: list[Record], name: str, ratio: float) -> list[float | None]:
    return [row[name] for row in rows if row["method.clip_over_c_star"] == ratio and row["status"] == "ok"]


def test_a_sweep_tells_its_exponent_its_edge_and_what_its_critics_are_worth() -> None:
    table = exponents(frame_of_both()).set_index("method.lr_unit")
    told = ("exponent", "edge_factor", "c_over_c_star_at_w1", "raw_over_w1_at_twice")
    columns = {"layers", "seeds", "dead_share", *(f"{name}{end}" for name in told for end in ("", "_low", "_high")),
               *(f"{name}_{end}" for name in ("slope_over_w1", "cosine") for end in ("least", "most"))}  # fmt: skip
    assert {name for name in table if "." not in name} == columns
    for (unit, rows), power, at in zip(two_sweeps().items(), (4.0, 2.0), (1.3, 0.8), strict=True):
        line = table.loc[unit]
        assert (line["layers"], line["seeds"]) == (4.0, 2.0)

        def of(name: str, line: pd.Series = line) -> tuple[float, float, float]:
            return line[name], line[f"{name}_low"], line[f"{name}_high"]

        assert of("exponent") == pytest.approx((power + 0.1, power, power + 0.2), rel=1e-9)
        # the median of two seeds is close to the power between theirs, along which raw/W1 is 1 at ``at``
        assert of("c_over_c_star_at_w1") == pytest.approx((at,) * 3, rel=2e-2)
        edge, low, high = of("edge_factor")
        assert edge == pytest.approx(4 ** (1 / (power + 0.1)), rel=5e-2)
        assert (low, high) == pytest.approx((4 ** (1 / (power + 0.2)), 4 ** (1 / power)), rel=1e-9)
        assert of("raw_over_w1_at_twice") == pytest.approx(with_ends(at_ratio(rows, "raw_over_w1", 2.0)), rel=1e-9)
        for name, column in (("slope_over_w1", "slope_over_w1"), ("cosine", "plan_cosine")):
            medians = [with_ends(at_ratio(rows, column, ratio))[0] for ratio in RATIOS]
            assert (line[f"{name}_least"], line[f"{name}_most"]) == (min(medians), max(medians))
    assert (table.loc["clip", "dead_share"], table.loc["absolute", "dead_share"]) == (0.0, 3 / 14)


def test_every_point_of_a_sweep_tells_what_it_prints_and_what_it_proves() -> None:
    both = two_sweeps()
    lines = worth(frame_of_both()).to_dict("records")
    places = [(line["method.lr_unit"], line["clip_over_c_star"]) for line in lines]
    assert places == list(itertools.product(both, RATIOS))
    for line, (unit, ratio) in zip(lines, places, strict=True):
        assert line["critics"] == len(at_ratio(both[unit], "raw", ratio))
        for name in ("raw_over_w1", "slope_over_w1"):
            due = with_ends(at_ratio(both[unit], name, ratio))
            seen = line[name], line[f"{name}_low"], line[f"{name}_high"]
            assert seen == pytest.approx(due, nan_ok=True)
