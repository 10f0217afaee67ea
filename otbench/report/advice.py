"""Advice on the clip value: what the rule predicts of a critic before it is trained, with its reasons and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.inputs import as_whole
from otbench.methods import WeightClip
from otbench.report.not_fitted import not_fitted, recipe
from otbench.results.tables.scale_rule import Floats, ScaleRule, Setting, read_rule
from otbench.results.tables.transfer import fitted_rule
from otbench.transport.exact import solve_exact
from otbench.types import Array, SamplePair, moments

#: A generator can use a gradient whose length is within this factor of 1.
FACTOR = 3.0

#: The clip values that are looked at, in units of c*.
GRID = np.geomspace(1e-2, 1e3, 501)

#: Mean |e|_1 / (sqrt d |e|_2) of a random direction e, which is assumed of samples that are not there.
RANDOM_DIRECTION = float(np.sqrt(2 / np.pi))

#: What the accuracy of the advice depends on, by what was given.
KNOWN = {
    "critic": "Nothing is known of the data, which widens the intervals: two samples, as --data, narrow them.",
    "data": "The means, the spread and W1 of the data were taken into account.",
}

#: What to print instead of the raw loss.
CODE = """\
import otbench
print(otbench.monitor(critic(x), critic(y), x, y))  # never above W1 of the two batches, whatever the clip value"""


@dataclass(frozen=True)
class Advice:
    """What the rule predicts for one kind of critic.

    ``given`` tells which rule speaks: "critic" where nothing is known of the data, else "data". The mean gradient norm
    is predicted to be within a factor 3 of 1 for clip values from ``low`` to ``high``, and to be 1 at ``best``, where
    ``gradient_low`` to ``gradient_high`` is the interval of it; all are None where there is no such value.
    ``raw_over_w1`` is the prediction of raw/W1 at ``best``, ``raw_low`` to ``raw_high`` the interval around it, and
    ``paper_raw_over_w1`` the prediction at 0.01, with its own. An interval claims nine of ten critics of problems that
    the rule has not seen (``rule_held_out``); its ends are None where the rule was fitted on one family of problems.
    ``c_star`` is the clip value with K(c) = 1. ``fitted_on`` says for which critics there is evidence, and ``outside``
    what of the request is outside of it.
    """

    given: Literal["critic", "data"]
    c_star: float
    low: float | None
    high: float | None
    best: float | None
    gradient_low: float | None
    gradient_high: float | None
    raw_over_w1: float | None
    raw_low: float | None
    raw_high: float | None
    paper_raw_over_w1: float
    paper_raw_low: float | None
    paper_raw_high: float | None
    fitted_on: str
    outside: tuple[str, ...]


def advise(
    dim: int,
    widths: Sequence[int],
    *,
    lr: float = 5e-5,
    lr_unit: Literal["absolute", "clip"] = "absolute",
    steps: int = 10_000,
    critic: Mapping[str, Any] | None = None,
    pair: SamplePair | None = None,
    w1: float | None = None,
    table: pd.DataFrame | None = None,
) -> Advice:
    """Advice for a clipped critic on R^dim. The rule was fitted on fully connected ReLU critics trained by RMSProp.

    Args:
        dim: the dimension of the data.
        widths: the critic's hidden widths.
        lr: the learning rate, in units of ``lr_unit``.
        lr_unit: "clip" where the rate is lr times the clip value.
        steps: the training steps.
        critic: further fields of ``WeightClip``, as ``{"optimiser": "adam"}``. The rule knows the optimiser's eps and
            whether weights start in the box; of any other value that it was not fitted on, ``outside`` tells.
        pair: samples whose means and spread the rule takes into account; without them the means are taken to differ
            in a random direction.
        w1: the exact W1 of these samples.
        table: the rule's table; None reads the one that came with otbench.

    Raises:
        InputError: there is no such critic, as one with convolutions, or no table of the rule.
    """
    dim = as_whole("dim", dim, 1)
    method = recipe({"widths": tuple(widths), "lr": lr, "lr_unit": lr_unit, "steps": steps}, critic or {})
    rules = rule_table_here() if table is None else table
    given: Literal["critic", "data"] = "critic" if pair is None else "data"
    c_star = method.certified_clip(dim)
    clips = np.append(c_star * GRID, 0.01)
    setting = _setting(dim, method, clips, pair, w1)
    gradient, line = read_rule(rules, "grad_norm_mean", given)
    raw, _ = read_rule(rules, "raw_over_w1", given)
    log_norm, log_raw = gradient.log_scale(setting), raw.log_scale(setting)
    fits = np.flatnonzero((np.abs(log_norm) <= np.log(FACTOR)) & ~setting.stalled())
    fits = fits[fits < len(GRID)]
    best = int(fits[np.abs(log_norm[fits]).argmin()]) if len(fits) else None
    norm_low, norm_high = _around(gradient, log_norm, best)
    raw_low, raw_high = _around(raw, log_raw, best)
    paper_low, paper_high = _around(raw, log_raw, len(GRID))
    return Advice(
        given=given, c_star=c_star,
        low=float(clips[fits[0]]) if len(fits) else None,
        high=float(clips[fits[-1]]) if len(fits) else None,
        best=None if best is None else float(clips[best]),
        gradient_low=norm_low, gradient_high=norm_high,
        raw_over_w1=None if best is None else float(np.exp(log_raw[best])), raw_low=raw_low, raw_high=raw_high,
        paper_raw_over_w1=float(np.exp(log_raw[-1])), paper_raw_low=paper_low, paper_raw_high=paper_high,
        fitted_on=_fitted_on(line),
        outside=(
            *not_fitted(method, str(line["optimisers"])),
            *_outside(dim, method, c_star if best is None else float(clips[best]), c_star, line),
        ),
    )  # fmt: skip


def _around(rule: ScaleRule, log_scale: Floats, at: int | None) -> tuple[float | None, float | None]:
    """The interval around a prediction; (None, None) where there is no prediction or no interval."""
    if at is None or np.isnan(rule.errors).any():
        return None, None
    low, high = np.exp(log_scale[at] + rule.errors)
    return float(low), float(high)


def _fitted_on(line: "pd.Series[float]") -> str:
    """For which critics and data there is evidence, and for which there is none, on one line."""
    def between(name: str) -> str:
        low, high = line[f"{name}_low"], line[f"{name}_high"]
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"

    optimisers, problems = (str(line[name]).replace(" ", ", ") for name in ("optimisers", "problems"))
    others = [name for name in ("Adam", "SGD") if name.lower() not in optimisers]
    unknown = ", ".join([*others, "convolutions", "other layers and activations"])
    return (
        f"fully connected ReLU critics of {between('depth')} hidden layers of {between('width')} units, d = "
        f"{between('dim')}, {between('steps')} steps of {optimisers}, on {problems}. {unknown}, and other data, "
        "sizes and lengths of training were not fitted: for them all of this is a guess"
    )


def exact_part(pair: SamplePair, most: int = 1000) -> float:
    """The exact W1 of at most ``most`` random points of either sample: enough to tell a shift from a change of shape.

    The points are the same whatever order the rows are in.
    """
    return solve_exact(_part(pair.x, most), _part(pair.y, most)).w1


def _part(points: Array, most: int) -> Array:
    """At most ``most`` of the points (n, d), drawn with a fixed seed from the points in sorted order."""
    order = np.lexsort(points.T[::-1])
    chosen = np.random.default_rng(0).permutation(len(points))[:most]
    return points[order[np.sort(chosen)]]


def rule_table_here() -> pd.DataFrame:
    """The table of the fitted rule; InputError where there is none."""
    table = fitted_rule()
    if table is None:
        raise InputError("no fitted rule is here: `otbench run clip` makes results/clip/tables/rule.csv")
    return table


def in_words(advice: Advice) -> list[str]:
    """The advice as lines for a terminal, each with its reason."""
    lines = [
        f"c* = {advice.c_star:.3g}: the largest clip value that certifies a 1-Lipschitz critic, K(c*) = 1, "
        "whatever it learns.",
    ]
    if advice.best is None:
        lines.append("No clip value: at this rate and number of steps no predicted gradient is within a factor 3 of 1.")
    else:
        lines += [
            f"clip between {advice.low:.2g} and {advice.high:.2g}, best {advice.best:.2g}: there the gradient a "
            "generator receives is, as predicted, within a factor 3 of length 1"
            + _interval("; at the best it is", advice.gradient_low, advice.gradient_high) + ".",
            f"raw/W1 = {advice.raw_over_w1:.2g} at {advice.best:.2g}"
            + _interval(",", advice.raw_low, advice.raw_high) + ": what the printed loss would be off by.",
        ]  # fmt: skip
    lines += [
        f"raw/W1 = {advice.paper_raw_over_w1:.2g} at 0.01, the clip value everyone copies"
        + _interval(",", advice.paper_raw_low, advice.paper_raw_high) + ".",
        KNOWN[advice.given],
        f"Fitted on {advice.fitted_on}.",
    ]  # fmt: skip
    lines += [f"Outside of what the rule was fitted on: {what}; take it as a guess." for what in advice.outside]
    return [*lines, "Print instead of the raw loss:", *(f"    {line}" for line in CODE.splitlines())]


def _interval(words: str, low: float | None, high: float | None) -> str:
    """An interval in words; nothing where there is none."""
    if low is None or high is None:
        return ""
    return f"{words} {low:.2g} to {high:.2g} in nine of ten critics on problems left out of the fit"


def _setting(dim: int, method: WeightClip, clips: Floats, pair: SamplePair | None, w1: float | None) -> Setting:
    """What the rule looks at, for one critic at every clip value of ``clips`` (k,)."""
    count = len(clips)
    share, diagonality, spread = 1.0, RANDOM_DIRECTION, 1.0
    if pair is not None:
        about = moments(pair)
        share = min(1.0, about["shift"] / w1) if w1 else 0.0
        diagonality = about["shift_l1"] / about["shift"] / dim**0.5 if about["shift"] > 0 else 1.0
        spread = about["spread"]
    rate = method.lr * (clips if method.lr_unit == "clip" else np.ones(count))

    def every(value: float) -> Floats:
        return np.full(count, float(value))

    return Setting(
        every(dim), [method.widths] * count, clips, rate, every(method.steps), every(method.eps),
        np.full(count, method.init == "box"), every(share), every(diagonality), every(spread),
    )  # fmt: skip


def _outside(dim: int, method: WeightClip, clip: float, c_star: float, line: "pd.Series[float]") -> list[str]:
    """What of the request is outside of the ranges in the rule's line, in words."""
    rate = method.lr * (clip if method.lr_unit == "clip" else 1.0)
    asked = {
        "dim": dim, "depth": method.depth, "width": max(method.widths, default=1),
        "reach": rate * method.steps / clip, "steps": method.steps, "c_over_c_star": clip / c_star,
    }  # fmt: skip
    names = {"reach": "lr steps / c", "c_over_c_star": "c / c*", "width": "widest layer", "depth": "hidden layers"}
    return [
        f"{names.get(name, name)} {value:.3g}, fitted on {line[f'{name}_low']:.3g} to {line[f'{name}_high']:.3g}"
        for name, value in asked.items()
        if not line[f"{name}_low"] * (1 - 1e-9) <= value <= line[f"{name}_high"] * (1 + 1e-9)
    ]
