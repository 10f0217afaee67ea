"""The tables of laws and of paired differences, worked out by hand from rows made for it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from otbench.confidence import lower_confidence
from otbench.results.tables.cells import WITHOUT_LAW
from otbench.results.tables.laws import laws
from otbench.results.tables.paired import paired

PRIMAL = {0: 1.5, 1: 1.8, 2: 1.2}

#: held_out / population W1 by problem, critic and seed.
SHARES = {
    ("spheres", "potential"): [0.5, 0.4, 0.6], ("spheres", "clip"): [0.9, 0.3, 0.7],
    ("lift", "potential"): [0.2, 0.2, 0.2], ("lift", "clip"): [0.1, 0.4, 0.4],
}  # fmt: skip


def row(problem: str, critic: str, seed: int, **columns: Any) -> dict[str, Any]:
    share = SHARES[problem, critic][seed]
    lower = float(lower_confidence(2 * share, 0.1, 16.0, 1.0))
    return {
        "problem.name": problem, "problem.dim": 2, "problem.version": 1, "sampling.mode": "independent",
        "sampling.n": 64, "sampling.fresh": 99, "method.name": critic, "method.version": 1,
        "method.clip": 0.1 if critic == "clip" else np.nan, "seed": seed, "training_seed": seed, "critic": critic,
        "status": "ok", "population_w1": 2.0, "primal": PRIMAL[seed] + (problem == "lift"), "coupled_w1": 1.9,
        "slope": 1.1 + seed, "c_transform": 1.2 + seed, "fresh_raw": 2 * share, "held_out": 2 * share,
        "held_out_lower": lower, "held_out_over_population_w1": share, "fresh_cosine": share / 2, **columns,
    }  # fmt: skip


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame([row(*which, seed, **columns) for which in SHARES for seed in range(3)])


def test_a_line_has_the_samples_bounds_and_those_of_the_laws() -> None:
    table = laws(frame())
    assert table is not None
    assert len(table) == 4
    line = table[(table["problem.name"] == "spheres") & (table["critic"] == "clip")].iloc[0]
    assert (line["seeds"], line["population_w1"], line["primal_median"]) == (3, 2.0, 1.5)
    assert (line["slope_median"], line["slope_low"], line["slope_high"]) == (2.1, 1.1, 3.1)
    assert (line["c_transform_median"], line["held_out_median"]) == pytest.approx((2.2, 1.4))
    assert (line["held_out_low"], line["held_out_high"]) == pytest.approx((0.6, 1.8))
    assert line["held_out_lower_median"] == pytest.approx(1.4 - stats.t.ppf(0.95, 16) * 0.1)
    assert line["fresh_cosine_median"] == pytest.approx(0.35)
    values = list(PRIMAL.values())
    margin = stats.t.ppf(0.95, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert (line["upper"], line["upper_bound"]) == pytest.approx((1.5, 1.5 + margin))
    assert (line["covered"], line["upper_covered"]) == (1.0, 1.0)


def test_coverage_is_the_share_of_seeds_below_the_truth() -> None:
    table = laws(frame(population_w1=1.0))
    assert table is not None
    lower = [2 * share - stats.t.ppf(0.95, 16) * 0.1 for share in SHARES["spheres", "clip"]]
    line = table[(table["problem.name"] == "spheres") & (table["critic"] == "clip")].iloc[0]
    assert line["covered"] == pytest.approx(np.mean([bound <= 1.0 for bound in lower]))
    assert line["covered"] < 1


def test_a_seed_without_a_bound_is_no_miss_and_no_cover() -> None:
    """Where no constant is known in some seeds, the share is of the others; where in none, there is no share."""
    rows = frame(population_w1=1.0)
    clip = (rows["problem.name"] == "spheres") & (rows["critic"] == "clip")
    shares = []
    for unknown in ([1], [0, 2], [0, 1, 2]):
        table = laws(rows.assign(held_out_lower=rows["held_out_lower"].mask(clip & rows["seed"].isin(unknown))))
        assert table is not None
        shares.append(table[(table["problem.name"] == "spheres") & (table["critic"] == "clip")].iloc[0]["covered"])
    assert shares[:2] == [0.0, 1.0]
    assert np.isnan(shares[2])


def test_a_difference_of_nothing_is_not_better() -> None:
    table = paired(frame(held_out_over_population_w1=0.5))
    assert table is not None
    assert (table["better"] == 0.0).all()
    assert (table["difference_median"] == 0.0).all()


@pytest.mark.parametrize("name", ["patches", *sorted(WITHOUT_LAW)])
def test_data_without_a_law_have_no_upper_bound_and_unknown_laws_no_coverage(name: str) -> None:
    table = laws(frame(**{"problem.name": name, "coupled_w1": np.nan, "population_w1": np.nan}))
    assert table is not None
    assert table[["upper_covered", "covered"]].isna().all(axis=None)
    assert (table[["upper", "upper_bound"]].isna() == (name in WITHOUT_LAW)).all(axis=None)
    assert table["held_out_median"].notna().all()


@pytest.mark.parametrize("columns", [{"sampling.mode": "coupled"}, {"fresh_raw": np.nan}])
def test_without_independent_samples_and_fresh_points_there_is_no_table(columns: dict[str, Any]) -> None:
    assert laws(frame(**columns)) is None


def test_differences_are_paired_by_seed_and_averaged_over_problems() -> None:
    table = paired(frame())
    assert table is not None
    by_problem = table.set_index("problem.name")
    spheres, lift = [0.4, -0.1, 0.1], [-0.1, 0.2, 0.2]
    for name, expected in (("spheres", spheres), ("lift", lift), ("all", np.mean([spheres, lift], axis=0))):
        line = by_problem.loc[name]
        assert line["difference_median"] == pytest.approx(np.median(expected))
        assert (line["difference_low"], line["difference_high"]) == pytest.approx((min(expected), max(expected)))
        assert line["better"] == pytest.approx(np.mean(np.array(expected) > 0))
    assert set(table["critic"]) == {"clip"}


def test_without_the_exact_potential_nothing_is_compared() -> None:
    rows = frame()
    assert paired(rows[rows["critic"] != "potential"]) is None
    assert paired(rows[rows["critic"] == "potential"]) is None
    assert paired(frame(**{"sampling.mode": "coupled"})) is None
