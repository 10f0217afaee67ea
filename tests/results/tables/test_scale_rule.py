"""The rule for a critic's scale: it finds a law that was planted, says how far it is off, and knows its limits."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from otbench.errors import InputError
from otbench.methods import WeightClip
from otbench.problems import problem
from otbench.report.advice import CODE, GRID, advise, in_words
from otbench.results.tables.clip_sweeps import exponents
from otbench.results.tables.rule_held_out import held_out, rule_table
from otbench.results.tables.scale_rule import TARGETS, THEORY, ScaleRule, Setting, fit, read_rule, settings_of
from otbench.types import moments

#: A law with the coefficients of theory, towards which a fit is drawn.
PLANTED = ScaleRule(1.4, 0.5, np.array([0.8, *THEORY]), np.zeros(2))


def settings(count: int, seed: int = 0) -> Setting:
    rng = np.random.default_rng(seed)

    def between(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), count))

    return Setting(
        dim=rng.choice([2.0, 8.0, 32.0], count),
        widths=[(int(rng.choice([16, 64])),) * int(rng.integers(1, 4)) for _ in range(count)],
        clip=between(1e-3, 1.0), lr=between(1e-5, 1e-3), steps=np.full(count, 1000.0), eps=np.full(count, 1e-30),
        starts_in_box=rng.random(count) < 0.3, shift_share=rng.random(count), diagonality=between(0.2, 1.0),
        spread=np.ones(count),
    )  # fmt: skip


def test_a_planted_rule_is_found_again() -> None:
    setting = settings(300)
    noise = np.exp(0.01 * np.random.default_rng(1).standard_normal(300))
    found = fit(setting, np.exp(PLANTED.log_scale(setting)) * noise)
    assert (found.kappa, found.rho) == (PLANTED.kappa, PLANTED.rho)
    np.testing.assert_allclose(found.coefficients, PLANTED.coefficients, atol=0.02)


def test_what_the_data_leave_open_is_theory_s_and_what_they_tell_is_theirs() -> None:
    """Without shifts nothing tells of diagonals; with many critics the layers tell, against theory."""
    setting = dataclasses.replace(settings(300), shift_share=np.zeros(300))
    odd = dataclasses.replace(PLANTED, coefficients=np.array([0.8, -1.5, 7.0, -0.5]))
    found = fit(setting, np.exp(odd.log_scale(setting))).coefficients
    assert found[2] == pytest.approx(THEORY[1], abs=1e-9)
    assert found[1] == pytest.approx(-1.5, abs=0.4)
    assert found[1] < -1.1


def test_of_the_critic_alone_no_term_of_the_data_is_left() -> None:
    setting = settings(300)
    found = fit(setting, np.exp(PLANTED.log_scale(setting)), "critic")
    assert (found.coefficients[2:] == 0).all()
    other = dataclasses.replace(setting, shift_share=np.zeros(300), diagonality=np.ones(300))
    np.testing.assert_array_equal(found.log_scale(setting), found.log_scale(other))


def test_a_critic_of_weight_0_is_as_one_left_out() -> None:
    setting = settings(200)
    measured = np.exp(PLANTED.log_scale(setting) + np.random.default_rng(2).standard_normal(200))
    first = np.arange(200) < 120
    weighed, taken = fit(setting, measured, weights=first * 1.0), fit(setting.take(first), measured[first])
    assert (weighed.kappa, weighed.rho) == (taken.kappa, taken.rho)
    np.testing.assert_allclose(weighed.coefficients, taken.coefficients, rtol=1e-9)


def test_a_saturated_critic_of_aligned_weights_has_the_clip_constant() -> None:
    """With every weight at c, nothing of the start and no correction the rule is K(c) itself."""
    method = WeightClip(clip=0.05, widths=(32, 16), lr=1.0)
    one = np.ones(1)
    setting = Setting(
        6 * one, [method.widths], method.clip * one, method.lr * one, 1000 * one, one, np.array([False]), one, one, one
    )
    bare = ScaleRule(1.0, 1e-12, np.zeros(4), np.zeros(2))
    assert np.exp(bare.log_scale(setting))[0] == pytest.approx(method.lipschitz_constant(6), rel=1e-9)


def test_the_rate_takes_weights_no_further_than_it_reaches() -> None:
    setting = dataclasses.replace(settings(1), lr=np.array([1e-10]))
    start_alone = PLANTED.log_scale(setting)
    slower = dataclasses.replace(setting, lr=np.array([1e-12]))
    np.testing.assert_allclose(PLANTED.log_scale(slower), start_alone, rtol=1e-4)


def test_critics_whose_first_gradients_eps_swallows_are_told() -> None:
    def stalled(depth: int, eps: float) -> bool:
        one = np.ones(1)
        arguments = (2 * one, [(64,) * depth], 0.01 * one, 1e-4 * one, 1000 * one, eps * one)
        return bool(Setting(*arguments, np.array([False]), one, one, one).stalled()[0])

    assert stalled(8, 1e-8)
    assert not stalled(8, 1e-30)
    assert not stalled(2, 1e-8)


def planted_rows(seeds: int = 2) -> pd.DataFrame:
    """Rows as ``frame_of`` gives them, with a scale that follows the planted rule exactly."""
    lines = []
    for name, dim in (("one", 2), ("one", 8), ("two", 2), ("two", 8), ("three", 32)):
        for depth in (1, 2, 3):
            for ratio in (0.1, 1.0, 10.0):
                for unit in ("absolute", "clip"):
                    recipe = {"lr": 0.01, "lr_unit": "clip"} if unit == "clip" else {}
                    method = WeightClip(widths=(16,), depth=depth, clip_over_c_star=ratio, eps=1e-30, **recipe).at(dim)
                    for seed in range(seeds):
                        lines.append({
                            **method.columns("method"), "problem.name": name, "problem.dim": dim, "problem.version": 1,
                            "critic": "weight_clip", "status": "ok", "seed": seed, "primal": 1.0,
                            "shift": 0.2 + 0.1 * seed, "shift_l1": 0.3 * dim**0.25, "spread": 1.0, "plan_cosine": 0.5,
                            "clip_constant": method.lipschitz_constant(dim), "c_over_c_star": ratio,
                            "slope_over_w1": 0.9, "grad_norm_max": 1.0,
                        })  # fmt: skip
    frame = pd.DataFrame(lines)
    scale = np.exp(PLANTED.log_scale(settings_of(frame)))
    return frame.assign(raw=scale, **dict.fromkeys(TARGETS, scale))


def test_on_rows_that_follow_a_rule_what_is_left_out_is_predicted() -> None:
    table = held_out(planted_rows(seeds=1))
    assert set(table["target"]) == set(TARGETS)
    assert (table[table["given"] == "data"]["median_factor"] < 1.01).all()
    assert (table[table["given"] == "critic"]["median_factor"] > 1.03).all()
    of_families = table[table["left_out"] == "family"]
    assert (of_families["naive_median_factor"] > of_families["per_layer_median_factor"]).all()
    assert (of_families["per_layer_median_factor"] > 1.05).all()
    whole = table[(table["left_out"] == "problem.name") & (table["value"] == "all")]
    assert (whole["critics"] == len(planted_rows(seeds=1))).all()


def test_a_problem_with_a_scale_of_its_own_shows_in_the_fold_that_leaves_it_out() -> None:
    rows = planted_rows()
    rows.loc[rows["problem.name"] == "three", "raw_over_w1"] *= 5
    table = held_out(rows).set_index(["target", "given", "left_out", "value"]).sort_index()
    assert table["median_factor"]["raw_over_w1", "data", "problem.name", "three"] == pytest.approx(5, rel=0.2)
    covered = table["covered"].xs(("raw_over_w1", "data", "family"))
    assert (covered["three"], covered["all"]) == (0, pytest.approx(2 / 3))  # a third of the families is all of it


def test_the_table_of_the_rule_gives_the_rule_back() -> None:
    rows = planted_rows()
    rule, line = read_rule(rule_table(rows), "raw_over_w1")
    np.testing.assert_allclose(rule.log_scale(settings_of(rows)), PLANTED.log_scale(settings_of(rows)), atol=1e-6)
    assert (line["dim_low"], line["dim_high"]) == (2, 32)
    with pytest.raises(InputError, match="the rule's table has 0 lines for speed"):
        read_rule(rule_table(rows), "speed")


def test_the_sweep_s_exponent_and_edge_are_those_of_a_power_law() -> None:
    rows = planted_rows()
    rows["raw"] = rows["raw_over_w1"] = 0.3 * rows["method.clip_over_c_star"].astype(float) ** 3
    table = exponents(rows)
    assert table["exponent"].to_numpy() == pytest.approx(3)
    assert table["edge_factor"].to_numpy() == pytest.approx(4 ** (1 / 3))
    assert table["c_over_c_star_at_w1"].to_numpy() == pytest.approx(0.3 ** (-1 / 3))
    assert (table["dead_share"] == 0).all()


# advice


def shifted():
    return problem("translation", dim=8, direction="axis").sample(256, mode="coupled")



def test_advice_is_the_rule_read_backwards() -> None:
    table = rule_table(planted_rows(seeds=1))
    advice = advise(8, (16, 16), lr=0.01, lr_unit="clip", steps=4000, table=table)
    assert advice.low < advice.best < advice.high
    assert advice.c_star == WeightClip(widths=(16, 16)).certified_clip(8)
    assert advice.raw_over_w1 == pytest.approx(1, rel=2 * np.log(GRID[1] / GRID[0]) * 3)  # all targets are one here
    assert advice.outside == ()
    known = advise(8, (16, 16), lr=0.01, lr_unit="clip", steps=4000, table=table, pair=shifted(), w1=1.0)
    assert known.raw_low == pytest.approx(known.raw_over_w1)  # nothing is left to err where the data are known
    assert advice.raw_low < 0.9 * advice.raw_over_w1
    assert (advice.given, known.given) == ("critic", "data")


def test_a_rule_of_one_family_has_no_interval_and_says_none() -> None:
    rows = planted_rows()
    table = rule_table(rows[rows["problem.name"] == "two"])
    advice = advise(8, (16, 16), lr=0.01, lr_unit="clip", steps=4000, table=table)
    assert advice.best is not None
    assert (advice.raw_low, advice.gradient_high, advice.paper_raw_low) == (None, None, None)
    assert "nine of ten" not in " ".join(in_words(advice))


def test_what_was_not_fitted_is_said_on_one_line() -> None:
    rows = planted_rows()
    (told,) = (line for line in in_words(advise(8, (16,), table=rule_table(rows))) if line.startswith("Fitted on"))
    assert "4000 steps of rmsprop, on one, three, two. Adam, SGD, convolutions, other layers and activations" in told
    table = rule_table(rows.assign(**{"method.optimiser": np.where(rows["seed"] == 0, "adam", "rmsprop")}))
    assert "steps of adam, rmsprop" in advise(8, (16,), table=table).fitted_on
    assert "Adam" not in advise(8, (16,), table=table).fitted_on


def test_advice_outside_of_what_the_rule_was_fitted_on_says_so() -> None:
    table = rule_table(planted_rows(seeds=1))
    said = " ".join(in_words(advise(784, (512, 256), table=table)))
    assert "dim 784, fitted on 2 to 32" in said
    assert "widest layer 512, fitted on 16 to 16" in said
    assert CODE.splitlines()[1] in said


def test_samples_shift_the_advice() -> None:
    table = rule_table(planted_rows(seeds=1))
    laws = [problem("translation", dim=8, direction=direction) for direction in ("axis", "diagonal")]
    axis, diagonal = (law.sample(256, mode="coupled") for law in laws)
    along_axis, along_diagonal = (advise(8, (16,), lr=0.01, lr_unit="clip", table=table, pair=pair, w1=1.0)
                                  for pair in (axis, diagonal))  # fmt: skip
    assert along_axis.best > along_diagonal.best  # a shift along an axis loses sqrt d: more clip value is needed
    assert moments(axis)["shift"] == pytest.approx(1)
    assert moments(diagonal)["shift_l1"] == pytest.approx(8**0.5)


def test_without_a_rate_that_trains_there_is_no_clip_value() -> None:
    advice = advise(2, (16,), lr=1e-12, steps=1, table=rule_table(planted_rows(seeds=1)).assign(rho=1e-9))
    assert advice.best is None
    assert "No clip value" in " ".join(in_words(advice))
