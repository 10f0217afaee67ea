"""Every column of the tables of generators in training, from made rows in which no two columns are alike, by hand."""

import itertools
import math
import statistics
from typing import Any

import numpy as np

from otbench.results.schema import GeneratorColumns, names_of
from otbench.results.tables.gan import GAN, curve_frame, ends, generator
from otbench.results.tables.tracking import tracking

Record = dict[str, Any]


def with_ends(values: list[float | None]) -> tuple[float, float, float]:
    """The median of what is known, and the ends of its interval: of two seeds or three these are their range."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    assert len(known) <= 3
    if not known:
        return (math.nan,) * 3
    return statistics.median(known), *((min(known), max(known)) if len(known) > 1 else (math.nan,) * 2)


def assert_medians(line: Record, columns: dict[str, list[float | None]]) -> None:
    """The line has medians of these columns alone, each with the ends of its interval."""
    assert {name.removesuffix("_median") for name in line if name.endswith("_median")} == set(columns)
    for name, values in columns.items():
        seen = tuple(line[f"{name}_{part}"] for part in ("median", "low", "high"))
        np.testing.assert_allclose(seen, with_ends(values), rtol=1e-9, atol=1e-12, err_msg=name)


#: In the order of tables: numbers of steps are numbers, and "converged" comes after them.
GANS = [
    ("digits", 1e-3, 0.1, "5"), ("ring", 5e-4, 0.1, "5"), ("ring", 1e-3, 0.01, "5"), ("ring", 1e-3, 0.1, "5"),
    ("ring", 1e-3, 0.1, "10"), ("ring", 1e-3, 0.1, "converged"),
]  # fmt: skip
SEEDS = range(3)
READINGS = (0, 50, 100, 150, 200, 250)


def records() -> list[Record]:
    """Readings in no order; no number occurs in two columns."""
    rng = np.random.default_rng(1)
    found = []
    for gan in GANS:
        for seed in SEEDS:
            for iteration in READINGS:
                own = {name: float(rng.uniform(0.1, 2.0)) for name in names_of(GeneratorColumns)}
                own |= {"schema": 3, "key": f"{len(found)}", "kind": "generator", "machine": "m", "device": "cpu",
                        **dict(zip(GAN, gan, strict=True)), "seed": seed, "iteration": iteration, "n": 24,
                        "status": "ok", "modes": int(rng.integers(1, 9)), "floor": 0.3 + seed}  # fmt: skip
                own |= {} if iteration else {"printed": None}
                found.append(own | ({} if gan[-1] == "converged" else {"raw_half": None}))
    found[2] |= {"raw": -0.4}
    found[7] |= {"slope_constant": None}
    found[8] |= {"raw": 0.1, "raw_error": 0.2}  # above 0, but not for sure
    found[-1] |= {"primal": found[-2]["primal"]}  # a generator that stands still
    blank = [name for name, value in found[5].items() if isinstance(value, float)]
    kept = {"lr", "clip", "floor", "seconds_critic", "seconds_generator"}
    found[5] |= dict.fromkeys(set(blank) - kept) | {"status": "diverged", "modes": None}
    return [found[k] for k in rng.permutation(len(found))]


RECORDS = records()


def bound(record: Record, raw: float | None, constant: str) -> float | None:
    """A lower bound of W1: 0 where raw is not above 0 or no constant is known, and none of a GAN that diverged."""
    if record["status"] != "ok" or raw is None:
        return None
    return raw / record[constant] if raw > 0 and record[constant] is not None else 0.0


def numbers_of(record: Record) -> Record:
    """Every number that may follow W1."""
    sure = None if record["raw"] is None else record["raw"] - record["raw_error"]
    return {
        "printed": None if record["printed"] is None else -record["printed"],
        "raw": record["raw"],
        "spectral": bound(record, sure, "spectral_constant"),
        "slope": bound(record, record["raw"], "slope_constant"),
        "c_transform": record["c_transform"],
        "nearest": record["nearest"],
        "clock": -record["iteration"],
    }


def of_gan(gan: tuple[str, float, float, str], seed: int) -> list[Record]:
    """The readings of one GAN in the order of time."""
    found = [r for r in RECORDS if tuple(r[name] for name in GAN) == gan and r["seed"] == seed]
    return sorted(found, key=lambda r: r["iteration"])


def gan_of(line: Record) -> tuple[str, float, float, str]:
    return line["dataset"], line["lr"], line["clip"], line["n_critic"]


def test_the_curves_are_of_every_reading_over_its_seeds() -> None:
    lines = generator(curve_frame(RECORDS)).to_dict("records")
    assert [(gan_of(line), line["iteration"]) for line in lines] == list(itertools.product(GANS, READINGS))
    for line in lines:
        here = [of_gan(gan_of(line), seed)[READINGS.index(line["iteration"])] for seed in SEEDS]
        assert (line["seeds"], line["diverged"]) == (len(SEEDS), sum(r["status"] != "ok" for r in here))
        told = [{("printed_w1" if name == "printed" else name): value for name, value in numbers_of(r).items()
                 if name != "clock"} | {name: r[name] for name in ("primal", "modes")} for r in here]  # fmt: skip
        assert_medians(line, {name: [each[name] for each in told] for name in told[0]})


def test_a_run_is_its_last_reading_its_least_w1_and_its_seconds_added_up() -> None:
    lines = ends(curve_frame(RECORDS)).to_dict("records")
    assert [gan_of(line) for line in lines] == GANS
    stopped = []
    for line in lines:
        runs_of = [of_gan(gan_of(line), seed) for seed in SEEDS]
        last = [run[-1] for run in runs_of]
        assert (line["seeds"], line["diverged"]) == (len(SEEDS), sum(r["status"] != "ok" for r in last))
        columns: dict[str, list[float | None]] = {
            "final_w1": [r["primal"] for r in last],
            "lowest_w1": [min(r["primal"] for r in run if r["primal"] is not None) for run in runs_of],
            "modes": [r["modes"] for r in last],
            "floor": [r["floor"] for r in last],
            "stopped": [float(run[-1]["primal"] == run[-2]["primal"]) for run in runs_of],
            "half_share": [None if line["n_critic"] != "converged"
                           else statistics.median(abs(r["raw_half"] / r["raw"]) for r in run) for run in runs_of],
            "seconds_critic": [sum(r["seconds_critic"] for r in run) for run in runs_of],
            "seconds_generator": [sum(r["seconds_generator"] for r in run) for run in runs_of],
            "seconds_exact": [statistics.median(r["seconds_exact"] for r in run if r["seconds_exact"] is not None)
                              for run in runs_of],
        }  # fmt: skip
        assert_medians(line, columns)
        stopped += columns["stopped"]
    assert sum(filter(None, stopped)) == 1


def ranks(values: list[float]) -> list[float]:
    """Places in rising order from 1 on; equal values share the mean of theirs."""
    return [sum(other < value for other in values) + (values.count(value) + 1) / 2 for value in values]


def rank_correlation(*columns: list[float | None]) -> list[list[float]]:
    """The correlations of the ranks of every two columns where all are known; 0 with a column that does not vary."""
    known = [row for row in zip(*columns, strict=True) if None not in row]
    ranked = [ranks(list(column)) for column in zip(*known, strict=True)]
    return [[statistics.correlation(a, b) if len(set(a)) > 1 and len(set(b)) > 1 else 0.0 for a in ranked]
            for b in ranked]  # fmt: skip


def changes(values: list[float | None]) -> list[float | None]:
    return [None if None in (a, b) else b - a for a, b in itertools.pairwise(values)]  # type: ignore[operator]


def follows(values: list[float | None], w1: list[float | None]) -> Record:
    """How a number follows W1 along one run, by correlations of ranks."""
    iterations: list[float | None] = list(READINGS[1:])
    (_, of_both, with_time), (_, _, w1_with_time), _ = rank_correlation(values, w1, iterations)
    left = (1 - with_time**2) * (1 - w1_with_time**2)
    return {
        "rank": of_both,
        "partial": (of_both - with_time * w1_with_time) / math.sqrt(left) if left > 1e-9 else 0.0,
        "differences": rank_correlation(changes(values), changes(w1))[0][1],
    }


def test_every_number_is_held_against_the_w1_of_its_own_run() -> None:
    """A reading without a number is left out of the ranks, and with it the changes beside it."""
    lines = tracking(curve_frame(RECORDS)).to_dict("records")
    assert [(gan_of(line), line["number"]) for line in lines] == list(itertools.product(GANS, numbers_of(RECORDS[0])))
    for line in lines:
        runs_of = [of_gan(gan_of(line), seed)[1:] for seed in SEEDS]
        assert (line["seeds"], line["diverged"]) == (len(SEEDS), sum(run[-1]["status"] != "ok" for run in runs_of))
        told = [follows([numbers_of(r)[line["number"]] for r in run], [r["primal"] for r in run]) for run in runs_of]
        assert_medians(line, {name: [each[name] for each in told] for name in told[0]})
