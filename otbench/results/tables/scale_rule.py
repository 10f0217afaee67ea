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

from otbench.errors import InputError, ResultsError
from otbench.results.tables.rule_intervals import weighted_quantile

Floats = NDArray[np.float64]

#: The columns that are predicted, all in units of the critic per unit of the data.
TARGETS = ("slope_constant", "raw_over_w1", "grad_norm_mean", "k_eff")

#: The values of kappa and rho from which a fit chooses.
KAPPAS, RHOS = (0.5, 0.7, 1.0, 1.4, 2.0), (0.5, 1.0, 2.0)

#: The fewest critics on which a rule is fitted.
FEWEST = 20

#: The terms of the linear part.
TERMS = ("constant", "layers", "diagonal", "isotropic")

#: What theory says of all coefficients but the constant: half of the units are active, and a shift along an axis, or a
#: radial change, loses sqrt d against a shift along the diagonal.
THEORY = np.array([np.log(0.5), 1.0, -0.5])

#: Theory counts as much as this share of the critics of the fit. Without it, coefficients that the problems of a fit
#: leave open take any value, and what is left out is missed by more than a factor of 10 in one case of ten.
PRIOR = 0.3

#: What is known of a request, and how many of the terms that leaves: the critic alone, or the critic and the samples.
GIVEN = {"critic": 2, "data": 4}

#: Problems that are near-twins are one family, which is left out as a whole: their optimal potentials are one linear
#: function, or one radial function; every other problem is a family of its own.
TWINS = {"translation": "shift", "shared_mass": "shift", "scaling": "radial", "spheres": "radial"}


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
    def terms(self) -> Floats:
        """The values (k, 4) of ``TERMS``."""
        share, layers = self.shift_share, np.array([len(w) + 1.0 for w in self.widths])
        parts = [np.ones(len(layers)), layers, share * np.log(self.diagonality), (1 - share) * np.log(self.dim)]
        return np.stack(parts, axis=1)

    @cached_property
    def gains(self) -> Floats:
        """sum_l log g_l (15, k) for every kappa and rho from which a fit chooses."""
        return np.stack([_log_gain(self, kappa, rho) for kappa, rho in itertools.product(KAPPAS, RHOS)])

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
    """A fitted rule for one target: kappa, rho, the coefficients of ``TERMS``, and as ``errors`` the ends of an
    interval of log(measured / predicted), NaN where there is none."""

    kappa: float
    rho: float
    coefficients: Floats
    errors: Floats

    def log_scale(self, setting: Setting) -> Floats:
        """The logarithm of the predicted scale (k,)."""
        predicted: Floats = _log_gain(setting, self.kappa, self.rho) + setting.terms @ self.coefficients
        return predicted


def fit(setting: Setting, measured: Floats, given: str = "data", weights: Floats | None = None) -> ScaleRule:
    """The rule of the smallest median error, over all kappa and rho, by least squares of the logarithms.

    Args:
        setting: what the rule looks at, of k critics.
        measured: the target (k,), positive where a critic counts.
        given: a key of ``GIVEN``; terms of the data are left out, with coefficient 0, where only the critic is known.
        weights: how much every critic counts (k,); 1 each when left out.

    The coefficients are drawn towards ``THEORY`` (ridge regression), and fitted again without critics that did not
    train (``trained``).
    """
    weights = np.ones(len(measured)) if weights is None else weights
    inside = np.flatnonzero(weights)
    w, terms = weights[inside] / weights[inside].mean(), setting.terms[inside][:, : GIVEN[given]]
    found = []
    for (kappa, rho), gain in zip(itertools.product(KAPPAS, RHOS), setting.gains, strict=True):
        left = np.log(measured[inside]) - gain[inside]
        sure = trained(terms, left, w)
        coefficients = shrunk(terms[sure], left[sure], w[sure])
        off = weighted_quantile(np.abs(left - terms @ coefficients), w, 0.5)
        whole = np.concatenate([coefficients, np.zeros(len(TERMS) - len(coefficients))])
        found.append((float(off), ScaleRule(kappa, rho, whole, np.full(2, np.nan))))
    return min(found, key=lambda one: one[0])[1]


def trained(terms: Floats, left: Floats, weights: Floats) -> NDArray[np.bool_]:
    """Flags (k,) of critics that a rule takes for trained: those off by at most three median errors of a first fit."""
    errors = np.abs(left - terms @ shrunk(terms, left, weights))
    return np.asarray(errors <= 3 * np.median(errors))


def shrunk(terms: Floats, left: Floats, weights: Floats) -> Floats:
    """The coefficients (t, ...) of least squares of ``left`` (k,) on ``terms`` (k, t) under ``weights`` (k, ...), with
    theory as a further observation of every coefficient but the constant, of the weight ``PRIOR`` times all others'."""
    count, w = terms.shape[1], np.moveaxis(weights, 0, -1)
    theory = np.concatenate([[0.0], THEORY[: count - 1]])
    pull = PRIOR * np.diag((np.arange(count) > 0).astype(np.float64)) * w.sum(-1)[..., None, None]
    products = (terms[:, :, None] * terms[:, None, :]).reshape(len(terms), -1)
    gram = (w @ products).reshape(*w.shape[:-1], count, count) + pull
    right = w @ (terms * left[:, None]) + pull @ theory
    return np.moveaxis(np.linalg.solve(gram, right[..., None])[..., 0], -1, 0)


def settings_of(rows: pd.DataFrame) -> Setting:
    """The settings of trained clipped critics' rows.

    Raises:
        ResultsError: a row does not say what was trained on what.
    """
    try:
        return _settings(rows)
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ResultsError(f"a clipped critic's row is damaged ({reason}); restore it, or run it again") from None


def _settings(rows: pd.DataFrame) -> Setting:
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


def families(rows: pd.DataFrame) -> NDArray[np.object_]:
    """The family (k,) of every row's problem."""
    return rows["problem.name"].map(lambda name: TWINS.get(name, name)).to_numpy(dtype=object)


def measured_in(rows: pd.DataFrame, target: str) -> tuple[NDArray[np.bool_], Floats]:
    """Flags (k,) of rows in which the target is a positive number, and the target (k,)."""
    measured = rows[target].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(measured > 0), measured


def read_rule(table: pd.DataFrame, target: str, given: str = "data") -> tuple[ScaleRule, "pd.Series[float]"]:
    """The rule of one target from the rules' table, and its line there, which tells what it was fitted on."""
    lines = table[(table["target"] == target) & (table["given"] == given)] if "given" in table else table[:0]
    if len(lines) != 1:
        raise InputError(f"the rule's table has {len(lines)} lines for {target}: write it anew with `otbench tables`")
    line = lines.iloc[0]
    errors = np.log(line[["error_low", "error_high"]].to_numpy(dtype=np.float64))
    return ScaleRule(line["kappa"], line["rho"], line[list(TERMS)].to_numpy(dtype=np.float64), errors), line


def _log_gain(setting: Setting, kappa: float, rho: float) -> Floats:
    """sum_l log g_l (k,)."""
    fan_in, fan_out, there = setting.layers
    reached = np.minimum(setting.clip, kappa * setting.lr * setting.steps)[:, None] * np.sqrt(fan_in * fan_out)
    start = rho * setting.start * (np.sqrt(fan_in) + np.sqrt(fan_out))
    gain: Floats = np.where(there, np.log(np.hypot(reached, start)), 0.0).sum(1)
    return gain
