"""The table of the fitted rule and that of what was left out: every column, from rows whose targets are unlike."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from test_scale_rule import PLANTED, planted_rows

from otbench.errors import InputError
from otbench.methods import WeightClip
from otbench.report.advice import _outside, _part, _setting
from otbench.results.tables.rule_held_out import held_out, rule_table
from otbench.results.tables.scale_rule import GIVEN, TARGETS, TERMS, fit, fitted_rows, read_rule, settings_of
from otbench.types import SamplePair

#: By what each target is larger than the planted scale.
TIMES = dict(zip(TARGETS, (1.0, 2.0, 5.0, 11.0), strict=True))


def unlike_rows(seeds: int = 2) -> pd.DataFrame:
    rows = planted_rows(seeds)
    return rows.assign(**{name: rows[name] * times for name, times in TIMES.items()})


def test_a_rule_is_of_its_own_target_and_tells_the_ranges_of_what_it_was_fitted_on() -> None:
    rows = unlike_rows()
    rows["k_eff"] = rows["k_eff"].where(np.arange(len(rows)) % 5 > 0)  # some critics have no such number
    rows["method.steps"] = rows["method.steps"].where(np.arange(len(rows)) > 0, 3999)
    table = rule_table(rows).set_index(["target", "given"])
    assert list(table.index) == list(itertools.product(TARGETS, GIVEN))
    reach = [row["method.lr"] * (row["method.clip"] if row["method.lr_unit"] == "clip" else 1) * row["method.steps"]
             / row["method.clip"] for _, row in rows.iterrows()]  # fmt: skip
    deepest = [len(str(widths).split("x")) for widths in rows["method.widths"]]
    ranges = {"dim": rows["problem.dim"], "depth": deepest, "width": [16], "reach": reach, "steps": [3999, 4000],
              "c_over_c_star": [0.1, 10.0]}  # fmt: skip
    for (target, given), line in table.iterrows():
        assert (line["critics"], line["families"]) == (rows[target].notna().sum(), 3)
        assert (line["problems"], line["optimisers"]) == ("one three two", "rmsprop")
        for name, values in ranges.items():
            assert (line[f"{name}_low"], line[f"{name}_high"]) == pytest.approx((min(values), max(values)))
        if given == "critic":
            assert (line["diagonal"], line["isotropic"]) == (0.0, 0.0)
            continue
        assert (line["kappa"], line["rho"]) == (PLANTED.kappa, PLANTED.rho)
        due = PLANTED.coefficients + np.array([math.log(TIMES[target]), 0, 0, 0])
        for end in ("", "_low", "_high", "_least", "_most"):  # what is planted everywhere is found in every part
            np.testing.assert_allclose([line[f"{name}{end}"] for name in TERMS], due, atol=1e-6)
        assert (line["error_low"], line["error_high"]) == pytest.approx((1.0, 1.0))
    rule, _ = read_rule(table.reset_index(), "grad_norm_mean")
    assert np.exp(rule.log_scale(settings_of(rows))) == pytest.approx(rows["grad_norm_mean"].to_numpy(dtype=float))


def test_the_least_and_the_most_are_of_rules_that_were_fitted_without_a_family() -> None:
    """Of the critic alone the planted law is not found, so that every family bends the rule in its own way."""
    rows = unlike_rows(seeds=1)
    rows["k_eff"] = rows["k_eff"].where(np.arange(len(rows)) % 5 > 0)
    table = rule_table(rows).set_index(["target", "given"])
    problems = rows["problem.name"]
    for target in ("raw_over_w1", "k_eff"):
        folds = []
        for out in problems.unique():
            inside = ((problems != out) & rows[target].notna()).to_numpy()
            rest = rows[inside]
            weights = (1 / rest["problem.name"].map(problems.value_counts())).to_numpy(dtype=float)
            measured = rest[target].to_numpy(dtype=float)
            folds.append(fit(settings_of(rest), measured, "critic", weights).coefficients)
        line = table.loc[(target, "critic")]
        for of_folds, name in zip(np.transpose(folds), TERMS, strict=True):
            seen = line[f"{name}_least"], line[f"{name}_most"]
            assert seen == pytest.approx((min(of_folds), max(of_folds)), rel=1e-9)
        assert line["layers_least"] < line["layers_most"] - 1e-3


def test_of_seeds_that_are_alike_the_interval_of_a_rule_is_the_rule_itself() -> None:
    """Whatever is drawn: what a rule leaves out of its fit, its interval leaves out."""
    rows = planted_rows()
    noise = (
        np.random.default_rng(3).standard_exponential(len(rows) // 2).repeat(2) ** 2
    )  # some are far off, to one side
    assert (rows["seed"].to_numpy() == np.tile([0, 1], len(rows) // 2)).all()
    rows = rows.assign(shift=0.2, **{name: rows[name].to_numpy()[::2].repeat(2) * np.exp(noise) for name in TARGETS})
    for _, line in rule_table(rows).iterrows():
        for name in TERMS:
            ends = line[f"{name}_low"], line[f"{name}_high"]
            assert ends == pytest.approx((line[name],) * 2, rel=1e-9, abs=1e-9)


def test_a_rule_is_read_where_the_table_has_one_line_for_it() -> None:
    """By target and by what is given; the interval is stored as factors and read as logarithms."""
    lines = pd.DataFrame([
        {"target": target, "given": given, "kappa": 1 + k, "rho": 0.1 + k,
         **{name: 10 * k + i for i, name in enumerate(TERMS)},
         "error_low": math.exp(-0.1 - k), "error_high": math.exp(0.2 + k)}
        for k, (target, given) in enumerate(itertools.product(TARGETS, GIVEN))
    ])  # fmt: skip
    for k, (target, given) in enumerate(itertools.product(TARGETS, GIVEN)):
        rule, line = read_rule(lines, target, given)
        assert (line["target"], line["given"], rule.kappa, rule.rho) == (target, given, 1 + k, 0.1 + k)
        assert rule.coefficients.tolist() == [10 * k + i for i in range(4)]
        assert rule.errors == pytest.approx([-0.1 - k, 0.2 + k])
    for wrong in (lines[lines["target"] != "k_eff"], pd.concat([lines] * 2), lines.drop(columns="given")):
        with pytest.raises(InputError, match="lines for k_eff"):
            read_rule(wrong, "k_eff")


def test_the_interval_of_errors_is_of_factors_and_in_order() -> None:
    """In a family that is left out one critic in fourteen prints 3 times what the rule says, as many a fifth of it."""
    rows = unlike_rows()
    rng = np.random.default_rng(0)
    for _, part in rows.groupby("problem.name"):
        odd = rng.permutation(part.index)[: 2 * (len(part) // 14)]
        rows.loc[odd[::2], "raw_over_w1"] *= 3.0
        rows.loc[odd[1::2], "raw_over_w1"] /= 5.0
    line = rule_table(rows).set_index(["target", "given"]).loc[("raw_over_w1", "data")]
    assert (line["error_low"], line["error_high"]) == pytest.approx((1 / 5, 3.0), rel=1e-3)


def test_a_rule_needs_twenty_critics_that_trained() -> None:
    rows = unlike_rows()
    assert len(rule_table(rows.iloc[:20])) == len(TARGETS) * len(GIVEN)
    assert rule_table(rows.iloc[:19]).empty
    assert held_out(rows.iloc[:19]).empty
    for fault in ({"status": "diverged"}, {"critic": "untrained"}, {"primal": 0.0}, {"method.eps": 1e30}):
        assert len(fitted_rows(rows.assign(**fault))) == 0
    some = rows.iloc[:25].assign(k_eff=[1.0] * 19 + [np.nan] * 6)
    assert list(rule_table(some)["target"].unique()) == [name for name in TARGETS if name != "k_eff"]


def quantile(values: list[float], weights: list[float], share: float) -> float:
    """Where the weight of the values up to it first passes the share of all, and half-way where it meets it."""
    ranked, total, reached = sorted(zip(values, weights, strict=True)), sum(weights), 0.0
    for k, (value, weight) in enumerate(ranked):
        reached += weight
        if math.isclose(reached, share * total, rel_tol=1e-9):
            return (value + ranked[k + 1][0]) / 2
        if reached > share * total:
            return value
    raise AssertionError


def test_what_is_left_out_is_compared_with_the_largest_slope_and_with_one_factor_a_layer_too() -> None:
    rows = unlike_rows(seeds=1)
    table = held_out(rows)
    numbers = [f"{of}{which}_factor" for of in ("", "per_layer_", "naive_") for which in ("median", "p90")]
    wide = [f"{name}{end}" for name in (*numbers, "covered") for end in ("", "_low", "_high")]
    assert set(table) == {"target", "given", "left_out", "value", "critics", *wide}
    schemes = {column: {"all", *rows["problem.name" if column == "family" else column].astype(str)}
               for column in ("family", "problem.name", "problem.dim")}  # fmt: skip
    found = {key: set(part["value"]) for key, part in table.groupby(["target", "given", "left_out"])}
    assert found == {(t, g, c): values for t in TARGETS for g in GIVEN for c, values in schemes.items()}
    rows["family"] = rows["problem.name"]  # of which none has a twin
    layers = rows["method.depth"].to_numpy(dtype=float) + 1
    rate = rows["method.lr"] * np.where(rows["method.lr_unit"] == "clip", rows["method.clip"], 1.0)
    reached = np.minimum(1.0, (rate * rows["method.steps"] / rows["method.clip"]).to_numpy(dtype=float))
    for line in table.to_dict("records"):
        tested = (
            rows["family"].notna() if line["value"] == "all" else rows[line["left_out"]].astype(str) == line["value"]
        )
        assert line["critics"] == tested.sum()
        assert 1 <= line["median_factor"] <= line["p90_factor"]
        if line["left_out"] != "family":
            assert all(np.isnan(line[name]) for name in numbers[2:])
            continue
        over = np.log((rows[line["target"]] / rows["clip_constant"]).to_numpy(dtype=float))
        near, weights = over / layers - np.log(reached), list(1 / rows["family"].map(rows["family"].value_counts()))
        factor = {
            out: quantile(*zip(*[(n, w) for n, w, f in zip(near, weights, rows["family"], strict=True) if f != out],
                               strict=True), 0.5)
            for out in rows["family"].unique()
        }  # fmt: skip
        off = np.abs(layers * (near - rows["family"].map(factor).to_numpy(dtype=float)))
        chosen = [w for w, which in zip(weights, tested, strict=True) if which]
        for of, errors in (("naive_", np.abs(over)), ("per_layer_", off)):
            for which, share in (("median", 0.5), ("p90", 0.9)):
                due = math.exp(quantile(list(errors[tested]), chosen, share))
                assert line[f"{of}{which}_factor"] == pytest.approx(due), (line["target"], of, which)


#: What was fitted on, and what is asked for at the ends of it: nothing is said of an end itself.
RANGES = pd.Series({
    "dim_low": 2, "dim_high": 32, "depth_low": 1, "depth_high": 3, "width_low": 4, "width_high": 64,
    "reach_low": 1.0, "reach_high": 8.0, "steps_low": 5, "steps_high": 100,
    "c_over_c_star_low": 0.5, "c_over_c_star_high": 4.0,
})  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, []), ({"dim": 2}, []), ({"dim": 32}, []), ({"dim": 1}, ["dim 1,"]), ({"dim": 33}, ["dim 33,"]),
        ({"widths": (4,)}, []), ({"widths": (64, 4, 4)}, []), ({"widths": (3, 3)}, ["widest layer 3,"]),
        ({"widths": (65, 4)}, ["widest layer 65,"]), ({"widths": (8,) * 4}, ["hidden layers 4,"]),
        ({"steps": 10}, []), ({"steps": 80}, []), ({"steps": 9}, ["lr steps / c 0.9,"]),
        ({"steps": 81}, ["lr steps / c 8.1,"]), ({"steps": 5, "lr": 1.0}, []), ({"steps": 4, "lr": 1.0}, ["steps 4,"]),
        ({"steps": 100, "lr": 0.05}, []), ({"steps": 101, "lr": 0.05}, ["steps 101,"]),
        ({"c_star": 4.0}, []), ({"c_star": 0.5}, []),
        ({"c_star": 4.1}, ["c / c* 0.488,"]), ({"c_star": 0.49}, ["c / c* 4.08,"]),
    ],
)  # fmt: skip
def test_advice_says_what_is_outside_of_the_ranges_and_nothing_of_their_ends(asked: dict, said: list[str]) -> None:
    facts = {"dim": 8, "widths": (8, 8), "steps": 40, "c_star": 1.0, "lr": 0.1} | asked
    method = WeightClip(widths=facts["widths"], lr=facts["lr"], lr_unit="clip", steps=facts["steps"])
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
