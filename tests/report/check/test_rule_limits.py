"""Every limit of a rule: what is a hundredth of its room inside passes, what is a hundredth beyond is reported."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from otbench.report.check.gan_rules import curve_certificates, curve_ladder, curve_ranges
from otbench.report.check.published_rules import near_published
from otbench.report.check.rules import RULES, promises_kept
from otbench.report.check.timing_rules import measurements
from otbench.report.check.violation import Violation

Row = dict[str, Any]

#: A row that breaks no rule, with room on all sides, in which no two numbers are alike.
BASE: Row = {
    "key": "k" * 64, "status": "ok", "critic": "weight_clip", "method.name": "weight_clip", "seed": 0,
    "problem.name": "p", "problem.dim": 5, "sampling.mode": "independent", "method.widths": "3x4", "method.depth": 2,
    "method.clip": 0.5, "method.clip_when": "after",
    "primal": 2.0, "primal_lower": 2.0, "primal_upper": 2.0, "longest_move": 3.0, "gap": 0.0, "violation": 0.0,
    "marginal_error": 0.0, "n": 40, "m": 30, "coincident": 0.25, "spread": 7.0, "shift": 0.5, "shift_l1": 0.6,
    "coupled_w1": 2.1, "coupled_stderr": 0.04, "population_stderr": 0.03, "population_w1": 2.15,
    "sampling_floor": 0.9, "population_overlap": 0.4, "population_js": 0.3, "population_kl": 1.5, "ray_cosine": 0.999,
    "raw": 1.0, "raw_error": 1e-4, "slope_constant": 1.1, "spectral_constant": 1.3, "scale": 0.9, "c_transform": 1.8,
    "nearest": 0.5, "clip_bound": 0.01, "spectral": 0.7, "slope": 0.9, "skill": 0.86, "cosine": 0.8,
    "plan_cosine": 0.75, "fresh_cosine": 0.7, "training_seed": 0, "sampling.fresh": 60, "fresh_raw": 0.95,
    "fresh_raw_error": 2e-4, "fresh_stderr": 0.05, "fresh_dof": 50.0, "held_out": 0.73, "held_out_lower": 0.66,
    "saturation": 0.6, "saturation_start": 0.2, "grad_norm_mean": 0.9, "grad_norm_min": 0.3, "grad_norm_max": 1.2,
    "slope_half": 0.85, "js": None, "js_gradient": None, "raw_gradient": 0.35,
    "gradient_l2": None, "gradient_l2_repaired": None, "gradient_scale": None,
    "clip_constant": 0.5**3 * math.sqrt(5) * 12, "slope_over_w1": 0.45,
}  # fmt: skip
NUMBERS = [name for name, value in BASE.items() if value is None or isinstance(value, float)]

#: 256 units in the last place of data of this spread, and 1e-9 of this W1.
ROUNDING = 1e-9 * 2.0 + 256 * 2.0**-52 * 7.0
ULP = 2.0**-52

#: Standard errors that are as rare of fifty degrees of freedom as six of a known error are.
FIFTY = stats.t.isf(stats.norm.sf(6), 50)

SIX, K_OF_C = "|coupled W1 - population W1| <= 6 standard errors", "K(c) = c^L sqrt(d) prod h"

#: A critic with known rays whose products of gradients and rays are <g, r> = 0.6 and |g|^2 = 0.5 in the mean.
LOSSES = {"gradient_l2": 0.5 - 1.2 + 1, "gradient_l2_repaired": 1 - 0.36 / 0.5, "gradient_scale": 0.6 / 0.5}

#: Rule and part, and what is changed where the share t of the room is used up.
CASES: list[tuple[str, str, Callable[[float], Row]]] = [
    ("certificates", "interval's width", lambda t: {"primal_lower": 2 - t * 2e-9}),
    ("certificates", "interval's width", lambda t: {"primal": 1e-9, "primal_lower": 1e-9, "longest_move": 1.0,
                                                    "primal_upper": 1e-9 + t * 16 * ULP}),
    ("certificates", "gap", lambda t: {"gap": t * 2e-9}),
    ("certificates", "gap", lambda t: {"gap": t * 7e-9, "violation": 5e-9}),
    ("certificates", "primal <= longest move", lambda t: {"longest_move": 2 / (1 + t * 1e-9)}),
    ("certificates", "marginal error", lambda t: {"marginal_error": t * 1e-9}),
    ("ladder", "clip_bound <= spectral", lambda t: {"clip_bound": 0.7 + t * ROUNDING}),
    ("ladder", "spectral <= slope", lambda t: {"spectral": 0.9 + t * ROUNDING}),
    ("ladder", "slope <= c_transform", lambda t: {"slope": 1.8 + t * ROUNDING}),
    ("ladder", "c_transform <= primal", lambda t: {"c_transform": 2 + t * ROUNDING}),
    ("ladder", "nearest <= c_transform", lambda t: {"nearest": 1.8 + t * ROUNDING}),
    ("ladder", "raw <= S W1", lambda t: {"raw": 2.2 * (1 + t * 1e-9), "raw_error": 0.0}),
    ("ladder", "raw <= S W1", lambda t: {"raw": 2.2 + t * 1e-4}),
    ("ladder", "spectral <= clip constant", lambda t: {"spectral_constant": BASE["clip_constant"] * (1 + t * 1e-9)}),
    ("ranges", "skill <= 1", lambda t: {"skill": 1 + t * 1e-3}),
    ("ranges", "skill >= 0", lambda t: {"skill": -t * 1e-3}),
    *((("ranges", f"{name} >= -1", lambda t, name=name: {name: -1 - t * 1e-9}))
      for name in ("cosine", "plan_cosine", "fresh_cosine")),
    *((("ranges", f"{name} <= 1", lambda t, name=name: {name: 1 + t * 1e-9}))
      for name in ("cosine", "plan_cosine", "fresh_cosine", "coincident", "population_overlap", "saturation",
                   "saturation_start")),
    *((("ranges", f"{name} >= 0", lambda t, name=name: {name: -t * 1e-9}))
      for name in ("coincident", "population_overlap", "saturation", "saturation_start")),
    ("ranges", "|grad| <= spectral", lambda t: {"grad_norm_max": 1.3 * (1 + t * 1e-9)}),
    ("ranges", "mean |grad| <= max", lambda t: {"grad_norm_mean": 1.2 * (1 + t * 1e-9)}),
    ("ranges", "min |grad| <= mean", lambda t: {"grad_norm_min": 0.9 * (1 + t * 1e-9)}),
    ("ranges", "slope at half budget <= primal", lambda t: {"slope_half": 2 + t * ROUNDING}),
    ("closed forms", "|primal - coupled W1| <= sampling floor",
     lambda t: {"sampling_floor": 0.1 / (1 + t * 1e-9) - t * ROUNDING}),
    ("closed forms", SIX, lambda t: {"population_w1": 2.1 + t * 6 * 0.05}),
    ("closed forms", SIX, lambda t: {"population_w1": 2.1 - t * 6 * 0.05}),
    ("closed forms", SIX,
     lambda t: {"population_w1": 2.1 + t * ROUNDING, "coupled_stderr": 0.0, "population_stderr": None}),
    ("divergences", "JS of the laws <= TV log 2", lambda t: {"population_js": 0.6 * math.log(2) + t * 1e-9}),
    ("divergences", "TV^2 / 2 <= JS of the laws", lambda t: {"population_js": 0.18 - t * 1e-9}),
    ("divergences", "2 TV^2 <= KL of the laws", lambda t: {"population_kl": 0.72 - t * 1e-9}),
    ("divergences", "JS estimate <= TV log 2", lambda t: {"js": 0.75 * math.log(2) + t * 1e-9, "js_gradient": 0.1}),
    ("clip constants", K_OF_C, lambda t: {"clip_constant": BASE["clip_constant"] * (1 + t * 3e-7)}),
    ("clip constants", K_OF_C, lambda t: {"clip_constant": BASE["clip_constant"] * (1 - t * 3e-7)}),
    ("rays", "rays lie along the moves", lambda t: {"ray_cosine": 1 - t * 0.01}),
    ("rays", "cosine of rays and moves <= 1", lambda t: {"ray_cosine": 1 + t * 1e-9}),
    *((("rays", "cosine of an affine critic where all mass moves one way",
        lambda t, name=name, due=due, which=which: {
            "critic": name, "cosine": due, "plan_cosine": due, which: due - t * 1e-6, "sampling.mode": "coupled",
            "shift": 2.0 * (1 - 5e-13)}))
      for name, due in (("linear", 1.0), ("zero", 0.0)) for which in ("cosine", "plan_cosine")),
    ("rays", "repaired gradient loss <= 1", lambda t: LOSSES | {"gradient_l2_repaired": 1 + t * 1e-9}),
    ("rays", "repaired gradient loss <= loss",
     lambda t: LOSSES | {"gradient_l2": 0.25, "gradient_l2_repaired": 0.25 + t * 1.25e-9}),
    ("rays", "gradient loss and its scale agree", lambda t: LOSSES | {"gradient_l2": 0.3 + t * 1.5e-6}),
    ("rays", "gradient loss and its scale agree", lambda t: LOSSES | {"gradient_l2": 0.3 - t * 1.5e-6}),
    ("population", "held out <= population W1",
     lambda t: {"held_out": 2.15 + 6 * 0.03 + FIFTY * 0.05 / 1.3 + t * 7e-9}),
    ("population", "held out <= population W1",  # K(c) is the smaller constant
     lambda t: {"held_out": 2.15 + 6 * 0.03 + FIFTY * 0.05 / 0.2 + t * 7e-9, "clip_constant": 0.2}),
    ("population", "degrees of freedom >= 1", lambda t: {"fresh_dof": 1 - t * 1e-9}),
    ("population", "standard error >= 0", lambda t: {"fresh_stderr": -1e-300 * (t > 1)}),
]  # fmt: skip


def framed(*rows: Row) -> pd.DataFrame:
    return pd.DataFrame(rows).astype(dict.fromkeys(NUMBERS, "float64"))


def names(found: Iterator[Violation]) -> set[str]:
    return {violation.rule for violation in found}


def test_the_base_breaks_no_rule() -> None:
    assert {rule: names(check(framed(BASE))) for rule, check in RULES.items()} == {rule: set() for rule in RULES}


@pytest.mark.parametrize(("rule", "part", "change"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_rule_s_limit_is_where_it_is_said_to_be(rule: str, part: str, change: Callable[[float], Row]) -> None:
    for share, reported in ((0.99, False), (1.01, True)):
        assert (part in names(RULES[rule](framed(BASE | change(share))))) == reported, share


def test_where_not_all_mass_moves_one_way_an_affine_critic_may_have_any_cosine() -> None:
    row = BASE | {"critic": "linear", "cosine": 0.5, "sampling.mode": "coupled"}
    for shift, reported in ((2.0 * (1 - 1.01e-12), False), (2.0 * (1 - 0.99e-12), True), (2.1, True)):
        assert bool(names(RULES["rays"](framed(row | {"shift": shift})))) == reported
    assert not names(RULES["rays"](framed(row | {"shift": 2.0, "sampling.mode": "independent"})))


@pytest.mark.parametrize(("name", "room"), [("primal", 2e-6), ("coupled_w1", 2.1e-6), ("sampling_floor", 0.9e-6)])
def test_two_cells_of_a_sample_may_differ_by_rounding(name: str, room: float) -> None:
    other = BASE | {"method.clip": 0.6, "key": "l" * 64}
    for share, reported in ((0.99, False), (1.01, True)):
        frame = framed(BASE, other | {name: BASE[name] + share * room})
        assert (f"one {name} per sample" in names(RULES["same points"](frame))) == reported
    small = 7.0 * 1e-12  # cancellation: 1e-12 of the spread is allowed in a number however small
    for share, reported in ((0.99, False), (1.01, True)):
        frame = framed(BASE | {name: 0.0}, other | {name: share * small})
        assert (f"one {name} per sample" in names(RULES["same points"](frame))) == reported


def test_a_promise_is_kept_in_the_median_and_not_a_bit_below() -> None:
    rows = framed(*(BASE | {"slope_over_w1": value} for value in (0.1, 0.5, 0.9)))
    for least, broken in ((0.5, False), (0.5 + 1e-12, True)):
        promise = {"ratio": "slope_over_w1", "at_least": least, "where": {"problem.name": "p"}}
        assert bool(list(promises_kept(rows, [promise]))) == broken
    worse = rows.assign(status=["ok", "diverged", "ok"])  # one without a number counts 0
    assert list(promises_kept(worse, [{"ratio": "slope_over_w1", "at_least": 0.11, "where": {}}]))
    assert not list(promises_kept(worse, [{"ratio": "slope_over_w1", "at_least": 0.1, "where": {}}]))


@pytest.mark.parametrize("sign", [1, -1])
def test_published_scores_are_near_within_their_limits(sign: int) -> None:
    pairs = pd.DataFrame({"dim": 2, "funnels": range(16), "published_cos": 0.3})
    pairs = pairs.assign(difference_over_range=0.0, true_ratio=1.0)
    for room, broken in ((0.0499, False), (0.0501, True)):
        far = pairs.assign(true_ratio=[1 + sign * room] + [1.0] * 15)
        assert (names(near_published(far)) == {"published true cost"}) == broken
    for ranges, broken in ((1.99, False), (2.01, True)):
        three = pairs.assign(difference_over_range=[ranges] * 3 + [0.0] * 13)  # two of sixteen may be: one in eight
        assert (names(near_published(three)) == {"published cosine"}) == broken
        assert not names(near_published(pairs.assign(difference_over_range=[ranges] * 2 + [0.0] * 14)))


#: A reading of a GAN that breaks no rule.
READING: Row = {
    "key": "r", "schema": 3, "status": "ok", "dataset": "ring", "lr": 1e-3, "n_critic": "5", "clip": 0.1, "seed": 0,
    "iteration": 50,
    **{name: BASE[name] for name in ("primal", "primal_lower", "primal_upper", "longest_move", "gap", "violation",
                                     "marginal_error", "raw", "raw_error", "slope_constant", "scale", "c_transform",
                                     "nearest", "slope", "spectral", "spectral_constant", "clip_constant")},
    "raw_half": None,
    "floor": 0.3, "modes": 8.0, "printed": -0.7, "seconds_critic": 1.0, "seconds_generator": 0.0, "seconds_exact": 0.5,
}  # fmt: skip

#: As a record of a GAN tells no spread, rounding is that of the longest move.
CURVE_ROUNDING = 1e-9 * 2.0 + 256 * 2.0**-52 * 3.0

CURVES: list[tuple[Any, str, Callable[[float], Row]]] = [
    (curve_certificates, "interval's width", lambda t: {"primal_upper": 2 + t * 2e-9}),
    (curve_certificates, "gap", lambda t: {"gap": t * 2e-9}),
    (curve_certificates, "marginal error", lambda t: {"marginal_error": -t * 1e-9}),
    (curve_ladder, "spectral <= slope", lambda t: {"spectral": 0.9 + t * CURVE_ROUNDING}),
    (curve_ladder, "spectral <= clip constant",
     lambda t: {"spectral_constant": BASE["clip_constant"] * (1 + t * 1e-9)}),
    (curve_ladder, "slope <= c_transform", lambda t: {"slope": 1.8 + t * CURVE_ROUNDING}),
    (curve_ladder, "slope <= primal", lambda t: {"slope": 2 + t * CURVE_ROUNDING}),
    (curve_ladder, "c_transform <= primal", lambda t: {"c_transform": 2 + t * CURVE_ROUNDING}),
    (curve_ladder, "nearest <= c_transform", lambda t: {"nearest": 1.8 + t * CURVE_ROUNDING}),
    (curve_ladder, "raw <= S W1", lambda t: {"raw": 2.2 + t * 1e-4}),
    (curve_ladder, "nearest >= 0", lambda t: {"nearest": -1e-300 * (t > 1)}),
    (curve_ranges, "modes found", lambda t: {"modes": 8.0 + (t > 1)}),
    (curve_ranges, "modes found", lambda t: {"dataset": "digits", "modes": 10.0 + (t > 1)}),
    *((curve_ranges, f"{name} >= 0", lambda t, name=name: {name: -1e-300 * (t > 1)})
      for name in ("seconds_critic", "seconds_generator", "seconds_exact")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "part", "change"), CURVES, ids=lambda value: value if isinstance(value, str) else "")
def test_the_limits_of_readings_are_where_they_are_said_to_be(
    rule: Any, part: str, change: Callable[[float], Row]
) -> None:
    assert not names(rule(pd.DataFrame([READING])))
    for share, reported in ((0.99, False), (1.01, True)):
        assert (part in names(rule(pd.DataFrame([READING | change(share)])))) == reported, share


def test_an_engine_may_be_half_as_fast_again_as_the_product_of_matrices() -> None:
    row = {"kind": "training", "key": "k", "schema": 3, "batch": 8, "device": "cpu", "machine": "m", "dim": 3,
           "width": 4, "engine": "batched", "critics": 1, "timing_valid": True, "peak_memory_bytes": 10**9,
           "product_flop": 100.0, "flop_per_step": 96.0}  # fmt: skip
    for name, seconds in (("seconds_per_step", 1.0), ("plain_seconds_per_step", 1.0), ("product_seconds", 1.0)):
        row |= {f"{name}_{part}": seconds for part in ("q1", "median", "q3")}
    for share, reported in ((1.499, False), (1.501, True)):
        found = names(measurements(pd.DataFrame([row | {"flop_per_step": 100 * share}])))
        assert found == ({"share of the product rate"} if reported else set())
