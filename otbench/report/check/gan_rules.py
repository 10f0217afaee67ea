"""Rules for generators in training: certificates, the ladder at every reading, held-out points, common beginnings."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from otbench.report.check.proof_rules import PROOF, proved, rounding
from otbench.report.check.violation import Violation, at_least, at_most, holds, whole
from otbench.results.rounding import NOISE, ROUNDING
from otbench.results.schema import CONVERGED
from otbench.results.tables.gan import GAN
from otbench.studies.gan.plan import LOOP_OF_CONVERGED
from otbench.transport.certificate import TOLERANCE

#: What is known of a generator's points without a critic.
OF_POINTS = [*(name for name in PROOF if name not in NOISE), "nearest", "modes"]


def curve_certificates(frame: pd.DataFrame) -> Iterator[Violation]:
    """Every reading has an exact value with the interval that proves it, and none was refused."""
    yield from proved(frame)
    yield from whole("certificate", frame[frame["status"] == "ok"], PROOF)


def curve_ladder(frame: pd.DataFrame) -> Iterator[Violation]:
    """0 <= spectral <= slope <= c_transform <= primal, nearest <= c_transform, raw <= S W1, and the constants' order.

    S, the largest slope between the points, is at most the product of the layers' spectral norms, and that is at most
    K(c): they are Lipschitz constants of one critic, each known in more places than the one before.
    """
    ok = frame[frame["status"] == "ok"]
    slack = rounding(ok)
    for lower, upper in (("spectral", "slope"), ("slope", "c_transform"), ("slope", "primal"),
                         ("c_transform", "primal"), ("nearest", "c_transform")):  # fmt: skip
        roof = ok["primal_upper"] if upper == "primal" else ok[upper]
        yield from at_most(f"{lower} <= {upper}", ok, ok[lower], roof + slack)
    for name in ("nearest", "primal"):
        yield from at_least(f"{name} >= 0", ok, ok[name], 0.0)
    roof = ok["slope_constant"] * ok["primal_upper"] * (1 + TOLERANCE) + ok["raw_error"]
    yield from at_most("raw <= S W1", ok, ok["raw"], roof)
    yield from at_most("spectral <= clip constant", ok, ok["spectral_constant"], ok["clip_constant"] * (1 + TOLERANCE))
    yield from whole("ladder", ok, ["raw", "raw_error", "scale", "c_transform", "nearest", "spectral_constant",
                                    "clip_constant"])  # fmt: skip


def curve_held_out(frame: pd.DataFrame) -> Iterator[Violation]:
    """Every number of a generator is of the same points, which were held out.

    All generators of a data set and seed begin with equal weights, so that at iteration 0 their points are the same,
    up to what machines round.
    Critics that are trained afresh read the generators of a loop, so that what is known of the points without a critic
    is what that loop's records say. The floor, W1 of the held-out points and of points that were seen, is one of a data
    set and seed. It is not 0, as it would be if the points that are read were those that were trained on.
    """
    ok = frame[frame["status"] == "ok"]
    start = ok[ok["iteration"] == 0]
    for rows, name, groups in ((start, "primal", ["dataset", "seed"]), (start, "nearest", ["dataset", "seed"]),
                               (frame, "floor", ["dataset", "seed"])):  # fmt: skip
        yield from _one_value(f"one {name} a data set and seed", rows, name, groups, ROUNDING)
    twins = ok[ok["n_critic"].isin([CONVERGED, str(LOOP_OF_CONVERGED)])]
    generators = [*(name for name in GAN if name != "n_critic"), "seed", "iteration"]
    for name in OF_POINTS:
        yield from _one_value(f"one {name} a generator", twins, name, generators, 0.0)
    yield from holds("floor > 0", frame, frame["floor"] > 0, "0 or less", "above 0", "floor")


def _one_value(rule: str, frame: pd.DataFrame, name: str, keys: list[str], tolerance: float) -> Iterator[Violation]:
    """The column ``name`` has one value in each group, up to ``tolerance`` relative to the largest."""
    groups = frame.groupby(keys)[name]
    most = groups.transform("max")
    yield from at_most(rule, frame, (most - frame[name]).rename(name), tolerance * np.abs(most))


def curve_ranges(frame: pd.DataFrame) -> Iterator[Violation]:
    """Modes and seconds are possible, and what a critic prints is there wherever it took a step."""
    modes = frame["dataset"].map({"ring": 8.0, "digits": 10.0})
    yield from at_most("modes found", frame, frame["modes"], modes)
    yield from at_least("modes found", frame, frame["modes"], 0.0)
    ok = frame[frame["status"] == "ok"]
    yield from holds("modes counted", ok, ok["modes"].notna() == modes[ok.index].notna(), "missing", "there", "modes")
    afresh = ok["n_critic"] == CONVERGED
    stepped = (ok["iteration"] > 0) | afresh
    yield from holds("printed", ok, ok["printed"].notna() == stepped, "missing", "there where a critic took a step",
                     "printed")  # fmt: skip
    yield from holds("raw at half budget", ok, ok["raw_half"].notna() == afresh, "missing",
                     "there where critics are trained afresh", "raw_half")  # fmt: skip
    for name in ("seconds_critic", "seconds_generator", "seconds_exact"):
        yield from at_least(f"{name} >= 0", ok, ok[name], 0.0)
