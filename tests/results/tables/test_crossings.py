"""Where printed values pass W1: power laws whose crossings are known, and a law that is planted and found again."""

import numpy as np
import pandas as pd
import pytest
from test_scale_rule import planted_rows

from otbench.results.tables.clip_sweeps import at_ratio, crossing, exponents, worth
from otbench.results.tables.crossings import crossing_law, crossings
from otbench.results.tables.scale_rule import settings_of

AT = np.array([0.1, 1.0, 10.0])


def test_curves_cross_where_a_power_law_says_and_only_inside_of_the_sweep() -> None:
    scale = np.array([0.3, 1e-9, 1e3, np.nan])
    curves = scale * AT[:, None] ** 3
    np.testing.assert_allclose(crossing(AT, curves, 1.0), [0.3 ** (-1 / 3), np.nan, np.nan, np.nan])
    np.testing.assert_allclose(at_ratio(AT, curves, 2.0), 8 * scale)
    assert np.isnan(at_ratio(AT, curves, 20.0)).all()
    assert np.isnan(at_ratio(AT, curves, 0.05)).all()


def test_a_curve_that_starts_dead_crosses_later() -> None:
    assert crossing(AT, np.array([[-1.0], [0.5], [50.0]]), 1.0)[0] == pytest.approx(10 ** (np.log(2) / np.log(100)))
    assert np.isnan(crossing(AT, np.array([[-1.0], [5.0], [50.0]]), 1.0)[0])  # it may have crossed anywhere below


def lawful(constant: float) -> pd.DataFrame:
    """Rows in which raw/W1 = (c / 2 c*)^L / s, with a little of every seed's own."""
    rows = planted_rows(3)
    setting = settings_of(rows)
    layers, ratio = setting.terms[:, 1], rows["method.clip_over_c_star"].to_numpy(dtype=float)
    share = setting.shift_share
    log_s = np.log(constant) + 0.5 * (1 - share) * np.log(setting.dim) - share * np.log(setting.diagonality)
    raw = (ratio / 2) ** layers / np.exp(log_s)
    return rows.assign(raw=raw, raw_over_w1=raw)


def test_a_planted_law_is_found_on_what_it_has_not_seen() -> None:
    table = crossing_law(lawful(0.4)).set_index("value")
    assert set(table.index) == {"one", "two", "three", "all"}
    np.testing.assert_allclose(table["constant"], 0.4, rtol=0.05)
    assert (table["constant_low"] <= table["constant"]).all()
    assert (table["constant"] <= table["constant_high"]).all()
    assert (table["law_most_factor"] < 1.04).all()
    assert table.loc["all", "flat_most_factor"] > 1.2
    assert (table["law_median_factor_low"] <= table["law_median_factor_high"]).all()


def test_a_family_that_breaks_the_law_shows_where_it_is_left_out() -> None:
    rows = lawful(0.4)
    odd = rows["problem.name"] == "three"
    rows.loc[odd, "raw_over_w1"] *= 2.0 ** -rows.loc[odd, "method.depth"].astype(float) / 2  # it crosses at twice the c
    assert crossing_law(rows).set_index("value")["law_median_factor"]["three"] == pytest.approx(2, rel=0.05)


def test_every_sweep_is_counted_once_and_problems_weigh_the_same() -> None:
    rows = lawful(0.4)
    rows.loc[(rows["problem.name"] == "two") & (rows["method.depth"] == 2), "slope_over_w1"] = 0.3
    table, single = crossings(rows).set_index(["method.lr_unit", "problem"]), exponents(rows)
    every = single[single["method.lr_unit"] == "clip"]
    whole = table.loc[("clip", "all")]
    assert (whole["sweeps"], whole["settings"], whole["crossed"]) == (len(every), 5, len(every))
    assert whole["c_over_c_star_at_w1_least"] == pytest.approx(every["c_over_c_star_at_w1"].min())
    assert whole["raw_over_w1_at_twice_most"] == pytest.approx(every["raw_over_w1_at_twice"].max())
    assert whole["near_twice"] == every["raw_over_w1_at_twice"].between(0.5, 2).sum()
    assert (whole["two_layers"], whole["half_lost"]) == (5, 2)
    assert (whole["slope_over_w1_least"], whole["slope_over_w1_most"]) == (0.3, 0.9)
    assert whole["half_lost_share"] == pytest.approx(1 / 3)  # one problem of three, though two sweeps of five
    parts = table.loc["clip"].drop("all")
    assert parts["sweeps"].sum() == len(every)
    assert whole["near_twice_share"] == pytest.approx((parts["near_twice"] / parts["sweeps"]).mean())


def test_near_is_within_a_factor_two_above_and_below_and_no_further() -> None:
    """Curves that are flat, so that raw/W1 at 2 c* is the level of the sweep."""
    levels = np.array([0.1, 0.499, 0.501, 1.0, 1.99, 2.01, 30.0])
    rows = planted_rows(3)
    sweep = rows.groupby(["problem.name", "problem.dim", "method.depth", "method.lr_unit"], sort=False).ngroup()
    level = levels[sweep.to_numpy() % len(levels)]
    rows = rows.assign(raw=level, raw_over_w1=level)
    near = ((level > 0.5) & (level < 2))[rows["seed"] == 0]
    once = rows[rows["seed"] == 0].assign(near=near)
    table = crossings(rows).set_index(["method.lr_unit", "problem"])
    for (unit, problem), line in table.iterrows():
        own = once[(once["method.lr_unit"] == unit) & (once["problem.name"].eq(problem) | (problem == "all"))]
        assert line["near_twice"] == own["near"].sum() / 3, "three clip values a sweep"
        assert line["near_twice_share"] == pytest.approx(own.groupby("problem.name")["near"].mean().mean())
    assert 0 < table.loc[("clip", "all"), "near_twice"] < table.loc[("clip", "all"), "sweeps"]


def test_a_point_s_worth_is_the_median_of_its_seeds_and_the_interval_their_range() -> None:
    rows = lawful(0.4)
    rows["slope_over_w1"] = 0.5 + 0.1 * rows["seed"]
    table = worth(rows)
    assert len(table) == len(rows) / 3
    assert (table["critics"] == 3).all()
    assert table["slope_over_w1"].to_numpy() == pytest.approx(0.6)
    assert table["slope_over_w1_low"].to_numpy() == pytest.approx(0.5)
    assert table["slope_over_w1_high"].to_numpy() == pytest.approx(0.7)
    keys = ["problem.name", "problem.dim", "method.depth", "method.lr_unit"]
    due = rows.rename(columns={"method.clip_over_c_star": "clip_over_c_star", "raw_over_w1": "due"})
    due = due.groupby([*keys, "clip_over_c_star"])["due"].median().reset_index()
    merged = table.merge(due, on=[*keys, "clip_over_c_star"])
    np.testing.assert_allclose(merged["raw_over_w1"], merged["due"])
    assert len(merged) == len(table)
