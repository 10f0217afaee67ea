"""A rule that predicts the scale of a clipped critic, by which its printed value must be divided, before training.

The largest slope that a clipped network can have, K(c) = c^L sqrt(d) prod h, is far from what training finds. The rule
corrects it by what is known to matter. It is fitted on measured critics, and tested on problems and dimensions that
are left out of the fit:

    log scale = sum_l log g_l + b_0 + b_1 L + b_2 q log a + b_3 (1 - q) log d

g_l is the gain of layer l. It combines min(c, kappa lr steps) sqrt(in out), of entries that are aligned and have come
to the box or as far as the rate takes them, with rho sigma (sqrt in + sqrt out), of the random start with standard
deviation sigma. q is the share of W1 that a shift of the means makes up, and a = |shift|_1 / (sqrt d |shift|_2) tells
how far it points along a diagonal: the box is an l-infinity ball, so that a shift along an axis loses sqrt d. b_1 near
log(1/2) says that half of the units are active.
"""

import itertools
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from otbench.errors import InputError

Floats = NDArray[np.float64]

#: The columns that are predicted, all in units of the critic per unit of the data.
TARGETS = ("slope_constant", "raw_over_w1", "grad_norm_mean", "k_eff")

#: The values of kappa and rho from which a fit chooses.
KAPPAS, RHOS = (0.5, 0.7, 1.0, 1.4, 2.0), (0.5, 1.0, 2.0)

#: The fewest critics on which a rule is fitted.
FEWEST = 20

#: The terms of the linear part.
TERMS = ("constant", "layers", "diagonal", "isotropic")


@dataclass(frozen=True, eq=False)
class Setting:
    """What the rule looks at, with one entry per critic in arrays (k,).

    Of the critics there are dim, widths, clip, the absolute learning rate lr, steps, eps, and whether their weights
    start in the box; of the samples ``shift_share`` q, ``diagonality`` a and ``spread``.
    """

    dim: Floats
    widths: list[tuple[int, ...]]
    clip: Floats
    lr: Floats
    steps: Floats
    eps: Floats
    starts_in_box: NDArray[np.bool_]
    shift_share: Floats
    diagonality: Floats
    spread: Floats

    def take(self, which: NDArray[np.bool_]) -> "Setting":
        """The settings of the critics that are flagged in ``which`` (k,)."""
        index = np.flatnonzero(which)
        parts = {part.name: getattr(self, part.name)[index] for part in fields(self) if part.name != "widths"}
        return Setting(**parts, widths=[self.widths[k] for k in index])

    @cached_property
    def layers(self) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Fan-in and fan-out of every layer, and whether there is one, each (k, L); a missing layer is 1 x 1."""
        most = max(len(w) for w in self.widths) + 1
        fans = np.ones((2, len(self.widths), most))
        for k, (dim, widths) in enumerate(zip(self.dim, self.widths, strict=True)):
            sizes = (dim, *widths, 1)
            fans[0, k, : len(sizes) - 1], fans[1, k, : len(sizes) - 1] = sizes[:-1], sizes[1:]
        there = np.arange(most) <= np.array([len(w) for w in self.widths])[:, None]
        return fans[0], fans[1], there

    @cached_property
    def start(self) -> Floats:
        """The standard deviation (k, L) of the weights before training: of U(±min(c, 1/sqrt fan_in)), or of U(±c)."""
        fan_in, _, _ = self.layers
        clip = self.clip[:, None]
        sigma: Floats = np.where(self.starts_in_box[:, None], clip, np.minimum(clip, fan_in**-0.5)) / np.sqrt(3)
        return sigma

    def stalled(self) -> NDArray[np.bool_]:
        """Flags (k,) of critics whose first gradients are below the optimiser's eps: RMSProp hardly moves them."""
        fan_in, fan_out, there = self.layers
        sigma = self.start
        gain = np.where(there, np.log(sigma * (np.sqrt(fan_in) + np.sqrt(fan_out))), 0.0).sum(1)
        width = np.array([w[0] if w else 1 for w in self.widths])
        first = np.minimum(self.clip, width**-0.5)
        return np.asarray(np.exp(gain) * self.spread / first / width**2 < self.eps)


@dataclass(frozen=True, eq=False)
class ScaleRule:
    """A fitted rule for one target: kappa, rho, the coefficients of ``TERMS``, and as ``errors`` the quantiles 0.05,
    0.5 and 0.95 of log(measured / predicted)."""

    kappa: float
    rho: float
    coefficients: Floats
    errors: Floats

    def log_scale(self, setting: Setting) -> Floats:
        """The logarithm of the predicted scale (k,)."""
        predicted: Floats = _log_gain(setting, self.kappa, self.rho) + _terms(setting) @ self.coefficients
        return predicted


def fit(setting: Setting, measured: Floats) -> ScaleRule:
    """The rule of the smallest median error, over all kappa and rho, by least squares of the logarithms."""
    found, terms = [], _terms(setting)
    for kappa, rho in itertools.product(KAPPAS, RHOS):
        left = np.log(measured) - _log_gain(setting, kappa, rho)
        coefficients = np.linalg.lstsq(terms, left, rcond=None)[0]
        errors = left - terms @ coefficients
        sure = np.abs(errors) <= 3 * np.median(np.abs(errors))  # fitted again without critics that did not train
        coefficients = np.linalg.lstsq(terms[sure], left[sure], rcond=None)[0]
        errors = left - terms @ coefficients
        quantiles = np.quantile(errors, [0.05, 0.5, 0.95])
        found.append((float(np.median(np.abs(errors))), ScaleRule(kappa, rho, coefficients, quantiles)))
    return min(found, key=lambda one: one[0])[1]


def settings_of(rows: pd.DataFrame) -> Setting:
    """The settings of trained clipped critics' rows."""
    def column(name: str) -> Floats:
        return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)

    clip, shift = column("method.clip"), column("shift")
    widths = [tuple(int(part) for part in str(text).split("x") if part != "none") for text in rows["method.widths"]]
    diagonality = column("shift_l1") / np.maximum(shift, 1e-300) / np.sqrt(column("problem.dim"))
    return Setting(
        dim=column("problem.dim"),
        widths=widths,
        clip=clip,
        lr=column("method.lr") * np.where(rows["method.lr_unit"] == "clip", clip, 1.0),
        steps=column("method.steps"),
        eps=column("method.eps"),
        starts_in_box=(rows["method.init"] == "box").to_numpy(),
        shift_share=np.clip(shift / column("primal"), 0, 1),
        diagonality=np.where(shift > 0, diagonality, 1.0),
        spread=column("spread"),
    )


def fitted_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows on which a rule is fitted: trained clipped critics whose training was not stalled by eps."""
    rows = frame[(frame["critic"] == "weight_clip") & (frame["status"] == "ok") & (frame["primal"] > 0)]
    return rows[~settings_of(rows).stalled()] if len(rows) else rows


def rule_table(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per target: the rule fitted on all rows, and the ranges of what it was fitted on."""
    rows = fitted_rows(frame)
    if len(rows) < FEWEST:
        return pd.DataFrame()
    setting = settings_of(rows)
    depth = np.array([len(w) for w in setting.widths])
    width = np.array([max(w) for w in setting.widths])
    reach = setting.lr * setting.steps / setting.clip
    lines = []
    for target in TARGETS:
        known, measured = _measured(rows, target)
        if known.sum() < FEWEST:
            continue
        rule = fit(setting.take(known), measured[known])
        lines.append({
            "target": target, "critics": int(known.sum()), "kappa": rule.kappa, "rho": rule.rho,
            **dict(zip(TERMS, rule.coefficients, strict=True)),
            **dict(zip(("error_q05", "error_q50", "error_q95"), np.exp(rule.errors), strict=True)),
            "dim_low": setting.dim.min(), "dim_high": setting.dim.max(),
            "depth_low": depth.min(), "depth_high": depth.max(), "width_low": width.min(), "width_high": width.max(),
            "reach_low": reach.min(), "reach_high": reach.max(),
            "c_over_c_star_low": rows["c_over_c_star"].min(), "c_over_c_star_high": rows["c_over_c_star"].max(),
        })  # fmt: skip
    return pd.DataFrame(lines)


def held_out(frame: pd.DataFrame) -> pd.DataFrame:
    """The errors of rules that were fitted without one problem, or without one dimension, on what was left out.

    An error is the factor max(measured/predicted, predicted/measured). There are its median and its 90 % quantile,
    beside those of K(c) itself; the value "all" pools everything that was left out.
    """
    rows = fitted_rows(frame)
    if len(rows) < FEWEST:
        return pd.DataFrame()
    setting = settings_of(rows)
    lines = []
    for target in TARGETS:
        known, measured = _measured(rows, target)
        for column in ("problem.name", "problem.dim"):
            parts = [(value, (rows[column] == value).to_numpy()) for value in rows[column].unique()]
            parts = [(v, out) for v, out in parts if (known & out).any() and (known & ~out).sum() >= FEWEST]
            folds = [(v, _fold(setting, measured, known & ~out, known & out), known & out) for v, out in parts]
            if not folds:
                continue
            pooled = np.concatenate([errors for _, errors, _ in folds])
            whole = np.concatenate([np.flatnonzero(which) for *_, which in folds])
            for value, errors, which in [*folds, ("all", pooled, whole)]:
                naive = np.abs(np.log(measured[which] / rows["clip_constant"].to_numpy(dtype=np.float64)[which]))
                lines.append({
                    "target": target, "left_out": column, "value": str(value), "critics": len(errors),
                    "median_factor": np.exp(np.median(errors)), "p90_factor": np.exp(np.quantile(errors, 0.9)),
                    "naive_median_factor": np.exp(np.median(naive)),
                    "naive_p90_factor": np.exp(np.quantile(naive, 0.9)),
                })  # fmt: skip
    return pd.DataFrame(lines)


def read_rule(table: pd.DataFrame, target: str) -> tuple[ScaleRule, "pd.Series[float]"]:
    """The rule of one target from the rules' table, and its line there, which tells what it was fitted on."""
    lines = table[table["target"] == target]
    if len(lines) != 1:
        raise InputError(f"the rule's table has {len(lines)} lines for {target}: write it anew with `otbench tables`")
    line = lines.iloc[0]
    errors = np.log(line[["error_q05", "error_q50", "error_q95"]].to_numpy(dtype=np.float64))
    return ScaleRule(line["kappa"], line["rho"], line[list(TERMS)].to_numpy(dtype=np.float64), errors), line


def _measured(rows: pd.DataFrame, target: str) -> tuple[NDArray[np.bool_], Floats]:
    """Flags (k,) of rows in which the target is a positive number, and the target (k,)."""
    measured = rows[target].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(measured > 0), measured


def _fold(setting: Setting, measured: Floats, inside: NDArray[np.bool_], outside: NDArray[np.bool_]) -> Floats:
    """|log(measured / predicted)| on ``outside`` of the rule fitted on ``inside``."""
    rule = fit(setting.take(inside), measured[inside])
    errors: Floats = np.abs(np.log(measured[outside]) - rule.log_scale(setting.take(outside)))
    return errors


def _log_gain(setting: Setting, kappa: float, rho: float) -> Floats:
    """sum_l log g_l (k,)."""
    fan_in, fan_out, there = setting.layers
    reached = np.minimum(setting.clip, kappa * setting.lr * setting.steps)[:, None] * np.sqrt(fan_in * fan_out)
    start = rho * setting.start * (np.sqrt(fan_in) + np.sqrt(fan_out))
    gain: Floats = np.where(there, np.log(np.hypot(reached, start)), 0.0).sum(1)
    return gain


def _terms(setting: Setting) -> Floats:
    """The values (k, 4) of ``TERMS``."""
    share, layers = setting.shift_share, np.array([len(w) + 1.0 for w in setting.widths])
    parts = [np.ones(len(layers)), layers, share * np.log(setting.diagonality), (1 - share) * np.log(setting.dim)]
    return np.stack(parts, axis=1)
