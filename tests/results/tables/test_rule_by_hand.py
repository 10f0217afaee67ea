"""The fitted rule and the advice against a setting, a scale and a table that are worked out by hand."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from test_scale_rule import PLANTED, planted_rows

from otbench.errors import ResultsError
from otbench.report.advice import advise, in_words
from otbench.results.tables.rule_held_out import held_out
from otbench.results.tables.scale_rule import GIVEN, TARGETS, TERMS, ScaleRule, fit, settings_of, trained

ROWS = pd.DataFrame([
    {"problem.dim": 4, "method.widths": "3x5", "method.clip": 0.2, "method.lr": 0.1, "method.lr_unit": "clip",
     "method.steps": 7, "method.eps": 1e-8, "method.init": "box", "primal": 1.5, "shift": 0.6, "shift_l1": 0.9,
     "spread": 2.0},
    {"problem.dim": 9, "method.widths": "16", "method.clip": 0.5, "method.lr": 0.01, "method.lr_unit": "absolute",
     "method.steps": 30, "method.eps": 1e-8, "method.init": "torch", "primal": 0.5, "shift": 0.0, "shift_l1": 0.0,
     "spread": 1.0},
    {"problem.dim": 2, "method.widths": "none", "method.clip": 3.0, "method.lr": 1.0, "method.lr_unit": "absolute",
     "method.steps": 2, "method.eps": 1e-8, "method.init": "torch", "primal": 1.0, "shift": 2.0, "shift_l1": 2.8,
     "spread": 1.0},
])  # fmt: skip


def scale_by_hand(sizes, clip, lr, steps, in_box, share, diagonality, rule):
    """sum_l log g_l + b_0 + b_1 L + b_2 q log a + b_3 (1 - q) log d, layer by layer."""
    found = 0.0
    for fan_in, fan_out in pairwise(sizes):
        sigma = (clip if in_box else min(clip, 1 / math.sqrt(fan_in))) / math.sqrt(3)
        reached = min(clip, rule.kappa * lr * steps) * math.sqrt(fan_in * fan_out)
        found += math.log(math.hypot(reached, rule.rho * sigma * (math.sqrt(fan_in) + math.sqrt(fan_out))))
    b = rule.coefficients
    layers = len(sizes) - 1
    return found + b[0] + b[1] * layers + b[2] * share * math.log(diagonality) + b[3] * (1 - share) * math.log(sizes[0])


RULE = ScaleRule(0.7, 0.5, np.array([0.3, -0.6, 1.1, -0.2]), np.zeros(2))


def test_the_setting_of_a_row_and_its_scale_are_those_worked_out_by_hand() -> None:
    setting = settings_of(ROWS)
    assert setting.lr == pytest.approx([0.02, 0.01, 1.0])  # a rate in units of the clip value is 0.1 times 0.2
    assert setting.shift_share == pytest.approx([0.4, 0.0, 1.0])
    assert setting.diagonality == pytest.approx([0.9 / 0.6 / 2, 1.0, 2.8 / 2 / math.sqrt(2)])
    assert setting.widths == [(3, 5), (16,), ()]
    expected = [
        scale_by_hand((4, 3, 5, 1), 0.2, 0.02, 7, True, 0.4, 0.75, RULE),
        scale_by_hand((9, 16, 1), 0.5, 0.01, 30, False, 0.0, 1.0, RULE),
        scale_by_hand((2, 1), 3.0, 1.0, 2, False, 1.0, 1.4 / math.sqrt(2), RULE),
    ]
    np.testing.assert_allclose(RULE.log_scale(setting), expected, rtol=1e-12)


@pytest.mark.parametrize("damage", [{"method.widths": "3xtext"}, {"method.clip": "text"}, {"shift": [[1], 2, 3]}])
def test_a_damaged_row_is_told_on_one_line(damage: dict[str, object]) -> None:
    with pytest.raises(ResultsError, match=r"a clipped critic's row is damaged \(.*\); restore it, or run it again$"):
        settings_of(ROWS.assign(**damage))


def test_critics_that_did_not_train_do_not_bend_the_rule() -> None:
    rows = planted_rows()
    measured = rows["raw_over_w1"].to_numpy(dtype=float).copy()
    measured[::9] *= 1e4
    found = fit(settings_of(rows), measured)
    np.testing.assert_allclose(found.log_scale(settings_of(rows)), PLANTED.log_scale(settings_of(rows)), atol=1e-6)


def test_a_critic_is_stalled_where_its_first_gradient_by_hand_is_below_eps_and_not_a_hundredth_above() -> None:
    """prod_l sigma_l (sqrt in + sqrt out) times the spread, over sigma_1 sqrt 3 of the second layer and its width^2."""
    for row, (sizes, in_box) in zip(ROWS.index, (((4, 3, 5, 1), True), ((9, 16, 1), False), ((2, 1), False)),
                                    strict=True):  # fmt: skip
        clip, spread = ROWS["method.clip"][row], ROWS["spread"][row]
        gain = 1.0
        for fan_in, fan_out in pairwise(sizes):
            side = clip if in_box else min(clip, 1 / math.sqrt(fan_in))
            gain *= side / math.sqrt(3) * (math.sqrt(fan_in) + math.sqrt(fan_out))
        width = sizes[1] if len(sizes) > 2 else 1
        first = gain * spread / min(clip, 1 / math.sqrt(width)) / width**2
        for share, stalled in ((0.99, False), (1.01, True)):
            setting = settings_of(ROWS.loc[[row]].assign(**{"method.eps": share * first}))
            assert setting.stalled().tolist() == [stalled]


@pytest.mark.parametrize("middle", [1e-3, 1.0, 50.0])
def test_a_critic_counts_as_trained_up_to_three_median_errors_and_not_beyond(middle: float) -> None:
    """Errors of either sign that cancel, so that the first fit is 0 and the median error is ``middle``."""
    left = middle * np.array([*([1.0, -1.0] * 20), 2.99, -2.99, 3.01, -3.01])
    kept = trained(np.ones((len(left), 1)), left, np.ones(len(left)))
    assert kept.tolist() == [True] * 42 + [False] * 2


def test_the_median_and_the_ninth_tenth_are_of_the_errors_that_were_left_out() -> None:
    rows = planted_rows()
    inside = np.flatnonzero(rows["problem.name"] == "three")
    rows.loc[inside[: len(inside) // 5 + 1], "grad_norm_mean"] *= 7.0
    rows.loc[inside[len(inside) // 5 + 1 : 2 * (len(inside) // 5)], "grad_norm_mean"] /= 7.0
    table = held_out(rows).set_index(["target", "given", "left_out", "value"])
    line = table.loc[("grad_norm_mean", "data", "problem.name", "three")]
    assert line["median_factor"] == pytest.approx(1.0, rel=0.02)
    assert line["p90_factor"] == pytest.approx(7.0, rel=0.02)


#: A rule's table by hand: one kind of line per target, with an interval that is not symmetric.
TABLE = pd.DataFrame([
    {"target": target, "given": given, "critics": 99, "kappa": 0.7, "rho": 0.5,
     **dict(zip(TERMS, (0.1 * k - 0.2, -0.6, 1.1, -0.2), strict=True)),
     "error_low": 0.5, "error_high": 3.0, "steps_low": 1, "steps_high": 1e9, "problems": "one two",
     "optimisers": "rmsprop", "dim_low": 2, "dim_high": 32, "depth_low": 1,
     "depth_high": 3, "width_low": 4, "width_high": 64, "reach_low": 0.0, "reach_high": 1e9,
     "c_over_c_star_low": 0.0, "c_over_c_star_high": 1e9}
    for k, target in enumerate(TARGETS) for given in GIVEN
])  # fmt: skip


@pytest.mark.parametrize("copied", [None, 1.0, 2.0, 0.5])
@pytest.mark.parametrize(("lr", "unit"), [(0.01, "clip"), (1e-3, "absolute")])
def test_advice_is_what_the_table_says_at_the_clip_values_it_names(lr: float, unit: str, copied: float | None) -> None:
    """Also where the value that everyone copies has a gradient of length ``copied``, and is among those advised."""
    direction, table = math.sqrt(2 / math.pi), TABLE

    def predicted(clip: float, target: str) -> float:
        line = table[table["target"] == target].iloc[0]
        rule = ScaleRule(0.7, 0.5, line[list(TERMS)].to_numpy(dtype=float), np.zeros(3))
        rate = lr * clip if unit == "clip" else lr
        return math.exp(scale_by_hand((16, 8, 8, 1), clip, rate, 500, False, 1.0, direction, rule))

    if copied is not None:
        table = TABLE.assign(constant=TABLE["constant"] + math.log(copied / predicted(0.01, "grad_norm_mean")))
    advice = advise(16, (8, 8), lr=lr, lr_unit=unit, steps=500, table=table)  # type: ignore[arg-type]
    assert advice.best is not None
    assert advice.low is not None
    assert advice.high is not None
    assert copied is None or advice.low <= 0.01 <= advice.high
    assert advice.raw_over_w1 == pytest.approx(predicted(advice.best, "raw_over_w1"), rel=1e-9)
    assert advice.raw_low == pytest.approx(0.5 * predicted(advice.best, "raw_over_w1"), rel=1e-9)
    assert advice.raw_high == pytest.approx(3.0 * predicted(advice.best, "raw_over_w1"), rel=1e-9)
    assert (advice.gradient_low, advice.gradient_high) == pytest.approx((0.5, 3.0), rel=3 * math.log(1e5) / 500)
    assert advice.paper_raw_high == pytest.approx(3.0 * advice.paper_raw_over_w1, rel=1e-9)
    assert advice.paper_raw_over_w1 == pytest.approx(predicted(0.01, "raw_over_w1"), rel=1e-9)
    step = (1e3 / 1e-2) ** (1 / 500)  # of the clip values that are looked at
    assert predicted(advice.best, "grad_norm_mean") == pytest.approx(1.0, rel=3 * (step - 1))
    ends = [(advice.low, advice.low / step), (advice.high, advice.high * step)]
    if unit == "absolute" and copied is None:
        # weights come no further than the rate takes them, so that no clip value is too large
        assert ends.pop()[0] == pytest.approx(1e3 * advice.c_star)
    for inside, outside in ends:
        assert 1 / 3 <= predicted(inside, "grad_norm_mean") <= 3
        assert not 1 / 3 <= predicted(outside, "grad_norm_mean") <= 3
    said = "\n".join(in_words(advice))
    assert f"raw/W1 = {advice.paper_raw_over_w1:.2g} at 0.01," in said
    assert f", {advice.raw_low:.2g} to {advice.raw_high:.2g} in nine of ten" in said
