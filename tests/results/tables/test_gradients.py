"""The table of gradients on funnels: every pair weighs the same, intervals are over seeds, nothing else is pooled."""

import statistics

import numpy as np
import pandas as pd
import pytest

from otbench.results.tables.gradients import gradients

PAIRS = (4, 16, 64)


def frame(seeds: dict[int, int], noise: float = 1.0, clips: tuple[float, ...] = (0.1,)) -> pd.DataFrame:
    """Rows of funnels in the plane with so many seeds per pair, whose losses differ by pair and, by noise, by seed."""
    rng = np.random.default_rng(0)
    rows = []
    for clip in clips:
        for funnels, count in seeds.items():
            for seed in range(count):
                repaired, scale = rng.uniform(0.8, 1.0), noise * rng.uniform(0, 1) + np.log2(funnels)
                rows.append({
                    "problem.name": "funnels", "problem.dim": 2, "problem.funnels": funnels,
                    "sampling.mode": "population", "method.name": "weight_clip", "method.clip": clip,
                    "method.version": 2, "critic": "weight_clip", "seed": seed, "training_seed": seed,
                    "cosine": rng.uniform(), "gradient_l2": repaired + scale, "gradient_l2_repaired": repaired,
                })  # fmt: skip
    return pd.DataFrame(rows)


def test_it_is_the_median_over_pairs_of_the_medians_over_seeds() -> None:
    rows = frame({4: 1, 16: 9, 64: 4})
    table = gradients(rows)
    assert table is not None
    (line,) = table.to_dict("records")
    assert (line["pairs"], line["seeds"]) == (3, 9)
    for name in ("cosine", "gradient_l2", "gradient_l2_repaired"):
        of_pairs = [statistics.median(part[name]) for _, part in rows.groupby("problem.funnels")]
        assert line[name] == pytest.approx(statistics.median(of_pairs), rel=1e-12)
        assert line[f"{name}_low"] <= line[name] <= line[f"{name}_high"]


def test_the_intervals_are_over_seeds_and_not_over_pairs() -> None:
    still = gradients(frame(dict.fromkeys(PAIRS, 3), noise=0.0))
    moved = gradients(frame(dict.fromkeys(PAIRS, 3)))
    alone = gradients(frame(dict.fromkeys(PAIRS, 1)))
    assert still is not None
    assert moved is not None
    assert alone is not None
    low, high = (still[f"gradient_l2_of_scale_{end}"][0] for end in ("low", "high"))
    assert low == pytest.approx(4.0) == high, "pairs differ by 2 to 6, and seeds by nothing"
    assert moved["gradient_l2_of_scale_high"][0] - moved["gradient_l2_of_scale_low"][0] > 0.1
    assert alone["gradient_l2_low"].isna().all(), "of one seed there is no interval"


def test_methods_and_dimensions_stay_apart_and_one_pair_is_no_table() -> None:
    rows = pd.concat([frame(dict.fromkeys(PAIRS, 2), clips=(0.1, 0.2)), frame({4: 2}).assign(**{"problem.dim": 8})])
    table = gradients(rows)
    assert table is not None
    assert list(zip(table["problem.dim"], table["method.clip"], table["pairs"], strict=True)) == [
        (2, 0.1, 3), (2, 0.2, 3), (8, 0.1, 1),
    ]  # fmt: skip
    assert gradients(frame({4: 2})) is None
    assert gradients(rows.assign(gradient_l2=np.nan)) is None
    assert gradients(rows.assign(**{"problem.name": "translation"})) is None
