"""Every column of the tables of sweeps, generators, measured times and published scores, from made rows, by hand."""

import math
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest

from otbench.results.schema import GeneratorColumns, names_of
from otbench.results.tables.clip_sweeps import exponents
from otbench.results.tables.gan import curve_frame, generator, runs, tracking
from otbench.results.tables.published import methods, published
from otbench.results.tables.timing import scaling, timing, timing_frame

Record = dict[str, Any]


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Median and quartiles, the order in which tables show them."""
    return tuple(float(np.percentile(values, q)) for q in (50, 25, 75)) if values else (math.nan,) * 3


# generators in training

GANS = [("ring", 1e-3, 0.1), ("ring", 1e-3, 0.01), ("ring", 5e-4, 0.1), ("digits", 1e-3, 0.1)]
SEEDS = range(3)
READINGS = (0, 50, 100, 150, 200)


def records() -> list[Record]:
    """Readings in no order; no number occurs in two columns."""
    rng = np.random.default_rng(1)
    found = []
    for dataset, lr, clip in GANS:
        for seed in SEEDS:
            for iteration in READINGS:
                own = {name: float(rng.uniform(0.1, 2.0)) for name in names_of(GeneratorColumns)}
                own |= {"schema": 2, "key": f"{len(found)}", "kind": "generator", "machine": "m", "device": "cpu",
                        "dataset": dataset, "lr": lr, "clip": clip, "seed": seed, "iteration": iteration, "n": 24,
                        "status": "ok", "modes": int(rng.integers(1, 9)), "floor": 0.3 + seed}  # fmt: skip
                own["printed"] = None if iteration == 0 else own["printed"]
                found.append(own)
    found[2]["raw"] = -0.4
    found[7]["slope_constant"] = None
    blank = {name: None for name in ("primal", "raw", "slope_constant", "c_transform", "nearest", "modes", "printed")}
    found[4] |= blank | {"status": "diverged", "seconds_exact": None}
    return [found[k] for k in rng.permutation(len(found))]


RECORDS = records()


def slope(record: Record) -> float | None:
    if record["status"] != "ok":
        return None
    proves = record["raw"] > 0 and record["slope_constant"] is not None
    return record["raw"] / record["slope_constant"] if proves else 0.0


def of_gan(dataset: str, lr: float, clip: float, seed: int | None = None) -> list[Record]:
    """The readings of one GAN, or of all seeds, in the order of time."""
    asked = (dataset, lr, clip)
    found = [r for r in RECORDS if (r["dataset"], r["lr"], r["clip"]) == asked and seed in {None, r["seed"]}]
    return sorted(found, key=lambda r: (r["seed"], r["iteration"]))


def assert_quartiles(line: Record, name: str, values: list[float | None]) -> None:
    due = quartiles([value for value in values if value is not None])
    seen = tuple(line[f"{name}_{part}"] for part in ("median", "q1", "q3"))
    np.testing.assert_allclose(seen, due, rtol=1e-12, atol=1e-15, err_msg=name)


def test_the_curves_are_of_every_reading_over_its_seeds() -> None:
    table = generator(curve_frame(RECORDS))
    columns = ["primal", "printed_w1", "raw", "slope_constant", "slope", "c_transform", "nearest", "modes", "floor"]
    wide = [f"{name}_{part}" for name in columns for part in ("median", "q1", "q3")]
    assert list(table) == ["dataset", "lr", "clip", "iteration", "seeds", "diverged", *wide]
    assert len(table) == len(GANS) * len(READINGS)
    for line in table.to_dict("records"):
        gan = (line["dataset"], line["lr"], line["clip"])
        here = [record for record in of_gan(*gan) if record["iteration"] == line["iteration"]]
        assert (line["seeds"], line["diverged"]) == (len(SEEDS), sum(r["status"] != "ok" for r in here))
        for name in columns:
            own = [
                slope(r) if name == "slope"
                else None if name == "printed_w1" and r["printed"] is None
                else -r["printed"] if name == "printed_w1" else r[name]
                for r in here
            ]  # fmt: skip
            assert_quartiles(line, name, own)


def rank_correlation(first: list[float | None], second: list[float | None]) -> float:
    """Spearman's, without ties: 1 - 6 sum d^2 / (k (k^2 - 1)) over the readings where both are known."""
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    ranks = [[sorted(part).index(value) for value in part] for part in zip(*both, strict=True)]
    k, squares = len(both), sum((a - b) ** 2 for a, b in zip(*ranks, strict=True))
    return 1 - 6 * squares / (k * (k * k - 1))


def by_hand(gan: tuple[str, float, float], seed: int) -> Record:
    run = of_gan(*gan, seed)
    later, w1 = run[1:], [record["primal"] for record in run[1:]]
    told = {"slope": [slope(record) for record in later]}
    told["printed"] = [None if record["printed"] is None else -record["printed"] for record in later]
    told |= {name: [r[name] for r in later] for name in ("raw", "c_transform", "nearest")}
    return {
        **{f"rank_{name}": rank_correlation(values, w1) for name, values in told.items()},
        "final_w1": run[-1]["primal"],
        "lowest_w1": min(r["primal"] for r in run if r["primal"] is not None),
        "modes": run[-1]["modes"],
        "floor": run[-1]["floor"],
        "seconds_critic": sum(r["seconds_critic"] for r in run),
        "seconds_generator": sum(r["seconds_generator"] for r in run),
        "seconds_exact": statistics.median(r["seconds_exact"] for r in run if r["seconds_exact"] is not None),
    }


def test_a_run_is_its_last_reading_its_least_w1_and_its_seconds_added_up() -> None:
    found = runs(curve_frame(RECORDS))
    assert len(found) == len(GANS) * len(SEEDS)
    table = tracking(curve_frame(RECORDS))
    for gan in GANS:
        hands = [by_hand(gan, seed) for seed in SEEDS]
        (line,) = table[(table["dataset"] == gan[0]) & (table["lr"] == gan[1]) & (table["clip"] == gan[2])].to_dict(
            "records"
        )
        status = [of_gan(*gan, seed)[-1]["status"] for seed in SEEDS]
        assert (line["seeds"], line["diverged"]) == (len(SEEDS), sum(s != "ok" for s in status))
        assert {name.rsplit("_", 1)[0] for name in line if name.endswith("_median")} == set(hands[0])
        for name in hands[0]:
            assert_quartiles(line, name, [hand[name] for hand in hands])


# measured times

TIMES = ("seconds_per_step", "plain_seconds_per_step", "product_seconds", "exact_seconds", "arrival_seconds")
META: dict[str, object] = {"machines": {"small": {"cores": 2}, "large": {"cores": 16}}}


def training(rng: np.random.Generator, machine: str, load: float, wide: str = "", width: float = 0.0) -> Record:
    """One measurement, whose quartiles of ``wide`` are ``width`` of the median apart."""
    row: Record = {"schema": 2, "kind": "training", "machine": machine, "device": "cpu", "threads": 1, "load": load,
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
    row = {"schema": 2, "kind": "exact", "machine": "large", "device": "cpu", "load": 1.0}
    rows = [row | {"key": str(k), f"{name}_q1": 1.0, f"{name}_median": 2.0, f"{name}_q3": top}
            for k, top in enumerate((1.49, 1.51))]  # fmt: skip
    assert timing_frame(rows, META)["timing_valid"].tolist() == [True, False]


def test_scaling_is_steps_and_operations_per_second_beside_the_plain_loop_and_the_product() -> None:
    other = {"schema": 2, "kind": "exact", "key": "exact 2 3", "machine": "small", "device": "cpu", "load": 0.0}
    table = scaling(timing_frame([*(row for row, _ in MEASURED), other], META))
    assert len(table) == len(MEASURED)
    for row, valid in MEASURED:
        (line,) = table[table["peak_memory_bytes"] == row["peak_memory_bytes"]].to_dict("records")
        step, flop = row["seconds_per_step_median"], row["flop_per_step"]
        due = {name: row[name] for name in ("device", "machine", "dim", "batch", "width", "engine", "critics",
                                            "peak_memory_bytes")}  # fmt: skip
        due |= {"critic_steps_per_second": row["critics"] / step, "flop_per_second": flop / step, "timing_valid": valid}
        due["times_plain"] = row["critics"] * row["plain_seconds_per_step_median"] / step
        due["share_of_product_rate"] = (flop / step) / (row["product_flop"] / row["product_seconds_median"])
        assert line == pytest.approx(due)


# sweeps of the clip value


def sweep(power: float, at: float, **fields: Any) -> list[Record]:
    """Two seeds of a sweep whose raw/W1 is (c/c* / at)^power, on W1 = 2."""
    rows = []
    for seed in (0, 1):
        for k, ratio in enumerate((0.02, 0.1, 0.5, 1.0, 2.0, 10.0, 50.0)):
            share = (ratio / at) ** (power + seed * 0.2)
            rows.append({
                "problem.name": "p", "problem.dim": 2, "method.depth": 3, "method.widths": "8x8x8",
                "critic": "weight_clip", "method.lr_unit": "clip", "method.eps": 1e-8, "method.init": "box",
                "method.biases": True,
                "method.clip_parameters": "all", "problem.version": 1, "method.clip_over_c_star": ratio, "seed": seed,
                "status": "ok", "raw": 2 * share, "raw_over_w1": share, "slope_over_w1": 0.3 + 0.01 * k + seed * 0.002,
                "cosine": 0.7 + 0.02 * k + seed * 0.001, "grad_norm_max": 1.0,
            } | fields)  # fmt: skip
    return rows


def test_a_sweep_tells_its_exponent_its_edge_and_what_its_critics_are_worth() -> None:
    steep, flat = sweep(4.0, 1.3), sweep(2.0, 0.8, **{"method.lr_unit": "absolute"})
    flat[0] |= {"raw": -1.0}  # below 0.1 c*, where no exponent is fitted
    flat[6] |= {"grad_norm_max": 0.0}
    flat[13] |= {"status": "diverged", "raw": None, "raw_over_w1": None, "slope_over_w1": None, "cosine": None}
    steep[0]["raw"] *= 1000.0  # what lies outside of 0.1 c* to 10 c* bends no exponent
    table = exponents(pd.DataFrame([*steep, *flat])).set_index("method.lr_unit")
    for unit, power, at, rows in (("clip", 4.0, 1.3, steep), ("absolute", 2.0, 0.8, flat)):
        line = table.loc[unit]
        assert (line["layers"], line["seeds"]) == (4.0, 2.0)
        powers = (line["exponent_low"], line["exponent"], line["exponent_high"])
        assert powers == pytest.approx((power, power + 0.1, power + 0.2), rel=1e-9)
        medians = {name: [statistics.median(r[name] for r in rows if r["method.clip_over_c_star"] == ratio
                                            and r["status"] == "ok")
                          for ratio in (0.02, 0.1, 0.5, 1.0, 2.0, 10.0, 50.0)]
                   for name in ("slope_over_w1", "cosine")}  # fmt: skip
        for name, values in medians.items():
            assert (line[f"{name}_low"], line[f"{name}_high"]) == (min(values), max(values))
        # the median of two seeds is close to the power between theirs, along which raw/W1 is 1 at ``at``
        assert line["c_over_c_star_at_w1"] == pytest.approx(at, rel=2e-2)
        assert line["edge_factor"] == pytest.approx(4 ** (1 / (power + 0.1)), rel=5e-2)
    assert (table.loc["clip", "dead_share"], table.loc["absolute", "dead_share"]) == (0.0, 3 / 14)


# published scores

PAIRS = [(2, 4), (4, 8)]


def critics() -> list[Record]:
    """Three seeds of the critic that is trained as published, and a sweep of two clip values; all numbers differ."""
    rng = np.random.default_rng(2)
    names = ("cosine", "gradient_l2", "gradient_l2_repaired", "raw", "gradient_scale", "slope_over_w1")
    rows = []
    for dim, funnels in PAIRS:
        law = {"population_w1": float(rng.uniform(1, 2)), "population_stderr": float(rng.uniform(1, 2))}
        for steps, clip, seeds in ((400, 0.01, 3), (40, 0.01, 3), (40, 0.1, 3)):
            for seed in range(seeds):
                row = {"problem.dim": dim, "problem.funnels": funnels, "method.steps": steps, "method.clip": clip,
                       "seed": seed, "critic": "weight_clip", "status": "ok", **law}  # fmt: skip
                rows.append(row | {name: float(rng.uniform(0.1, 0.9)) for name in names})
        rows += [rows[-1] | {"status": "diverged"}, rows[-1] | {"critic": "linear", "method.steps": None}]
    return rows


SCORES = pd.DataFrame(
    [(*pair, name, *values) for pair, rows in zip(PAIRS, [
        [("wgan", 0.31, 0.61, 1.41), ("true", 1.0, 0.01, 1.71), ("dot", 0.99, 0.02, 1.61), ("other", 0.41, 0.51, 1.31)],
        [("wgan", 0.32, 0.62, 1.42), ("true", 1.0, 0.02, 1.72)],
    ], strict=True) for name, *values in rows],
    columns=["dim", "funnels", "method", "cos", "l2", "cost"],
)  # fmt: skip


def test_published_scores_stand_beside_the_critic_trained_as_long_and_the_best_of_the_sweep() -> None:
    rows = critics()
    table = published(pd.DataFrame(rows), SCORES).set_index(["dim", "funnels"])
    assert sorted(table.index) == PAIRS
    renamed = {"cos": "cosine", "l2": "gradient_l2", "l2_repaired": "gradient_l2_repaired", "cost": "raw"}
    renamed |= {name: name for name in ("gradient_scale", "slope_over_w1", "population_w1", "population_stderr")}
    for pair, best in zip(PAIRS, (("other", 0.41), ("wgan", 0.32)), strict=True):
        line = table.loc[pair]
        ours = [r for r in rows if (r["problem.dim"], r["problem.funnels"]) == pair and r["critic"] == "weight_clip"
                and r["status"] == "ok"]  # fmt: skip
        full = [r for r in ours if r["method.steps"] == 400]
        due: Record = {name: statistics.median(r[column] for r in full) for name, column in renamed.items()}
        due |= {"seeds": 3, "cos_min": min(r["cosine"] for r in full), "cos_max": max(r["cosine"] for r in full)}
        short = [r for r in ours if r["method.steps"] == 40]
        swept = {c: statistics.median(r["cosine"] for r in short if r["method.clip"] == c) for c in (0.01, 0.1)}
        due |= {"sweep_clip": max(swept, key=lambda c: swept[c]), "sweep_cos": max(swept.values())}
        theirs = {row.method: row for row in SCORES.itertuples() if (row.dim, row.funnels) == pair}
        due |= {f"published_{name}": getattr(theirs["wgan"], name) for name in ("cos", "l2", "cost")}
        due |= {"true": theirs["true"].cost, "best_published": best[0], "best_published_cos": best[1]}
        due["cos_difference"] = due["cos"] - due["published_cos"]
        due["true_ratio"] = due["population_w1"] / due["true"]
        assert set(table) == set(due)
        assert {name for name in due if line[name] != pytest.approx(due[name])} == set()
    beside = methods(pd.DataFrame(rows), SCORES)
    assert list(beside) == ["dim", "funnels", "method", "cos", "l2", "cost", "critic"]
    assert len(beside) == len(SCORES) + len(PAIRS)
    for pair, part in beside.groupby(["dim", "funnels"]):
        of_critics = part[part["critic"]]
        assert of_critics["cos"].is_monotonic_decreasing
        assert part["critic"].is_monotonic_decreasing, "what is no critic comes last"
        (own,) = part[part["method"] == "weight_clip (otbench)"].to_dict("records")
        assert {name: own[name] == table.loc[pair, name] for name in ("cos", "l2", "cost")} == dict.fromkeys(
            ("cos", "l2", "cost"), True
        )
        assert set(part.loc[~part["critic"], "method"]) <= {"true", "dot"}
