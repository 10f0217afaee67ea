"""Advice on the clip value: what the rule predicts of a critic before it is trained, with its reasons and limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.files import PACKAGE
from otbench.inputs import as_whole
from otbench.methods import WeightClip
from otbench.results.tables.scale_rule import Floats, Setting, read_rule
from otbench.transport.exact import solve_exact
from otbench.types import Array, SamplePair, moments

#: Where the fitted rule is looked up: beside the results on which it was fitted, and in the installed package.
RULE_FILES = (
    PACKAGE.parent / "results" / "clip" / "tables" / "rule.csv",
    PACKAGE / "rule.csv",
)

#: A generator can use a gradient whose length is within this factor of 1.
FACTOR = 3.0

#: The clip values that are looked at, in units of c*.
GRID = np.geomspace(1e-2, 1e3, 501)

#: Mean |e|_1 / (sqrt d |e|_2) of a random direction e, which is assumed of samples that are not there.
RANDOM_DIRECTION = float(np.sqrt(2 / np.pi))

#: What to print instead of the raw loss.
CODE = """\
import otbench
print(otbench.monitor(critic(x), critic(y), x, y))  # never above W1 of the two batches, whatever the clip value"""


@dataclass(frozen=True)
class Advice:
    """What the rule predicts for one kind of critic.

    The mean gradient norm is predicted to be within a factor 3 of 1 for clip values from ``low`` to ``high``, and to be
    1 at ``best``; all are None where there is no such value. ``raw_over_w1`` is the prediction of raw/W1 at ``best``,
    ``raw_low`` to ``raw_high`` the interval around it that held nine of ten fitted critics, and ``paper_raw_over_w1``
    the prediction at 0.01. ``c_star`` is the clip value with K(c) = 1. ``outside`` tells what of the request is outside
    of what the rule was fitted on.
    """

    c_star: float
    low: float | None
    high: float | None
    best: float | None
    raw_over_w1: float | None
    raw_low: float | None
    raw_high: float | None
    paper_raw_over_w1: float
    outside: tuple[str, ...]


def advise(
    dim: int,
    widths: Sequence[int],
    *,
    lr: float = 5e-5,
    lr_unit: Literal["absolute", "clip"] = "absolute",
    steps: int = 10_000,
    pair: SamplePair | None = None,
    w1: float | None = None,
    table: pd.DataFrame | None = None,
) -> Advice:
    """Advice for a critic on R^dim that is trained by RMSProp.

    Args:
        dim: the dimension of the data.
        widths: the critic's hidden widths.
        lr: the learning rate, in units of ``lr_unit``.
        lr_unit: "clip" where the rate is lr times the clip value.
        steps: the training steps.
        pair: samples whose means and spread the rule takes into account; without them the means are taken to differ
            in a random direction.
        w1: the exact W1 of these samples.
        table: the rule's table; None reads the one that came with otbench.

    Raises:
        InputError: there is no such critic, or no table of the rule.
    """
    dim = as_whole("dim", dim, 1)
    method = WeightClip(widths=tuple(widths), lr=lr, lr_unit=lr_unit, steps=steps)
    rules = rule_table_here() if table is None else table
    c_star = method.certified_clip(dim)
    clips = np.append(c_star * GRID, 0.01)
    setting = _setting(dim, method, clips, pair, w1)
    gradient, line = read_rule(rules, "grad_norm_mean")
    raw, _ = read_rule(rules, "raw_over_w1")
    norms, log_raw = np.exp(gradient.log_scale(setting))[:-1], raw.log_scale(setting)
    fits = np.flatnonzero((norms >= 1 / FACTOR) & (norms <= FACTOR) & ~setting.stalled()[:-1])
    best = fits[np.abs(np.log(norms[fits])).argmin()] if len(fits) else None
    near = clips[best] if best is not None else c_star
    return Advice(
        c_star=c_star,
        low=float(clips[fits[0]]) if len(fits) else None,
        high=float(clips[fits[-1]]) if len(fits) else None,
        best=None if best is None else float(clips[best]),
        raw_over_w1=None if best is None else float(np.exp(log_raw[best])),
        raw_low=None if best is None else float(np.exp(log_raw[best] + raw.errors[0])),
        raw_high=None if best is None else float(np.exp(log_raw[best] + raw.errors[2])),
        paper_raw_over_w1=float(np.exp(log_raw[-1])),
        outside=tuple(_outside(dim, method, near, c_star, line)),
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
    for file in RULE_FILES:
        if file.is_file():
            return pd.read_csv(file)
    raise InputError("no fitted rule is here: `otbench run clip` makes results/clip/tables/rule.csv")


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
            "generator receives is, as predicted, within a factor 3 of length 1.",
            f"raw/W1 = {advice.raw_over_w1:.2g} at {advice.best:.2g} ({advice.raw_low:.2g} to {advice.raw_high:.2g} in "
            "nine of ten fitted critics): what the printed loss would be off by.",
        ]
    lines.append(f"raw/W1 = {advice.paper_raw_over_w1:.2g} at 0.01, the clip value everyone copies.")
    lines += [f"Outside of what the rule was fitted on: {what}; take it as a guess." for what in advice.outside]
    return [*lines, "Print instead of the raw loss:", *(f"    {line}" for line in CODE.splitlines())]


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
        np.zeros(count, dtype=bool), every(share), every(diagonality), every(spread),
    )  # fmt: skip


def _outside(dim: int, method: WeightClip, clip: float, c_star: float, line: "pd.Series[float]") -> list[str]:
    """What of the request is outside of the ranges in the rule's line, in words."""
    rate = method.lr * (clip if method.lr_unit == "clip" else 1.0)
    asked = {
        "dim": dim, "depth": method.depth, "width": max(method.widths, default=1),
        "reach": rate * method.steps / clip, "c_over_c_star": clip / c_star,
    }  # fmt: skip
    names = {"reach": "lr steps / c", "c_over_c_star": "c / c*", "width": "widest layer", "depth": "hidden layers"}
    return [
        f"{names.get(name, name)} {value:.3g}, fitted on {line[f'{name}_low']:.3g} to {line[f'{name}_high']:.3g}"
        for name, value in asked.items()
        if not line[f"{name}_low"] * (1 - 1e-9) <= value <= line[f"{name}_high"] * (1 + 1e-9)
    ]
