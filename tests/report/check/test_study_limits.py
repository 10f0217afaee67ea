"""Every limit of a rule on published scores, GANs in training and times: inside passes, beyond is reported."""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from otbench.report.check.gan_rules import curve_certificates, curve_ladder, curve_ranges
from otbench.report.check.published_rules import near_published
from otbench.report.check.timing_rules import measurements
from otbench.report.check.violation import Violation

Row = dict[str, Any]


def names(found: Iterator[Violation]) -> set[str]:
    return {violation.rule for violation in found}


@pytest.mark.parametrize("sign", [1, -1])
def test_published_scores_are_near_within_their_limits(sign: int) -> None:
    pairs = pd.DataFrame({"dim": 2, "funnels": range(16), "method": "wgan", "published_cos": 0.3})
    pairs = pairs.assign(difference_over_range=0.0, true_ratio=1.0)
    for room, broken in ((0.0499, False), (0.0501, True)):
        far = pairs.assign(true_ratio=[1 + sign * room] + [1.0] * 15)
        assert (names(near_published(far)) == {"published true cost"}) == broken
    for ranges, broken in ((1.99, False), (2.01, True)):
        three = pairs.assign(difference_over_range=[ranges] * 3 + [0.0] * 13)  # two of sixteen may be: one in eight
        assert (names(near_published(three)) == {"published cosine"}) == broken
        assert not names(near_published(pairs.assign(difference_over_range=[ranges] * 2 + [0.0] * 14)))
        assert not names(near_published(three.assign(method="sn-gan"))), "the rule is of weight clipping"


#: A reading of a GAN that breaks no rule.
READING: Row = {
    "key": "r", "schema": 3, "status": "ok", "dataset": "ring", "lr": 1e-3, "n_critic": "5", "clip": 0.1, "seed": 0,
    "iteration": 50,
    "primal": 2.0, "primal_lower": 2.0, "primal_upper": 2.0, "longest_move": 3.0, "gap": 0.0, "violation": 0.0,
    "marginal_error": 0.0, "raw": 1.0, "raw_error": 1e-4, "slope_constant": 1.1, "scale": 0.9, "c_transform": 1.8,
    "nearest": 0.5, "slope": 0.9, "spectral": 0.7, "spectral_constant": 1.3, "clip_constant": 3.5, "raw_half": None,
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
     lambda t: {"spectral_constant": 3.5 * (1 + t * 1e-9)}),
    (curve_ladder, "slope <= c_transform", lambda t: {"slope": 1.8 + t * CURVE_ROUNDING}),
    (curve_ladder, "slope <= primal", lambda t: {"slope": 2 + t * CURVE_ROUNDING}),
    (curve_ladder, "c_transform <= primal", lambda t: {"c_transform": 2 + t * CURVE_ROUNDING}),
    (curve_ladder, "nearest <= c_transform", lambda t: {"nearest": 1.8 + t * CURVE_ROUNDING}),
    (curve_ladder, "raw <= S W1", lambda t: {"raw": 2.2 + t * (1e-4 + 2.2e-9)}),
    (curve_ladder, "raw <= S W1", lambda t: {"raw": 2.2 * (1 + t * 1e-9), "raw_error": 0.0}),
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
