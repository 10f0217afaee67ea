"""Every limit of a rule on rows: a hundredth of its room inside it passes, a hundredth beyond is reported by it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from otbench.report.check.proof_rules import PROOF, rounding
from otbench.report.check.rules import RULES, promises_kept
from otbench.report.check.violation import Violation
from otbench.results.folder import load

#: What is judged: a number, and how far beyond it one may go; inside is 0.99 of the way, beyond is 1.01.
Limit = tuple[float, float]

#: A case: the rule, its part, the column that is moved, its limit in the row, and what is set beforehand.
Case = tuple[str, str, str, Callable[[Any], Limit], dict[str, Any]]

#: W1 = 2 with the longest move 8, a spread of 1024, and a ladder that climbs with room between its rungs.
ROW: dict[str, Any] = {
    "status": "ok", "critic": "weight_clip", "sampling.mode": "independent", "method.name": "weight_clip",
    "primal": 2.0, "primal_lower": 2.0, "primal_upper": 2.0, "longest_move": 8.0, "gap": 0.0, "violation": 0.0,
    "marginal_error": 0.0, "spread": 1024.0, "raw": 1.0, "raw_error": 0.25, "clip_bound": 0.2, "spectral": 0.4,
    "slope": 0.6, "c_transform": 0.8, "nearest": 0.1, "scale": 1.0, "skill": 0.5, "clip_constant": 4.0,
    "spectral_constant": 3.0, "slope_constant": 2.0, "slope_half": 0.5, "saturation": 0.5, "saturation_start": 0.5,
    "cosine": 0.5, "coincident": 0.25, "population_overlap": 0.25, "grad_norm_min": 0.5, "grad_norm_mean": 1.0,
    "grad_norm_max": 2.0, "coupled_w1": 2.5, "coupled_stderr": 0.03, "population_stderr": 0.04,
    "population_w1": 2.5, "sampling_floor": 0.75, "population_js": 0.4, "population_kl": 2.0, "js": 0.3,
    "method.widths": "4x8", "method.depth": 2, "method.clip": 0.5, "method.clip_when": "after", "problem.dim": 9,
    "gradient_l2": np.nan, "gradient_l2_repaired": np.nan, "gradient_scale": np.nan, "ray_cosine": np.nan,
    "js_gradient": np.nan, "raw_gradient": np.nan, "shift": 0.0,
}  # fmt: skip

#: Exact values and their proofs where all samples are alike: W1 = 0, so that only absolute limits count.
ZERO = {"primal": 0.0, "primal_lower": 0.0, "primal_upper": 0.0}

COSINES = ("cosine", "plan_cosine", "fresh_cosine")

RUNGS = ["clip_bound", "spectral", "slope", "c_transform", "primal"]

#: The rounding of critics' values, in units of their size.
VALUES = 256 * 2.0**-52


def rungs() -> Iterator[Case]:
    """Every rung against every later one, where W1 is 2 and where it is 0."""
    for k, lower in enumerate(RUNGS):
        for upper in RUNGS[k + 1 :]:
            roof = "primal_upper" if upper == "primal" else upper
            yield "ladder", f"{lower} <= {upper}", lower, lambda r, roof=roof: (r[roof], 2e-9 + VALUES * 1024), {}
            none = ZERO | dict.fromkeys(RUNGS, 0.0)
            yield "ladder", f"{lower} <= {upper}", lower, lambda r: (0.0, VALUES * 1024), none


#: Standard errors of fifty degrees of freedom that are as rare as six of a known error.
FIFTY = float(stats.t.isf(stats.norm.sf(6), 50))

CASES: list[Case] = [
    ("certificates", "interval's width", "primal_upper", lambda r: (2.0, 2e-9), {}),
    ("certificates", "interval's width", "primal_lower", lambda r: (2.0, -2e-9), {}),
    ("certificates", "interval's width", "primal_upper", lambda r: (0.0, 16 * 2.0**-52 * 8), ZERO),
    ("certificates", "primal <= longest move", "longest_move", lambda r: (2.0, -2e-9), {}),
    ("certificates", "gap", "gap", lambda r: (0.0, 2e-9), {}),
    ("certificates", "gap", "gap", lambda r: (0.0, -2e-9), {}),
    ("certificates", "gap", "gap", lambda r: (0.0, 5e-9), {"violation": 3e-9}),
    ("certificates", "gap", "gap", lambda r: (0.0, 16 * 2.0**-52 * 8), ZERO),
    ("certificates", "marginal error", "marginal_error", lambda r: (0.0, 1e-9), {}),
    ("certificates", "primal", "primal", lambda r: (0.0, 0.0), ZERO),
    ("certificates", "lower <= primal", "primal_lower", lambda r: (2.0, 0.0), {}),
    ("certificates", "primal <= upper", "primal_upper", lambda r: (2.0, 0.0), {}),
    ("certificates", "lower >= 0", "primal_lower", lambda r: (0.0, 0.0), ZERO),
    ("certificates", "violation >= 0", "violation", lambda r: (0.0, 0.0), {}),
    ("certificates", "marginal error", "marginal_error", lambda r: (0.0, -1e-9), {}),
    *rungs(),
    *(("ladder", f"{name} >= 0", name, lambda r: (0.0, 0.0), {}) for name in RUNGS),
    ("ladder", "nearest <= c_transform", "nearest", lambda r: (0.8, 2e-9 + VALUES * 1024), {}),
    ("ladder", "raw <= S W1", "raw", lambda r: (4.0, 0.25 + 4e-9), {}),
    ("ladder", "raw <= S W1", "raw", lambda r: (4.0, 4e-9), {"raw_error": 0.0}),
    ("ladder", "spectral <= clip constant", "spectral_constant", lambda r: (4.0, 4e-9), {}),
    ("ranges", "skill <= 1", "skill", lambda r: (1.0, 1e-3), {}),
    ("ranges", "skill >= 0", "skill", lambda r: (0.0, -1e-3), {}),
    *(("ranges", f"{name} <= 1", name, lambda r: (1.0, 1e-9), {}) for name in
      (*COSINES, "coincident", "population_overlap", "saturation", "saturation_start")),
    *(("ranges", f"{name} >= 0", name, lambda r: (0.0, -1e-9), {}) for name in
      ("coincident", "population_overlap", "saturation", "saturation_start")),
    *(("ranges", f"{name} >= -1", name, lambda r: (-1.0, -1e-9), {}) for name in COSINES),
    ("ranges", "|grad| <= spectral", "grad_norm_max", lambda r: (3.0, 3e-9), {}),
    ("ranges", "mean |grad| <= max", "grad_norm_mean", lambda r: (2.0, 2e-9), {}),
    ("ranges", "min |grad| <= mean", "grad_norm_min", lambda r: (1.0, 1e-9), {}),
    ("ranges", "|grad| >= 0", "grad_norm_min", lambda r: (0.0, 0.0), {}),
    ("ranges", "slope at half budget <= primal", "slope_half", lambda r: (2.0, 2e-9 + VALUES * 1024), {}),
    ("closed forms", "|primal - coupled W1| <= sampling floor", "primal", lambda r: (3.25, 4e-9 + VALUES * 1024), {}),
    ("closed forms", "|primal - coupled W1| <= sampling floor", "primal", lambda r: (1.75, -2.5e-9 - VALUES * 1024),
     {}),
    ("closed forms", "|coupled W1 - population W1| <= 6 standard errors", "population_w1", lambda r: (2.5, 0.3), {}),
    ("closed forms", "|coupled W1 - population W1| <= 6 standard errors", "population_w1", lambda r: (2.5, -0.3), {}),
    ("closed forms", "|coupled W1 - population W1| <= 6 standard errors", "population_w1", lambda r: (2.5, 0.18),
     {"population_stderr": np.nan}),
    ("closed forms", "|coupled W1 - population W1| <= 6 standard errors", "population_w1",
     lambda r: (2.5, 2e-9 + VALUES * 1024), {"population_stderr": 0.0, "coupled_stderr": 0.0}),
    ("closed forms", "standard error >= 0", "coupled_stderr", lambda r: (0.0, 0.0), {}),
    ("divergences", "JS of the laws <= TV log 2", "population_js", lambda r: (0.75 * np.log(2), 1e-9), {}),
    ("divergences", "TV^2 / 2 <= JS of the laws", "population_js", lambda r: (0.75**2 / 2, -1e-9), {}),
    ("divergences", "2 TV^2 <= KL of the laws", "population_kl", lambda r: (2 * 0.75**2, -1e-9), {}),
    ("divergences", "JS estimate <= TV log 2", "js", lambda r: (0.75 * np.log(2), 1e-9), {}),
    ("clip constants", "K(c) = c^L sqrt(d) prod h", "clip_constant", lambda r: (12.0, 12 * 3e-7), {}),
    ("clip constants", "K(c) = c^L sqrt(d) prod h", "clip_constant", lambda r: (12.0, -12 * 3e-7), {}),
    ("clip constants", "K(c) = c^L sqrt(d) prod h", "clip_constant", lambda r: (1.5, 1.5 * 1e-7),
     {"method.widths": "none", "method.depth": 0}),
    ("rays", "rays lie along the moves", "ray_cosine", lambda r: (1.0, -0.01), {}),
    ("rays", "cosine of rays and moves <= 1", "ray_cosine", lambda r: (1.0, 1e-9), {}),
    *(("rays", "cosine of an affine critic where all mass moves one way", which, lambda r, c=c, s=s: (c, s * 1e-6),
       {"critic": name, "sampling.mode": mode, "shift": 2.0, "cosine": c})
      for name, c in (("linear", 1.0), ("zero", 0.0)) for s in (1, -1) for mode in ("coupled", "population")
      for which in ("cosine", "plan_cosine")),
    ("population", "held out <= population W1", "held_out", lambda r: (2.5 + 6 * 0.04 + FIFTY * 0.06 / 3, 1024e-9),
     {"fresh_stderr": 0.06, "fresh_dof": 50.0}),
    ("population", "held out <= population W1", "held_out", lambda r: (2.5 + 6 * 0.04 + FIFTY * 0.06 / 0.2, 1024e-9),
     {"fresh_stderr": 0.06, "fresh_dof": 50.0, "clip_constant": 0.2}),  # K(c) is the smaller constant
    ("population", "degrees of freedom >= 1", "fresh_dof", lambda r: (1.0, -1e-9), {}),
    ("population", "standard error >= 0", "fresh_stderr", lambda r: (0.0, 0.0), {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def row(small_results: Path) -> pd.DataFrame:
    """One row of a weight-clipped critic with the numbers of ROW, whose cosine is that of a known potential alone, and
    which no points were held out for."""
    frame = load(small_results)
    held_out = [name for name in frame if str(name).startswith(("fresh_", "held_out", "sampling.fresh"))]
    blank = dict.fromkeys(held_out, np.nan)
    return frame[frame["critic"] == "weight_clip"].head(1).assign(**ROW, **blank, plan_cosine=np.nan)


def told(rule: str, part: str, row: pd.DataFrame, **columns: Any) -> int:
    """How often a part of a rule is reported of the row with columns set."""
    return sum(violation.rule == part for violation in RULES[rule](row.assign(**columns)))


def test_the_row_breaks_no_rule(row: pd.DataFrame) -> None:
    ready = row.assign(clip_constant=12.0)
    assert [str(violation) for rule in RULES.values() for violation in rule(ready)] == []


def named(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("rule", "part", "column", "limit", "before"), CASES, ids=named)
def test_what_is_inside_a_limit_passes_and_what_is_beyond_it_is_reported(
    rule: str, part: str, column: str, limit: Callable[[Any], Limit], before: dict[str, Any], row: pd.DataFrame
) -> None:
    row = row.assign(**before)
    start, room = limit(row.iloc[0])
    inside, beyond = start + 0.99 * room, start + 1.01 * room
    if room == 0:
        inside, beyond = start, np.nextafter(start, np.inf if part.startswith("lower <=") else -np.inf)
    assert told(rule, part, row, **{column: inside}) == 0
    assert told(rule, part, row, **{column: beyond}) == 1
    assert told(rule, part, row, **{column: np.nan}) == 0
    if rule != "divergences":
        many = pd.concat([row.assign(**{column: inside}), row.assign(**{column: beyond})], ignore_index=True)
        assert told(rule, part, many) == 1


#: What makes a column part of no comparison at all: another status, mode, method or critic.
EXEMPT: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("ladder", "ladder", {"raw": np.nan}, {"status": "diverged"}),
    ("ladder", "ladder", {"grad_norm_max": np.nan}, {"status": "diverged"}),
    ("ladder", "cosine where mass moves", {"cosine": np.nan}, {"primal": 0.0}),
    ("ladder", "slope at half budget", {"slope_half": np.nan}, {"critic": "untrained"}),
    ("closed forms", "floor is 0 when coupled", {"sampling_floor": 1e-300, "sampling.mode": "coupled"},
     {"sampling.mode": "independent"}),
    ("closed forms", "floor is 0 when coupled", {"sampling_floor": -1e-300, "sampling.mode": "population"},
     {"sampling.mode": "independent"}),
    ("closed forms", "closed form", {"coupled_w1": np.nan, "sampling.mode": "coupled"},
     {"sampling.mode": "independent"}),
    ("closed forms", "closed form", {"coupled_stderr": np.nan}, {"coupled_w1": np.nan}),
    ("closed forms", "closed form", {"population_w1": np.nan}, {"population_w1": 2.5}),
    ("closed forms", "closed form", {"sampling_floor": np.nan}, {"status": "refused"}),
    ("closed forms", "closed form",
     {"coupled_w1": np.nan, "coupled_stderr": np.nan, "population_w1": np.nan, "sampling.mode": "coupled"},
     {"sampling.mode": "independent"}),
    ("closed forms", "closed form",
     {"coupled_w1": np.nan, "coupled_stderr": np.nan, "population_w1": np.nan, "sampling.mode": "coupled"},
     {"sampling.mode": "population"}),
    ("closed forms", "closed form",
     {"coupled_w1": np.nan, "coupled_stderr": np.nan, "sampling.mode": "population"}, {"population_w1": np.nan}),
    ("closed forms", "|coupled W1 - population W1| <= 6 standard errors", {"population_w1": 9.0},
     {"coupled_w1": 0.0, "population_overlap": 0.25}),
    ("divergences", "JS estimate", {"method.name": "discriminator", "js": np.nan}, {"status": "diverged"}),
    ("divergences", "JS estimate", {"method.name": "discriminator", "js": np.nan}, {"method.name": "weight_clip"}),
    ("divergences", "its gradient", {"method.name": "discriminator", "js_gradient": 1.0}, {"raw_gradient": 1.0}),
    ("divergences", "its gradient", {"method.name": "discriminator", "raw_gradient": 1.0}, {"status": "diverged"}),
    ("clip constants", "spectral constant", {"spectral_constant": np.nan}, {"status": "diverged"}),
    ("clip constants", "spectral constant", {"spectral_constant": np.nan}, {"method.name": "linear"}),
    ("clip constants", "clip constant", {"clip_constant": np.nan}, {"method.clip_when": "before"}),
    ("rays", "rays", {"gradient_l2": 0.5}, {"ray_cosine": 1.0}),
    ("rays", "rays", {"gradient_l2": 0.5}, {"coupled_w1": 0.0}),
    ("rays", "rays", {"gradient_l2": 0.5}, {"gradient_l2": np.nan}),
    *(("rays", "cosine of an affine critic where all mass moves one way",
       {"critic": "linear", "sampling.mode": "coupled", "shift": 2.0, "cosine": 0.5}, other)
      for other in ({"sampling.mode": "independent"}, {"status": "diverged"}, {"critic": "potential"},
                    {"primal": 0.0}, {"shift": 2.0 * (1 - 1e-11)})),
    ("rays", "cosine of an affine critic where all mass moves one way",
     {"critic": "linear", "sampling.mode": "coupled", "shift": 2.0, "cosine": 1.0, "plan_cosine": 0.5},
     {"plan_cosine": 1.0}),
    ("certificates", "certificate", {"primal_lower": np.nan}, {"primal_lower": 1.0}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "part", "fault", "excuse"), EXEMPT, ids=named)
def test_a_fault_is_reported_where_the_rule_speaks_and_not_where_it_is_silent(
    rule: str, part: str, fault: dict[str, Any], excuse: dict[str, Any], row: pd.DataFrame
) -> None:
    assert told(rule, part, row, **fault) == 1
    assert told(rule, part, row, **(fault | excuse)) == 0


def test_all_mass_moves_one_way_where_the_means_are_w1_apart_up_to_rounding(row: pd.DataFrame) -> None:
    part = "cosine of an affine critic where all mass moves one way"
    fault = {"critic": "linear", "sampling.mode": "coupled", "cosine": 0.5}
    assert told("rays", part, row, **fault, shift=2.0 * (1 - 0.99e-12)) == 1
    assert told("rays", part, row, **fault, shift=2.0 * (1 - 1.01e-12)) == 0
    assert told("rays", part, row, **fault, shift=2.1) == 1


def test_what_moves_a_thousandth_is_judged_as_what_moves_two(row: pd.DataFrame) -> None:
    small = row.assign(**{name: row[name] / 2**11 for name in ("primal", "primal_lower", "primal_upper", "coupled_w1")})
    affine = {"critic": "linear", "sampling.mode": "coupled", "cosine": 0.5, "shift": 2.0**-10}
    assert told("rays", "cosine of an affine critic where all mass moves one way", small, **affine) == 1
    assert told("rays", "rays", small, gradient_l2=0.5) == 1
    assert told("ladder", "cosine where mass moves", small, cosine=np.nan) == 1
    part = "|coupled W1 - population W1| <= 6 standard errors"
    assert told("closed forms", part, small, population_w1=9.0) == 1


@pytest.mark.parametrize("s", [0.125, 1.0, 3.0])
@pytest.mark.parametrize("least", [0.25, 0.75])
def test_the_loss_of_gradients_follows_from_its_scale_and_the_loss_that_is_left(
    s: float, least: float, row: pd.DataFrame
) -> None:
    """With p = (1 - R)/s and q = p/s the loss is q - 2p + 1; a millionth of 1 + q is rounding."""
    p = (1 - least) / s
    q, part = p / s, "gradient loss and its scale agree"
    right = {"gradient_scale": s, "gradient_l2_repaired": least, "ray_cosine": 1.0}
    for sign in (1, -1):
        for share, count in ((0.99, 0), (1.01, 1)):
            loss = q - 2 * p + 1 + sign * share * 1e-6 * (1 + q)
            assert told("rays", part, row, **right, gradient_l2=loss) == count
    assert told("rays", part, row, **(right | {"gradient_scale": 0.0}), gradient_l2=9.0) == 0


def test_a_scale_of_a_millionth_leaves_of_the_loss_what_its_digits_leave(row: pd.DataFrame) -> None:
    """s = 2^-20 and 1 - R = 2^-40 give p = 2^-20 and q = 1; a unit in the last place of R is then 2^-12 of q."""
    part, due = "gradient loss and its scale agree", 2 - 2.0**-19
    room = 2.0**-46 * 2**20 * (1 + 2**20) + 2e-6
    right = {"gradient_scale": 2.0**-20, "gradient_l2_repaired": 1 - 2.0**-40, "ray_cosine": 1.0}
    assert told("rays", part, row, **right, gradient_l2=due + 0.99 * room) == 0
    assert told("rays", part, row, **right, gradient_l2=due + 1.01 * room) == 1


def test_critics_values_are_as_large_as_the_spread_or_where_it_is_not_told_as_the_longest_move(
    row: pd.DataFrame
) -> None:
    assert rounding(row).tolist() == [2e-9 + VALUES * 1024]
    assert rounding(row.drop(columns="spread")).tolist() == [2e-9 + VALUES * 8]
    assert rounding(row.assign(spread=np.nan)).tolist() == [2e-9]


def test_the_gradient_loss_that_is_left_is_at_most_one_and_at_most_the_loss(row: pd.DataFrame) -> None:
    for part, loss, start, room in (("repaired gradient loss <= 1", 4.0, 1.0, 1e-9),
                                    ("repaired gradient loss <= loss", 0.5, 0.5, 1.5e-9)):  # fmt: skip
        fields = {"gradient_l2": loss, "gradient_scale": 0.0, "ray_cosine": 1.0}
        assert told("rays", part, row, **fields, gradient_l2_repaired=start + 0.99 * room) == 0
        assert told("rays", part, row, **fields, gradient_l2_repaired=start + 1.01 * room) == 1


SHARED = [
    "n", "m", "primal", "primal_lower", "primal_upper", "coincident", "coupled_w1", "coupled_stderr", "ray_cosine",
    "sampling_floor", "nearest", "population_w1", "population_overlap", "population_js", "population_kl",
]  # fmt: skip


def test_what_is_known_of_a_samples_points_is_one_value_up_to_the_rounding_of_machines(row: pd.DataFrame) -> None:
    """A millionth of the value, or 1e-12 of the spread where the value is small, or missing in all of them."""

    def reported(*values: float, **columns: Any) -> list[Violation]:
        rows = [row.assign(**dict.fromkeys(SHARED, value), **columns) for value in values]
        return list(RULES["same points"](pd.concat(rows, ignore_index=True)))

    assert reported(4.0, 4.0 * (1 - 0.99e-6), 4.0) == []
    assert [violation.column for violation in reported(4.0, 4.0, 4.0 * (1 - 1.01e-6))] == SHARED
    assert reported(-4.0, -4.0 * (1 - 0.99e-6)) == []
    assert reported(0.0, 0.99e-12 * 1024) == []
    assert {(v.observed, v.bound) for v in reported(0.0, 1.5)} == {("0.0 to 1.5", "one value")}
    assert [v.rule for v in reported(0.0, 1.01e-12 * 1024)] == [f"one {name} per sample" for name in SHARED]
    assert reported(np.nan, np.nan) == []
    assert len(reported(4.0, np.nan)) == len(SHARED)
    for name in ("seed", "sampling.n", "problem.dim"):  # of another sample
        others = [row.assign(**dict.fromkeys(SHARED, 4.0 + k), **{name: k}) for k in (1, 2)]
        assert list(RULES["same points"](pd.concat(others, ignore_index=True))) == []


def test_a_sample_has_one_longest_move_a_solution_for_it_may_have_several_optimal_plans(row: pd.DataFrame) -> None:
    """Where mass moves along common rays W1 does not tell who moves where, and machines choose by their rounding."""

    def reported(moves: tuple[float, float], uppers: tuple[float, float]) -> list[str]:
        rows = [row.assign(longest_move=move, primal_upper=upper) for move, upper in zip(moves, uppers, strict=True)]
        return [violation.rule for violation in RULES["same points"](pd.concat(rows, ignore_index=True))]

    same, other = (2.0, 2.0), (2.0, 2.0 + 2**-50)
    assert reported((8.0, 8.0), same) == reported((8.0, 8.0 * (1 - 0.99e-6)), same) == reported((8.0, 6.0), other) == []
    assert reported((8.0, 6.0), same) == reported((8.0, np.nan), same) == ["one longest_move per sample"]


def test_what_is_itself_rounding_may_differ_between_the_rows_of_a_sample(row: pd.DataFrame) -> None:
    noise = [name for name in PROOF if name not in {*SHARED, "longest_move"}]
    assert noise
    rows = pd.concat([row, row.assign(**dict.fromkeys(noise, 1e-10))], ignore_index=True)
    assert list(RULES["same points"](rows)) == []


def test_a_promise_is_kept_in_the_median_and_not_a_bit_below(row: pd.DataFrame) -> None:
    rows = pd.concat([row.assign(slope_over_w1=value) for value in (0.1, 0.5, 0.9)], ignore_index=True)
    for least, broken in ((0.5, False), (0.5 + 1e-12, True)):
        promise = {"ratio": "slope_over_w1", "at_least": least, "where": {"problem.name": "shared_mass"}}
        assert bool(list(promises_kept(rows, [promise]))) == broken
    worse = rows.assign(status=["ok", "diverged", "ok"])  # one without a number counts 0
    assert list(promises_kept(worse, [{"ratio": "slope_over_w1", "at_least": 0.11, "where": {}}]))
    assert not list(promises_kept(worse, [{"ratio": "slope_over_w1", "at_least": 0.1, "where": {}}]))
