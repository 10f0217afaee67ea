"""The table of the fitted rule and that of what was left out: every column, from rows whose targets are unlike."""

import math

import numpy as np
import pandas as pd
import pytest
from test_scale_rule import PLANTED, planted_rows

from otbench.errors import InputError
from otbench.methods import WeightClip
from otbench.report.advice import _outside, _part, _setting
from otbench.results.tables.scale_rule import TARGETS, TERMS, fitted_rows, held_out, read_rule, rule_table, settings_of
from otbench.types import SamplePair

#: By what each target is larger than the planted scale.
TIMES = dict(zip(TARGETS, (1.0, 2.0, 5.0, 11.0), strict=True))


def unlike_rows() -> pd.DataFrame:
    rows = planted_rows()
    return rows.assign(**{name: rows[name] * times for name, times in TIMES.items()})


def test_a_rule_is_of_its_own_target_and_tells_the_ranges_of_what_it_was_fitted_on() -> None:
    rows = unlike_rows()
    rows["k_eff"] = rows["k_eff"].where(np.arange(len(rows)) % 5 > 0)  # some critics have no such number
    table = rule_table(rows).set_index("target")
    assert list(table.index) == list(TARGETS)
    reach = [row["method.lr"] * (row["method.clip"] if row["method.lr_unit"] == "clip" else 1) * row["method.steps"]
             / row["method.clip"] for _, row in rows.iterrows()]  # fmt: skip
    deepest = [len(str(widths).split("x")) for widths in rows["method.widths"]]
    for target, line in table.iterrows():
        assert line["critics"] == rows[target].notna().sum()
        assert (line["kappa"], line["rho"]) == (PLANTED.kappa, PLANTED.rho)
        due = PLANTED.coefficients + np.array([math.log(TIMES[str(target)]), 0, 0, 0])
        np.testing.assert_allclose([line[name] for name in TERMS], due, atol=1e-6)
        assert [line[f"error_q{q}"] for q in ("05", "50", "95")] == pytest.approx([1.0] * 3)
        for name, values in (("dim", rows["problem.dim"]), ("depth", deepest), ("width", [16]), ("reach", reach),
                             ("c_over_c_star", [0.1, 10.0])):  # fmt: skip
            assert (line[f"{name}_low"], line[f"{name}_high"]) == pytest.approx((min(values), max(values)))
    rule, line = read_rule(rule_table(rows), "grad_norm_mean")
    assert np.exp(rule.log_scale(settings_of(rows))) == pytest.approx(rows["grad_norm_mean"].to_numpy(dtype=float))
    for wrong in (table.reset_index().iloc[1:], pd.concat([table.reset_index()] * 2)):
        with pytest.raises(InputError, match="lines for slope_constant"):
            read_rule(wrong, "slope_constant")


def test_the_errors_of_a_rule_are_factors_and_in_order() -> None:
    """One critic in fourteen prints 3 times what the rule says, as many a fifth of it."""
    rows = unlike_rows()
    odd = np.random.default_rng(0).permutation(len(rows))[: 2 * len(rows) // 14]
    rows.loc[rows.index[odd[::2]], "raw_over_w1"] *= 3.0
    rows.loc[rows.index[odd[1::2]], "raw_over_w1"] /= 5.0
    line = rule_table(rows).set_index("target").loc["raw_over_w1"]
    assert [line[f"error_q{q}"] for q in ("05", "50", "95")] == pytest.approx([1 / 5, 1.0, 3.0], rel=1e-3)


def test_a_rule_needs_twenty_critics_that_trained() -> None:
    rows = unlike_rows()
    assert len(rule_table(rows.iloc[:20])) == len(TARGETS)
    assert rule_table(rows.iloc[:19]).empty
    assert held_out(rows.iloc[:19]).empty
    for fault in ({"status": "diverged"}, {"critic": "untrained"}, {"primal": 0.0}, {"method.eps": 1e30}):
        assert len(fitted_rows(rows.assign(**fault))) == 0
    some = rows.iloc[:25].assign(k_eff=[1.0] * 19 + [np.nan] * 6)
    assert list(rule_table(some)["target"]) == [name for name in TARGETS if name != "k_eff"]


def test_what_is_left_out_is_compared_with_the_largest_slope_too() -> None:
    rows = unlike_rows()
    table = held_out(rows)
    columns = ["target", "left_out", "value", "critics", "median_factor", "p90_factor", "naive_median_factor",
               "naive_p90_factor"]  # fmt: skip
    assert list(table) == columns
    for line in table.to_dict("records"):
        out = rows if line["value"] == "all" else rows[rows[line["left_out"]].astype(str) == line["value"]]
        assert line["critics"] == len(out)
        errors = [abs(math.log(m / k)) for m, k in zip(out[line["target"]], out["clip_constant"], strict=True)]
        assert line["naive_median_factor"] == pytest.approx(math.exp(np.quantile(errors, 0.5)))
        assert line["naive_p90_factor"] == pytest.approx(math.exp(np.quantile(errors, 0.9)))
        assert 1 <= line["median_factor"] <= line["p90_factor"]
    whole = {(t, c): {"all", *rows[c].astype(str)} for t in TARGETS for c in ("problem.name", "problem.dim")}
    assert {key: set(part["value"]) for key, part in table.groupby(["target", "left_out"])} == whole


#: What was fitted on, and what is asked for at the ends of it: nothing is said of an end itself.
RANGES = pd.Series({
    "dim_low": 2, "dim_high": 32, "depth_low": 1, "depth_high": 3, "width_low": 4, "width_high": 64,
    "reach_low": 1.0, "reach_high": 8.0, "c_over_c_star_low": 0.5, "c_over_c_star_high": 4.0,
})  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, []), ({"dim": 2}, []), ({"dim": 32}, []), ({"dim": 1}, ["dim 1,"]), ({"dim": 33}, ["dim 33,"]),
        ({"widths": (4,)}, []), ({"widths": (64, 4, 4)}, []), ({"widths": (3, 3)}, ["widest layer 3,"]),
        ({"widths": (65, 4)}, ["widest layer 65,"]), ({"widths": (8,) * 4}, ["hidden layers 4,"]),
        ({"steps": 10}, []), ({"steps": 80}, []), ({"steps": 9}, ["lr steps / c 0.9,"]),
        ({"steps": 81}, ["lr steps / c 8.1,"]), ({"c_star": 4.0}, []), ({"c_star": 0.5}, []),
        ({"c_star": 4.1}, ["c / c* 0.488,"]), ({"c_star": 0.49}, ["c / c* 4.08,"]),
    ],
)  # fmt: skip
def test_advice_says_what_is_outside_of_the_ranges_and_nothing_of_their_ends(asked: dict, said: list[str]) -> None:
    facts = {"dim": 8, "widths": (8, 8), "steps": 40, "c_star": 1.0} | asked
    method = WeightClip(widths=facts["widths"], lr=0.1, lr_unit="clip", steps=facts["steps"])
    found = _outside(facts["dim"], method, 2.0, facts["c_star"], RANGES)
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


def test_a_part_of_a_sample_has_at_most_so_many_points_each_of_them_once() -> None:
    points = np.random.default_rng(0).standard_normal((50, 2))
    for most, size in ((49, 49), (50, 50), (51, 50)):
        part = _part(points, most)
        assert len(part) == size == len(np.unique(part, axis=0))
        assert {tuple(row) for row in part} <= {tuple(row) for row in points}


@pytest.mark.parametrize(("w1", "share"), [(None, 0.0), (10.0, 0.5), (5.0, 1.0), (4.0, 1.0)])
def test_samples_tell_the_rule_their_shift_how_diagonal_it_is_and_how_far_they_spread(
    w1: float | None, share: float
) -> None:
    """The means are (3, 4) apart: 5 as the crow flies, 7 along the axes."""
    x, y = np.array([[-2.0, 0.0], [2.0, 0.0]]), np.array([[3.0, -1.0], [3.0, 9.0]])
    setting = _setting(2, WeightClip(widths=(4,), lr=0.5, lr_unit="clip", steps=9), np.array([0.1, 0.2]),
                       SamplePair(x, y), w1)  # fmt: skip
    assert setting.shift_share.tolist() == [share] * 2
    assert setting.diagonality == pytest.approx([7 / 5 / math.sqrt(2)] * 2)
    assert setting.spread == pytest.approx([math.sqrt((4 + 25) / 2)] * 2)
    assert (setting.lr.tolist(), setting.steps.tolist(), setting.dim.tolist()) == ([0.05, 0.1], [9.0] * 2, [2.0] * 2)
