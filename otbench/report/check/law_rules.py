"""Rules for what rows say of the two laws: bounds by points held out, their coverage, and lines that pool nothing."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import bdtrc, stdtrit

from otbench.confidence import LEVEL
from otbench.report.check.violation import Violation, at_least, at_most, holds, whole
from otbench.results.store import SEEDS
from otbench.results.tables.bracketed import roof
from otbench.results.tables.cells import cell_columns, constant_everywhere, of_laws

#: The chance with which an estimate may lie further beyond what it estimates than is allowed: that of six standard
#: errors where the standard error is known.
CHANCE_OF_MEANS = 9.865876450376946e-10

#: The chance, if the intervals cover what they claim, of as many misses as are called too many.
CHANCE = 1e-6


def population(frame: pd.DataFrame) -> Iterator[Violation]:
    """A critic's mean difference on points held out, over a constant known everywhere, is at most W1 of the laws.

    It is held against the known W1 and against the upper bound, the mean exact W1 of independent samples. Each may err
    by as many standard errors as one mean in 10^9 does: six where they are known, more where few values tell them. The
    one-sided 95 % bounds miss no more often than one in twenty, but for chance.
    """
    ok = frame[frame["status"] == "ok"]
    if "sampling.fresh" not in ok:
        return
    asked = ok["sampling.fresh"].notna()
    yield from whole("held out", ok[asked], ["fresh_raw", "fresh_raw_error", "fresh_stderr", "fresh_dof"])
    yield from holds("held out", ok, asked | ok["fresh_raw"].isna(), "a value", "nothing: no point was", "fresh_raw")
    yield from at_least("standard error >= 0", ok, ok["fresh_stderr"], 0.0)
    yield from at_least("degrees of freedom >= 1", ok, ok["fresh_dof"], 1.0 - 1e-9)
    constant = constant_everywhere(ok)
    stderr = (ok["fresh_stderr"] / constant).where(constant > 0, 0.0)
    sure = ok["held_out"] - standard_errors(ok["fresh_dof"]) * stderr
    room = 1e-9 * ok["spread"].fillna(0.0)
    known = ok["population_w1"] + standard_errors(np.inf) * ok["population_stderr"].fillna(0.0)
    yield from at_most("held out <= population W1", ok, sure.rename("held_out"), known + room)
    yield from at_most("held out <= upper", ok, sure.rename("held_out"), _upper(ok) + room)
    yield from _coverage(ok)


def _upper(ok: pd.DataFrame) -> "pd.Series[float]":
    """The mean exact W1 of the independent samples of a row's laws and sizes, of an interval its upper end, plus its
    allowance for chance."""
    law = ok.groupby(cell_columns(ok, "problem.", "sampling."), dropna=False).ngroup()
    independent = (ok["sampling.mode"] == "independent") & of_laws(ok)
    once = ok.assign(law=law, w1=roof(ok))[independent].drop_duplicates(["law", "seed"]).groupby("law")["w1"]
    margin = standard_errors(once.size() - 1) * once.std() / np.sqrt(once.size())
    return law.map(once.mean() + margin)


def standard_errors(dof: Any) -> Any:
    """How many standard errors a mean may err by, where these are estimated with ``dof`` degrees of freedom.

    Student's quantile at ``CHANCE_OF_MEANS``: 3.2e8 of two values, 99 of six and 20 of eleven, so that a few values
    convict nobody, and 6 in the limit. NaN where there are no degrees of freedom.
    """
    return -stdtrit(dof, CHANCE_OF_MEANS)


def _coverage(ok: pd.DataFrame) -> Iterator[Violation]:
    """Of each method, the samples in which its 95 % lower bound lies above the known W1 are one in twenty, or are as
    many by chance. Samples are independent of each other, trainings on one sample are not: one of those counts."""
    method, points = cell_columns(ok, "method."), [*cell_columns(ok, "problem.", "sampling."), "seed"]
    known = ok[ok["population_w1"].notna() & ok["held_out_lower"].notna()]
    for _, rows in known.drop_duplicates([*method, *points]).groupby(method, dropna=False, sort=False):
        missed = int((rows["held_out_lower"] > rows["population_w1"] + 1e-9 * rows["spread"]).sum())
        if missed and bdtrc(missed - 1, len(rows), 1 - LEVEL) < CHANCE:
            name = rows["method.name"].iloc[0]
            seen = f"{missed} of {len(rows)} bounds above the known W1"
            yield Violation("lower bounds cover", f"method {name}", seen, "one in twenty", "held_out_lower")


def one_cell_a_line(frame: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> Iterator[Violation]:
    """The tables of medians have a line for every cell: nothing that differs in more than its seeds is pooled."""
    for name, of in (("agreement", frame), ("clip", frame[frame["critic"] == "weight_clip"])):
        if name not in tables or of.empty:
            continue
        cell = [column for column in cell_columns(of) if column not in SEEDS]
        cells, lines = of.groupby([*cell, "critic"], dropna=False).ngroups, len(tables[name])
        if lines < cells:
            rule = "one cell a line"
            yield Violation(rule, f"{name}.csv", f"{lines} lines of {cells} cells", "a line for every cell")

