"""Rules for generators in training: certificates, the ladder at every reading, common beginnings, ranges."""

from collections.abc import Iterator

import pandas as pd

from otbench.report.check.proof_rules import PROOF, proved, rounding
from otbench.report.check.violation import Violation, at_least, at_most, holds, whole
from otbench.transport.certificate import TOLERANCE


def curve_certificates(frame: pd.DataFrame) -> Iterator[Violation]:
    """Every reading has an exact value with the interval that proves it, and none was refused."""
    told = frame["schema"] > 1
    yield from proved(frame[told])
    yield from _gaps(frame[~told])
    for rows, proof in ((frame[told], PROOF), (frame[~told], ["primal", "gap", "violation", "marginal_error"])):
        yield from whole("certificate", rows[rows["status"] == "ok"], proof)


def _gaps(frame: pd.DataFrame) -> Iterator[Violation]:
    """Records of the first schema have no interval: their gap and violation are at most 1e-9 W1 instead."""
    yield from holds("certificate", frame, frame["status"] != "refused", "refused", "certified")
    yield from at_most("gap", frame, frame["gap"].abs(), TOLERANCE * frame["primal"])
    yield from at_most("violation", frame, frame["violation"], TOLERANCE * frame["primal"])
    yield from at_most("marginal error", frame, frame["marginal_error"].abs(), TOLERANCE)


def curve_ladder(frame: pd.DataFrame) -> Iterator[Violation]:
    """0 <= slope <= c_transform <= primal, nearest <= c_transform, raw <= S W1."""
    ok = frame[frame["status"] == "ok"]
    slack, upper_end = rounding(ok), ok["primal_upper"].fillna(ok["primal"])
    for lower, upper in (("slope", "c_transform"), ("slope", "primal"), ("c_transform", "primal"),
                         ("nearest", "c_transform")):  # fmt: skip
        roof = upper_end if upper == "primal" else ok[upper]
        yield from at_most(f"{lower} <= {upper}", ok, ok[lower], roof + slack)
    for name in ("slope", "nearest", "primal", "floor"):
        yield from at_least(f"{name} >= 0", ok, ok[name], 0.0)
    roof = ok["slope_constant"] * upper_end * (1 + TOLERANCE) + ok["raw_error"]
    yield from at_most("raw <= S W1", ok, ok["raw"], roof)
    yield from whole("ladder", ok, ["raw", "raw_error", "scale", "c_transform", "nearest"])


def curve_ranges(frame: pd.DataFrame) -> Iterator[Violation]:
    """All clip values of a job begin with one generator and share their floor; modes and seconds are possible."""
    start = frame[(frame["iteration"] == 0) & (frame["status"] == "ok")]
    for rows, name in ((start, "primal"), (frame, "floor")):
        groups = rows.groupby(["dataset", "lr", "seed"])[name]
        apart = groups.transform("max") - groups.transform("min")
        yield from at_most(f"one {name} a job", rows, apart, 0.0)
    modes = frame["dataset"].map({"ring": 8.0, "digits": 10.0})
    yield from at_most("modes found", frame, frame["modes"], modes)
    ok = frame[frame["status"] == "ok"]
    yield from holds("modes counted", ok, ok["modes"].notna() == modes[ok.index].notna(), "missing", "there", "modes")
    yield from holds("printed", ok, ok["printed"].notna() == (ok["iteration"] > 0), "missing",
                     "there but at the start", "printed")  # fmt: skip
    for name in ("seconds_critic", "seconds_generator", "seconds_exact"):
        yield from at_least(f"{name} >= 0", ok, ok[name], 0.0)
