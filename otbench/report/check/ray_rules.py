"""Rules for gradients that are compared with known rays: where the rays point, and what an affine critic must show."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from otbench.report.check.violation import Violation, at_most, holds
from otbench.transport.certificate import TOLERANCE

#: The least cosine between rays and moves: points near a potential's kinks are rounded, others give 1.
ALONG = 0.99

#: What rounding may change in mean products of gradients and rays, relative to the gradients' length.
PRODUCTS = 1e-6


def rays(frame: pd.DataFrame) -> Iterator[Violation]:
    """Known rays point from T(x) to x; where all mass moves one way, raw tells the cosine of an affine critic.

    There are two theorems. An optimal potential f grows at rate 1 from T(x) to x, so that its gradient r at x has
    <r, x - T(x)> = |x - T(x)| (Villani 2009, Thm 5.10). And where |mean x - mean y| is W1 itself, all moves are
    parallel, as the triangle inequality is strict otherwise. Every ray is then the direction (mean x - mean y)/W1, and
    an affine critic f(z) = <w, z> has the cosine raw/(|w| W1) at every point, which is 1 for `linear`.

    For other critics nothing of the kind holds row by row: a function that separates the samples may have any gradient
    at the points themselves, and even the exact `potential` has kinks there. For them the first theorem proves the rays
    right with which their gradients are compared, and the columns made of both agree with each other.
    """
    known = frame["ray_cosine"]
    yield from at_most("rays lie along the moves", frame, ALONG - known, 0.0)
    yield from at_most("cosine of rays and moves <= 1", frame, known, 1 + TOLERANCE)
    told = known.notna() | frame["gradient_l2"].isna() | ~(frame["coupled_w1"] > 0)
    yield from holds("rays", frame, told, "not compared with the moves", "compared")
    yield from _affine(frame[frame["status"] == "ok"])
    yield from _products(frame[frame["gradient_l2"].notna()])


def _affine(ok: pd.DataFrame) -> Iterator[Violation]:
    """Where all mass moves one way, the cosine of `linear` is 1 and that of `zero` is 0."""
    coupled = ok["sampling.mode"] != "independent"
    parallel = coupled & (ok["primal"] > 0) & (ok["shift"] >= ok["primal"] * (1 - 1e-12))
    expected = ok["critic"].map({"linear": 1.0, "zero": 0.0}).where(parallel)
    rule = "cosine of an affine critic where all mass moves one way"
    for name in ("cosine", "plan_cosine"):
        for index in ok.index[(ok[name] - expected).abs() > PRODUCTS]:
            yield from holds(rule, ok.loc[[index]], pd.Series(False, [index]), f"{ok[name][index]:.6g}",
                             f"{expected[index]:g}", name)  # fmt: skip


def _products(rows: pd.DataFrame) -> Iterator[Violation]:
    """The loss L = mean |g - r|^2, its minimum R over scales and the minimising scale s agree: two give the third.

    With p = mean <g, r>, q = mean |g|^2 and rays of length 1, L = q - 2p + 1, and for p > 0 s = p/q and R = 1 - p^2/q.
    """
    loss, least, s = rows["gradient_l2"], rows["gradient_l2_repaired"], rows["gradient_scale"]
    yield from at_most("repaired gradient loss <= 1", rows, least, 1 + TOLERANCE)
    yield from at_most("repaired gradient loss <= loss", rows, least, loss * (1 + TOLERANCE) + TOLERANCE)
    p = (1 - least) / s.where(s > 0)
    q = p / s
    error = (loss - (q - 2 * p + 1)).abs()
    rounding = np.finfo(np.float64).eps * 64 / s.where(s > 0) * (1 + 1 / s)
    yield from at_most("gradient loss and its scale agree", rows, error, PRODUCTS * (1 + q) + rounding)
